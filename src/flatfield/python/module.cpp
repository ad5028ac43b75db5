#include <pybind11/pybind11.h>

#include "flatfield/python/bindings.h"
#include "flatfield/python/errors.h"

PYBIND11_MODULE(_native, module) {
  namespace python = flatfield::python;
  module.doc() = "Native part of exaspim_flatfield.";
  module.attr("__version__") = FLATFIELD_VERSION;
  python::translate_errors(pybind11::module_::import("exaspim_flatfield.errors"));
  python::bind_numerics(module);
  python::bind_methods(module);
  python::bind_basic(module);
  python::bind_tile(module);
  python::bind_model(module);
  python::bind_run(module);
}
