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

// queries: [heads, tokens, width]. keys, values: [slots, key heads, …] of the width that a slot takes.
// tables: [tokens, columns], of which page holds which positions. first, last: of each token what it sees.
// y: [tokens, heads, value width].
inline void define_reach(py::module_ &module) {
  module.def("reach", [](int threads, bool narrow, Address queries, Address keys, Address values,
                         Address tables, Address first, Address last, Address sinks, Address y, i64 tokens,
                         i64 query_rows, i64 heads, i64 key_heads, i64 width, i64 key_width,
                         i64 value_width, i64 value_stride, i64 columns, float scale, float softcap) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      const i64 shared = heads / key_heads;
      const std::unique_ptr<float[]> rooms(new float[std::size_t(tokens * heads * value_width)]);
      in_stretches(threads, tokens * key_heads, 1, [&](i64 i, i64, i64) {
        const i64 token = i / key_heads, head = i % key_heads;
        const Reach<T> reach{at<T>(queries, (head * shared * query_rows + token) * width),
                             query_rows * width,
                             shared,
                             at<T>(keys, head * key_width),
                             at<T>(values, head * value_stride),
                             key_heads * key_width,
                             key_heads * value_stride,
                             width,
                             value_width,
                             at<std::int32_t>(tables, token * columns),
                             at<i64>(first)[token],
                             at<i64>(last)[token],
                             scale,
                             softcap,
                             at<float>(sinks, head * shared)};
        const i64 place = (token * heads + head * shared) * value_width;
        loops<T>().reach(reach, at<T>(y, place), rooms.get() + place);
      });
    });
  });
}

} // namespace groundup
