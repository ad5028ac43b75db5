#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>

#include "flatfield/core/json.h"

namespace flatfield::python {

// A name of a file need not be UTF-8: in Python, a byte of it that is none stands in a text as a surrogate, as os.fsdecode
// has it. Here it is that byte.

/// A Python value (None, bool, int, finite float, str, pathlib.Path, sequence, mapping with text keys, numpy scalar) as JSON.
/// Throws Error(kUsage) naming `name` for anything else.
[[nodiscard]] Json to_json(const pybind11::handle& value, const std::string& name);

/// A location: a str, or what names a file (os.PathLike). Throws Error(kUsage) naming `name` for anything else.
[[nodiscard]] std::string to_location(const pybind11::handle& value, const std::string& name);

/// JSON as Python values.
[[nodiscard]] pybind11::object from_json(const Json& value);

/// Text, with a surrogate for each byte that is not UTF-8.
[[nodiscard]] pybind11::str to_text(std::string_view bytes);

}  // namespace flatfield::python
