// y = x · wᵀ for few rows of x: the weights are read from memory once, and that is the time it takes.
//
// Each number of y is added up in an order that neither the other rows nor the threads change.
#pragma once

#include "lanes.h"

namespace groundup {
namespace WIDTH {

INLINE Floats load(const std::int8_t *from, Whole = {}) {
#ifdef BFLOAT16_UNITS
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
  return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
#else
  std::int8_t __attribute__((vector_size(LANES))) bytes;
  __builtin_memcpy(&bytes, from, sizeof bytes);
  return __builtin_convertvector(bytes, Floats);
#endif
}

// How many numbers are multiplied and added at once.
template <typename W, typename T> struct Step {
  static constexpr i64 COUNT = LANES;
  using Numbers = Floats;
  template <typename U> static INLINE Numbers take(const U *from) { return load(from); }
  static INLINE Floats add(Floats sum, Numbers w, Numbers x) { return fused(w, x, sum); }
};

#ifdef BFLOAT16_UNITS
template <> struct Step<Bf16, Bf16> {
  static constexpr i64 COUNT = 2 * LANES;
  using Numbers = __m512bh;
  static INLINE Numbers take(const Bf16 *from) {
    Numbers numbers;
    __builtin_memcpy(&numbers, from, sizeof numbers);
    return numbers;
  }
  static INLINE Floats add(Floats sum, Numbers w, Numbers x) {
    return (Floats)_mm512_dpbf16_ps((__m512)sum, w, x);
  }
};
#endif

template <typename S, typename U> INLINE typename S::Numbers take_some(const U *from, i64 count) {
  U numbers[S::COUNT] = {};
  for (i64 i = 0; i < count; i++) numbers[i] = from[i];
  return S::take(numbers);
}

// As many rows, and outputs for so many rows, as the processor has registers for their sums.
#ifdef BFLOAT16_UNITS
constexpr i64 MOST_ROWS = 6;
constexpr i64 outputs_for(i64 rows) { return rows <= 2 ? 8 : 4; }
#else
constexpr i64 MOST_ROWS = 2;
constexpr i64 outputs_for(i64 rows) { return rows == 1 ? 8 : 4; }
#endif

// The sum of each of the vectors, added up as `sum` does. Sixteen of them are turned together: each step
// folds two vectors into one, which takes a third of what folding each by itself would.
template <i64 COUNT> struct Sums {
  float numbers[(COUNT + LANES - 1) / LANES * LANES];
  INLINE explicit Sums(const Floats *of) {
#ifdef BFLOAT16_UNITS
    const auto fold = [](auto low, auto high) INLINE_HERE { return _mm512_add_ps(low, high); };
    const auto folded_8 = [&](__m512 a, __m512 b) INLINE_HERE {
      return fold(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
    };
    const auto folded_4 = [&](__m512 a, __m512 b) INLINE_HERE {
      return fold(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
    };
    const auto folded = [&](__m512 a, __m512 b) INLINE_HERE {
      return fold(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
    };
#pragma GCC unroll 4
    for (i64 begin = 0; begin < COUNT; begin += LANES) {
      const auto at = [&](i64 i) INLINE_HERE {
        return begin + i < COUNT ? (__m512)of[begin + i] : _mm512_setzero_ps();
      };
      __m512 quarters[4];
#pragma GCC unroll 4
      for (i64 j = 0; j < 4; j++)
        quarters[j] = folded_4(folded_8(at(j), at(4 + j)), folded_8(at(8 + j), at(12 + j)));
      const __m512 halves[2] = {folded(quarters[0], quarters[1]), folded(quarters[2], quarters[3])};
      store(numbers + begin, (Floats)folded(halves[0], halves[1]));
    }
#else
    for (i64 i = 0; i < COUNT; i++) numbers[i] = sum(of[i]);
#endif
  }
};

// ROWS × OUTPUTS products. fresh: the weights come from memory, and what stands behind them is asked for
// meanwhile: line by line in the order of memory, which knows few rows at a time, whatever the order in which
// the block reads.
template <i64 OUTPUTS, i64 ROWS, typename W, typename T>
INLINE Sums<ROWS * OUTPUTS> block(const W *w, const T *x, i64 inner, bool fresh) {
  using S = Step<W, T>;
  constexpr i64 AHEAD = 12 << 10, LINE = 64; // bytes
  Floats total[ROWS * OUTPUTS] = {};
  const char *next = reinterpret_cast<const char *>(w) + AHEAD;
  const auto add = [&](auto take_at, bool ask) INLINE_HERE {
    typename S::Numbers numbers[ROWS];
#pragma GCC unroll 8
    for (i64 row = 0; row < ROWS; row++) numbers[row] = take_at(x + row * inner);
#pragma GCC unroll 8
    for (i64 output = 0; output < OUTPUTS; output++) {
      const auto weights = take_at(w + output * inner);
      if (ask) __builtin_prefetch(next + output * LINE, 0, 3);
#pragma GCC unroll 8
      for (i64 row = 0; row < ROWS; row++) {
        Floats &so_far = total[row * OUTPUTS + output];
        so_far = S::add(so_far, weights, numbers[row]);
      }
    }
  };
  i64 i = 0;
  for (; i + S::COUNT <= inner; i += S::COUNT) {
    const bool ask = fresh && i * i64(sizeof(W)) % LINE == 0;
    add([&](const auto *from) INLINE_HERE { return S::take(from + i); }, ask);
    if (ask) next += OUTPUTS * LINE;
  }
  if (i < inner)
    add([&](const auto *from) INLINE_HERE { return take_some<S>(from + i, inner - i); }, false);
  return Sums<ROWS * OUTPUTS>(total);
}

// Writes up to LANES outputs of ROWS rows.
template <i64 ROWS, typename W, typename T>
INLINE void rows_of(const Product<W, T> &product, const W *w, i64 output, i64 count, i64 row, T *y) {
  float found[ROWS][LANES] = {};
  const T *x = product.x + row * product.inner;
  constexpr i64 BLOCK = outputs_for(ROWS);
  const bool fresh = row == 0;
  i64 i = 0;
  const auto keep = [&](const auto &sums, i64 outputs) INLINE_HERE {
    for (i64 r = 0; r < ROWS; r++)
      for (i64 j = 0; j < outputs; j++) found[r][i + j] = sums.numbers[r * outputs + j];
  };
  for (; i + BLOCK <= count; i += BLOCK) {
    const W *from = w + i * product.inner;
    if (fresh) keep(block<BLOCK, ROWS>(from, x, product.inner, true), BLOCK);
    else keep(block<BLOCK, ROWS>(from, x, product.inner, false), BLOCK);
  }
  for (; i < count; i++) keep(block<1, ROWS>(w + i * product.inner, x, product.inner, false), 1);
  for (i64 r = 0; r < ROWS; r++) {
    Floats numbers = load(found[r]);
    const auto finish = [&](auto some) INLINE_HERE {
      const Floats bias = product.bias ? load(product.bias + output, some) : Floats{};
      numbers = fused(numbers, product.scales ? load(product.scales + output, some) : all(1), bias);
      store(y + (row + r) * product.stride + output, numbers, some);
    };
    if (count == LANES) finish(Whole{});
    else finish(Some{count});
  }
}

template <typename W, typename T>
void product(const Product<W, T> &product, i64 first, i64 outputs, T *y) {
  for (i64 output = first; output < first + outputs; output += LANES) {
    const i64 left = first + outputs - output, count = left < LANES ? left : LANES;
    const W *w = product.weights + output * product.inner;
    i64 row = 0;
    for (; row + MOST_ROWS <= product.rows; row += MOST_ROWS)
      rows_of<MOST_ROWS>(product, w, output, count, row, y);
    for (; row + 2 <= product.rows; row += 2) rows_of<2>(product, w, output, count, row, y);
    if (row < product.rows) rows_of<1>(product, w, output, count, row, y);
  }
}

} // namespace WIDTH
} // namespace groundup
