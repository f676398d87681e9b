// As many numbers at a time as a register of the processor holds: AT_ONCE.
//
// Memory holds float32 or bfloat16 (the upper half of a float32); the arithmetic is in float32.
#pragma once

#include "layers.h"

#if defined(__GNUC__)
#define INLINE inline __attribute__((always_inline))
#define INLINE_HERE __attribute__((always_inline))
#else
#define INLINE inline
#define INLINE_HERE
#endif

namespace groundup {
namespace WIDTH {

constexpr i64 LANES = AT_ONCE;
using Floats = float __attribute__((vector_size(4 * LANES)));
using Words = std::int32_t __attribute__((vector_size(4 * LANES)));
using Bits = std::uint32_t __attribute__((vector_size(4 * LANES)));
using Halves = std::uint16_t __attribute__((vector_size(2 * LANES)));
using Bytes = std::uint8_t __attribute__((vector_size(LANES)));

// How many of them there are: the last ones of a row may be fewer.
struct Whole {};
struct Some {
  i64 count;
};

INLINE Floats load(const float *from, Whole = {}) {
  Floats numbers;
  __builtin_memcpy(&numbers, from, sizeof numbers);
  return numbers;
}

#ifdef BFLOAT16_UNITS

INLINE Floats load(const Bf16 *from, Whole = {}) {
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}

// Rounded to the nearest, ties to even; numbers below 2⁻¹²⁶ become zeros. NaN stays NaN.
INLINE void store(Bf16 *to, Floats numbers, Whole = {}) {
  const __m256bh halves = _mm512_cvtneps_pbh((__m512)numbers);
  __builtin_memcpy(to, &halves, sizeof halves);
}

#else

INLINE Floats load(const Bf16 *from, Whole = {}) {
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof halves);
  return (Floats)(__builtin_convertvector(halves, Bits) << 16);
}

// Rounded to the nearest, ties to even. NaN stays NaN.
INLINE void store(Bf16 *to, Floats numbers, Whole = {}) {
  const Bits bits = (Bits)numbers;
  const Bits rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  const Bits kept = (Bits)(numbers == numbers ? (Words)rounded : (Words)(bits | 0x400000));
  const Halves halves = __builtin_convertvector(kept >> 16, Halves);
  __builtin_memcpy(to, &halves, sizeof halves);
}

#endif

INLINE void store(float *to, Floats numbers, Whole = {}) { __builtin_memcpy(to, &numbers, sizeof numbers); }

// Those that are not there are zeros.
template <typename T> INLINE Floats load(const T *from, Some some) {
  T numbers[LANES] = {};
  for (i64 i = 0; i < some.count; i++) numbers[i] = from[i];
  return load(numbers);
}

template <typename T> INLINE void store(T *to, Floats numbers, Some some) {
  T all[LANES];
  store(all, numbers);
  for (i64 i = 0; i < some.count; i++) to[i] = all[i];
}

// Calls work(i, how many) for every LANES-th number below `count`.
template <typename Work> INLINE void each_lanes(i64 count, const Work &work) {
  i64 i = 0;
  for (; i + LANES <= count; i += LANES) work(i, Whole{});
  if (i < count) work(i, Some{count - i});
}

// a · b + c, rounded once, wherever it stands: the compiler would choose anew at each place.
#ifdef BFLOAT16_UNITS
INLINE Floats fused(Floats a, Floats b, Floats c) {
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#else
INLINE Floats fused(Floats a, Floats b, Floats c) {
  return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#endif

INLINE Floats all(float number) { return Floats{} + number; }

// 0, 1, 2, …
INLINE Words places() {
  Words places;
  for (i64 i = 0; i < LANES; i++) places[i] = std::int32_t(i);
  return places;
}

// The first `count` of the numbers, and another in place of the rest.
INLINE Floats first(i64 count, Floats numbers, float otherwise) {
  return places() < std::int32_t(count) ? numbers : all(otherwise);
}
INLINE Floats first(Whole, Floats numbers, float) { return numbers; }
INLINE Floats first(Some some, Floats numbers, float otherwise) {
  return first(some.count, numbers, otherwise);
}

INLINE float sum(float __attribute__((vector_size(16))) numbers) {
  return (numbers[0] + numbers[1]) + (numbers[2] + numbers[3]);
}
INLINE float sum(float __attribute__((vector_size(32))) numbers) {
  float __attribute__((vector_size(16))) halves[2];
  __builtin_memcpy(halves, &numbers, sizeof numbers);
  return sum(halves[0] + halves[1]);
}
INLINE float sum(float __attribute__((vector_size(64))) numbers) {
  float __attribute__((vector_size(32))) halves[2];
  __builtin_memcpy(halves, &numbers, sizeof numbers);
  return sum(halves[0] + halves[1]);
}

INLINE float largest(Floats numbers) {
  float most = numbers[0];
  for (i64 i = 1; i < LANES; i++) most = numbers[i] > most ? numbers[i] : most;
  return most;
}

// eˣ for x up to 88, within two units of the last place: x = n·ln 2 + r, and a polynomial for eʳ with
// |r| ≤ ln 2 / 2 (its coefficients are those of Moshier's Cephes library). Below −87.3 it is zero.
INLINE Floats exp(Floats x) {
  constexpr float LEAST = -87.3F, MOST = 88.3F;
  constexpr float ROUND = 12582912.0F; // 1.5 · 2²³: what is added to it is rounded to whole numbers
  Floats inside = x < LEAST ? all(LEAST) : x;
  inside = inside > MOST ? all(MOST) : inside;
  Floats n = inside * 1.44269504F + ROUND;
  const Words whole = (Words)n - 0x4B400000; // ROUND's bits
  n -= ROUND;
  const Floats r = inside - n * 0.693359375F + n * 2.12194440e-4F;
  Floats p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const Floats value = p * r * r + r + 1.0F;
  const Floats scaled = (Floats)((Words)value + (whole << 23));
  return x < LEAST ? all(0.0F) : x == x ? scaled : x;
}

} // namespace WIDTH
} // namespace groundup
