// Where a piece ends: the published patterns, each as the function that a regular expression engine
// would compute, one character at a time and without backtracking.
//
//   gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   cl100k  (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
//           |\s*[\r\n]+|\s+(?!\S)|\s+
//   qwen2   cl100k with \p{N}
//   o200k   [^\r\n\p{L}\p{N}]?U*L+(?i:'s|…)?|[^\r\n\p{L}\p{N}]?U+L*(?i:'s|…)?|\p{N}{1,3}
//           | ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
//           with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]
#pragma once

#include "text.h"

namespace groundup {

enum class Pattern { gpt2, cl100k, qwen2, o200k };

inline bool is_newline(u8 byte) { return byte == '\n' || byte == '\r'; }

// The bytes of a contraction ('s, 't, 'm, 'd, 're, 've, 'll) at the quote p, or 0. In any case, if
// `fold`; U+017F (ſ) folds to s.
inline int contraction(const u8 *p, const u8 *end, bool fold) {
  const i64 left = end - p;
  if (left < 2 || *p != '\'') return 0;
  const u8 bit = fold ? 0x20 : 0;
  const u8 a = p[1] | bit;
  if (p[1] < 0x80 && (a == 's' || a == 't' || a == 'm' || a == 'd')) return 2;
  if (left < 3) return 0;
  if (fold && p[1] == 0xC5 && p[2] == 0xBF) return 3;
  if (p[1] >= 0x80 || p[2] >= 0x80) return 0;
  const u8 b = p[2] | bit;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s*[\r\n]+ (if `newlines`), else \s+(?!\S), else \s+, from a white-space character at p.
inline const u8 *spaces(const Text &text, const u8 *p, bool newlines) {
  const u8 *last = p, *after_newline = nullptr, *q = p;
  while (q < text.end) {
    const Char c = text.at(q);
    if (!(c.kind & SPACE)) break;
    last = q;
    q += c.bytes;
    if (newlines && is_newline(*last)) after_newline = q;
  }
  if (after_newline) return after_newline;
  return q == text.end || last == p ? q : last; // before other text, the last one stays for it
}

// U*L+ or else U+L* from p, or nullptr. The first alternative gives characters of U back until one
// of them is in L too.
inline const u8 *cased_word(const Text &text, const u8 *p, bool upper_only) {
  const u8 *q = p, *after_both = nullptr;
  while (q < text.end) {
    const Char c = text.at(q);
    if (!(c.kind & (UPPER | CASELESS | MARK))) break;
    q += c.bytes;
    if (!(c.kind & UPPER)) after_both = q;
  }
  if (text.is(q, LOWER)) return text.skip(q, LOWER | CASELESS | MARK);
  if (upper_only) return q > p ? q : nullptr;
  return after_both;
}

template <Pattern P> const u8 *piece_end(const Text &text, const u8 *p) {
  const Char first = text.at(p);
  const u8 *second = p + first.bytes;
  const bool may_lead = !(first.kind & (LETTER | NUMBER)) && !is_newline(*p);

  if constexpr (P == Pattern::gpt2) {
    if (const int bytes = contraction(p, text.end, false)) return p + bytes;
    const u8 *body = p + (*p == ' ');
    for (const u8 set : {LETTER, u8(NUMBER), SYMBOL})
      if (text.is(body, set)) return text.skip(body, set);
    return spaces(text, p, false);
  } else {
    if constexpr (P == Pattern::o200k) {
      const u8 *word = nullptr;
      for (const bool upper_only : {false, true}) {
        if (may_lead && second < text.end) word = cased_word(text, second, upper_only);
        if (!word) word = cased_word(text, p, upper_only);
        if (word) return word + contraction(word, text.end, true);
      }
    } else {
      if (const int bytes = contraction(p, text.end, true)) return p + bytes;
      if (first.kind & LETTER) return text.skip(second, LETTER);
      if (may_lead && text.is(second, LETTER)) return text.skip(second, LETTER);
    }
    if (first.kind & NUMBER) {
      const u8 *q = second;
      for (int digits = 1; digits < (P == Pattern::qwen2 ? 1 : 3) && text.is(q, NUMBER); digits++)
        q += text.at(q).bytes;
      return q;
    }
    const u8 *body = p + (*p == ' ');
    if (text.is(body, SYMBOL)) {
      const u8 *q = text.skip(body, SYMBOL);
      while (q < text.end && (is_newline(*q) || (P == Pattern::o200k && *q == '/'))) q++;
      return q;
    }
    return spaces(text, p, true);
  }
}

} // namespace groundup
