// Loops over the numbers of a model's layers, in float32 and in bfloat16: what a training step does
// between its matrix products, each in one pass over memory forward and one or two backward.
//
// groundup.kernels.cpu has the equations. Every function works on some rows, so that threads share them.
#pragma once

#include <cstdint>

namespace groundup {

using i64 = std::int64_t;

struct Bf16 {
  std::uint16_t bits;
};

// y = x · ρ · w, ρ = 1 / √(mean(x²) + ε), of each row. scales: ρ of each.
template <typename T> struct Norm {
  const T *x;
  const float *weight;
  i64 width;
  float eps;
};
void norm(const Norm<float> &, float *y, float *scales, i64 rows);
void norm(const Norm<Bf16> &, Bf16 *y, float *scales, i64 rows);
// dweight: what these rows add up to.
void norm_back(const Norm<float> &, const float *scales, const float *dy, float *dx, float *dweight, i64 rows);
void norm_back(const Norm<Bf16> &, const float *scales, const Bf16 *dy, Bf16 *dx, float *dweight, i64 rows);

// y = gate · σ(gate) · up.
void gate(const float *gate, const float *up, float *y, i64 count);
void gate(const Bf16 *gate, const Bf16 *up, Bf16 *y, i64 count);
void gate_back(const float *gate, const float *up, const float *dy, float *dgate, float *dup, i64 count);
void gate_back(const Bf16 *gate, const Bf16 *up, const Bf16 *dy, Bf16 *dgate, Bf16 *dup, i64 count);

// y = x / (1 − p) where chance keeps a number, and zero elsewhere. Whether it is kept hangs on the seed
// and on its place, `from` that of the first, alone. drop: p · 2³². scale: 1 / (1 − p).
struct Dropout {
  std::uint64_t seed;
  i64 from;
  std::uint32_t drop;
  float scale;
};
void dropout(const Dropout &, const float *x, float *y, i64 count);
void dropout(const Dropout &, const Bf16 *x, Bf16 *y, i64 count);

// Queries, keys or values of one head in one sequence: shifted, normalised and rotated.
template <typename T> struct Head {
  static constexpr i64 WIDEST = 1024;
  const T *x;                // of the first position
  i64 stride;                // from a position of x to the next
  i64 positions, width;
  const float *share;        // of the position before; or null
  const std::uint8_t *first; // whether a document begins at a position; or null
  const float *weight;       // of the norm; or null
  float eps;
  const float *cos, *sin;    // [positions, rotated / 2]; or null
  i64 rotated;
};
// y: [positions, width]. scales: ρ of each position, where there is a norm.
void head(const Head<float> &, float *y, float *scales);
void head(const Head<Bf16> &, Bf16 *y, float *scales);
// dx: laid out as x.
void head_back(const Head<float> &, const float *scales, const float *dy, float *dx, float *dweight,
               float *dshare);
void head_back(const Head<Bf16> &, const float *scales, const Bf16 *dy, Bf16 *dx, float *dweight,
               float *dshare);

// The softmax of a row's first numbers, or of those that a mask lets through; the rest become zeros.
template <typename T> struct Softmax {
  const T *logits;
  i64 columns;
  float scale;              // of the logits
  i64 visible;              // of the first row; each row sees one more, up to all
  const std::uint8_t *mask; // [rows, columns], in place of that; or null
};
void softmax(const Softmax<float> &, float *y, i64 rows);
void softmax(const Softmax<Bf16> &, Bf16 *y, i64 rows);
// y: what the softmax made; the mask is not needed again.
void softmax_back(const Softmax<float> &, const float *y, const float *dy, float *dx, i64 rows);
void softmax_back(const Softmax<Bf16> &, const Bf16 *y, const Bf16 *dy, Bf16 *dx, i64 rows);

// log Σ exp of each row of logits.
void log_sums(const float *logits, float *sums, i64 rows, i64 columns);
void log_sums(const Bf16 *logits, float *sums, i64 rows, i64 columns);
// dx = a · softmax(logits), and less b at the target, for a row's own a and b.
template <typename T> struct Losses {
  const T *logits;
  const float *sums;
  const i64 *targets;
  i64 columns;
};
void losses_back(const Losses<float> &, const float *a, const float *b, float *dx, i64 rows);
void losses_back(const Losses<Bf16> &, const float *a, const float *b, Bf16 *dx, i64 rows);

} // namespace groundup
