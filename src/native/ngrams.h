// What a linear classifier sees of a text: numbers of the buckets into which its words, pairs of words
// and characters in a row fall.
//
// groundup.curate.classify.ngrams has the reference in Python.
#pragma once

#include "words.h"

namespace groundup {

inline bool is_word_byte(u8 byte) {
  return byte >= 0x80 || u8((byte | 0x20) - 'a') < 26 || u8(byte - '0') < 10 || byte == '_';
}

// Calls take(word, bytes) for each word of a text whose letters of ASCII are lowered here: a run of what
// words are made of, or a symbol by itself.
template <typename Take> void each_word_and_symbol(const Units &text, Buffer &buffer, Buffer &lower, const Take &take) {
  i64 bytes;
  const u8 *const low = lowered(text, buffer, lower, bytes);
  each_word<true>(low, low + bytes, [&](const u8 *at, i64 size) {
    for (const u8 *end = at + size; at < end;) { // of what has no white space
      const u8 *begin = at++;
      if (is_word_byte(*begin))
        while (at < end && is_word_byte(*at)) at++;
      take(begin, i64(at - begin));
    }
  });
}

class Ngrams {
public:
  // bits: of a bucket's number. words: at most so many in a row. shortest, longest: characters in a row.
  Ngrams(int bits, int words, int shortest, int longest)
      : shift_(64 - bits), words_(words), shortest_(shortest), longest_(longest) {
    if (bits < 1 || bits > 30 || words < 1 || words > 5 || shortest < 1 || longest > 15)
      throw std::invalid_argument("features are out of range");
  }

  // Calls word(bytes, size, hash) for each word and pair(bucket) for several in a row.
  template <typename Word, typename Several>
  void each(const Units &text, const Word &word, const Several &several) {
    u64 last[4] = {};
    int known = 0; // of the last words
    each_word_and_symbol(text, buffer_, lower_, [&](const u8 *at, i64 size) {
      const u64 hash = word_hash(at, size);
      word(at, size, hash);
      u64 row = hash;
      for (int i = 0; i < std::min(known, words_ - 1); i++) {
        row = row * BASE + last[i];
        several(bucket(row));
      }
      for (int i = 3; i > 0; i--) last[i] = last[i - 1];
      last[0] = hash;
      known = std::min(known + 1, 4);
    });
  }

  // Calls each(bucket) for the word and for its characters in a row.
  template <typename Each> void of_word(const u8 *word, i64 size, u64 hash, const Each &each) const {
    each(bucket(hash));
    if (!is_word_byte(*word)) return;
    // '<' before the word, and '>' behind it
    for (i64 begin = -1; begin < size; begin++) {
      if (begin > 0 && is_continuation(word[begin])) continue;
      u64 row = CHARACTERS;
      i64 at = begin;
      for (int length = 1; length <= longest_ && at <= size; length++) {
        do {
          row = (row ^ (at < 0 ? u8('<') : at == size ? u8('>') : word[at])) * PRIME;
          at++;
        } while (at > 0 && at < size && is_continuation(word[at]));
        if (length >= shortest_ && !(length == 1 && begin < 0)) each(bucket(row));
      }
    }
  }

private:
  static constexpr u64 CHARACTERS = 0xCBF29CE484222325u, PRIME = 0x100000001B3u; // FNV-1a

  static bool is_continuation(u8 byte) { return (byte & 0xC0) == 0x80; }
  u32 bucket(u64 hash) const { return u32(scrambled(hash) >> shift_); }

  int shift_, words_, shortest_, longest_;
  Buffer buffer_, lower_;
};

} // namespace groundup
