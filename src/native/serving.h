// The loops of a model that generates, as functions on memory that Python names by its addresses; see
// calls.h.
#pragma once

#include <memory>

#include "calls.h"

namespace groundup {

constexpr i64 WORTH_A_THREAD = 1 << 16; // bytes of weights or of keys

// y: [rows, outputs] = x [rows, inner] · weights [outputs, inner]ᵀ. scales: of weights that are bytes.
template <typename W, typename T>
void multiply(int threads, const Product<W, T> &product, i64 outputs,
              void (*loop)(const Product<W, T> &, i64, i64, T *), T *y) {
  // One stretch a thread: memory is read ahead of where a thread is, and should be its own.
  const i64 row = product.inner * i64(sizeof(W)), fair = (outputs + threads - 1) / threads;
  const i64 size = (std::max(fair, WORTH_A_THREAD / row) + 15) / 16 * 16;
  in_stretches(threads, outputs, size, [&](i64 first, i64 count, i64) { loop(product, first, count, y); });
}

inline void define_product(py::module_ &module) {
  module.def("product", [](int threads, bool narrow, Address x, Address weights, Address scales,
                           Address bias, Address y, i64 rows, i64 inner, i64 outputs) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      const auto all = [&](auto weight, auto loop) {
        using W = decltype(weight);
        const Product<W, T> product{at<W>(weights), at<T>(x),          rows,           inner,
                                    outputs,        at<float>(scales), at<float>(bias)};
        multiply(threads, product, outputs, loop, at<T>(y));
      };
      if (scales) all(std::int8_t{}, loops<T>().product_of_bytes);
      else all(T{}, loops<T>().product);
    });
  });
}

// What projections of tokens become: queries, and keys and values in their slots. x: [tokens, heads + 2 ·
// key heads, width]. weights: of norms, or zero. cos, sin: [tokens, rotated / 2]. slots: [tokens].
// queries: [tokens, heads, width]. keys, values: [slots, key heads, width].
inline void define_take_in(py::module_ &module) {
  module.def("take_in", [](int threads, bool narrow, Address x, Address query_weight, Address key_weight,
                           Address cos, Address sin, Address slots, Address queries, Address keys,
                           Address values, i64 tokens, i64 heads, i64 key_heads, i64 width, i64 rotated,
                           float eps) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      const i64 all = heads + 2 * key_heads;
      in_stretches(threads, tokens, stretch_of_rows(all * width), [&](i64 first, i64 count, i64) {
        float scale;
        for (i64 token = first; token < first + count; token++) {
          const i64 slot = at<i64>(slots)[token], angle = token * (rotated / 2);
          for (i64 i = 0; i < all; i++) {
            const T *from = at<T>(x, (token * all + i) * width);
            const i64 place = slot * key_heads + (i - heads) % key_heads;
            if (i >= heads + key_heads) {
              std::copy(from, from + width, at<T>(values, place * width));
              continue;
            }
            const bool query = i < heads;
            const Head<T> head{from, width, 1, width, nullptr, nullptr,
                               at<float>(query ? query_weight : key_weight), eps,
                               at<float>(cos, angle), at<float>(sin, angle), rotated};
            loops<T>().head(head, query ? at<T>(queries, (token * heads + i) * width) : at<T>(keys, place * width),
                            &scale);
          }
        }
      });
    });
  });
}

// y = silu(gate) · up of rows in which both stand, one behind the other: [rows, 2 · width] → [rows, width].
inline void define_gate_rows(py::module_ &module) {
  module.def("gate_rows", [](int threads, bool narrow, Address x, Address y, i64 rows, i64 width) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, rows, stretch_of_rows(width), [&](i64 first, i64 count, i64) {
        for (i64 row = first; row < first + count; row++) {
          const T *gate = at<T>(x, 2 * row * width);
          loops<T>().gate(gate, gate + width, at<T>(y, row * width), width);
        }
      });
    });
  });
}

// queries: of each token and head, so far apart as is said. keys, values: [slots, key heads, …] of the width that a slot takes.
// tables: [tokens, columns], of which page holds which positions. first, last: of each token what it sees.
// y: [tokens, heads, value width].
inline void define_reach(py::module_ &module) {
  module.def("reach", [](int threads, bool narrow, Address queries, Address keys, Address values,
                         Address tables, Address first, Address last, Address sinks, Address y, i64 tokens,
                         i64 token_stride, i64 head_stride, i64 heads, i64 key_heads, i64 width,
                         i64 value_width, i64 value_stride, i64 columns, float scale, float softcap) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      const i64 shared = heads / key_heads;
      const std::unique_ptr<float[]> rooms(new float[std::size_t(tokens * heads * value_width)]);
      // Few tokens are shared by their heads, as each thread is to have some.
      const i64 parts = tokens >= 2 * threads ? 1 : std::min<i64>(key_heads, threads);
      in_stretches(threads, tokens * parts, 1, [&](i64 i, i64, i64) {
        const i64 token = i / parts, part = i % parts;
        const i64 group = key_heads * part / parts, groups = key_heads * (part + 1) / parts - group;
        const i64 head = group * shared, place = (token * heads + head) * value_width;
        const Reach<T> reach{at<T>(queries, token * token_stride + head * head_stride),
                             head_stride,
                             groups,
                             shared,
                             at<T>(keys, group * width),
                             at<T>(values, group * value_stride),
                             key_heads,
                             width,
                             value_width,
                             value_stride,
                             at<std::int32_t>(tables, token * columns),
                             at<i64>(first)[token],
                             at<i64>(last)[token],
                             scale,
                             softcap,
                             at<float>(sinks, head)};
        loops<T>().reach(reach, at<T>(y, place), rooms.get() + place);
      });
    });
  });
}

} // namespace groundup
