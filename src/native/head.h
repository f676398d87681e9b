// What becomes of a head's queries, keys or values between their projection and attention.
#pragma once

#include "norm.h"

namespace groundup {
namespace WIDTH {

// What stands before a position; null for nothing.
template <typename T> INLINE const T *before(const Head<T> &head, i64 position) {
  if (head.first && head.first[position]) return nullptr;
  return position ? head.x + (position - 1) * head.stride : head.before;
}

// x_t + s · (x_{t−1} − x_t), into `mixed`.
template <typename T> INLINE void mix(const Head<T> &head, i64 position, float *mixed) {
  const T *x = head.x + position * head.stride, *earlier = head.share ? before(head, position) : nullptr;
  const float share = head.share ? *head.share : 0;
  each_lanes(head.width, [&](i64 i, auto some) INLINE_HERE {
    const Floats now = load(x + i, some);
    const Floats then = earlier ? load(earlier + i, some) : Floats{};
    store(mixed + i, now + (then - now) * share, some);
  });
}

template <typename T> void head(const Head<T> &head, T *y, float *scales) {
  float numbers[Head<T>::WIDEST];
  const i64 half = head.rotated / 2;
  for (i64 t = 0; t < head.positions; t++, y += head.width) {
    mix(head, t, numbers);
    if (head.weight) scales[t] = normalise(numbers, head.weight, head.width, head.eps, numbers);
    const float *cos = head.cos + t * half, *sin = head.sin + t * half;
    each_lanes(half, [&](i64 i, auto some) INLINE_HERE {
      const Floats a = load(numbers + i, some), b = load(numbers + half + i, some);
      const Floats c = load(cos + i, some), s = load(sin + i, some);
      store(y + i, a * c - b * s, some);
      store(y + half + i, b * c + a * s, some);
    });
    each_lanes(head.width - head.rotated, [&](i64 i, auto some) INLINE_HERE {
      store(y + head.rotated + i, load(numbers + head.rotated + i, some), some);
    });
  }
}

// From the last position to the first, since a position's numbers also went into the next. What is
// before the first gets no gradient.
template <typename T>
void head_back(const Head<T> &head, const float *scales, const T *dy, T *dx, float *dweight,
               float *dshare) {
  float mixed[Head<T>::WIDEST], grads[Head<T>::WIDEST], later[Head<T>::WIDEST];
  const i64 half = head.rotated / 2;
  const float share = head.share ? *head.share : 0;
  Floats shares{};
  for (i64 i = 0; head.weight && i < head.width; i++) dweight[i] = 0;
  for (i64 t = head.positions - 1; t >= 0; t--) {
    const T *dy_here = dy + t * head.width;
    const float *cos = head.cos + t * half, *sin = head.sin + t * half;
    each_lanes(half, [&](i64 i, auto some) INLINE_HERE {
      const Floats a = load(dy_here + i, some), b = load(dy_here + half + i, some);
      const Floats c = load(cos + i, some), s = load(sin + i, some);
      store(grads + i, a * c + b * s, some);
      store(grads + half + i, b * c - a * s, some);
    });
    each_lanes(head.width - head.rotated, [&](i64 i, auto some) INLINE_HERE {
      store(grads + head.rotated + i, load(dy_here + head.rotated + i, some), some);
    });
    if (head.weight) {
      mix(head, t, mixed);
      normalise_back(mixed, head.weight, head.width, scales[t], grads, grads, dweight);
    }
    T *dx_here = dx + t * head.stride;
    const T *x = head.x + t * head.stride, *earlier = before(head, t);
    const bool last = t + 1 == head.positions || !before(head, t + 1);
    each_lanes(head.width, [&](i64 i, auto some) INLINE_HERE {
      const Floats grad = load(grads + i, some);
      if (!head.share) return store(dx_here + i, grad, some);
      const Floats next = last ? Floats{} : load(later + i, some);
      const Floats then = earlier ? load(earlier + i, some) : Floats{};
      shares += grad * (then - load(x + i, some));
      store(dx_here + i, grad + (next - grad) * share, some);
      store(later + i, grad, some);
    });
  }
  if (head.share) *dshare = sum(shares);
}

} // namespace WIDTH
} // namespace groundup
