// The loops of the optimizers. They are compiled for several kinds of processor, and the widest that is
// there is chosen when the program starts.
#include "update.h"
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#if defined(__x86_64__) && defined(__GLIBC__)
#define EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#ifndef EVERY_WIDTH
#define EVERY_WIDTH
#endif

// Round as PyTorch's optimizers do, on every processor: no multiplication is fused with an addition.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

namespace groundup {

EVERY_WIDTH void Adam::operator()(const Stretched &part) const {
  float *__restrict w = part.weight, *__restrict m = part.first, *__restrict v = part.second;
  const float *__restrict g = part.grad;
  const Adam rule = *this;
  for (std::int64_t i = 0; i < part.count; i++) {
    const float grad = g[i] + rule.penalty * w[i];
    m[i] += (grad - m[i]) * rule.new1;
    v[i] = v[i] * rule.beta2 + grad * grad * rule.new2;
    w[i] = w[i] * rule.shrink - rule.rate * m[i] / (__builtin_sqrtf(v[i]) * rule.root + rule.eps);
  }
}

EVERY_WIDTH void Lion::operator()(const Stretched &part) const {
  float *__restrict w = part.weight, *__restrict m = part.first;
  const float *__restrict g = part.grad;
  const Lion rule = *this;
  for (std::int64_t i = 0; i < part.count; i++) {
    const float mixed = m[i] + (g[i] - m[i]) * rule.new1;
    m[i] += (g[i] - m[i]) * rule.new2;
    const float sign = float(mixed > 0) - float(mixed < 0);
    w[i] = w[i] * rule.shrink - rule.rate * sign;
  }
}

EVERY_WIDTH void ScheduleFree::operator()(const Stretched &part) const {
  float *__restrict y = part.weight, *__restrict z = part.first, *__restrict v = part.second;
  const float *__restrict g = part.grad;
  const ScheduleFree rule = *this;
  for (std::int64_t i = 0; i < part.count; i++) {
    v[i] = v[i] * rule.beta2 + g[i] * g[i] * rule.new2;
    const float step = g[i] / (__builtin_sqrtf(v[i]) * rule.root + rule.eps) + rule.decay * y[i];
    float x = y[i] + (z[i] - y[i]) * rule.back;
    z[i] -= rule.rate * step;
    x += (z[i] - x) * rule.share;
    y[i] = z[i] + (x - z[i]) * rule.beta1;
  }
}

} // namespace groundup
