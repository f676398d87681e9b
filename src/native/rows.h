// How much of a text is rows of words (n-grams) that occur more than once.
//
// groundup.curate.rules.rows has the reference in Python, and says what is counted.
#pragma once

#include "words.h"

namespace groundup {

constexpr i64 FIRST_TOP = 2, FIRST_REPEATED = 5, LAST_REPEATED = 10; // words of a row

class Rows {
public:
  // For each number of words, from FIRST_TOP to LAST_REPEATED, the characters of its rows.
  std::vector<i64> count(const Units &text) {
    read(text);
    std::vector<i64> characters;
    bool repeats = true; // what does not repeat has no longer rows that do
    for (i64 n = 2; n <= LAST_REPEATED; n++) {
      for (std::size_t i = 0; i + std::size_t(n) <= words_.size(); i++)
        rows_[i] = (rows_[i] * BASE + words_[i + std::size_t(n) - 1]);
      characters.push_back(!repeats ? 0 : n < FIRST_REPEATED ? top(n) : repeated(n));
      repeats = characters.back() > 0;
    }
    return characters;
  }

private:
  static constexpr u64 BASE = 0x9FB21C651E98DF25u;

  struct Entry {
    u64 row;
    i64 count;
  };

  void read(const Units &text) {
    words_.clear();
    ends_.assign(1, 0);
    i64 bytes, characters = 0;
    const u8 *const utf8 = text.utf8(0, text.length, buffer_, bytes);
    u8 *const whole = whole_.room(bytes + AFTER);
    std::copy_n(utf8, bytes, whole);
    each_word<true>(whole, whole + bytes, [&](const u8 *word, i64 size) {
      for (const u8 *at = word; at < word + size; at++) characters += (*at & 0xC0) != 0x80;
      words_.push_back(word_hash(word, size));
      ends_.push_back(characters);
    });
    rows_ = words_;
    std::size_t places = 16;
    while (places < 2 * words_.size()) places *= 2;
    table_.resize(places);
  }

  i64 characters(std::size_t word, i64 n) const { return ends_[word + std::size_t(n)] - ends_[word]; }

  // Of the most frequent row, in all its places, with the blanks between its words; of several the longest.
  i64 top(i64 n) {
    clear();
    i64 most = 1, longest = 0;
    for (std::size_t i = 0; i + std::size_t(n) <= words_.size(); i++) {
      const i64 count = ++entry(rows_[i]).count;
      if (count < most || count == 1) continue;
      const i64 length = characters(i, n) + n - 1;
      longest = count > most ? length : std::max(longest, length);
      most = count;
    }
    return most * longest;
  }

  // Of rows that were there before; from left to right, and no word twice.
  i64 repeated(i64 n) {
    clear();
    i64 sum = 0;
    for (std::size_t i = 0; i + std::size_t(n) <= words_.size();) {
      const bool again = entry(rows_[i]).count++ > 0;
      if (again) sum += characters(i, n);
      i += again ? std::size_t(n) : 1;
    }
    return sum;
  }

  void clear() { std::fill(table_.begin(), table_.end(), Entry{0, 0}); }

  Entry &entry(u64 row) {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t place = std::size_t(scrambled(row)) & mask;; place = (place + 1) & mask) {
      Entry &entry = table_[place];
      if (entry.count == 0) entry.row = row;
      if (entry.row == row) return entry;
    }
  }

  Buffer buffer_, whole_;
  std::vector<u64> words_, rows_; // hashes of words, and of the rows that begin at them
  std::vector<i64> ends_;         // characters of words before
  std::vector<Entry> table_;
};

} // namespace groundup
