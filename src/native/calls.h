// The loops of layers.h as functions on memory that Python names by its addresses, shared by threads.
//
// Sums over rows are taken stretch by stretch, in an order that the number of threads does not change.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "layers.h"
#include "team.h"

namespace groundup {

namespace py = pybind11;

// Of an array that is there while the call lasts, dense and of the length that the call says; or zero.
using Address = std::uintptr_t;

template <typename T> T *at(Address address, i64 offset = 0) {
  return address ? reinterpret_cast<T *>(address) + offset : nullptr;
}

// Calls work with a number of the format, float32 or bfloat16, without Python's lock.
template <typename Work> void in_format(bool narrow, const Work &work) {
  if (!has_loops()) throw std::invalid_argument("there are no loops for this processor");
  const py::gil_scoped_release release;
  if (narrow) work(Bf16{});
  else work(float{});
}

// Calls work(begin, count, stretch) for stretches of `size` of the numbers below `count`.
template <typename Work> void in_stretches(int threads, i64 count, i64 size, const Work &work) {
  const i64 stretches = (count + size - 1) / size;
  on_team(int(std::min<i64>(threads, stretches)), std::size_t(stretches), [&](std::size_t i) {
    const i64 begin = i64(i) * size;
    work(begin, std::min(size, count - begin), i64(i));
  });
}

// The sum of the rows of `parts`.
inline void add_up(const std::vector<float> &parts, i64 width, float *sums) {
  std::fill(sums, sums + width, 0.0F);
  for (auto part = parts.begin(); part != parts.end(); part += width)
    for (i64 i = 0; i < width; i++) sums[i] += part[i];
}

constexpr i64 FEW = 1 << 14; // numbers that are worth a thread's start

inline i64 stretch_of_rows(i64 width) { return std::max<i64>(1, FEW / width); }

// For tests, which try all kinds that a processor bears.
inline void define_kinds(py::module_ &module) {
  module.def("loop_kinds", &loop_kinds);
  module.def("choose_loops", &choose_loops);
}

inline void define_norm(py::module_ &module) {
  module.def("norm", [](int threads, bool narrow, Address x, Address weight, Address y, Address scales,
                        i64 rows, i64 width, float eps) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, rows, stretch_of_rows(width), [&](i64 row, i64 count, i64) {
        const Norm<T> norm{at<T>(x, row * width), at<float>(weight), width, eps};
        loops<T>().norm(norm, at<T>(y, row * width), at<float>(scales, row), count);
      });
    });
  });
  module.def("norm_back", [](int threads, bool narrow, Address x, Address weight, Address scales,
                             Address dy, Address dx, Address dweight, i64 rows, i64 width, float eps) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      const i64 size = std::max(stretch_of_rows(width), rows / 64);
      std::vector<float> parts(std::size_t((rows + size - 1) / size * width));
      in_stretches(threads, rows, size, [&](i64 row, i64 count, i64 stretch) {
        const Norm<T> norm{at<T>(x, row * width), at<float>(weight), width, eps};
        loops<T>().norm_back(norm, at<float>(scales, row), at<T>(dy, row * width), at<T>(dx, row * width),
                             parts.data() + stretch * width, count);
      });
      add_up(parts, width, at<float>(dweight));
    });
  });
}

inline void define_gate(py::module_ &module) {
  module.def("gate", [](int threads, bool narrow, Address gated, Address up, Address y, i64 count) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, count, FEW, [&](i64 i, i64 some, i64) {
        loops<T>().gate(at<T>(gated, i), at<T>(up, i), at<T>(y, i), some);
      });
    });
  });
  module.def("gate_back", [](int threads, bool narrow, Address gated, Address up, Address dy,
                             Address dgate, Address dup, i64 count) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, count, FEW, [&](i64 i, i64 some, i64) {
        loops<T>().gate_back(at<T>(gated, i), at<T>(up, i), at<T>(dy, i), at<T>(dgate, i), at<T>(dup, i),
                             some);
      });
    });
  });
}

inline void define_dropout(py::module_ &module) {
  module.def("dropout", [](int threads, bool narrow, Address x, Address seed, Address y, i64 count,
                           std::uint32_t drop, float scale) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, count, FEW, [&](i64 i, i64 some, i64) {
        const Dropout dropout{*at<std::uint64_t>(seed), i, drop, scale};
        loops<T>().dropout(dropout, at<T>(x, i), at<T>(y, i), some);
      });
    });
  });
}

// Where the heads of a batch are. x: [batch, positions, heads, width]; y: [batch, heads, positions,
// width]; share: [heads]; first: [batch, positions]; cos, sin: [positions, rotated / 2], of each
// sequence anew where `own_angles`.
struct Heads {
  Address x, share, first, weight, cos, sin;
  i64 batch, positions, heads, width, rotated;
  bool own_angles;
  float eps;

  template <typename T> Head<T> head(i64 i) const {
    const i64 sequence = i / heads, which = i % heads;
    const i64 angles = own_angles ? sequence * positions * (rotated / 2) : 0;
    return {at<T>(x, x_of(i)),
            heads * width,
            nullptr,
            positions,
            width,
            at<float>(share, which),
            at<std::uint8_t>(first, sequence * positions),
            at<float>(weight),
            eps,
            at<float>(cos, angles),
            at<float>(sin, angles),
            rotated};
  }
  i64 x_of(i64 i) const { return (i / heads * positions * heads + i % heads) * width; }
  i64 y_of(i64 i) const { return i * positions * width; }
  i64 scales_of(i64 i) const { return i * positions; }
  i64 all() const { return batch * heads; }
};

inline void define_heads(py::module_ &module) {
  module.def("heads", [](int threads, bool narrow, Address x, Address share, Address first, Address weight,
                         Address cos, Address sin, Address y, Address scales, i64 batch, i64 positions,
                         i64 count, i64 width, i64 rotated, bool own_angles, float eps) {
    const Heads heads{x,     share,     first, weight, cos,     sin,
                      batch, positions, count, width,  rotated, own_angles, eps};
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, heads.all(), 1, [&](i64 i, i64, i64) {
        loops<T>().head(heads.head<T>(i), at<T>(y, heads.y_of(i)), at<float>(scales, heads.scales_of(i)));
      });
    });
  });
  module.def("heads_back", [](int threads, bool narrow, Address x, Address share, Address first,
                              Address weight, Address cos, Address sin, Address scales, Address dy,
                              Address dx, Address dweight, Address dshare, i64 batch, i64 positions,
                              i64 count, i64 width, i64 rotated, bool own_angles, float eps) {
    const Heads heads{x,     share,     first, weight, cos,     sin,
                      batch, positions, count, width,  rotated, own_angles, eps};
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      std::vector<float> weights(std::size_t(weight ? heads.all() * width : 0));
      std::vector<float> shares(std::size_t(share ? heads.all() : 0));
      in_stretches(threads, heads.all(), 1, [&](i64 i, i64, i64) {
        loops<T>().head_back(heads.head<T>(i), at<float>(scales, heads.scales_of(i)),
                             at<T>(dy, heads.y_of(i)), at<T>(dx, heads.x_of(i)),
                             weights.data() + (weight ? i * width : 0), shares.data() + (share ? i : 0));
      });
      if (weight) add_up(weights, width, at<float>(dweight));
      if (share) add_up(shares, count, at<float>(dshare));
    });
  });
}

// Rows are those of `matrices` matrices of [rows, columns]. visible: what the first row of each sees.
// mask: [masks, rows, columns], each for as many matrices that stand together.
inline void define_softmax(py::module_ &module) {
  module.def("softmax", [](int threads, bool narrow, Address logits, Address mask, Address y, i64 matrices,
                           i64 rows, i64 columns, i64 visible, i64 masks, float scale) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, matrices, 1, [&](i64 i, i64, i64) {
        const i64 start = i * rows * columns, seen = i * masks / matrices * rows * columns;
        const auto *shown = at<std::uint8_t>(mask, seen);
        const Softmax<T> softmax{at<T>(logits, start), columns, scale, visible, shown};
        loops<T>().softmax(softmax, at<T>(y, start), rows);
      });
    });
  });
  module.def("softmax_back", [](int threads, bool narrow, Address y, Address dy, Address dx, i64 matrices,
                                i64 rows, i64 columns, i64 visible, float scale) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, matrices, 1, [&](i64 i, i64, i64) {
        const i64 start = i * rows * columns;
        const Softmax<T> softmax{nullptr, columns, scale, visible, nullptr};
        loops<T>().softmax_back(softmax, at<T>(y, start), at<T>(dy, start), at<T>(dx, start), rows);
      });
    });
  });
}

inline void define_losses(py::module_ &module) {
  module.def("log_sums", [](int threads, bool narrow, Address logits, Address sums, i64 rows, i64 columns) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, rows, stretch_of_rows(columns), [&](i64 row, i64 count, i64) {
        loops<T>().log_sums(at<T>(logits, row * columns), at<float>(sums, row), count, columns);
      });
    });
  });
  module.def("losses_back", [](int threads, bool narrow, Address logits, Address sums, Address targets,
                               Address a, Address b, Address dx, i64 rows, i64 columns) {
    in_format(narrow, [&](auto format) {
      using T = decltype(format);
      in_stretches(threads, rows, stretch_of_rows(columns), [&](i64 row, i64 count, i64) {
        const Losses<T> losses{at<T>(logits, row * columns), at<float>(sums, row), at<i64>(targets, row),
                               columns};
        loops<T>().losses_back(losses, at<float>(a, row), at<float>(b, row), at<T>(dx, row * columns), count);
      });
    });
  });
}

} // namespace groundup
