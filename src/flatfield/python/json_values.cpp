#include "flatfield/python/json_values.h"

#include <cmath>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::python {
namespace py = pybind11;

namespace {

std::string type_name(const py::handle& value) { return py::str(py::type::of(value).attr("__name__")); }

bool is_path(const py::handle& value) { return py::hasattr(py::type::of(value), "__fspath__"); }

/// The bytes of a str or of what is_path(), as os.fsencode has them. Throws Error(kUsage).
std::string bytes_of(const py::handle& value, const std::string& name) {
  const auto text = py::reinterpret_steal<py::object>(PyOS_FSPath(value.ptr()));
  if (!text) throw py::error_already_set();
  if (PyBytes_Check(text.ptr()) != 0) return text.cast<std::string>();
  const auto bytes =
      py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogateescape"));
  if (bytes) return bytes.cast<std::string>();
  PyErr_Clear();
  throw Error(ErrorCode::kUsage, name + ": this text cannot be written as UTF-8");
}

}  // namespace

namespace {

constexpr int kDeepestNesting = 64;

/// A scalar of numpy as one of Python; that of a longdouble is a longdouble again.
py::object scalar(const py::handle& value) {
  py::object item = value.attr("item")();
  return py::type::of(item).is(py::type::of(value)) ? py::float_(item) : std::move(item);
}

Json to_json(const py::handle& value, const std::string& name, int depth) {
  // What holds itself has no end.
  if (depth > kDeepestNesting) throw Error(ErrorCode::kUsage, name + ": it is nested too deeply");
  if (value.is_none()) return {};
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
  if (py::isinstance<py::int_>(value)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow != 0)
      throw Error(ErrorCode::kUsage, name + ": the integer " + std::string(py::str(value)) + " is too large");
    return static_cast<std::int64_t>(number);
  }
  if (py::isinstance<py::float_>(value)) {
    const auto number = value.cast<double>();
    // JSON has no other numbers: what is written with them could not be read again.
    if (!std::isfinite(number))
      throw Error(ErrorCode::kUsage, name + ": expected a finite number, found " + std::string(py::str(value)));
    return number;
  }
  if (py::isinstance<py::str>(value)) return bytes_of(value, name);
  if (py::isinstance<py::dict>(value)) {
    Json object = Json::object();
    for (const auto& [key, member] : py::reinterpret_borrow<py::dict>(value)) {
      const std::string text = py::str(key);
      object[text] = to_json(member, name + "." + text, depth + 1);
    }
    return object;
  }
  if (is_path(value)) return bytes_of(value, name);
  if (py::hasattr(value, "item") && py::hasattr(value, "dtype") && py::len(value.attr("shape")) == 0)
    return to_json(scalar(value), name, depth + 1);
  if (py::isinstance<py::sequence>(value) || py::hasattr(value, "tolist")) {
    Json list = Json::array();
    for (const py::handle& element : value) list.push_back(to_json(element, name, depth + 1));
    return list;
  }
  throw Error(ErrorCode::kUsage, name + ": a value of type " + type_name(value) + " cannot be an option");
}

}  // namespace

Json to_json(const py::handle& value, const std::string& name) { return to_json(value, name, 0); }

std::string to_location(const py::handle& value, const std::string& name) {
  if (py::isinstance<py::str>(value) || is_path(value)) return bytes_of(value, name);
  throw Error(ErrorCode::kUsage, name + ": expected a text or a path, found a value of type " + type_name(value));
}

py::object from_json(const Json& value) {
  if (value.is_null()) return py::none();
  if (value.is_bool()) return py::bool_(value.as_bool());
  if (value.is_big()) return py::int_(value.as_uint64());
  if (value.is_integer()) return py::int_(value.as_int64());
  if (value.is_number()) return py::float_(value.as_double());
  if (value.is_string()) return to_text(value.as_string());
  if (value.is_array()) {
    py::list list;
    for (const Json& element : value.as_array()) list.append(from_json(element));
    return list;
  }
  py::dict dict;
  for (const auto& [key, member] : value.as_object()) dict[to_text(key)] = from_json(member);
  return dict;
}

py::str to_text(std::string_view bytes) {
  auto text = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape"));
  if (!text) throw py::error_already_set();
  return text;
}

}  // namespace flatfield::python
