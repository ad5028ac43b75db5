#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "flatfield/config/run_config.h"
#include "flatfield/core/extent.h"

namespace flatfield::python {

/// Stores options (by their keys, with underscores) over what `config` holds. None = not given. Throws Error(kUsage) that
/// names the option, and the nearest known one where it is unknown.
void store_options(const pybind11::dict& options, config::RunConfig& config);

/// The same where only options of S3 are taken.
void store_s3_options(const pybind11::dict& options, config::RunConfig& config);

/// The box of a volume of `shape` that three slices or indices along z, y, x cut out (an index is a box of one voxel);
/// None = all of it. Throws Error(kUsage) for steps and for what is empty or outside.
[[nodiscard]] Box3 to_box(const pybind11::object& box, const Extent3& shape);

/// (z, y, x) as three integers. Throws Error(kUsage) naming `name`.
[[nodiscard]] Extent3 to_extent(const pybind11::object& shape, const char* name);
[[nodiscard]] pybind11::tuple to_tuple(const Extent3& extent);

}  // namespace flatfield::python
