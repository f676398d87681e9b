// What a token reads of its sequence, whose keys and values stand in pages (Kwon et al. 2023, section
// 4.3): page by page, with the softmax's sum and its largest logit so far (Milakov and Gimelshein 2018).
#pragma once

#include <type_traits>

#include "lanes.h"

namespace groundup {
namespace WIDTH {

// tanh(x) = 1 − 2 / (e²ˣ + 1).
INLINE Floats tanh(Floats x) { return 1.0F - 2.0F / (exp(x + x) + 1.0F); }

#ifdef BFLOAT16_UNITS

// Which numbers of two vectors are added, so that a vector's lanes become half as many: 8, 4, 2, 1.
struct Halving {
  std::int32_t low[4][LANES], high[4][LANES];
  constexpr Halving() : low(), high() {
    for (i64 level = 0; level < 4; level++)
      for (i64 lane = 0, size = 8 >> level; lane < LANES; lane++) {
        low[level][lane] = std::int32_t(lane / size * 2 * size + lane % size);
        high[level][lane] = std::int32_t(low[level][lane] + size);
      }
  }
};
alignas(64) constexpr Halving HALVING{};

// The sum of each of LANES vectors.
INLINE Floats sums(Floats *vectors) {
  for (i64 level = 0, left = LANES / 2; level < 4; level++, left /= 2) {
    const __m512i low = _mm512_load_si512(HALVING.low[level]);
    const __m512i high = _mm512_load_si512(HALVING.high[level]);
    for (i64 i = 0; i < left; i++) {
      const __m512 a = (__m512)vectors[2 * i], b = (__m512)vectors[2 * i + 1];
      vectors[i] = (Floats)_mm512_add_ps(_mm512_permutex2var_ps(a, low, b),
                                         _mm512_permutex2var_ps(a, high, b));
    }
  }
  return vectors[0];
}

#else

INLINE Floats sums(Floats *vectors) {
  Floats found;
  for (i64 i = 0; i < LANES; i++) found[i] = sum(vectors[i]);
  return found;
}

#endif

// COUNT numbers of a query and of a key that are multiplied and added at once.
template <typename T> struct Dot {
  static constexpr i64 COUNT = LANES;
  static INLINE Floats take(const T *from) { return load(from); }
  static INLINE Floats add(Floats sum, Floats a, Floats b) { return fused(a, b, sum); }
};

#ifdef BFLOAT16_UNITS
template <> struct Dot<Bf16> {
  static constexpr i64 COUNT = 2 * LANES;
  static INLINE __m512bh take(const Bf16 *from) {
    __m512bh numbers;
    __builtin_memcpy(&numbers, from, sizeof numbers);
    return numbers;
  }
  static INLINE Floats add(Floats sum, __m512bh a, __m512bh b) {
    return (Floats)_mm512_dpbf16_ps((__m512)sum, a, b);
  }
};
#endif

template <typename T> INLINE auto take_some(const T *from, i64 count) {
  T numbers[Dot<T>::COUNT] = {};
  for (i64 i = 0; i < count; i++) numbers[i] = from[i];
  return Dot<T>::take(numbers);
}

// Products of a query with LANES keys, `stride` apart, of which `count` are there.
template <typename T>
INLINE Floats products(const T *query, const T *keys, i64 stride, i64 width, i64 count) {
  using S = Dot<T>;
  Floats totals[LANES] = {};
  const auto add = [&](auto take_at, i64 keys_there) INLINE_HERE {
    const auto numbers = take_at(query);
    const T *key = keys; // one address that moves, as a processor has no registers for LANES of them
    for (i64 i = 0; i < keys_there; i++, key += stride) totals[i] = S::add(totals[i], take_at(key), numbers);
  };
  const auto all_of = [&](i64 keys_there) INLINE_HERE {
    i64 at = 0;
    for (; at + S::COUNT <= width; at += S::COUNT)
      add([&](const T *from) INLINE_HERE { return S::take(from + at); }, keys_there);
    if (at < width)
      add([&](const T *from) INLINE_HERE { return take_some(from + at, width - at); }, keys_there);
  };
  if (count == LANES) all_of(LANES);
  else all_of(count);
  return sums(totals);
}

// y · before + Σᵢ shares[i] · the i-th of `count` rows of values, `stride` apart.
template <typename T>
INLINE void add_values(const T *values, i64 stride, i64 width, const float *shares, i64 count, float before, float *y) {
  constexpr i64 VECTORS = 4;
  const auto add = [&](i64 lane, auto vectors) INLINE_HERE {
    constexpr i64 COUNT = decltype(vectors)::value;
    Floats numbers[COUNT];
    for (i64 j = 0; j < COUNT; j++) numbers[j] = load(y + lane + j * LANES) * before;
    const T *row = values + lane;
    for (i64 i = 0; i < count; i++, row += stride) {
      const Floats share = all(shares[i]);
      for (i64 j = 0; j < COUNT; j++) numbers[j] = fused(load(row + j * LANES), share, numbers[j]);
    }
    for (i64 j = 0; j < COUNT; j++) store(y + lane + j * LANES, numbers[j]);
  };
  i64 lane = 0;
  for (; lane + VECTORS * LANES <= width; lane += VECTORS * LANES) add(lane, std::integral_constant<i64, VECTORS>{});
  for (; lane + LANES <= width; lane += LANES) add(lane, std::integral_constant<i64, 1>{});
  if (lane == width) return;
  const Some some{width - lane};
  Floats numbers = load(y + lane, some) * before;
  for (i64 i = 0; i < count; i++)
    numbers = fused(load(values + i * stride + lane, some), all(shares[i]), numbers);
  store(y + lane, numbers, some);
}

// Asks for a part of the next page, in the order in which it lies in memory: `row` numbers of each of PAGE
// rows that are `stride` apart; all of it in `parts` calls.
template <typename T> INLINE void ask_for(const T *page, i64 stride, i64 row, i64 part, i64 parts) {
  constexpr i64 LINE = 64 / i64(sizeof(T)), PAGE = Reach<T>::PAGE;
  for (i64 i = PAGE * part / parts; i < PAGE * (part + 1) / parts; i++)
    for (i64 at = 0; at < row; at += LINE) __builtin_prefetch(page + i * stride + at, 0, 2);
}

// y: [groups · heads, value_width]. room: as many floats.
template <typename T> void reach(const Reach<T> &of, T *y, float *room) {
  constexpr float NOTHING = -__builtin_inff();
  constexpr i64 PAGE = Reach<T>::PAGE;
  static_assert(PAGE % LANES == 0);
  const i64 all_heads = of.groups * of.heads, wide = of.value_width;
  const i64 key_stride = of.key_groups * of.width, value_stride = of.key_groups * of.value_room;
  __builtin_memset(room, 0, std::size_t(all_heads * wide) * sizeof(float));
  float most[Reach<T>::MOST_HEADS], total[Reach<T>::MOST_HEADS];
  for (i64 head = 0; head < all_heads; head++) {
    most[head] = of.sinks ? of.sinks[head] : NOTHING;
    total[head] = of.sinks ? 1.0F : 0.0F;
  }
  for (i64 start = of.first / PAGE * PAGE; start < of.last; start += PAGE) {
    const i64 slot = i64(of.pages[start / PAGE]) * PAGE;
    const bool more = start + PAGE < of.last;
    const i64 next = more ? i64(of.pages[start / PAGE + 1]) * PAGE : slot;
    const i64 from = start < of.first ? of.first - start : 0;
    const i64 to = of.last - start < PAGE ? of.last - start : PAGE;
    for (i64 group = 0; group < of.groups; group++) {
      const T *keys = of.keys + slot * key_stride + group * of.width;
      const T *values = of.values + slot * value_stride + group * of.value_room;
      if (more) {
        ask_for(of.keys + next * key_stride, key_stride, of.groups * of.width, group, of.groups);
        ask_for(of.values + next * value_stride, value_stride, of.groups * of.value_room, group, of.groups);
      }
      for (i64 head = group * of.heads; head < (group + 1) * of.heads; head++) {
        float powers[PAGE];
        Floats highest = all(most[head]);
        for (i64 i = 0; i < PAGE; i += LANES) {
          const i64 left = to - i, count = left < 0 ? 0 : left < LANES ? left : LANES;
          const T *query = of.queries + head * of.query_stride;
          Floats logits = products(query, keys + i * key_stride, key_stride, of.width, count) * of.scale;
          if (of.softcap > 0) logits = tanh(logits / of.softcap) * of.softcap;
          logits = first(count, logits, NOTHING);
          logits = places() >= std::int32_t(from - i) ? logits : all(NOTHING);
          store(powers + i, logits);
          highest = logits > highest ? logits : highest;
        }
        const float top = largest(highest);
        const float before = exp(all(most[head] - top))[0];
        most[head] = top;
        Floats added{};
        for (i64 i = 0; i < PAGE; i += LANES) {
          const Floats some = exp(load(powers + i) - top);
          store(powers + i, some);
          added += some;
        }
        total[head] = total[head] * before + sum(added);
        add_values(values + from * value_stride, value_stride, wide, powers + from, to - from, before,
                   room + head * wide);
      }
    }
  }
  for (i64 head = 0; head < all_heads; head++) {
    const float share = 1 / total[head];
    each_lanes(wide, [&](i64 lane, auto some) INLINE_HERE {
      store(y + head * wide + lane, load(room + head * wide + lane, some) * share, some);
    });
  }
}

} // namespace WIDTH
} // namespace groundup
