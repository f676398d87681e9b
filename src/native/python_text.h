// Python's strings as units, without a copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "units.h"

namespace groundup {

namespace py = pybind11;

inline Units units_of(py::handle object) {
  PyObject *text = object.ptr();
  if (!PyUnicode_Check(text)) throw py::type_error("a text must be a str");
  return {PyUnicode_IS_ASCII(text) ? 0 : int(PyUnicode_KIND(text)),
          static_cast<const u8 *>(PyUnicode_DATA(text)), i64(PyUnicode_GET_LENGTH(text))};
}

inline std::vector<Units> units_of(const py::tuple &texts) {
  std::vector<Units> units;
  for (const py::handle text : texts) units.push_back(units_of(text));
  return units;
}

} // namespace groundup
