// What the words of a text are made of: the counts that rules of quality ask for.
//
// groundup.curate.rules.words has the reference in Python, and says what is counted.
#pragma once

#include "words.h"

namespace groundup {

constexpr u32 packed(const char *word) { return *word ? u32(u8(*word)) | packed(word + 1) << 8 : 0; }

constexpr u32 STOP_WORDS[] = {packed("the"), packed("be"),   packed("to"),   packed("of"),
                              packed("and"), packed("that"), packed("have"), packed("with")};

struct WordCounts {
  i64 words = 0, characters = 0, letters = 0, numbers = 0, with_letter = 0;
  u32 stop_words = 0; // a bit for each that occurs
};

// classes: of each code point, as in text.h.
inline WordCounts count_words(const Units &text, const u8 *classes) {
  Buffer buffer;
  i64 bytes;
  const u8 *const utf8 = text.utf8(0, text.length, buffer, bytes);
  WordCounts counts;
  each_word<true>(utf8, utf8 + bytes, [&](const u8 *at, i64 size) {
    const u8 *const end = at + size, *bare = nullptr, *bare_end = nullptr; // from a letter or digit to the last
    const i64 letters = counts.letters;
    while (at < end) {
      int width = 1;
      const u8 kind = classes[*at < 0x80 ? *at : foreign_point(at, width)];
      counts.characters++;
      counts.letters += (kind & LETTER) != 0;
      counts.numbers += (kind & NUMBER) != 0;
      if (kind & (LETTER | NUMBER)) {
        if (!bare) bare = at;
        bare_end = at + width;
      }
      at += width;
    }
    counts.words++;
    counts.with_letter += counts.letters > letters;
    if (!bare || bare_end - bare > 4) return;
    u32 word = 0;
    for (const u8 *p = bare_end; p-- > bare;) word = word << 8 | u32(*p + (u8(*p - 'A') < 26 ? 32 : 0));
    for (u32 i = 0; i < std::size(STOP_WORDS); i++)
      if (word == STOP_WORDS[i]) counts.stop_words |= 1u << i;
  });
  return counts;
}

} // namespace groundup
