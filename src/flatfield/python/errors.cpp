#include "flatfield/python/errors.h"

#include <exception>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/python/json_values.h"

namespace flatfield::python {
namespace py = pybind11;

void translate_errors(const py::module_& errors) {
  // Never destroyed: exceptions may be translated until the interpreter ends.
  static const py::handle make = py::object(errors.attr("make_error")).release();
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
      const py::object exception =
          make(py::str(std::string(error_code_name(error.code()))), exit_code(error.code()), to_text(error.what()),
               to_text(error.message()), to_text(error.where()), to_text(error.remedy()));
      PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
    }
  });
}

}  // namespace flatfield::python
