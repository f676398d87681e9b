// Python's strings: 1, 2 or 4 bytes a code point. They are read as they lie, in parts that are
// turned into UTF-8 one at a time, so that a long text never needs a second copy of itself.
#pragma once

#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "text.h"

namespace groundup {

// Memory that grows, without being cleared first.
class Buffer {
public:
  u8 *room(i64 bytes) {
    if (bytes > size_) data_.reset(new u8[std::size_t(size_ = bytes)]);
    return data_.get();
  }

private:
  std::unique_ptr<u8[]> data_;
  i64 size_ = 0;
};

struct Units {
  int width; // bytes a code point: 1, 2 or 4; or 0 for UTF-8 bytes
  const u8 *data;
  i64 length;

  u32 at(i64 i) const {
    if (width <= 1) return data[i];
    if (width == 2) return read<std::uint16_t>(i);
    return read<u32>(i);
  }

  // Where a part that begins at `from` may end, `size` units later or soon after: before a space
  // that follows a visible ASCII character. There every pattern cuts, and needs to know nothing of
  // the other side.
  i64 part_end(i64 from, i64 size) const {
    for (i64 i = from + size; i < length; i++) {
      if (at(i) == ' ' && at(i - 1) > ' ' && at(i - 1) < 0x7F) return i;
    }
    return length;
  }

  // The UTF-8 of units begin … end, in `buffer` unless they are UTF-8 already. Raises for a lone
  // surrogate.
  const u8 *utf8(i64 begin, i64 end, Buffer &buffer, i64 &bytes) const {
    if (width == 0) {
      bytes = end - begin;
      return data + begin;
    }
    u8 *const start = buffer.room((end - begin) * (width == 1 ? 2 : width == 2 ? 3 : 4) + 8);
    u8 *out = start;
    for (i64 i = begin; i < end;) {
      if (end - i >= 8 && ascii(i, out)) {
        i += 8, out += 8;
        continue;
      }
      const u32 point = at(i++);
      if (point < 0x80) {
        *out++ = u8(point);
      } else if (point < 0x800) {
        *out++ = u8(0xC0 | point >> 6), *out++ = u8(0x80 | (point & 0x3F));
      } else if (point < 0x10000) {
        if (point >= 0xD800 && point < 0xE000) throw std::invalid_argument("lone surrogate");
        *out++ = u8(0xE0 | point >> 12), *out++ = u8(0x80 | (point >> 6 & 0x3F));
        *out++ = u8(0x80 | (point & 0x3F));
      } else {
        *out++ = u8(0xF0 | point >> 18), *out++ = u8(0x80 | (point >> 12 & 0x3F));
        *out++ = u8(0x80 | (point >> 6 & 0x3F)), *out++ = u8(0x80 | (point & 0x3F));
      }
    }
    bytes = out - start;
    return start;
  }

private:
  template <typename T> T read(i64 i) const {
    T value;
    std::memcpy(&value, data + i * i64(sizeof value), sizeof value);
    return value;
  }

  // Copies the 8 units from i on, if all of them are ASCII.
  bool ascii(i64 i, u8 *out) const {
    if (width == 1) {
      const u64 eight = word(i, 0);
      std::memcpy(out, &eight, 8);
      return !(eight & 0x8080808080808080ull);
    }
    if (width == 2) {
      const u64 low = word(i, 0), high = word(i, 1);
      if ((low | high) & 0xFF80FF80FF80FF80ull) return false;
      const u64 eight = narrow(low) | narrow(high) << 32;
      std::memcpy(out, &eight, 8);
      return true;
    }
    for (int k = 0; k < 8; k++) out[k] = u8(at(i + k));
    return !((word(i, 0) | word(i, 1) | word(i, 2) | word(i, 3)) & 0xFFFFFF80FFFFFF80ull);
  }

  u64 word(i64 i, int k) const {
    u64 word;
    std::memcpy(&word, data + i * width + 8 * k, 8);
    return word;
  }

  static u64 narrow(u64 four) { // four 16-bit units below 0x80 to four bytes
    four = (four | four >> 8) & 0x0000FFFF0000FFFFull;
    return (four | four >> 16) & 0xFFFFFFFFull;
  }
};

} // namespace groundup
