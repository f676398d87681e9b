// Ids to bytes.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "text.h"

namespace groundup {

class Decoder {
public:
  // tokens: the bytes of each id; an id without a token has `holes` set.
  Decoder(const std::vector<std::string> &tokens, const std::vector<bool> &holes)
      : sizes_(tokens.size(), HOLE), tokens_(tokens.size()) {
    for (std::size_t id = 0; id < tokens.size(); id++) {
      if (holes[id]) continue;
      const std::string &token = tokens[id];
      if (token.size() <= AT_ONCE) {
        sizes_[id] = u8(token.size());
        std::copy(token.begin(), token.end(), tokens_[id].bytes);
      } else {
        sizes_[id] = LONG;
        tokens_[id].elsewhere = {u32(long_.size()), u32(token.size())};
        long_.insert(long_.end(), token.begin(), token.end());
      }
    }
  }

  // Adds the bytes of `count` ids to `bytes`. A block of ids is read, and its tokens asked for, before
  // the first is copied: so nothing is read twice, and memory is not waited for.
  //   number(i): the id at place i, which may be any number.
  //   bytes: what grows. bytes.room(n) is where the next n bytes go; bytes.end(p): they end at p.
  // Returns false, and `wrong` becomes the first id that has no token, if there is one.
  template <typename Number, typename Bytes>
  bool decode(i64 count, Number number, Bytes &bytes, i64 &wrong) const {
    const u64 end = sizes_.size(); // in a register, as in `copy`: bytes that are written may be anything
    u32 ids[BLOCK];
    for (i64 start = 0; start < count; start += BLOCK) {
      const i64 many = std::min(BLOCK, count - start);
      i64 id = 0, read = 0;
      for (; read < many; read++) {
        id = number(start + read);
        if (__builtin_expect(u64(id) >= end, false)) break;
        __builtin_prefetch(&tokens_[std::size_t(id)]);
        ids[read] = u32(id);
      }
      if (!copy(ids, read, bytes, wrong)) return false;
      if (read < many) return wrong = id, false;
    }
    return true;
  }

private:
  static constexpr i64 BLOCK = 256; // ids
  static constexpr std::size_t AT_ONCE = 16; // bytes
  static constexpr u8 HOLE = 0xFF, LONG = 0xFE; // in the place of a size: no token, one longer than AT_ONCE

  template <typename Bytes> bool copy(const u32 *ids, i64 count, Bytes &bytes, i64 &wrong) const {
    const u8 *const sizes = sizes_.data();
    const Token *const tokens = tokens_.data();
    u8 *out = bytes.room(count * AT_ONCE);
    for (i64 i = 0; i < count; i++) {
      const std::size_t size = sizes[ids[i]];
      const Token &token = tokens[ids[i]];
      if (__builtin_expect(size <= AT_ONCE, true)) {
        std::memcpy(out, token.bytes, AT_ONCE); // whether or not all of them count
        out += size;
      } else if (size == LONG) {
        const auto [at, length] = token.elsewhere;
        bytes.end(out);
        out = bytes.room(length + (count - i) * AT_ONCE);
        std::memcpy(out, &long_[at], length);
        out += length;
      } else {
        return wrong = ids[i], false;
      }
    }
    bytes.end(out);
    return true;
  }

  union Token {
    u8 bytes[AT_ONCE];
    struct {
      u32 start, size;
    } elsewhere; // in `long_`
  };
  std::vector<u8> sizes_; // apart, and small: this table is often wholly in the cache
  std::vector<Token> tokens_;
  std::vector<u8> long_; // the bytes of tokens that are longer than AT_ONCE
};

} // namespace groundup
