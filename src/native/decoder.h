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
  Decoder(const std::vector<std::string> &tokens, const std::vector<bool> &holes) {
    for (std::size_t id = 0; id < tokens.size(); id++) {
      tokens_.push_back({u32(bytes_.size()), holes[id] ? HOLE : u32(tokens[id].size())});
      bytes_.insert(bytes_.end(), tokens[id].begin(), tokens[id].end());
    }
    bytes_.resize(bytes_.size() + AT_ONCE);
  }

  // How many bytes the ids are; or -1, and `wrong` becomes the first id that has no token.
  template <typename Id> i64 bytes(const Id *ids, i64 count, i64 &wrong) const {
    i64 total = 0;
    for (i64 i = 0; i < count; i++) {
      const i64 id = i64(ids[i]);
      const u32 size = id >= 0 && id < i64(tokens_.size()) ? tokens_[std::size_t(id)].size : HOLE;
      if (size == HOLE) {
        wrong = id;
        return -1;
      }
      total += size;
    }
    return total;
  }

  // Writes them to `out`, which has room for `total` bytes.
  template <typename Id> void decode(const Id *ids, i64 count, u8 *out, i64 total) const {
    const u8 *end = out + total;
    for (i64 i = 0; i < count; i++) {
      const Token token = tokens_[std::size_t(ids[i])];
      const u8 *bytes = bytes_.data() + token.start;
      if (token.size <= AT_ONCE && end - out >= AT_ONCE) std::memcpy(out, bytes, AT_ONCE);
      else std::memcpy(out, bytes, token.size);
      out += token.size;
    }
  }

private:
  static constexpr u32 HOLE = ~0u;
  static constexpr int AT_ONCE = 16; // bytes that are copied, whether or not all of them count

  struct Token {
    u32 start, size;
  };
  std::vector<Token> tokens_;
  std::vector<u8> bytes_;
};

} // namespace groundup
