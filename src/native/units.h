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
      if (end - i >= AT_ONCE && ascii(i, out)) {
        i += AT_ONCE, out += AT_ONCE;
        continue;
      }
      bool foreign = false; // go on one by one up to the end of the next stretch that is not ASCII
      for (; i < end && !(foreign && at(i) < 0x80); i++) {
        const u32 point = at(i);
        foreign = point >= 0x80;
        out = write(point, out);
      }
    }
    bytes = out - start;
    return start;
  }

private:
  static constexpr int AT_ONCE = 16; // units
  static constexpr int AHEAD = 1024; // bytes whose memory is asked for before they are read

  template <typename T> T read(i64 i) const {
    T value;
    std::memcpy(&value, data + i * i64(sizeof value), sizeof value);
    return value;
  }

  static u8 *write(u32 point, u8 *out) {
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
    return out;
  }

  // Writes the AT_ONCE units from i on as bytes; returns whether that is right: all are ASCII.
  bool ascii(i64 i, u8 *out) const {
    if (width == 1) return narrow<u8>(i, out);
    if (width == 2) return narrow<std::uint16_t>(i, out);
    return narrow<u32>(i, out);
  }

  template <typename Unit> bool narrow(i64 i, u8 *out) const {
    typedef Unit Wide __attribute__((vector_size(AT_ONCE * sizeof(Unit))));
    typedef u8 Narrow __attribute__((vector_size(AT_ONCE)));
    const u8 *from = data + i * i64(sizeof(Unit));
    __builtin_prefetch(from + AHEAD);
    Wide wide;
    std::memcpy(&wide, from, sizeof wide);
    const Narrow bytes = __builtin_convertvector(wide, Narrow);
    std::memcpy(out, &bytes, sizeof bytes);
    constexpr u64 beyond = sizeof(Unit) == 1   ? 0x8080808080808080ull
                           : sizeof(Unit) == 2 ? 0xFF80FF80FF80FF80ull
                                               : 0xFFFFFF80FFFFFF80ull;
    u64 words[sizeof wide / 8], any = 0;
    std::memcpy(words, from, sizeof wide);
    for (const u64 word : words) any |= word;
    return !(any & beyond);
  }
};

} // namespace groundup
