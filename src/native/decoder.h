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
      sizes_[id] = u16(std::min(token.size(), std::size_t(MANY)));
      if (token.size() <= AT_ONCE) {
        std::copy(token.begin(), token.end(), tokens_[id].bytes);
      } else {
        tokens_[id].elsewhere = {u32(long_.size()), u32(token.size())};
        long_.insert(long_.end(), token.begin(), token.end());
      }
    }
  }

  // How many bytes an id is, or -1 if it has no token.
  i64 bytes(i64 id) const {
    const i64 size = id >= 0 && id < i64(sizes_.size()) ? sizes_[std::size_t(id)] : HOLE;
    if (__builtin_expect(size < MANY, true)) return size;
    return size == HOLE ? -1 : i64(tokens_[std::size_t(id)].elsewhere.size);
  }

  // How many bytes the ids are; or -1, and `wrong` becomes the first id that has no token.
  template <typename Id> i64 bytes(const Id *ids, i64 count, i64 &wrong) const {
    i64 total = 0;
    for (i64 i = 0; i < count; i++) {
      const i64 size = bytes(i64(ids[i]));
      if (__builtin_expect(size < 0, false)) return wrong = i64(ids[i]), -1;
      total += size;
    }
    return total;
  }

  // Writes them to `out`, which has room for `total` bytes.
  template <typename Id> void decode(const Id *ids, i64 count, u8 *out, i64 total) const {
    const u8 *end = out + total;
    for (i64 i = 0; i < count; i++) {
      __builtin_prefetch(&tokens_[std::size_t(ids[std::min(i + AHEAD, count - 1)])]);
      const Token &token = tokens_[std::size_t(ids[i])];
      i64 size = sizes_[std::size_t(ids[i])];
      if (__builtin_expect(size > AT_ONCE, false)) {
        size = token.elsewhere.size;
        std::memcpy(out, &long_[token.elsewhere.start], std::size_t(size));
      } else if (__builtin_expect(end - out >= AT_ONCE, true)) {
        std::memcpy(out, token.bytes, AT_ONCE); // whether or not all of them count
      } else {
        std::memcpy(out, token.bytes, std::size_t(size));
      }
      out += size;
    }
  }

private:
  static constexpr u16 HOLE = 0xFFFF, MANY = 0xFFFE; // in the place of a size: none, and as many or more
  static constexpr int AT_ONCE = 16; // bytes
  static constexpr i64 AHEAD = 64; // tokens are asked for this many ids before they are copied

  union Token {
    u8 bytes[AT_ONCE];
    struct {
      u32 start, size;
    } elsewhere; // in `long_`
  };
  std::vector<u16> sizes_; // apart, and small: this table is often wholly in the cache
  std::vector<Token> tokens_;
  std::vector<u8> long_; // the bytes of tokens that are longer than AT_ONCE
};

} // namespace groundup
