// The loops of a model that generates, as functions on memory that Python names by its addresses; see
// calls.h.
#pragma once

#include <algorithm>
#include <memory>

#include "calls.h"

namespace groundup {

constexpr i64 WORTH_A_THREAD = 1 << 16; // bytes of weights or of keys

// Weights in panels (see layers.h) that stay where they are; bytes, where there are scales of the outputs.
struct Matrix {
  Address weights, scales, bias;
  i64 inner, outputs;
};

// y: [rows, outputs] = x [rows, inner] · Wᵀ.
template <typename T> void multiply(int threads, const Matrix &matrix, const T *x, i64 rows, T *y) {
  const auto all = [&](auto weight, auto loop) {
    using W = decltype(weight);
    const Product<W, T> product{at<W>(matrix.weights), x,
                                rows,                  matrix.inner,
                                matrix.outputs,        at<float>(matrix.scales),
                                at<float>(matrix.bias)};
    // One stretch of panels a thread: memory is read ahead of where a thread is, and should be its own.
    const i64 row = matrix.inner * i64(sizeof(W)), fair = (matrix.outputs + threads - 1) / threads;
    constexpr i64 PANEL = Panel<T>::OUTPUTS;
    const i64 size = (std::max(fair, WORTH_A_THREAD / row) + PANEL - 1) / PANEL * PANEL;
    in_stretches(threads, matrix.outputs, size,
                 [&](i64 first, i64 count, i64) { loop(product, first, count, y); });
  };
  if (matrix.scales) all(std::int8_t{}, loops<T>().product_of_bytes);
  else all(T{}, loops<T>().product);
}

// How projections of tokens become queries, keys and values: the norms' weights, and of keys and values the
// shares of the token before, or zeros.
struct TokenHeads {
  i64 count, key_heads, width;
  Address query_weight, key_weight; // [width]
  float eps;
  Address key_share, value_share; // [key heads]
};

// Where tokens stand. cos, sin: [tokens, rotated / 2]. slots: [tokens], of keys and values. before: [tokens],
// which of the tokens is the one before, or −1 where nothing is, or −2 − row of `newest`; or zero.
struct Places {
  i64 tokens, rotated;
  Address cos, sin, slots, before;
};

// What is kept of a layer. keys, values: [slots, key heads, width]. newest: [rows, 2 · key heads, width], the
// projected keys and values of each row's last token; or zero.
struct Kept {
  Address keys, values, newest;
};

// x: [tokens, heads + 2 · key heads, width], the projections → queries: [tokens, heads, width]; keys and values
// go to their slots.
template <typename T>
void take_in(int threads, const TokenHeads &heads, const Places &places, const Kept &kept, const T *x,
             T *queries) {
  const i64 pairs = 2 * heads.key_heads, width = heads.width, row = (heads.count + pairs) * width;
  const auto before = [&](i64 token) -> const T * { // its first key
    const i64 there = at<i64>(places.before)[token];
    if (there == -1) return nullptr;
    return there >= 0 ? x + there * row + heads.count * width : at<T>(kept.newest, (-2 - there) * pairs * width);
  };
  in_stretches(threads, places.tokens, stretch_of_rows(row), [&](i64 first, i64 count, i64) {
    float scale;
    for (i64 token = first; token < first + count; token++) {
      const T *from = x + token * row, *earlier = heads.key_share ? before(token) : nullptr;
      const i64 angle = token * (places.rotated / 2);
      const i64 place = at<i64>(places.slots)[token] * heads.key_heads * width;
      const auto make = [&](i64 i, Address share, i64 which, Address weight, i64 rotated, T *to) {
        const T *then = earlier && share ? earlier + (i - heads.count) * width : nullptr;
        loops<T>().head({from + i * width, row, then, 1, width, at<float>(share, which), nullptr,
                         at<float>(weight), heads.eps, at<float>(places.cos, angle),
                         at<float>(places.sin, angle), rotated},
                        to, &scale);
      };
      i64 i = 0;
      for (; i < heads.count; i++)
        make(i, 0, 0, heads.query_weight, places.rotated, queries + (token * heads.count + i) * width);
      for (i64 which = 0; which < heads.key_heads; which++, i++)
        make(i, heads.key_share, which, heads.key_weight, places.rotated,
             at<T>(kept.keys, place + which * width));
      T *values = at<T>(kept.values, place);
      for (i64 which = 0; which < heads.key_heads; which++, i++)
        if (heads.value_share) make(i, heads.value_share, which, 0, 0, values + which * width);
        else std::copy(from + i * width, from + (i + 1) * width, values + which * width);
    }
  });
}

// y = silu(gate) · up of rows in which both stand, one behind the other: [rows, 2 · width] → [rows, width].
template <typename T> void gate_rows(int threads, const T *x, T *y, i64 rows, i64 width) {
  in_stretches(threads, rows, stretch_of_rows(width), [&](i64 first, i64 count, i64) {
    for (i64 row = first; row < first + count; row++) {
      const T *gate = x + 2 * row * width;
      loops<T>().gate(gate, gate + width, y + row * width, width);
    }
  });
}

// What tokens see of their sequences. tables: [tokens, columns], of which page holds which positions. first,
// last: of each token the positions that it sees.
struct Pages {
  Address tables, first, last;
  i64 columns;
};

// How keys and values are read: a slot holds all heads' keys, and their values value_stride apart.
struct Reading {
  i64 heads, key_heads, width, value_width, value_stride;
  float scale, softcap;
  Address sinks;
};

// queries: of each token and head, so far apart as is said → y: [tokens, heads, value width].
template <typename T>
void read_pages(int threads, const Reading &reading, const Pages &pages, const T *keys, const T *values,
                const T *queries, i64 tokens, i64 token_stride, i64 head_stride, T *y) {
  const i64 shared = reading.heads / reading.key_heads;
  const std::unique_ptr<float[]> rooms(new float[std::size_t(tokens * reading.heads * reading.value_width)]);
  // Few tokens are shared by their heads, as each thread is to have some.
  const i64 parts = tokens >= 2 * threads ? 1 : std::min<i64>(reading.key_heads, threads);
  in_stretches(threads, tokens * parts, 1, [&](i64 i, i64, i64) {
    const i64 token = i / parts, part = i % parts;
    const i64 group = reading.key_heads * part / parts;
    const i64 groups = reading.key_heads * (part + 1) / parts - group;
    const i64 head = group * shared, place = (token * reading.heads + head) * reading.value_width;
    const Reach<T> reach{queries + token * token_stride + head * head_stride,
                         head_stride,
                         groups,
                         shared,
                         keys + group * reading.width,
                         values + group * reading.value_stride,
                         reading.key_heads,
                         reading.width,
                         reading.value_width,
                         reading.value_stride,
                         at<std::int32_t>(pages.tables, token * pages.columns),
                         at<i64>(pages.first)[token],
                         at<i64>(pages.last)[token],
                         reading.scale,
                         reading.softcap,
                         at<float>(reading.sinks, head)};
    loops<T>().reach(reach, y + place, rooms.get() + place);
  });
}

inline void define_serving(py::module_ &module) {
  py::class_<Matrix>(module, "Matrix").def(py::init<Address, Address, Address, i64, i64>());
  py::class_<TokenHeads>(module, "TokenHeads")
      .def(py::init<i64, i64, i64, Address, Address, float, Address, Address>());
  py::class_<Places>(module, "Places").def(py::init<i64, i64, Address, Address, Address, Address>());
  py::class_<Kept>(module, "Kept").def(py::init<Address, Address, Address>());
  py::class_<Pages>(module, "Pages").def(py::init<Address, Address, Address, i64>());
  py::class_<Reading>(module, "Reading")
      .def(py::init<i64, i64, i64, i64, i64, float, float, Address>());
  module.def("product", [](int threads, bool narrow, const Matrix &matrix, Address x, Address y, i64 rows) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      multiply(threads, matrix, at<T>(x), rows, at<T>(y));
    });
  });
  module.def("take_in", [](int threads, bool narrow, const TokenHeads &heads, const Places &places,
                           const Kept &kept, Address x, Address queries) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      take_in(threads, heads, places, kept, at<T>(x), at<T>(queries));
    });
  });
  module.def("gate_rows", [](int threads, bool narrow, Address x, Address y, i64 rows, i64 width) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      gate_rows(threads, at<T>(x), at<T>(y), rows, width);
    });
  });
  module.def("reach", [](int threads, bool narrow, const Reading &reading, const Pages &pages, Address keys,
                         Address values, Address queries, i64 tokens, i64 token_stride, i64 head_stride,
                         Address y) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      read_pages(threads, reading, pages, at<T>(keys), at<T>(values), at<T>(queries), tokens, token_stride,
                 head_stride, at<T>(y));
    });
  });
}

} // namespace groundup
