#pragma once

#include <pybind11/pybind11.h>

namespace flatfield::python {

/// Filters, percentiles, splines, masks, resizing: numerics/ on numpy arrays.
void bind_numerics(pybind11::module_& module);
/// Background, weights and fit of the methods on numpy arrays.
void bind_methods(pybind11::module_& module);
/// The class BaSiC.
void bind_basic(pybind11::module_& module);
/// Tiles, and reading them.
void bind_tile(pybind11::module_& module);
/// Models, and correcting blocks with them.
void bind_model(pybind11::module_& module);
/// The steps of a run, its plan and verification, for python/exaspim_flatfield/pipeline.py.
void bind_run(pybind11::module_& module);

}  // namespace flatfield::python
