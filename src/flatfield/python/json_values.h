#pragma once

#include <pybind11/pybind11.h>

#include "flatfield/core/json.h"

namespace flatfield::python {

/// A Python value (None, bool, int, float, str, pathlib.Path, sequence, mapping with text keys, numpy scalar) as JSON.
/// Throws Error(kUsage) naming `name` for anything else.
[[nodiscard]] Json to_json(const pybind11::handle& value, const std::string& name);

/// JSON as Python values.
[[nodiscard]] pybind11::object from_json(const Json& value);

}  // namespace flatfield::python
