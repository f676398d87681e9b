// Where in a text personal data can be: around its digits and its @.
//
// groundup.curate.privacy.cues has the reference in Python, and says what a cue is.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "units.h"

namespace groundup {

using Span = std::pair<i64, i64>; // begin and end

struct Cues {
  std::vector<Span> at, number, code, hexadecimal;
};

// Of texts in units of 1, 2 or 4 bytes, a code point each.
template <typename Unit> class CueScanner {
public:
  CueScanner(const Unit *text, i64 length) : text_(text), length_(length) {}

  Cues scan() {
    for (i64 i = next(0); i < length_; i = next(i + 1)) {
      if (text_[i] == '@') {
        if (i > 0 && i + 1 < length_ && text_[i - 1] > ' ' && text_[i + 1] > ' ') cues_.at.push_back({i, i + 1});
        continue;
      }
      if (i >= number_end_) number(i);
      if (i >= code_end_) code(i);
      if (i >= hexadecimal_end_) hexadecimal(i);
    }
    return std::move(cues_);
  }

private:
  static constexpr i64 MOST_BETWEEN = 3, LEAST_DIGITS = 6, LEAST_GROUPS = 4, LEAST_CODE = 8, LEAST_SEPARATORS = 5;

  static bool is_digit(u32 c) { return c - '0' < 10; }
  static bool is_letter(u32 c) { return (c | 0x20) - 'a' < 26; }
  static bool is_separator(u32 c) { return c == ':' || c == '-'; }
  static bool is_of_code(u32 c) { return is_digit(c) || is_letter(c); }
  static bool is_of_hexadecimal(u32 c) { return is_digit(c) || (c | 0x20) - 'a' < 6 || is_separator(c); }

  // The next digit or @ from i on, or the end.
  i64 next(i64 i) const {
    constexpr i64 AT_ONCE = 32 / sizeof(Unit);
    typedef Unit Wide __attribute__((vector_size(32)));
    for (; i + AT_ONCE <= length_; i += AT_ONCE) {
      Wide wide;
      std::memcpy(&wide, text_ + i, sizeof wide);
      const auto wanted = (wide - Unit('0') < Unit(10)) | (wide == Unit('@'));
      u64 words[4];
      std::memcpy(words, &wanted, sizeof words);
      if (words[0] | words[1] | words[2] | words[3]) break;
    }
    while (i < length_ && !is_digit(text_[i]) && text_[i] != '@') i++;
    return i;
  }

  // The row of digits that begins at one.
  void number(i64 begin) {
    i64 digits = 0, groups = 0, end = begin;
    for (i64 i = begin; i < length_ && i - end <= MOST_BETWEEN; i++) {
      if (!is_digit(text_[i])) continue;
      digits++;
      groups += i > end || i == begin;
      end = i + 1;
    }
    number_end_ = end;
    if (digits >= LEAST_DIGITS || groups >= LEAST_GROUPS) cues_.number.push_back({begin, end});
  }

  void code(i64 digit) {
    const auto [begin, end] = run_around(digit, code_end_, is_of_code);
    code_end_ = end;
    if (end - begin < LEAST_CODE) return;
    for (i64 i = begin; i < end; i++)
      if (is_letter(text_[i])) return cues_.code.push_back({begin, end});
  }

  void hexadecimal(i64 digit) {
    const auto [begin, end] = run_around(digit, hexadecimal_end_, is_of_hexadecimal);
    hexadecimal_end_ = end;
    i64 separators = 0;
    bool colons = false; // two in a row
    for (i64 i = begin; i < end; i++) {
      separators += is_separator(text_[i]);
      colons |= i > begin && text_[i] == ':' && text_[i - 1] == ':';
    }
    if (colons || separators >= LEAST_SEPARATORS) cues_.hexadecimal.push_back({begin, end});
  }

  // Of units of a kind, the row that a place is in; the one before ended at `least`.
  template <typename Kind> Span run_around(i64 place, i64 least, const Kind &is_of_kind) const {
    i64 begin = place, end = place + 1;
    while (begin > least && is_of_kind(text_[begin - 1])) begin--;
    while (end < length_ && is_of_kind(text_[end])) end++;
    return {begin, end};
  }

  const Unit *text_;
  i64 length_;
  i64 number_end_ = 0, code_end_ = 0, hexadecimal_end_ = 0;
  Cues cues_;
};

inline Cues find_cues(const Units &text) {
  if (text.width <= 1) return CueScanner(text.data, text.length).scan();
  if (text.width == 2)
    return CueScanner(reinterpret_cast<const std::uint16_t *>(text.data), text.length).scan();
  return CueScanner(reinterpret_cast<const u32 *>(text.data), text.length).scan();
}

} // namespace groundup
