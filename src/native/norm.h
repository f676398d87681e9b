// RMSNorm, sums, the gate of an MLP, and dropout.
#pragma once

#include "lanes.h"

namespace groundup {
namespace WIDTH {

// y = x · ρ · w of one row, which may be x itself. Returns ρ = 1 / √(mean(x²) + ε).
template <typename T>
INLINE float normalise(const T *x, const float *weight, i64 width, float eps, T *y) {
  Floats squares{};
  each_lanes(width, [&](i64 i, auto some) INLINE_HERE {
    const Floats numbers = load(x + i, some);
    squares += numbers * numbers;
  });
  const float scale = 1 / __builtin_sqrtf(sum(squares) / float(width) + eps);
  each_lanes(width, [&](i64 i, auto some) INLINE_HERE {
    store(y + i, load(x + i, some) * scale * load(weight + i, some), some);
  });
  return scale;
}

// With x̂ = x·ρ and g = dy·w: dx = ρ · (g − x̂ · mean(g · x̂)), which may be dy itself; dy · x̂ is added to
// dweight.
template <typename T>
INLINE void normalise_back(const T *x, const float *weight, i64 width, float scale, const T *dy, T *dx,
                           float *dweight) {
  Floats products{};
  each_lanes(width, [&](i64 i, auto some) INLINE_HERE {
    products += load(dy + i, some) * load(weight + i, some) * load(x + i, some);
  });
  const float mean = sum(products) * scale / float(width);
  each_lanes(width, [&](i64 i, auto some) INLINE_HERE {
    const Floats normed = load(x + i, some) * scale, grad = load(dy + i, some);
    store(dx + i, (grad * load(weight + i, some) - normed * mean) * scale, some);
    store(dweight + i, load(dweight + i, some) + grad * normed, some);
  });
}

template <typename T> void norm(const Norm<T> &norm, T *y, float *scales, i64 rows) {
  for (i64 row = 0; row < rows; row++) {
    const i64 at = row * norm.width;
    scales[row] = normalise(norm.x + at, norm.weight, norm.width, norm.eps, y + at);
  }
}

template <typename T>
void norm_back(const Norm<T> &norm, const float *scales, const T *dy, T *dx, float *dweight, i64 rows) {
  for (i64 i = 0; i < norm.width; i++) dweight[i] = 0;
  for (i64 row = 0; row < rows; row++) {
    const i64 at = row * norm.width;
    normalise_back(norm.x + at, norm.weight, norm.width, scales[row], dy + at, dx + at, dweight);
  }
}

template <typename T> void add(const T *x, const T *more, T *y, i64 count) {
  each_lanes(count, [&](i64 i, auto some) INLINE_HERE {
    store(y + i, load(x + i, some) + load(more + i, some), some);
  });
}

INLINE Floats sigmoid(Floats x) { return 1.0F / (exp(-x) + 1.0F); }

template <typename T> void gate(const T *gate, const T *up, T *y, i64 count) {
  each_lanes(count, [&](i64 i, auto some) INLINE_HERE {
    const Floats g = load(gate + i, some);
    store(y + i, g * sigmoid(g) * load(up + i, some), some);
  });
}

template <typename T>
void gate_back(const T *gate, const T *up, const T *dy, T *dgate, T *dup, i64 count) {
  each_lanes(count, [&](i64 i, auto some) INLINE_HERE {
    const Floats g = load(gate + i, some), s = sigmoid(g), grad = load(dy + i, some);
    store(dgate + i, grad * load(up + i, some) * s * ((1.0F - s) * g + 1.0F), some);
    store(dup + i, grad * g * s, some);
  });
}

// A bijection that leaves no trace of the order of its arguments (Wellons 2018, "lowbias32").
INLINE Bits scattered(Bits x) {
  x ^= x >> 16;
  x *= 0x7FEB352DU;
  x ^= x >> 15;
  x *= 0x846CA68BU;
  return x ^ (x >> 16);
}

template <typename T> void dropout(const Dropout &dropout, const T *x, T *y, i64 count) {
  const auto low = std::uint32_t(dropout.seed), high = std::uint32_t(dropout.seed >> 32);
  each_lanes(count, [&](i64 i, auto some) INLINE_HERE {
    const std::uint64_t place = std::uint64_t(dropout.from + i);
    const Bits at = (Bits)places() + std::uint32_t(place);
    const Bits chance = scattered(scattered(at ^ low) ^ (high + std::uint32_t(place >> 32)));
    const Floats numbers = load(x + i, some) * dropout.scale;
    store(y + i, chance >= dropout.drop ? numbers : Floats{}, some);
  });
}

} // namespace WIDTH
} // namespace groundup
