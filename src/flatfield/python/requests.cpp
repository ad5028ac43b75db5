#include "flatfield/python/requests.h"

#include <fmt/format.h>

#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/json_values.h"

namespace flatfield::python {

namespace {

/// Options of a method that are given and a file of them: it cannot be told which is meant.
void refuse_both(const py::dict& options, const char* given, const char* file) {
  const auto has = [&](const char* key) { return options.contains(key) && !options[key].is_none(); };
  require(!has(given) || !has(file), fmt::format("{}, {}: expected one of them", given, file));
}

}  // namespace

void store_options(const py::dict& options, config::RunConfig& config) {
  refuse_both(options, "fitting", "fitting_config");
  refuse_both(options, "basic", "basic_config");
  const config::OptionTable<config::RunConfig>& table = config::run_table();
  for (const auto& [name, value] : options) {
    if (value.is_none()) continue;
    const std::string key = py::str(name);
    std::vector<std::string_view> known;
    const config::OptionRow<config::RunConfig>* found = nullptr;
    for (const auto& row : table) {
      if (row.use == config::OptionUse::kIgnored || row.use == config::OptionUse::kHidden) continue;
      known.push_back(row.key);
      if (row.key == key) found = &row;
    }
    if (found == nullptr) {
      const std::string_view near = nearest_word(key, known);
      throw Error(ErrorCode::kUsage, "unknown option " + key, "",
                  near.empty() ? "see docs/configuration.md" : fmt::format("did you mean {}?", near));
    }
    config::set_option(*found, to_json(value, key), key, "", config);
  }
}

void store_s3_options(const py::dict& options, config::RunConfig& config) {
  for (const auto& [name, value] : options)
    require(std::string(py::str(name)).starts_with("s3_"), "unknown option " + std::string(py::str(name)));
  store_options(options, config);
}

Box3 to_box(const py::object& box, const Extent3& shape) {
  if (box.is_none()) return {{0, 0, 0}, shape};
  require(py::isinstance<py::sequence>(box) && py::len(box) == 3, "box: expected three slices or indices (z, y, x)");
  Box3 out;
  for (int axis = 0; axis < 3; ++axis) {
    const py::object cut = box[py::int_(axis)];
    if (py::isinstance<py::slice>(cut)) {
      py::ssize_t start = 0;
      py::ssize_t stop = 0;
      py::ssize_t step = 0;
      py::ssize_t length = 0;
      if (!cut.cast<py::slice>().compute(shape[axis], &start, &stop, &step, &length)) throw py::error_already_set();
      require(step == 1, "box: a step other than 1 cannot be read");
      out.origin[axis] = start;
      out.shape[axis] = length;
    } else {
      require(py::hasattr(cut, "__index__"), "box: expected three slices or indices (z, y, x)");
      const auto index = py::int_(cut).cast<std::int64_t>();
      out.origin[axis] = index < 0 ? index + shape[axis] : index;
      out.shape[axis] = 1;
      require(out.origin[axis] >= 0 && out.origin[axis] < shape[axis],
              fmt::format("box: index {} is outside of the volume {}", index, to_string(shape)));
    }
  }
  require(!out.empty(), "box: it holds no voxels of the volume " + to_string(shape));
  return out;
}

Extent3 to_extent(const py::object& shape, const char* name) {
  require(py::isinstance<py::sequence>(shape) && py::len(shape) == 3,
          std::string(name) + ": expected three integers (z, y, x)");
  Extent3 out;
  for (int axis = 0; axis < 3; ++axis) {
    const py::object length = shape[py::int_(axis)];
    require(py::hasattr(length, "__index__"), std::string(name) + ": expected three integers (z, y, x)");
    out[axis] = py::int_(length).cast<std::int64_t>();
    require(out[axis] >= 1, std::string(name) + ": expected integers of at least 1");
  }
  return out;
}

py::tuple to_tuple(const Extent3& extent) { return py::make_tuple(extent.z, extent.y, extent.x); }

}  // namespace flatfield::python
