// The way from a text to the hidden vector of a classifier that fastText trained: the mean of the rows
// of its words, of their characters in a row, and of words in a row.
//
// groundup.curate.classify.fasttext_model has the reference in Python.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>

#include "words.h"

namespace groundup {

// A matrix of numbers, or one whose rows are put together from centroids (see fasttext_file.py). What
// it points to must outlive it.
struct FastTextRows {
  i64 count, width;
  const float *numbers; // or none, and then:
  i64 part;
  const u8 *codes;
  const float *centroids, *norms;

  i64 parts() const { return (width + part - 1) / part; }

  void add_to(float *sum, i64 row) const {
    if (numbers) {
      const float *const from = numbers + row * width;
      for (i64 i = 0; i < width; i++) sum[i] += from[i];
      return;
    }
    const u8 *code = codes + row * parts();
    for (i64 begin = 0; begin < width; begin += part) {
      const i64 size = std::min(part, width - begin);
      const float *const from = centroids + CENTROIDS * begin + *code++ * size;
      for (i64 i = 0; i < size; i++) sum[begin + i] += norms[row] * from[i];
    }
  }

  static constexpr i64 CENTROIDS = 256; // that a byte tells apart
};

// The rows of the buckets that have one, in a table of which at most half is full.
class KeptBuckets {
public:
  explicit KeptBuckets(const std::vector<std::pair<u32, u32>> &rows) {
    std::size_t size = 2;
    while (size < 2 * rows.size()) size *= 2;
    slots_.assign(size, {FREE, 0});
    for (const auto &row : rows) slots_[place(row.first)] = row;
  }

  // −1 where the bucket has none.
  i64 row(u32 bucket) const {
    const auto &slot = slots_[place(bucket)];
    return slot.first == FREE ? -1 : i64(slot.second);
  }

private:
  static constexpr u32 FREE = u32(-1); // fastText's buckets have 31 bits

  // Where it stands, or would.
  std::size_t place(u32 bucket) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = bucket * 0x9E3779B1u & mask;
    while (slots_[at].first != FREE && slots_[at].first != bucket) at = (at + 1) & mask;
    return at;
  }

  std::vector<std::pair<u32, u32>> slots_;
};

// shortest, longest: characters in a row, none where longest is 0. buckets: of n-grams.
struct FastTextSizes {
  FastTextSizes(int words_in_a_row, int shortest, int longest, u32 buckets)
      : words_in_a_row(words_in_a_row), shortest(shortest), longest(longest), buckets(buckets) {}

  int words_in_a_row, shortest, longest;
  u32 buckets;
};

class FastText {
public:
  // kept: buckets that have a row, and which it is of those behind the words'; all, where there is no list.
  FastText(const std::vector<std::string> &words, const std::vector<std::string> &labels, const FastTextSizes &sizes,
           const std::vector<std::pair<u32, u32>> *kept, const FastTextRows &rows)
      : words_(i64(words.size())), sizes_(sizes), prunes_(kept), kept_(kept ? *kept : NOTHING), rows_(rows),
        known_(KNOWN), sums_(KNOWN * std::size_t(rows.width)) {
    i64 last = words_;
    if (kept)
      for (const auto &[bucket, row] : *kept) last = std::max(last, words_ + row + 1);
    else if (sizes.words_in_a_row > 1 || sizes.longest > 0) last += sizes.buckets;
    if (sizes.words_in_a_row < 1 || sizes.shortest < 1 || sizes.buckets < 1 || last > rows.count)
      throw std::invalid_argument("a size is not above 0, or a row is missing");
    for (std::size_t i = 0; i < words.size(); i++) numbers_.emplace(words[i], std::int32_t(i));
    for (const std::string &label : labels) numbers_.emplace(label, LABEL);
  }

  i64 width() const { return rows_.width; }

  // mean: [width]; zeros where nothing of the text has a row.
  void hidden(const Units &text, float *mean) {
    std::fill_n(mean, width(), 0.0F);
    hashes_.clear();
    i64 bytes, count = 0;
    const u8 *at = text.utf8(0, text.length, buffer_, bytes);
    const u8 *const end = at + bytes;
    while (at < end) {
      const u8 *const word = at;
      while (at < end && !is_space(*at)) at++;
      if (at > word) {
        if (i64(at - word) == i64(END.size()) && std::equal(END.begin(), END.end(), word)) break;
        count += take(word, at - word, mean);
      }
      at += at < end;
    }
    count += take(reinterpret_cast<const u8 *>(END.data()), i64(END.size()), mean);
    for (std::size_t i = 0; sizes_.words_in_a_row > 1 && i < hashes_.size(); i++) {
      u64 row = hashes_[i];
      for (std::size_t j = i + 1; j < std::min(hashes_.size(), i + std::size_t(sizes_.words_in_a_row)); j++) {
        row = row * ROW + hashes_[j];
        count += add_bucket(u32(row % sizes_.buckets), mean);
      }
    }
    for (i64 i = 0; i < width(); i++) mean[i] /= float(std::max<i64>(1, count));
  }

private:
  static constexpr std::size_t KNOWN = 4093; // a prime, as hashes of words are not scrambled
  static constexpr std::int32_t LABEL = -1;
  static constexpr u64 ROW = 116049371;
  static inline const std::string END = "</s>", PREFIX = "__label__";
  static inline const std::vector<std::pair<u32, u32>> NOTHING;

  // A word that was there before: what it adds is kept.
  struct Known {
    u64 hash;
    i64 rows = -1; // none is known yet
    bool is_word;
  };

  static bool is_space(u8 byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == 0; }

  // FNV-1a, in which fastText takes a byte as a signed number.
  static u32 fnv(u32 hash, u8 byte) { return (hash ^ u32(std::int32_t(std::int8_t(byte)))) * 0x01000193u; }
  static constexpr u32 OFFSET = 0x811C9DC5u;

  // Adds what stands for a word to the sum; returns how many rows that is.
  i64 take(const u8 *word, i64 size, float *sum) {
    word_.assign(reinterpret_cast<const char *>(word), std::size_t(size));
    word_.append(AFTER, '\0'); // word_hash reads so far
    const u64 hash = word_hash(reinterpret_cast<const u8 *>(word_.data()), size);
    word_.resize(std::size_t(size));
    const std::size_t place = std::size_t(hash % KNOWN);
    Known &known = known_[place];
    float *const kept = &sums_[place * std::size_t(width())];
    if (known.hash != hash || known.rows < 0) {
      std::fill_n(kept, width(), 0.0F);
      known = {hash, 0, true};
      const auto found = numbers_.find(word_);
      if (found == numbers_.end()) known.is_word = word_.compare(0, PREFIX.size(), PREFIX) != 0;
      else if (found->second == LABEL) known.is_word = false;
      else rows_.add_to(kept, found->second), known.rows++;
      if (known.is_word && word_ != END) known.rows += add_characters("<" + word_ + ">", kept);
    }
    if (!known.is_word) return 0;
    for (i64 i = 0; i < width(); i++) sum[i] += kept[i];
    if (sizes_.words_in_a_row > 1) {
      u32 value = OFFSET;
      for (const char byte : word_) value = fnv(value, u8(byte));
      hashes_.push_back(u64(i64(std::int32_t(value)))); // its sign goes through all 64 bits
    }
    return known.rows;
  }

  i64 add_characters(const std::string &word, float *sum) const {
    const auto is_continuation = [&](std::size_t i) { return (u8(word[i]) & 0xC0) == 0x80; };
    i64 rows = 0;
    for (std::size_t begin = 0; begin < word.size(); begin++) {
      if (is_continuation(begin)) continue;
      u32 value = OFFSET;
      std::size_t at = begin;
      for (int length = 1; length <= sizes_.longest && at < word.size(); length++) {
        do value = fnv(value, u8(word[at++]));
        while (at < word.size() && is_continuation(at));
        const bool alone = length == 1 && (begin == 0 || at == word.size()); // an end of the word
        if (length >= sizes_.shortest && !alone) rows += add_bucket(value % sizes_.buckets, sum);
      }
    }
    return rows;
  }

  // How many rows were added: one, or none where the bucket has none.
  i64 add_bucket(u32 bucket, float *sum) const {
    const i64 row = prunes_ ? kept_.row(bucket) : i64(bucket);
    if (row >= 0) rows_.add_to(sum, words_ + row);
    return row >= 0;
  }

  std::unordered_map<std::string, std::int32_t> numbers_; // of words
  i64 words_;
  FastTextSizes sizes_;
  bool prunes_;
  KeptBuckets kept_;
  FastTextRows rows_;
  std::vector<Known> known_;
  std::vector<float> sums_;
  Buffer buffer_;
  std::string word_;
  std::vector<u64> hashes_; // of the text's words
};

} // namespace groundup
