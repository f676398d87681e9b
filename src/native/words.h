// The words of a text and their hashes, and the hashes of several words in a row: shingles.
//
// groundup.curate.duplicates.shingles has the reference in Python, and says what a word is.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "units.h"

namespace groundup {

// A byte is part of a word, or stands between words, or begins a character that must be looked at.
enum class Byte : u8 { part, between, foreign };

constexpr bool is_letter_or_digit(int byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

// punctuation: whether words hold it, or it stands between them.
template <bool PUNCTUATION> constexpr std::array<Byte, 256> bytes_of_words() {
  std::array<Byte, 256> kinds{};
  for (int byte = 0; byte < 256; byte++) {
    const bool white = (byte >= 0x09 && byte <= 0x0D) || (byte >= 0x1C && byte <= 0x20);
    const bool part = PUNCTUATION ? !white : is_letter_or_digit(byte);
    kinds[std::size_t(byte)] = byte >= 0x80 ? Byte::foreign : part ? Byte::part : Byte::between;
  }
  return kinds;
}
template <bool PUNCTUATION> inline constexpr std::array<Byte, 256> BYTES_OF_WORDS = bytes_of_words<PUNCTUATION>();

inline bool is_foreign_white(u32 point) {
  return point == 0x85 || point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
         point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

// Beyond ASCII; what joins letters (U+200C, U+200D) is part of a word.
inline bool is_foreign_punctuation(u32 point) {
  return (point <= 0xBF && point != 0xAA && point != 0xB5 && point != 0xBA) || point == 0xD7 || point == 0xF7 ||
         point == 0x060C || point == 0x061B || point == 0x061F || point == 0x06D4 || point == 0x0964 ||
         point == 0x0965 || (point >= 0x2000 && point <= 0x206F && point != 0x200C && point != 0x200D) ||
         (point >= 0x2E00 && point <= 0x2E7F) || (point >= 0x3000 && point <= 0x303F) ||
         (point >= 0xFF01 && point <= 0xFF0F) || (point >= 0xFF1A && point <= 0xFF20) ||
         (point >= 0xFF3B && point <= 0xFF40) || (point >= 0xFF5B && point <= 0xFF65);
}

// Characters of scripts that put no space between words: each is a word of its own.
inline bool is_alone(u32 point) {
  return (point >= 0x0E00 && point <= 0x0EFF) || (point >= 0x1000 && point <= 0x109F) ||
         (point >= 0x1780 && point <= 0x17FF) || (point >= 0x3040 && point <= 0x30FF) ||
         (point >= 0x31F0 && point <= 0x31FF) || (point >= 0x3400 && point <= 0x4DBF) ||
         (point >= 0x4E00 && point <= 0x9FFF) || (point >= 0xF900 && point <= 0xFAFF) ||
         (point >= 0x20000 && point <= 0x3FFFF);
}

// Of valid UTF-8 that is not ASCII.
inline u32 foreign_point(const u8 *at, int &bytes) {
  if (*at < 0xE0) return bytes = 2, u32(at[0] & 0x1F) << 6 | (at[1] & 0x3F);
  if (*at < 0xF0) return bytes = 3, u32(at[0] & 0x0F) << 12 | u32(at[1] & 0x3F) << 6 | (at[2] & 0x3F);
  bytes = 4;
  return u32(at[0] & 0x07) << 18 | u32(at[1] & 0x3F) << 12 | u32(at[2] & 0x3F) << 6 | (at[3] & 0x3F);
}

constexpr i64 AFTER = 8; // bytes that may be read behind a text

// Eight bytes at a time, the last ones filled up with zeros.
inline u64 word_hash(const u8 *word, i64 bytes) {
  u64 hash = u64(bytes) * 0x9E3779B97F4A7C15u;
  for (i64 i = 0; i < bytes; i += 8) {
    u64 part;
    std::memcpy(&part, word + i, sizeof part);
    if (bytes - i < 8) part &= (u64(1) << 8 * (bytes - i)) - 1;
    hash = (hash ^ part) * 0xD6E8FEB86659FD93u;
    hash ^= hash >> 32;
  }
  return hash;
}

// Calls each(word, bytes) for every word of the UTF-8 between `at` and `end`.
template <bool PUNCTUATION, typename Each> void each_word(const u8 *at, const u8 *end, const Each &each) {
  const u8 *word = at;
  const auto finish = [&](const u8 *here) {
    if (here > word) each(word, i64(here - word));
  };
  while (at < end) {
    const Byte kind = BYTES_OF_WORDS<PUNCTUATION>[*at];
    if (kind == Byte::part) {
      at++;
    } else if (kind == Byte::between) {
      finish(at);
      word = ++at;
    } else {
      int bytes;
      const u32 point = foreign_point(at, bytes);
      if (is_foreign_white(point) || (!PUNCTUATION && is_foreign_punctuation(point))) {
        finish(at);
        word = at += bytes;
      } else if (is_alone(point)) {
        finish(at);
        each(at, i64(bytes));
        word = at += bytes;
      } else {
        at += bytes;
      }
    }
  }
  finish(end);
}

inline u64 scrambled(u64 hash) { // MurmurHash3's last step: each bit depends on all
  hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDu;
  hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53u;
  return hash ^ hash >> 33;
}

constexpr u64 BASE = 0x9FB21C651E98DF25u; // of the polynomials of words in a row

// The text in UTF-8 with the letters of ASCII lowered, in `lower`, which has room behind it.
inline u8 *lowered(const Units &text, Buffer &buffer, Buffer &lower, i64 &bytes) {
  const u8 *const utf8 = text.utf8(0, text.length, buffer, bytes);
  u8 *const to = lower.room(bytes + AFTER);
  for (i64 i = 0; i < bytes; i++) to[i] = u8(utf8[i] + (u8(utf8[i] - 'A') < 26 ? 32 : 0));
  return to;
}

// Hashes of texts' shingles, with room that is used again.
class Shingles {
public:
  Shingles(int width, bool punctuation) : width_(width), punctuation_(punctuation), last_(std::size_t(width)) {
    if (width < 1 || width > 1000) throw std::invalid_argument("a shingle has 1 to 1000 words");
    for (int i = 1; i < width; i++) leaving_ *= BASE;
  }

  // Those of every `width` words in a row; of all words where they are fewer; none where there are
  // none. Letters of ASCII are lowered here.
  const std::vector<u64> &of(const Units &text) {
    hashes_.clear();
    i64 words = 0;
    const u64 last = each(text, [&](const u8 *, i64) { words++; },
                          [&](u64 hash) { hashes_.push_back(hash); });
    if (words > 0 && words < width_) hashes_.push_back(last);
    return hashes_;
  }

  // Calls word(bytes, size) for each word, and row(hash) behind each that ends `width` words in a row;
  // returns the hash of the last words, which may be fewer.
  template <typename Word, typename Row> u64 each(const Units &text, const Word &word, const Row &row) {
    i64 bytes, words = 0;
    lower_ = lowered(text, buffer_, lower_buffer_, bytes);
    u64 hash = 0;
    std::size_t place = 0;
    const auto take = [&](const u8 *at, i64 size) {
      word(at, size);
      const u64 entering = word_hash(at, size);
      if (words >= width_) hash -= last_[place] * leaving_;
      last_[place] = entering;
      if (++place == last_.size()) place = 0;
      hash = hash * BASE + entering;
      if (++words >= width_) row(scrambled(hash));
    };
    if (punctuation_) each_word<true>(lower_, lower_ + bytes, take);
    else each_word<false>(lower_, lower_ + bytes, take);
    return scrambled(hash);
  }

  // The UTF-8 in which the words of the last text were.
  const u8 *lower() const { return lower_; }

private:
  i64 width_;
  bool punctuation_;
  std::vector<u64> last_; // hashes of the last words
  u64 leaving_ = 1;       // BASE to the power of width − 1
  Buffer buffer_, lower_buffer_;
  const u8 *lower_ = nullptr;
  std::vector<u64> hashes_;
};

} // namespace groundup
