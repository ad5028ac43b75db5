#pragma once

#include <pybind11/pybind11.h>

namespace flatfield::python {

/// Every flatfield::Error becomes the Python exception of its code (exaspim_flatfield/errors.py) with the same text.
void translate_errors(const pybind11::module_& errors);

}  // namespace flatfield::python
