// The same cuts for 64 bytes of ASCII at once, with one bit a byte.
//
// A window always begins where a piece begins, so it needs nothing of what came before. Each class
// of characters becomes a 64-bit mask, and "the character before is a letter" becomes a shift. What
// a cut near the window's end depends on may lie beyond it; such cuts are left out, and the next
// window begins at the last cut that is certain.
#pragma once

#include <algorithm>

#include "split.h"

namespace groundup {

constexpr int WINDOW = 64;

// Bit i tells whether byte i of a window is of that kind.
struct Masks {
  u64 upper, lower, digit, blank, newline, space, quote, slash, foreign;
};

// blank: white space but line ends. space: U+0020, a blank as well. foreign: not ASCII.
void read_masks(const u8 *window, Masks &masks);

inline int lowest(u64 bits) { return __builtin_ctzll(bits); }
inline int highest(u64 bits) { return 63 - __builtin_clzll(bits); }
inline u64 below(int i) { return i >= 64 ? ~0ull : (1ull << i) - 1; }

// The bits of `runs` from each bit of `from` (all in `runs`) to the end of its run: adding carries
// along the run and clears it.
inline u64 fill(u64 runs, u64 from) { return runs & (~(runs + from) | from); }

// The starts of pieces among the window's first `valid` bytes, all ASCII. Bit 0 is always one; the
// piece at the last start may end beyond what is known.
template <Pattern P> u64 piece_starts(const u8 *window, const Masks &m, int valid) {
  constexpr bool o200k = P == Pattern::o200k;
  const u64 known = below(valid);
  const u64 letter = (m.upper | m.lower) & known, digit = m.digit & known;
  const u64 blank = m.blank & known, newline = m.newline & known, space = m.space & known;
  u64 symbol = known & ~(letter | digit | blank | newline);
  u64 white = blank | newline;
  const u64 visible = known & ~white;

  // [\r\n]* after symbols: those line ends belong to the symbols' piece
  if constexpr (P != Pattern::gpt2) {
    const u64 tail = newline | (o200k ? m.slash & known : 0);
    const u64 taken = fill(tail, symbol << 1 & newline);
    symbol &= ~taken;
    white &= ~taken;
  }

  // symbols, with the space before them
  const u64 symbol_starts = symbol & ~(symbol << 1) & ~(space << 1);

  // letters, with the one character before them that may lead
  u64 letter_starts = letter & ~(letter << 1);
  if constexpr (P == Pattern::gpt2) {
    letter_starts &= ~(space << 1);
  } else {
    letter_starts &= ~((blank | symbol_starts) << 1);
    if constexpr (o200k) letter_starts |= m.upper & (m.lower << 1) & known;
  }

  // digits: a run with the space before it, one, or up to three together
  u64 digit_starts = digit;
  if constexpr (P != Pattern::qwen2) digit_starts &= ~(digit << 1);
  if constexpr (P == Pattern::gpt2) digit_starts &= ~(space << 1);
  if constexpr (P == Pattern::cl100k || o200k) {
    const u64 fourth = digit & digit << 1 & digit << 2 & digit << 3;
    for (u64 next = digit_starts; (next = next << 3 & fourth);) digit_starts |= next;
  }

  // white space: a run, without its last character where other text follows, which starts anew
  u64 white_starts = white & ~(white << 1);
  if constexpr (P == Pattern::gpt2) {
    white_starts |= white & visible >> 1;
  } else {
    // \s*[\r\n]+ ends after the run's last line end, so the blanks after it start a piece
    u64 after_newline = blank & newline << 1;
    u64 closed = (blank + after_newline) & ~blank & newline; // the ends of those before another
    for (; closed; closed &= closed - 1)
      after_newline &= ~(1ull << (highest(~blank & below(lowest(closed))) + 1));
    white_starts |= after_newline | (blank & visible >> 1);
  }

  u64 starts = symbol_starts | letter_starts | digit_starts | white_starts | 1;

  // a run of white space that reaches the end may go on: only its first character is certain
  if (white >> (valid - 1) & 1) {
    const u64 rest = known & ~white;
    starts &= below((rest ? highest(rest) + 1 : 0) + 1);
  }

  // contractions: a piece of their own, or (o200k) the end of the word before them
  u64 quotes = m.quote & known & (o200k ? letter << 1 : symbol_starts);
  for (int after = -1; quotes; quotes &= quotes - 1) {
    const int at = lowest(quotes);
    if (o200k && at == after) continue; // it follows a contraction, not a word
    if (at + 2 >= valid) {
      starts &= below(o200k ? at : at + 1);
      break;
    }
    const int bytes = contraction(window + at, window + valid, P != Pattern::gpt2);
    if (!bytes) continue;
    after = at + bytes;
    starts &= ~(below(after) & ~below(o200k ? at : at + 1));
    if (after < valid) starts |= 1ull << after;
  }
  return starts;
}

} // namespace groundup
