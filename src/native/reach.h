// What a token reads of its sequence, whose keys and values stand in pages (Kwon et al. 2023, section
// 4.3): page by page, with the softmax's sum and its largest logit so far (Milakov and Gimelshein 2018).
#pragma once

#include "lanes.h"

namespace groundup {
namespace WIDTH {

// tanh(x) = 1 − 2 / (e²ˣ + 1).
INLINE Floats tanh(Floats x) { return 1.0F - 2.0F / (exp(x + x) + 1.0F); }

template <typename T> INLINE float dot(const T *a, const T *b, i64 width) {
  Floats total{};
  each_lanes(width, [&](i64 i, auto some) INLINE_HERE {
    total = fused(load(a + i, some), load(b + i, some), total);
  });
  return sum(total);
}

// y: [heads, value_width], whose rows are `value_width` apart. room: as many floats.
template <typename T> void reach(const Reach<T> &of, T *y, float *room) {
  constexpr float NOTHING = -__builtin_inff();
  constexpr i64 PAGE = Reach<T>::PAGE;
  static_assert(PAGE % LANES == 0);
  const i64 wide = of.value_width;
  for (i64 head = 0; head < of.heads; head++) {
    float *read = room + head * wide;
    __builtin_memset(read, 0, std::size_t(wide) * sizeof(float));
  }
  float most[Reach<T>::MOST_HEADS], total[Reach<T>::MOST_HEADS];
  for (i64 head = 0; head < of.heads; head++) {
    most[head] = of.sinks ? of.sinks[head] : NOTHING;
    total[head] = of.sinks ? 1.0F : 0.0F;
  }
  for (i64 start = of.first / PAGE * PAGE; start < of.last; start += PAGE) {
    const i64 slot = i64(of.pages[start / PAGE]) * PAGE;
    const i64 from = start < of.first ? of.first - start : 0;
    const i64 to = of.last - start < PAGE ? of.last - start : PAGE;
    const T *keys = of.keys + slot * of.key_stride, *values = of.values + slot * of.value_stride;
    for (i64 head = 0; head < of.heads; head++) {
      float logits[PAGE];
      for (i64 i = 0; i < PAGE; i++)
        logits[i] = i < from || i >= to
                        ? NOTHING
                        : dot(of.queries + head * of.query_stride, keys + i * of.key_stride, of.width);
      float *read = room + head * wide;
      Floats highest = all(most[head]);
      for (i64 i = 0; i < PAGE; i += LANES) {
        Floats some = load(logits + i);
        Floats capped = some * of.scale;
        if (of.softcap > 0) capped = tanh(capped / of.softcap) * of.softcap;
        capped = some == all(NOTHING) ? all(NOTHING) : capped;
        store(logits + i, capped);
        highest = capped > highest ? capped : highest;
      }
      const float top = largest(highest);
      const float before = exp(all(most[head] - top))[0];
      most[head] = top;
      Floats added{};
      for (i64 i = 0; i < PAGE; i += LANES) {
        const Floats powers = exp(load(logits + i) - top);
        store(logits + i, powers);
        added += powers;
      }
      total[head] = total[head] * before + sum(added);
      each_lanes(wide, [&](i64 lane, auto some) INLINE_HERE {
        Floats numbers = load(read + lane, some) * before;
        for (i64 i = from; i < to; i++)
          numbers = fused(load(values + i * of.value_stride + lane, some), all(logits[i]), numbers);
        store(read + lane, numbers, some);
      });
    }
  }
  for (i64 head = 0; head < of.heads; head++) {
    const float share = 1 / total[head];
    each_lanes(wide, [&](i64 lane, auto some) INLINE_HERE {
      store(y + head * wide + lane, load(room + head * wide + lane, some) * share, some);
    });
  }
}

} // namespace WIDTH
} // namespace groundup
