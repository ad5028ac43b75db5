#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flatfield/config/fitting_config.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/background.h"
#include "flatfield/methods/foreground_weight.h"
#include "flatfield/methods/reference_flatfield.h"
#include "flatfield/methods/tissue_mask.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/plane_median.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/bindings.h"
#include "flatfield/python/json_values.h"

namespace flatfield::python {
namespace {

/// What the passes over a level may hold for their bins; it changes no value.
constexpr std::int64_t kPassBytes = std::int64_t{64} << 20;

/// A volume (z, y, x) of finite values as float32.
BlockView<const float> finite_volume(const Array<float>& volume, const char* name) {
  require(volume.ndim() == 3 && volume.size() > 0, std::string(name) + ": expected 3 axes (z, y, x) that are not empty");
  require(std::all_of(volume.data(), volume.data() + volume.size(), [](float v) { return std::isfinite(v); }),
          std::string(name) + ": every value must be finite");
  return view_of(volume, name);
}

void require_sigma(double sigma, const char* name) {
  require(std::isfinite(sigma) && sigma >= 0.0, std::string(name) + ": expected a finite number >= 0");
}

void require_planes(const std::vector<std::int64_t>& planes, std::int64_t count) {
  require(std::is_sorted(planes.begin(), planes.end(), std::less_equal<>()) &&
              (planes.empty() || (planes.front() >= 0 && planes.back() < count)),
          "background_planes: expected ascending indices along z, 0 to " + std::to_string(count - 1));
}

BitVolume mask_of(const py::array& mask, const Extent3& shape) {
  const Array<std::uint8_t> bytes = mask_bytes(mask);
  require(bytes.ndim() == 3 && volume_shape(bytes, "mask") == shape,
          "mask: expected the shape of the volume, " + to_string(shape));
  return BitVolume(view_of(bytes, "mask"));
}

/// Keys of the fitting configuration that say how weights are found, and how curves are fitted.
constexpr auto kWeightKeys = std::to_array<std::string_view>(
    {"probability_model", "probability_bg_low_percentile", "probability_bg_high_percentile", "probability_ramp_eps",
     "probability_ramp_start_frac", "probability_ramp_nu", "probability_smooth_sigma", "gmm_n_components", "gmm_max_samples",
     "gmm_batch_size", "erosion_radius", "gmm_random_state"});
constexpr auto kCurveKeys = std::to_array<std::string_view>(
    {"med_factor_binned", "med_factor_unbinned", "gaussian_sigma", "profile_percentile", "profile_min_voxels",
     "spline_smoothing", "limits_x", "limits_y", "limits_z"});

/// Throws Error(kUsage) for keys that are not among those of a function, whatever else the fitting configuration has.
methods::FittingOptions fitting_options(const py::kwargs& options, std::span<const std::string_view> keys) {
  const Json given = to_json(options, "options");
  const methods::FittingOptions fitting = config::read_fitting_config(given, "");
  std::string known;
  for (const std::string_view key : keys) known += (known.empty() ? "" : ", ") + std::string(key);
  for (const auto& [key, value] : given.as_object())
    require(std::find(keys.begin(), keys.end(), key) != keys.end(), key + ": has no effect here, expected some of " + known);
  return fitting;
}

std::vector<std::int64_t> select_background_planes(const Array<float>& volume, double sigma) {
  const BlockView<const float> view = finite_volume(volume, "volume");
  const auto [least, most] = std::minmax_element(view.span().begin(), view.span().end());
  require(*least >= 0.0F && *most <= 65535.0F, "volume: expected values from 0 to 65535, found " + std::to_string(*least) +
                                                   " to " + std::to_string(*most));
  require_sigma(sigma, "smoothing_sigma");
  const py::gil_scoped_release unlocked;
  methods::BlockStream level(view);
  return methods::select_background_planes(level, sigma, kPassBytes).planes;
}

template <class T>
Block<float> median_of_planes(const py::array& volume, const std::vector<std::int64_t>& planes) {
  const Array<T> typed(volume);
  const BlockView<const T> view = view_of(typed, "volume");
  Block<float> out({1, view.shape.y, view.shape.x});
  const py::gil_scoped_release unlocked;
  Block<T> chosen({static_cast<std::int64_t>(planes.size()), view.shape.y, view.shape.x});
  for (std::size_t i = 0; i < planes.size(); ++i)
    copy_block<T>(view.sub({{planes[i], 0, 0}, {1, view.shape.y, view.shape.x}}),
                  chosen.plane(static_cast<std::int64_t>(i)));
  numerics::plane_median<T>(std::as_const(chosen).span(), chosen.shape().z, out.size(), out.span());
  return out;
}

py::tuple estimate_background(const AnyArray& volume, double smoothing_sigma, double final_smoothing_sigma,
                              int workers) {
  const bool is_byte = py::isinstance<py::array_t<std::uint8_t>>(volume.array);
  require(is_byte || py::isinstance<py::array_t<std::uint16_t>>(volume.array),
          "volume: expected uint8 or uint16, found " + std::string(py::str(volume->dtype())));
  require_sigma(final_smoothing_sigma, "final_smoothing_sigma");
  require_workers(workers);
  const std::vector<std::int64_t> planes = select_background_planes(Array<float>(volume.array), smoothing_sigma);
  Block<float> image =
      is_byte ? median_of_planes<std::uint8_t>(volume, planes) : median_of_planes<std::uint16_t>(volume, planes);
  if (final_smoothing_sigma > 0.0)
    without_lock(workers, [&](const ParallelFor& parallel_for) {
      numerics::gaussian_filter(image.view(), {0.0, final_smoothing_sigma, final_smoothing_sigma}, parallel_for);
    });
  return py::make_tuple(to_array(std::move(image), 2), to_array(planes));
}

py::array_t<std::uint8_t> clean_mask(const AnyArray& mask) {
  const Array<std::uint8_t> bytes = mask_bytes(mask);
  require(bytes.ndim() == 3, "mask: expected 3 axes (z, y, x), found " + std::to_string(bytes.ndim()));
  BitVolume bits(view_of(bytes, "mask"));
  {
    const py::gil_scoped_release unlocked;
    methods::clean_mask(bits);
  }
  return to_array(bits.expanded());
}

py::array_t<float> foreground_weight(const Array<float>& volume, const AnyArray& mask,
                                     const std::vector<std::int64_t>& background_planes, int workers,
                                     const py::kwargs& options) {
  const BlockView<const float> view = finite_volume(volume, "volume");
  const BitVolume bits = mask_of(mask, view.shape);
  require_planes(background_planes, view.shape.z);
  const methods::FittingOptions weights = fitting_options(options, kWeightKeys);
  return to_array(without_lock(workers, [&](const ParallelFor& parallel_for) {
    return methods::foreground_weight(view, bits.view(), background_planes, weights, parallel_for);
  }));
}

/// What fit_axes finds, for Python.
struct AxisFitResult {
  methods::AxisFit fit;

  [[nodiscard]] py::object profile(std::size_t axis) const { return to_array(fit.axes[axis].profile); }
  [[nodiscard]] py::object curve(const std::string& axis, std::int64_t length) const {
    const std::size_t index = std::string("zyx").find(axis);
    require(axis.size() == 1 && index != std::string::npos, "axis: expected \"z\", \"y\" or \"x\", found \"" + axis + "\"");
    require(length >= 1, "length: expected at least 1");
    if (!fit.axes[index].spline) return py::none();
    return to_array(methods::evaluate_curve(fit.axes[index], length));
  }
  [[nodiscard]] double ratio(double global_factor) const {
    return methods::global_ratio(global_factor, fit.g, std::nullopt).value;
  }
};

AxisFitResult fit_axes(const Array<float>& volume, const AnyArray& mask, const std::optional<Array<float>>& weights,
                       bool is_binned, const py::kwargs& options) {
  const BlockView<const float> view = finite_volume(volume, "volume");
  const BitVolume bits = mask_of(mask, view.shape);
  require(bits.count() > 0, "mask: there is no foreground voxel");
  const methods::FittingOptions fitting = fitting_options(options, kCurveKeys);
  std::optional<methods::StoredWeights> field;
  if (weights) {
    require(weights->ndim() == 3 && volume_shape(*weights, "weights") == view.shape,
            "weights: expected the shape of the volume, " + to_string(view.shape));
    require(std::all_of(weights->data(), weights->data() + weights->size(),
                        [](float w) { return w >= 0.0F && w <= 1.0F; }),
            "weights: expected numbers from 0 to 1");
    field.emplace(view_of(*weights, "weights"));
  }
  const methods::WeightField* const weigh = field ? &*field : nullptr;
  const py::gil_scoped_release unlocked;
  methods::BlockStream level(view);
  const methods::FitMask fit_mask(bits.view());
  const double g = methods::global_level(level, fit_mask, fitting.profile_percentile, weigh);
  if (!(g > 0.0))
    throw Error(ErrorCode::kBadInput, "the global level of the foreground is 0", "", "check the mask and the volume");
  return {methods::fit_axes(level, fit_mask, g, is_binned ? fitting.med_factor_binned : fitting.med_factor_unbinned,
                            fitting, kPassBytes, weigh)};
}

py::array_t<float> reference_flatfield(const Array<float>& image, std::int64_t height, std::int64_t width, int workers) {
  require(image.ndim() == 2 && image.size() > 0, "image: expected 2 axes (y, x) that are not empty");
  require(height >= 1 && width >= 1, "height, width: expected at least 1");
  const BlockView<const float> view = view_of(image, "image");
  return to_array(without_lock(workers,
                               [&](const ParallelFor& parallel_for) {
                                 return methods::reference_flatfield(view, height, width, parallel_for);
                               }),
                  2);
}

}  // namespace

void bind_methods(py::module_& module) {
  using namespace pybind11::literals;
  module.def("select_background_planes", &select_background_planes, "volume"_a, "smoothing_sigma"_a = 1.0,
             R"(Planes of a volume (z, y, x) that show background only: z indices, ascending.

volume: counts of a camera, from 0 to 65535. The 5 % of lowest standard deviation after Gaussian smoothing (sigma in voxels), less those in which more than 1 % of the
voxels lie 3 deviations above the median. Raises UsageError for other shapes and values.)");
  module.def("estimate_background", &estimate_background, "volume"_a, py::kw_only(), "smoothing_sigma"_a = 1.0,
             "final_smoothing_sigma"_a = 0.0, "workers"_a = 1,
             R"(Background of a volume (z, y, x) of uint8 or uint16: (image, planes).

image: float32 (y, x), the median of the planes that select_background_planes chooses, smoothed with a Gaussian of
final_smoothing_sigma pixels, on `workers` threads (1 to 1024). planes: int64, their z indices. Raises UsageError for other types and shapes.)");
  module.def("clean_mask", &clean_mask, "mask"_a,
             R"(The two largest regions of a mask (z, y, x), with their holes filled: uint8, 0 or 1.

Raises BadInputError for a mask without foreground, UsageError for other shapes.)");
  module.def("foreground_weight", &foreground_weight, "volume"_a, "mask"_a, "background_planes"_a, py::kw_only(),
             "workers"_a = 1,
             R"(How much each voxel counts as foreground: float32 of the shape of the volume, 0 to 1.

volume: (z, y, x), background subtracted. mask: of its shape, not 0 = foreground (used by the "gmm" model alone).
background_planes: ascending z indices. options: of those of the fitting configuration (docs/configuration.md)
probability_model="percentile" (a ramp between two percentiles of the background, the default) or "gmm"; for the ramp
probability_bg_low_percentile, probability_bg_high_percentile, probability_ramp_eps, probability_ramp_start_frac,
probability_ramp_nu and probability_smooth_sigma; for the mixtures gmm_n_components, gmm_max_samples, erosion_radius and
gmm_random_state (gmm_batch_size is accepted, without effect). Raises UsageError for other shapes and options, also those that
only a run follows, BadInputError where there is too little to learn from.)");
  py::class_<AxisFitResult>(module, "AxisFit", "What fit_axes() finds: the global level, a profile along each axis, and curves.")
      .def_property_readonly(
          "g", [](const AxisFitResult& self) { return self.fit.g; }, "The global level, in counts.")
      .def_property_readonly(
          "profile_z", [](const AxisFitResult& self) { return self.profile(0); },
          "One value per plane along z, relative to g; float32. The same for y and x.")
      .def_property_readonly(
          "profile_y", [](const AxisFitResult& self) { return self.profile(1); }, "See profile_z.")
      .def_property_readonly(
          "profile_x", [](const AxisFitResult& self) { return self.profile(2); }, "See profile_z.")
      .def("curve", &AxisFitResult::curve, "axis"_a, "length"_a,
           R"(The curve that voxels are divided by along "z", "y" or "x", at `length` voxels: float32.

None for an axis that is not corrected. Raises UsageError for another axis.)")
      .def("ratio", &AxisFitResult::ratio, "global_factor"_a, "What voxels are multiplied by: global_factor / g.");
  module.def("fit_axes", &fit_axes, "volume"_a, "mask"_a, "weights"_a = py::none(), py::kw_only(), "is_binned"_a = false,
             R"(Profiles and curves of the fitting method along the three axes: an AxisFit.

volume: (z, y, x), background subtracted. mask: of its shape, not 0 = foreground. weights: of its shape, 0 to 1, how much a
voxel counts. options: of those of the fitting configuration (docs/configuration.md) med_factor_binned, med_factor_unbinned,
gaussian_sigma, profile_percentile, profile_min_voxels, spline_smoothing, limits_x, limits_y and limits_z.
Raises UsageError for other shapes and options, also those that only a run follows, BadInputError where the global level is
0.)");
  module.def("reference_flatfield", &reference_flatfield, "image"_a, "height"_a, "width"_a, py::kw_only(), "workers"_a = 1,
             R"(A measured flatfield (y, x), resized by a cubic spline and divided by its maximum: float32, in (0, 1].

Raises BadInputError that says how many pixels are not finite, or not greater than 0 after resizing.)");
}

}  // namespace flatfield::python
