#pragma once

#include <pybind11/pybind11.h>

namespace flatfield::python {

/// Filters, percentiles, splines, resizing: numerics/ on numpy arrays.
void bind_numerics(pybind11::module_& module);
/// Background, mask, weights and fit of the methods on numpy arrays.
void bind_methods(pybind11::module_& module);
/// The class BaSiC.
void bind_basic(pybind11::module_& module);

}  // namespace flatfield::python
