// The optimizers' loops as functions on NumPy's arrays.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "team.h"
#include "update.h"

namespace groundup {

namespace py = pybind11;
using Floats = py::array_t<float, py::array::c_style>;

// A step for each parameter: (weight, gradient, kept arrays …), all float32, changed in place. Threads
// take stretches in turn, of all parameters together.
template <typename Rule> void update(const py::list &parameters, int threads, const Rule &rule) {
  constexpr i64 STRETCH = 1 << 16;
  std::vector<Stretched> parts;
  for (const py::handle parameter : parameters) {
    std::vector<float *> arrays;
    i64 size = -1;
    for (const py::handle object : parameter) {
      if (!py::isinstance<Floats>(object)) throw std::invalid_argument("arrays must be float32, and dense");
      auto array = py::reinterpret_borrow<Floats>(object);
      if (size >= 0 && array.size() != size) throw std::invalid_argument("arrays must have one length");
      size = array.size();
      arrays.push_back(array.mutable_data());
    }
    const std::size_t wanted = std::is_same_v<Rule, Lion> ? 3 : 4;
    if (arrays.size() != wanted) throw std::invalid_argument("another number of arrays is needed");
    arrays.resize(4, nullptr);
    for (i64 begin = 0; begin < size; begin += STRETCH) {
      float *second = arrays[3] ? arrays[3] + begin : nullptr;
      parts.push_back({arrays[0] + begin, arrays[1] + begin, arrays[2] + begin, second,
                       std::min(STRETCH, size - begin)});
    }
  }
  const py::gil_scoped_release release;
  threads = int(std::clamp<i64>(i64(parts.size()), 1, threads));
  on_team(threads, parts.size(), [&](std::size_t i) { rule(parts[i]); });
}

inline void define_updates(py::module_ &module) {
  module.def("adam", [](const py::list &parameters, int threads, float shrink, float penalty,
                        double beta1, double beta2, float rate, float root, float eps) {
    const Adam rule{shrink, penalty, float(1 - beta1), float(beta2), float(1 - beta2), rate, root, eps};
    update(parameters, threads, rule);
  });
  module.def("lion", [](const py::list &parameters, int threads, float shrink, double beta1,
                        double beta2, float rate) {
    update(parameters, threads, Lion{shrink, float(1 - beta1), float(1 - beta2), rate});
  });
  module.def("schedule_free", [](const py::list &parameters, int threads, float decay, float beta1,
                                 double beta2, float rate, float root, float eps, float back,
                                 float share) {
    const float new2 = float(1 - beta2);
    update(parameters, threads,
           ScheduleFree{decay, beta1, float(beta2), new2, rate, root, eps, back, share});
  });
}

} // namespace groundup
