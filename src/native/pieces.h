// The pieces of a text, one window after the other.
#pragma once

#include <cstring>

#include "window.h"

namespace groundup {

// Where the next pieces end, counted from a start: one bit each; or, if no bit is set, where the one
// next piece ends.
struct Cuts {
  u64 bits;
  const u8 *end;
};

template <Pattern P> Cuts next_cuts(const Text &text, const u8 *start) {
  if (*start < 0x80) {
    u8 copy[WINDOW];
    const u8 *window = start;
    const i64 left = text.end - start;
    if (left < WINDOW) window = static_cast<u8 *>(std::memcpy(copy, start, std::size_t(left)));
    Masks masks;
    read_masks(window, masks);
    int valid = int(std::min<i64>(left, WINDOW));
    if (masks.foreign) valid = std::min(valid, lowest(masks.foreign));
    const u64 starts = piece_starts<P>(window, masks, valid);
    if (const u64 ends = starts & (starts - 1)) return {ends, nullptr};
  }
  return {0, piece_end<P>(text, start)};
}

// Calls work(piece, end) for every piece from p on.
template <Pattern P, typename Work> void each_piece(const Text &text, const u8 *p, Work work) {
  while (p < text.end) {
    const u8 *start = p;
    const Cuts cuts = next_cuts<P>(text, start);
    for (u64 bits = cuts.bits; bits; bits &= bits - 1) {
      const u8 *end = start + lowest(bits);
      work(p, end);
      p = end;
    }
    if (!cuts.bits) work(p, cuts.end), p = cuts.end;
  }
}

template <typename Work>
void each_piece(Pattern pattern, const Text &text, const u8 *p, Work work) {
  switch (pattern) {
  case Pattern::gpt2: return each_piece<Pattern::gpt2>(text, p, work);
  case Pattern::cl100k: return each_piece<Pattern::cl100k>(text, p, work);
  case Pattern::qwen2: return each_piece<Pattern::qwen2>(text, p, work);
  case Pattern::o200k: return each_piece<Pattern::o200k>(text, p, work);
  }
}

} // namespace groundup
