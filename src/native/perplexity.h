// How well a text's words are foreseen by an n-gram model.
//
// groundup.curate.perplexity.model has the reference in Python.
#pragma once

#include <cmath>

#include "ngrams.h"

namespace groundup {

// The keys of a text's last words: of one word, of two in a row, and so on.
class WordRows {
public:
  explicit WordRows(int order) : keys_(std::size_t(order)) {
    if (order < 1 || order > MOST) throw std::invalid_argument("an n-gram has 1 to 8 words");
  }

  static constexpr int MOST = 8;

  // Calls each(keys, known) for every word: keys[n − 1] is of the n words that end here, n ≤ known.
  template <typename Each> void each(const Units &text, const Each &each) {
    int known = 0;
    each_word_and_symbol(text, buffer_, lower_, [&](const u8 *word, i64 size) {
      const u64 hash = word_hash(word, size);
      for (std::size_t n = keys_.size(); n-- > 1;) keys_[n] = keys_[n - 1] * ROW + hash;
      keys_[0] = hash;
      known = std::min(known + 1, int(keys_.size()));
      each(keys_.data(), known);
    });
  }

private:
  static constexpr u64 ROW = 0x9FB21C651E98DF25u;

  std::vector<u64> keys_;
  Buffer buffer_, lower_;
};

// Rows of words that are known: of each the share that it has of what follows its context, and the
// weight that the shorter context has where it is a context itself. See model.py for the table.
struct WordTable {
  const u32 *slots; // [size, 2]
  u64 size;         // a power of two
  float unknown;    // the probability of a word that is not there, behind no context

  // Whether the key is there; then share and weight are.
  bool find(u64 key, float &share, float &weight) const {
    const u64 hash = scrambled(key);
    const u32 mark = u32(hash) | 1;
    for (u64 step = 0, at = hash >> 32; step < size; step++, at++) {
      const u32 *const slot = slots + 2 * (at & (size - 1));
      if (slot[0] == 0) return false;
      if (slot[0] == mark) {
        share = number(slot[1] & 0xFFFF0000u), weight = number(slot[1] << 16);
        return true;
      }
    }
    return false;
  }

private:
  static float number(u32 upper_half) {
    float value;
    std::memcpy(&value, &upper_half, sizeof value);
    return value;
  }
};

// The sum of the logarithms of the words' probabilities; returns how many words there are.
inline i64 log_likelihood(const Units &text, WordRows &rows, const WordTable &table, double &sum) {
  i64 words = 0;
  float before[WordRows::MOST]; // weights of the contexts that end at the word before, as far as known
  int contexts = 0;
  sum = 0;
  rows.each(text, [&](const u64 *keys, int known) {
    float weights[WordRows::MOST], probability = table.unknown, share, weight;
    int found = 0;
    for (int n = 1; n <= known; n++) {
      if (n > 1) {
        if (contexts < n - 1) break;
        probability *= before[n - 2];
      }
      if (found == n - 1 && table.find(keys[n - 1], share, weight)) {
        probability += share;
        weights[found++] = weight;
      }
    }
    sum += std::log(double(probability));
    std::copy_n(weights, found, before);
    contexts = found;
    words++;
  });
  return words;
}

} // namespace groundup
