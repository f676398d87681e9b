// Code points and their classes: what the patterns ask of a character.
#pragma once

#include <cstdint>

namespace groundup {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;

// One bit a class, so that a set of classes is one number. The names are those of the Unicode
// general categories that fall into them; every code point has exactly one.
enum Class : u8 {
  UPPER = 1,    // Lu, Lt
  LOWER = 2,    // Ll
  CASELESS = 4, // Lm, Lo
  MARK = 8,     // M
  NUMBER = 16,  // N
  SPACE = 32,   // White_Space
  OTHER = 64,
};
constexpr u8 LETTER = UPPER | LOWER | CASELESS;
constexpr u8 SYMBOL = OTHER | MARK; // neither white space, nor letter, nor number

constexpr u32 CODE_POINTS = 0x110000;

struct Char {
  u8 kind;
  u8 bytes;
};

// A stretch of UTF-8 and the class of every code point. Bytes that are no UTF-8 are read as one
// character of class OTHER each, so that nothing outside of the stretch is ever touched.
struct Text {
  const u8 *classes; // CODE_POINTS of them
  const u8 *end;

  Char at(const u8 *p) const {
    const u8 first = *p;
    if (first < 0x80) return {classes[first], 1};
    const u8 bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0xC2 || first > 0xF4 || end - p < bytes) return {OTHER, 1};
    u32 point = first & (0xFF >> (bytes + 1));
    for (int i = 1; i < bytes; i++) {
      if ((p[i] & 0xC0) != 0x80) return {OTHER, 1};
      point = point << 6 | (p[i] & 0x3F);
    }
    return point < CODE_POINTS ? Char{classes[point], bytes} : Char{OTHER, 1};
  }

  bool is(const u8 *p, u8 set) const { return p < end && (at(p).kind & set); }

  // The first character from p on that is not in the set, or the end.
  const u8 *skip(const u8 *p, u8 set) const {
    while (p < end) {
      const Char c = at(p);
      if (!(c.kind & set)) break;
      p += c.bytes;
    }
    return p;
  }
};

} // namespace groundup
