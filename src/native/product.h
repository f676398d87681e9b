// y = x · wᵀ: for few rows of x in the time of reading the weights from memory once, for many in that of the
// multiplications.
//
// Each number of y is added up in the order of the columns, which neither the other rows nor the threads change.
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

// What is multiplied and added at once: TOGETHER numbers of LANES outputs, and as many of a row of x.
template <typename T> struct Step;

template <> struct Step<float> {
  using Numbers = Floats;
  template <typename W> static INLINE Numbers take(const W *w) { return load(w); }
  static INLINE Numbers spread(const float *x, i64) { return all(*x); }
  static INLINE Floats add(Floats sum, Numbers w, Numbers x) { return fused(w, x, sum); }
};

// count: 1 for the last column, which stands alone where their number is odd.
#ifdef BFLOAT16_UNITS
template <> struct Step<Bf16> {
  using Numbers = __m512bh;
  static INLINE Numbers take(const Bf16 *w) {
    Numbers numbers;
    __builtin_memcpy(&numbers, w, sizeof numbers);
    return numbers;
  }
  static INLINE Numbers take(const std::int8_t *w) {
    return _mm512_cvtne2ps_pbh((__m512)load(w + LANES), (__m512)load(w));
  }
  static INLINE Numbers spread(const Bf16 *x, i64 count) {
    int pair = 0;
    if (count == 2) __builtin_memcpy(&pair, x, sizeof pair);
    else pair = x->bits;
    return (Numbers)_mm512_set1_epi32(pair);
  }
  static INLINE Floats add(Floats sum, Numbers w, Numbers x) {
    return (Floats)_mm512_dpbf16_ps((__m512)sum, w, x);
  }
};
#else
template <> struct Step<Bf16> {
  struct Numbers {
    Floats first, second;
  };
  static INLINE Numbers take(const Bf16 *w) {
    Bits pairs;
    __builtin_memcpy(&pairs, w, sizeof pairs);
    return {(Floats)(pairs << 16), (Floats)(pairs & 0xFFFF0000)};
  }
  static INLINE Numbers take(const std::int8_t *w) {
    std::int16_t __attribute__((vector_size(2 * LANES))) narrow;
    __builtin_memcpy(&narrow, w, sizeof narrow);
    const Words pairs = __builtin_convertvector(narrow, Words);
    return {__builtin_convertvector(pairs << 24 >> 24, Floats), __builtin_convertvector(pairs >> 8, Floats)};
  }
  static INLINE Numbers spread(const Bf16 *x, i64 count) {
    const auto number = [](Bf16 narrow) INLINE_HERE { return (Floats)((Bits{} + narrow.bits) << 16); };
    return {number(x[0]), count == 2 ? number(x[1]) : Floats{}};
  }
  static INLINE Floats add(Floats sum, Numbers w, Numbers x) {
    return fused(w.second, x.second, fused(w.first, x.first, sum));
  }
};
#endif

// As many rows and vectors of outputs as the processor has registers for their sums.
#ifdef BFLOAT16_UNITS
constexpr i64 MOST_ROWS = 6, VECTORS = 4;
#else
constexpr i64 MOST_ROWS = 4, VECTORS = 2;
#endif

// Weights of a panel that the nearest cache holds while rows go by, and rows whose sums it holds.
constexpr i64 CHUNK = 16 << 10, ROWS_AT_ONCE = 96;

// What is asked for meanwhile, line by line, so that memory has no rest.
struct Ahead {
  static constexpr i64 LINE = 64;
  const char *next, *end;
  i64 lines; // at each step
  INLINE void ask() {
    for (i64 i = 0; i < lines && next < end; i++, next += LINE) __builtin_prefetch(next, 0, 3);
  }
};

// Adds what a chunk's columns give to the sums of ROWS rows: [ROWS, PANEL].
template <i64 ROWS, typename W, typename T>
INLINE void add_products(const W *w, const T *x, i64 inner, i64 columns, float *sums, Ahead &asked) {
  using S = Step<T>;
  Ahead ahead = asked; // in registers
  constexpr i64 PANEL = Panel<T>::OUTPUTS, TOGETHER = Panel<T>::TOGETHER;
  for (i64 output = 0; output < PANEL; output += VECTORS * LANES) {
    Floats total[ROWS * VECTORS];
#pragma GCC unroll 24
    for (i64 i = 0; i < ROWS * VECTORS; i++)
      total[i] = load(sums + i / VECTORS * PANEL + output + i % VECTORS * LANES);
    const W *from = w + output * TOGETHER;
    const auto step = [&](const T *column, i64 count) INLINE_HERE {
      typename S::Numbers weights[VECTORS];
#pragma GCC unroll 4
      for (i64 i = 0; i < VECTORS; i++) weights[i] = S::take(from + i * LANES * TOGETHER);
#pragma GCC unroll 6
      for (i64 row = 0; row < ROWS; row++) {
        const auto number = S::spread(column + row * inner, count);
#pragma GCC unroll 4
        for (i64 i = 0; i < VECTORS; i++) {
          Floats &so_far = total[row * VECTORS + i];
          so_far = S::add(so_far, weights[i], number);
        }
      }
      from += PANEL * TOGETHER;
    };
    i64 column = 0;
    for (; column + TOGETHER <= columns; column += TOGETHER) {
      step(x + column, TOGETHER);
      ahead.ask();
    }
    if (column < columns) step(x + column, 1);
#pragma GCC unroll 24
    for (i64 i = 0; i < ROWS * VECTORS; i++)
      store(sums + i / VECTORS * PANEL + output + i % VECTORS * LANES, total[i]);
  }
  asked = ahead;
}

// The same for `rows`, of which there are no more than ROWS.
template <i64 ROWS, typename W, typename T>
void add_rows(i64 rows, const W *w, const T *x, i64 inner, i64 columns, float *sums, Ahead &ahead) {
  if (rows == ROWS) add_products<ROWS>(w, x, inner, columns, sums, ahead);
  else if constexpr (ROWS > 1) add_rows<ROWS - 1>(rows, w, x, inner, columns, sums, ahead);
}

// Weights in the format of x, which bytes have exactly.
template <typename T> INLINE const T *in_format_of_x(const T *w, i64, T *) { return w; }
template <typename T> INLINE const T *in_format_of_x(const std::int8_t *w, i64 count, T *room) {
  for (i64 i = 0; i < count; i += LANES) store(room + i, load(w + i));
  return room;
}

template <typename W, typename T>
void product(const Product<W, T> &product, i64 first, i64 outputs, T *y) {
  constexpr i64 PANEL = Panel<T>::OUTPUTS, TOGETHER = Panel<T>::TOGETHER;
  constexpr i64 STEPS = CHUNK / i64(sizeof(T)) / (PANEL * TOGETHER), COLUMNS = STEPS * TOGETHER;
  const i64 panel = Panel<T>::size(product.inner);
  alignas(64) float sums[ROWS_AT_ONCE * PANEL];
  alignas(64) T room[sizeof(W) == sizeof(T) ? 1 : COLUMNS * PANEL];
  const W *w = product.weights + first / PANEL * panel;
  const W *const end = w + (outputs + PANEL - 1) / PANEL * panel;
  for (i64 output = first; output < first + outputs; output += PANEL, w += panel) {
    for (i64 begin = 0; begin < product.rows; begin += ROWS_AT_ONCE) {
      const i64 left = product.rows - begin, rows = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
      for (i64 i = 0; i < rows * PANEL; i++) sums[i] = 0;
      const W *chunk = w;
      for (i64 column = 0; column < product.inner; column += COLUMNS) {
        const i64 rest = product.inner - column, columns = rest < COLUMNS ? rest : COLUMNS;
        const i64 count = (columns + TOGETHER - 1) / TOGETHER * TOGETHER * PANEL;
        // The first rows find the weights in memory; those behind them, in a cache.
        const W *next = chunk + count, *stop = end - next < count ? end : next + count;
        const i64 calls = (rows + MOST_ROWS - 1) / MOST_ROWS, together = (rows + calls - 1) / calls;
        const i64 asked = (count / TOGETHER / PANEL) * calls;
        const i64 lines = count * i64(sizeof(W)) / Ahead::LINE;
        Ahead ahead{reinterpret_cast<const char *>(next), reinterpret_cast<const char *>(stop),
                    begin ? 0 : (lines + asked - 1) / asked};
        const auto add = [&](const auto *numbers) {
          for (i64 row = 0; row < rows; row += together) {
            const i64 some = rows - row < together ? rows - row : together;
            const T *x = product.x + (begin + row) * product.inner + column;
            add_rows<MOST_ROWS>(some, numbers, x, product.inner, columns, sums + row * PANEL, ahead);
          }
        };
        if (rows <= MOST_ROWS) add(chunk); // each is used once
        else add(in_format_of_x(chunk, count, room));
        chunk = next;
      }
      const i64 there = first + outputs - output;
      for (i64 row = 0; row < rows; row++)
        each_lanes(there < PANEL ? there : PANEL, [&](i64 i, auto some) INLINE_HERE {
          const Floats bias = product.bias ? load(product.bias + output + i, some) : Floats{};
          const Floats scale = product.scales ? load(product.scales + output + i, some) : all(1);
          store(y + (begin + row) * product.stride + output + i,
                fused(load(sums + row * PANEL + i), scale, bias), some);
        });
    }
  }
}

} // namespace WIDTH
} // namespace groundup
