// Loops over the numbers of a model's layers, in float32 and in bfloat16: what a training step does
// between its matrix products, each in one pass over memory forward and one or two backward.
//
// groundup.kernels.cpu has the equations. Every function works on some rows, so that threads share them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Whether the compiler can compile parts of a program for other processors than the rest of it.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10 && defined(__x86_64__)
#define SEVERAL_WIDTHS
#endif

namespace groundup {

using i64 = std::int64_t;

struct Bf16 {
  std::uint16_t bits;
};

// y = x · ρ · w, ρ = 1 / √(mean(x²) + ε), of each row.
template <typename T> struct Norm {
  const T *x;
  const float *weight;
  i64 width;
  float eps;
};

// y = x / (1 − p) where chance keeps a number, and zero elsewhere. Whether it is kept hangs on the seed
// and on its place, `from` that of the first, alone. drop: p · 2³². scale: 1 / (1 − p).
struct Dropout {
  std::uint64_t seed;
  i64 from;
  std::uint32_t drop;
  float scale;
};

// Queries, keys or values of one head in one sequence: shifted, normalised and rotated.
template <typename T> struct Head {
  static constexpr i64 WIDEST = 1024;
  const T *x;                // of the first position
  i64 stride;                // from a position of x to the next
  const T *before;           // what is before the first position; null for nothing
  i64 positions, width;
  const float *share;        // of the position before; or null
  const std::uint8_t *first; // whether a document begins at a position; or null
  const float *weight;       // of the norm; or null
  float eps;
  const float *cos, *sin;    // [positions, rotated / 2]; or null
  i64 rotated;
};

// The softmax of a row's first numbers, or of those that a mask lets through; the rest become zeros.
template <typename T> struct Softmax {
  const T *logits;
  i64 columns;
  float scale;              // of the logits
  i64 visible;              // of the first row; each row sees one more, up to all
  const std::uint8_t *mask; // [rows, columns], in place of that; or null
};

// Cross-entropies of rows. sums: log Σ exp of each row's logits.
template <typename T> struct Losses {
  const T *logits;
  const float *sums;
  const i64 *targets;
  i64 columns;
};

// How a product reads weights [outputs, inner] for x of a format: OUTPUTS of them are a panel, in which the
// numbers for TOGETHER columns of x stand side by side, output by output, before those for the next columns.
// What is missing at both ends is zero.
template <typename T> struct Panel {
  static constexpr i64 OUTPUTS = 64, TOGETHER = sizeof(T) == 2 ? 2 : 1;
  static constexpr i64 size(i64 inner) { return (inner + TOGETHER - 1) / TOGETHER * TOGETHER * OUTPUTS; }
};

// y = x · wᵀ, times the scales of the outputs and with their biases, where there are any.
template <typename W, typename T> struct Product {
  const W *weights; // [panels, inner / TOGETHER, OUTPUTS, TOGETHER]
  const T *x;       // [rows, inner]
  i64 rows, inner, stride; // stride: from a row of y to the next
  const float *scales, *bias;
};

// What one token reads with the query heads of some groups, each of which shares a head of keys and values.
// A page holds PAGE slots, and a slot all heads of its keys and of its values.
template <typename T> struct Reach {
  static constexpr i64 PAGE = 16, MOST_HEADS = 256;
  const T *queries;             // of the first group's first head
  i64 query_stride;             // from one head to the next
  i64 groups, heads;            // heads: of each group
  const T *keys, *values;       // of the first group, in slot 0
  i64 key_groups;               // of a slot
  i64 width, value_width;
  i64 value_room;               // from one head's values to the next one's
  const std::int32_t *pages;    // of the sequence
  i64 first, last;              // the positions that are seen, without the last
  float scale, softcap;         // softcap: 0 for none
  const float *sinks;           // of each head; or null
};

// The loops for one format and one kind of processor.
template <typename T> struct Loops {
  // scales: ρ of each row. dweight: what these rows add up to.
  void (*norm)(const Norm<T> &, T *y, float *scales, i64 rows);
  void (*norm_back)(const Norm<T> &, const float *scales, const T *dy, T *dx, float *dweight, i64 rows);
  // y = x + more, of which y may be either.
  void (*add)(const T *x, const T *more, T *y, i64 count);
  // y = gate · σ(gate) · up.
  void (*gate)(const T *gate, const T *up, T *y, i64 count);
  void (*gate_back)(const T *gate, const T *up, const T *dy, T *dgate, T *dup, i64 count);
  void (*dropout)(const Dropout &, const T *x, T *y, i64 count);
  // y: [positions, width]. scales: ρ of each position, where there is a norm. dx: laid out as x.
  void (*head)(const Head<T> &, T *y, float *scales);
  void (*head_back)(const Head<T> &, const float *scales, const T *dy, T *dx, float *dweight,
                    float *dshare);
  // Backward, y is what the softmax made; the mask is not needed again.
  void (*softmax)(const Softmax<T> &, T *y, i64 rows);
  void (*softmax_back)(const Softmax<T> &, const T *y, const T *dy, T *dx, i64 rows);
  void (*log_sums)(const T *logits, float *sums, i64 rows, i64 columns);
  // dx = a · softmax(logits), and less b at the target, for a row's own a and b.
  void (*losses_back)(const Losses<T> &, const float *a, const float *b, T *dx, i64 rows);
  // Outputs from `first` on, with which a panel begins.
  void (*product)(const Product<T, T> &, i64 first, i64 outputs, T *y);
  void (*product_of_bytes)(const Product<std::int8_t, T> &, i64 first, i64 outputs, T *y);
  // y: [groups · heads, value_width]. room: as many numbers.
  void (*reach)(const Reach<T> &, T *y, float *room);
};

// They are compiled once for each kind of processor (wide_*.cpp). Those of the widest that this one is are
// taken, or those that were chosen.
template <typename T> const Loops<T> &loops();
template <> const Loops<float> &loops();
template <> const Loops<Bf16> &loops();
bool has_loops();
std::vector<std::string> loop_kinds(); // from the narrowest to the widest
void choose_loops(const std::string &kind);

} // namespace groundup
