#include <string>

#include <pybind11/pybind11.h>

#include "flatfield/python/bindings.h"
#include "flatfield/python/errors.h"

namespace {

/// Throws ImportError where the arrays that this module makes would have wrong strides: pybind11 before 2.12 takes the item
/// size of a numpy 2 data type from another field.
void check_numpy() {
  if constexpr (PYBIND11_VERSION_HEX < 0x020C0000) {
    const auto version = pybind11::module_::import("numpy").attr("__version__").cast<std::string>();
    if (std::stoi(version) >= 2)
      throw pybind11::import_error("exaspim_flatfield was built with pybind11 " + std::to_string(PYBIND11_VERSION_MAJOR) +
                                   "." + std::to_string(PYBIND11_VERSION_MINOR) + ", which does not know numpy " + version +
                                   ": install it with pip, or use a numpy below 2");
  }
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  check_numpy();
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
