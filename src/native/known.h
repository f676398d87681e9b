// Which shingles of a text are among known ones, and where they stand.
//
// groundup.curate.decontaminate.known has the reference in Python.
#pragma once

#include "words.h"

namespace groundup {

// number: of the known shingle. begin, end: of the text's characters that it reaches over.
struct FoundShingle {
  i64 number, begin, end;
};

class KnownShingles {
public:
  // sorted: known shingles, which must outlive this.
  KnownShingles(int width, bool punctuation, const u64 *sorted, i64 count)
      : shingles_(width, punctuation), sorted_(sorted), end_(sorted + count), begins_(std::size_t(width)) {
    int bits = 1;
    while (bits < 40 && i64(4) << bits < count) bits++;
    shift_ = 64 - bits;
    filter_.resize(std::size_t(1) << bits);
    for (const u64 *at = sorted_; at < end_; at++) filter_[*at >> shift_] |= mark(*at);
  }

  // Appends what is found, in order.
  void find(const Units &text, std::vector<FoundShingle> &found) {
    std::size_t place = 0; // of the next word, among those of a shingle
    const u8 *word_end = nullptr;
    Characters begins, ends;
    const auto look_up = [&] {
      for (const Row &row : rows_) {
        if (~filter_[row.hash >> shift_] & mark(row.hash)) continue;
        const u64 *const known = std::lower_bound(sorted_, end_, row.hash);
        if (known == end_ || *known != row.hash) continue;
        const u8 *const start = shingles_.lower();
        found.push_back({known - sorted_, begins.before(start, row.begin), ends.before(start, row.end)});
      }
      rows_.clear();
    };
    shingles_.each(
        text,
        [&](const u8 *word, i64 size) {
          begins_[place] = word, word_end = word + size;
          if (++place == begins_.size()) place = 0;
        },
        [&](u64 hash) {
          __builtin_prefetch(&filter_[hash >> shift_]);
          rows_.push_back({hash, begins_[place], word_end}); // the first of its words is at the next place
          if (rows_.size() == AT_ONCE) look_up();
        });
    look_up();
  }

private:
  static constexpr std::size_t AT_ONCE = 64; // rows whose places in the filter are fetched meanwhile

  struct Row {
    u64 hash;
    const u8 *begin, *end;
  };

  // How many characters stand before a place that moves on.
  class Characters {
  public:
    i64 before(const u8 *start, const u8 *place) {
      for (const u8 *at = start + bytes_; at < place; at++) count_ += (*at & 0xC0) != 0x80;
      bytes_ = place - start;
      return count_;
    }

  private:
    i64 bytes_ = 0, count_ = 0;
  };

  // Three bits of the 64 that some four shingles share: a Bloom filter, which one of a hundred others
  // passes.
  static u64 mark(u64 hash) {
    return u64(1) << (hash & 63) | u64(1) << (hash >> 6 & 63) | u64(1) << (hash >> 12 & 63);
  }

  Shingles shingles_;
  const u64 *sorted_, *end_;
  std::vector<const u8 *> begins_; // of the last words
  int shift_;
  std::vector<u64> filter_;
  std::vector<Row> rows_;
};

} // namespace groundup
