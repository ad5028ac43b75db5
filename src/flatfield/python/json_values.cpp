#include "flatfield/python/json_values.h"

#include <string>

#include "flatfield/core/error.h"

namespace flatfield::python {
namespace py = pybind11;

Json to_json(const py::handle& value, const std::string& name) {
  if (value.is_none()) return {};
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
  if (py::isinstance<py::int_>(value)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow != 0)
      throw Error(ErrorCode::kUsage, name + ": the integer " + std::string(py::str(value)) + " is too large");
    return static_cast<std::int64_t>(number);
  }
  if (py::isinstance<py::float_>(value)) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (py::isinstance<py::dict>(value)) {
    Json object = Json::object();
    for (const auto& [key, member] : py::reinterpret_borrow<py::dict>(value)) {
      const std::string text = py::str(key);
      object[text] = to_json(member, name + "." + text);
    }
    return object;
  }
  if (py::hasattr(value, "__fspath__")) return py::str(value).cast<std::string>();
  if (py::hasattr(value, "item") && py::hasattr(value, "dtype") && py::len(value.attr("shape")) == 0)
    return to_json(value.attr("item")(), name);
  if (py::isinstance<py::sequence>(value) || py::hasattr(value, "tolist")) {
    Json list = Json::array();
    for (const py::handle& element : value) list.push_back(to_json(element, name));
    return list;
  }
  throw Error(ErrorCode::kUsage,
              name + ": a value of type " + std::string(py::str(py::type::of(value).attr("__name__"))) +
                  " cannot be an option");
}

py::object from_json(const Json& value) {
  if (value.is_null()) return py::none();
  if (value.is_bool()) return py::bool_(value.as_bool());
  if (value.is_big()) return py::int_(value.as_uint64());
  if (value.is_integer()) return py::int_(value.as_int64());
  if (value.is_number()) return py::float_(value.as_double());
  if (value.is_string()) return py::str(value.as_string());
  if (value.is_array()) {
    py::list list;
    for (const Json& element : value.as_array()) list.append(from_json(element));
    return list;
  }
  py::dict dict;
  for (const auto& [key, member] : value.as_object()) dict[py::str(key)] = from_json(member);
  return dict;
}

}  // namespace flatfield::python
