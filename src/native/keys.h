// Keys of short texts: 128 bits of their words, equal where the words are, each digit taken as 0.
//
// groundup.curate.duplicates.lines has the reference in Python.
#pragma once

#include "words.h"

namespace groundup {

struct WordsKey {
  u64 upper = 0, lower = 0;
  i64 words = 0;
};

class WordsKeys {
public:
  WordsKey of(const Units &text) {
    i64 bytes;
    u8 *const lower = lowered(text, buffer_, lower_, bytes);
    for (i64 i = 0; i < bytes; i++) lower[i] = u8(lower[i] - '0') < 10 ? u8('0') : lower[i];
    WordsKey key;
    each_word<false>(lower, lower + bytes, [&](const u8 *word, i64 size) {
      const u64 hash = word_hash(word, size);
      key.upper = key.upper * BASE + hash;
      key.lower = key.lower * OTHER + hash;
      key.words++;
    });
    key.upper = scrambled(key.upper), key.lower = scrambled(key.lower);
    return key;
  }

private:
  static constexpr u64 OTHER = 0xD6E8FEB86659FD93u;

  Buffer buffer_, lower_;
};

} // namespace groundup
