// A block of a model that generates, over few tokens of many sequences: what serving.h has one by one is one
// call here, as what stands between two products is too short for Python.
#pragma once

#include <vector>

#include "serving.h"

namespace groundup {

// The matrices at the ends of a branch of the residual stream, queries, keys and values (or gate and up)
// together; and the factors of the norms before and behind it, or zeros.
struct Branch {
  Address norm, post;
  Matrix inward, outward;
};

// x + attention(x), and then x + mlp(x); without an MLP its matrices have no weights. eps: of the norms.
struct Block {
  TokenHeads heads;
  Reading reading;
  float eps;
  Branch attention, mlp;
};

template <typename T> void normalise_row(Address factor, float eps, i64 width, const T *x, T *y) {
  float scale;
  loops<T>().norm({x, at<float>(factor), width, eps}, y, &scale, 1);
}

// x, y: [tokens, width]. projected: [tokens, heads + 2 · key heads, head's width], which is told as well.
template <typename T>
void through_block(int threads, const Block &block, const Places &places, const Pages &pages,
                   const Kept &kept, const T *x, T *projected, T *y) {
  const i64 tokens = places.tokens, width = block.attention.outward.outputs;
  const i64 seen = block.heads.count * block.heads.width, gated = block.mlp.outward.inner;
  thread_local std::vector<T> room;
  const std::size_t needed = std::size_t(tokens * (2 * width + 2 * seen + 3 * gated));
  if (room.size() < needed) room.resize(needed);
  T *normed = room.data(), *branch = normed + tokens * width, *queries = branch + tokens * width;
  T *attended = queries + tokens * seen, *inner = attended + tokens * seen, *gate = inner + 2 * tokens * gated;

  const auto in_rows = [&](auto work) {
    in_stretches(threads, tokens, stretch_of_rows(width), [&](i64 first, i64 count, i64) {
      for (i64 row = first; row < first + count; row++) work(row * width);
    });
  };
  const auto add_branch = [&](const T *to, Address post, Address next) {
    in_rows([&](i64 row) {
      if (post) normalise_row(post, block.eps, width, branch + row, branch + row);
      loops<T>().add(to + row, branch + row, y + row, width);
      if (next) normalise_row(next, block.eps, width, y + row, normed + row);
    });
  };

  if (block.attention.norm)
    in_rows([&](i64 row) { normalise_row(block.attention.norm, block.eps, width, x + row, normed + row); });
  multiply(threads, block.attention.inward, block.attention.norm ? normed : x, tokens, projected);
  take_in(threads, block.heads, places, kept, projected, queries);
  read_pages(threads, block.reading, pages, at<T>(kept.keys), at<T>(kept.values), queries, tokens, seen,
             block.heads.width, attended);
  multiply(threads, block.attention.outward, attended, tokens, branch);
  add_branch(x, block.attention.post, block.mlp.norm);
  if (!block.mlp.outward.weights) return;
  multiply(threads, block.mlp.inward, block.mlp.norm ? normed : y, tokens, inner);
  gate_rows(threads, inner, gate, tokens, gated);
  multiply(threads, block.mlp.outward, gate, tokens, branch);
  add_branch(y, block.mlp.post, 0);
}

inline void define_block(py::module_ &module) {
  py::class_<Branch>(module, "Branch").def(py::init<Address, Address, Matrix, Matrix>());
  py::class_<Block>(module, "Block").def(py::init<TokenHeads, Reading, float, Branch, Branch>());
  module.def("block", [](int threads, bool narrow, const Block &block, const Places &places,
                         const Pages &pages, const Kept &kept, Address x, Address projected, Address y) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      through_block(threads, block, places, pages, kept, at<T>(x), at<T>(projected), at<T>(y));
    });
  });
}

} // namespace groundup
