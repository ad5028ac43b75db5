#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "flatfield/numerics/binary_regions.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/nearest_resize.h"
#include "flatfield/numerics/percentile.h"
#include "flatfield/numerics/plane_median.h"
#include "flatfield/numerics/smoothing_spline.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/numerics/window_reduce.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/bindings.h"

namespace flatfield::python {
namespace {

using numerics::Spline;
using numerics::WindowReducer;

void require_finite(const Array<double>& values, const char* name) {
  require(std::all_of(values.data(), values.data() + values.size(), [](double v) { return std::isfinite(v); }),
          std::string(name) + ": every value must be finite");
}

void require_percentile(double q) { require(q >= 0.0 && q <= 100.0, "q: expected 0 to 100, found " + std::to_string(q)); }

/// One sigma for all axes of an array, or one for each.
std::array<double, 3> sigmas(const std::variant<double, std::vector<double>>& sigma, py::ssize_t axes) {
  std::array<double, 3> out{};
  if (const double* one = std::get_if<double>(&sigma)) {
    std::fill(out.end() - axes, out.end(), *one);
  } else {
    const auto& each = std::get<std::vector<double>>(sigma);
    require(static_cast<py::ssize_t>(each.size()) == axes,
            "sigma: expected one number or " + std::to_string(axes) + ", found " + std::to_string(each.size()));
    std::copy(each.begin(), each.end(), out.end() - axes);
  }
  for (const double s : out) require(std::isfinite(s) && s >= 0.0, "sigma: expected finite numbers >= 0");
  return out;
}

py::array_t<float> gaussian_filter(const AnyArray& volume, const std::variant<double, std::vector<double>>& sigma,
                                   int workers) {
  const Extent3 shape = volume_shape(volume, "volume");
  const auto sigma_voxels = sigmas(sigma, volume->ndim());
  Array<float> out = float_copy(volume);
  const BlockView<float> view(out.mutable_data(), shape);
  if (!shape.empty())
    without_lock(workers, [&](const ParallelFor& parallel_for) {
      numerics::gaussian_filter(view, sigma_voxels, parallel_for);
    });
  return out;
}

double percentile(const AnyArray& values, double q) {
  require_percentile(q);
  require(values->size() > 0, "values: there are none");
  Array<float> copy = float_copy(values);
  const std::span<float> order(copy.mutable_data(), static_cast<std::size_t>(copy.size()));
  require(std::none_of(order.begin(), order.end(), [](float v) { return std::isnan(v); }), "values: one is NaN");
  const py::gil_scoped_release unlocked;
  return numerics::percentile(order, q);
}

float weighted_percentile(const Array<float>& values, const Array<float>& weights, double q) {
  require_percentile(q);
  require(values.size() == weights.size(), "weights: expected one for each value");
  std::vector<numerics::WeightedValue> samples(static_cast<std::size_t>(values.size()));
  double total = 0.0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = {values.data()[i], weights.data()[i]};
    require(!std::isnan(samples[i].value), "values: one is NaN");
    require(samples[i].weight >= 0.0F, "weights: expected numbers >= 0");
    total += static_cast<double>(samples[i].weight);
  }
  require(total > 0.0 && std::isfinite(total), "weights: their sum must be finite and greater than 0");
  const py::gil_scoped_release unlocked;
  return numerics::weighted_percentile(samples, q);
}

Spline smoothing_spline(const Array<double>& y, double smoothing) {
  require(y.ndim() == 1 && y.size() > 0, "y: expected one axis with at least one value");
  require_finite(y, "y");
  require(std::isfinite(smoothing) && smoothing >= 0.0, "smoothing: expected a finite number >= 0");
  const py::gil_scoped_release unlocked;
  return numerics::smoothing_spline({y.data(), static_cast<std::size_t>(y.size())}, smoothing);
}

py::object evaluate(const Spline& spline, const Array<double>& x) {
  py::array_t<double> out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  std::transform(x.data(), x.data() + x.size(), out.mutable_data(), [&](double at) { return spline(at); });
  return x.ndim() == 0 ? py::object(out.attr("item")()) : py::object(out);
}

py::array_t<float> resize_plane(const Array<float>& plane, std::int64_t height, std::int64_t width, int workers) {
  require(plane.ndim() == 2 && plane.size() > 0, "plane: expected 2 axes (y, x) that are not empty");
  require(height >= 1 && width >= 1, "height, width: expected at least 1");
  const BlockView<const float> view = view_of(plane, "plane");
  require(std::all_of(plane.data(), plane.data() + plane.size(), [](float v) { return std::isfinite(v); }),
          "plane: every value must be finite");
  return to_array(without_lock(workers,
                               [&](const ParallelFor& parallel_for) {
                                 return numerics::resize_plane(view, height, width, parallel_for);
                               }),
                  2);
}

WindowReducer reducer_of(const std::variant<int, std::string>& rank) {
  if (const int* number = std::get_if<int>(&rank)) {
    require(*number >= -8 && *number <= 7, "rank: expected -8 to 7, \"mean\" or \"mode\"");
    return {WindowReducer::Kind::kRank, *number};
  }
  const std::string& name = std::get<std::string>(rank);
  require(name == "mean" || name == "mode", "rank: expected -8 to 7, \"mean\" or \"mode\", found \"" + name + "\"");
  return {name == "mean" ? WindowReducer::Kind::kMean : WindowReducer::Kind::kMode, 0};
}

template <class T>
py::array reduced(const py::array& volume, const WindowReducer& reducer) {
  const Array<T> typed(volume);
  // Sorting loses it, or what it stands beside.
  if constexpr (std::is_floating_point_v<T>)
    require(std::none_of(typed.data(), typed.data() + typed.size(), [](T v) { return std::isnan(v); }),
            "volume: a voxel is NaN");
  const BlockView<const T> in = view_of(typed, "volume");
  Block<T> out(floor_div(in.shape, 2));
  {
    const py::gil_scoped_release unlocked;
    numerics::reduce_windows<T>(in, out.view(), reducer);
  }
  return to_array(std::move(out));
}

py::array reduce_windows(const AnyArray& volume, const std::variant<int, std::string>& rank) {
  require(volume->ndim() == 3, "volume: expected 3 axes (z, y, x)");
  const WindowReducer reducer = reducer_of(rank);
  if (py::isinstance<py::array_t<std::uint8_t>>(volume.array)) return reduced<std::uint8_t>(volume, reducer);
  if (py::isinstance<py::array_t<std::uint16_t>>(volume.array)) return reduced<std::uint16_t>(volume, reducer);
  if (py::isinstance<py::array_t<float>>(volume.array)) return reduced<float>(volume, reducer);
  throw Error(ErrorCode::kUsage, "volume: expected uint8, uint16 or float32, found " +
                                     std::string(py::str(volume->dtype())));
}

BitVolume bits_of(const py::array& mask, const char* name) {
  const Array<std::uint8_t> bytes = mask_bytes(mask);
  return BitVolume(view_of(bytes, name));
}

py::array_t<std::uint8_t> keep_largest_regions(const AnyArray& mask, int count) {
  require(count >= 0, "count: expected at least 0, found " + std::to_string(count));
  BitVolume bits = bits_of(mask, "mask");
  {
    const py::gil_scoped_release unlocked;
    numerics::keep_largest_regions(bits, count);
  }
  return to_array(bits.expanded(), static_cast<int>(mask->ndim()));
}

py::array_t<std::uint8_t> fill_holes(const AnyArray& mask) {
  require(mask->ndim() == 3, "mask: expected 3 axes (z, y, x), found " + std::to_string(mask->ndim()));
  BitVolume bits = bits_of(mask, "mask");
  {
    const py::gil_scoped_release unlocked;
    numerics::fill_holes(bits);
  }
  return to_array(bits.expanded());
}

py::array_t<std::uint8_t> nearest_resize(const AnyArray& mask, const std::vector<std::int64_t>& shape) {
  require(mask->ndim() == 3 && mask->size() > 0, "mask: expected 3 axes (z, y, x) that are not empty");
  require(shape.size() == 3 && *std::min_element(shape.begin(), shape.end()) >= 1,
          "shape: expected three integers of at least 1");
  const BitVolume bits = bits_of(mask, "mask");
  BitVolume resized;
  {
    const py::gil_scoped_release unlocked;
    resized = numerics::nearest_resize(bits.view(), {shape[0], shape[1], shape[2]});
  }
  return to_array(resized.expanded());
}

template <class T>
py::array_t<float> median_of(const py::array& planes) {
  const Array<T> typed(planes);
  const Extent3 shape = volume_shape(typed, "planes");
  Block<float> out({1, shape.y, shape.x});
  {
    const py::gil_scoped_release unlocked;
    numerics::plane_median<T>({typed.data(), static_cast<std::size_t>(typed.size())}, shape.z, shape.y * shape.x,
                              out.span());
  }
  return to_array(std::move(out), 2);
}

py::array_t<float> plane_median(const AnyArray& planes) {
  require(planes->ndim() == 3 && planes->shape(0) >= 1, "planes: expected 3 axes (z, y, x) with at least one plane");
  if (py::isinstance<py::array_t<std::uint8_t>>(planes.array)) return median_of<std::uint8_t>(planes);
  if (py::isinstance<py::array_t<std::uint16_t>>(planes.array)) return median_of<std::uint16_t>(planes);
  throw Error(ErrorCode::kUsage, "planes: expected uint8 or uint16, found " + std::string(py::str(planes->dtype())));
}

}  // namespace

void bind_numerics(py::module_& module) {
  using namespace pybind11::literals;
  module.def("gaussian_filter", &gaussian_filter, "volume"_a, "sigma"_a, py::kw_only(), "workers"_a = 1,
             R"(Gaussian filter, as scipy.ndimage.gaussian_filter(volume, sigma, mode="reflect", truncate=4.0) of float32.

volume: (y, x) or (z, y, x); converted to float32.
sigma: in voxels, >= 0; one number, or one for each axis. An axis of sigma 0 is left out.
workers: threads, >= 1; the values do not depend on their number.
Returns float32 of the same shape: sums in double, each axis stored as float32; within 1 ulp of scipy.
Raises UsageError for other shapes and sigmas.)");
  module.def("percentile", &percentile, "values"_a, "q"_a,
             R"(Percentile with linear interpolation, as numpy.percentile(values, q) of float32, bit for bit.

values: any shape, not empty, no NaN. q: 0..100. Raises UsageError otherwise.)");
  module.def("weighted_percentile", &weighted_percentile, "values"_a, "weights"_a, "q"_a,
             R"(Weighted percentile, as numpy.percentile(values, q, weights=weights, method="inverted_cdf") of numpy 2.

The first value, in their order, whose cumulative weight reaches the share q / 100 of the sum.
values: any shape, no NaN. weights: of as many values, >= 0, with a sum that is finite and greater than 0. q: 0..100.
Raises UsageError otherwise.)");
  py::class_<Spline>(module, "Spline", "A spline in B-spline form; call it with positions to get its values.")
      .def_readonly("degree", &Spline::degree, "Degree, 0 to 3.")
      .def_property_readonly(
          "knots", [](const Spline& spline) { return to_array(spline.knots); }, "Knots, with the repeated ends.")
      .def_property_readonly(
          "coefficients", [](const Spline& spline) { return to_array(spline.coefficients); },
          "Coefficients of the B-splines: degree + 1 fewer than there are knots.")
      .def("__call__", &evaluate, "x"_a,
           "Values at x (a number or an array); beyond the ends the end polynomials go on (scipy's splev, ext=0).");
  module.def("smoothing_spline", &smoothing_spline, "y"_a, "smoothing"_a = 0.0,
             R"(Cubic smoothing spline of FITPACK's curfit, as scipy.interpolate.splrep(range(n), y, s=smoothing).

y: one value per position 0, 1, ..., n-1, finite. smoothing: >= 0; 0 interpolates. Fewer than 4 values lower the degree.
Returns a Spline with the knots of FITPACK and values within 1e-9 of it, relative. Raises UsageError otherwise.
Source: P. Dierckx, Curve and Surface Fitting with Splines (1993), chapter 5.)");
  module.def("resize_plane", &resize_plane, "plane"_a, "height"_a, "width"_a, py::kw_only(), "workers"_a = 1,
             R"(Resizes a plane (y, x) with cubic B-splines, as skimage.transform.resize(plane, (height, width), order=3,
mode="reflect", anti_aliasing=False, clip=True, preserve_range=True) of float32, within 1 ulp. The same shape is a copy.

Returns float32 (height, width). Raises UsageError for values that are not finite and other shapes.)");
  module.def("reduce_windows", &reduce_windows, "volume"_a, "rank"_a = -2,
             R"(The next pyramid level: each 2 x 2 x 2 window becomes one voxel, an odd last plane, row or column is dropped.

volume: (z, y, x), uint8, uint16 or float32 without NaN. rank: index into the 8 sorted values, -8..7 (-2, the default, is
the second brightest), or "mean" (rounded half to even), or "mode" (ties go to the smallest). Raises UsageError otherwise.)");
  module.def("keep_largest_regions", &keep_largest_regions, "mask"_a, "count"_a,
             R"(Keeps the `count` largest regions of a mask, of voxels that share faces, as scipy.ndimage.label finds them.

mask: (y, x) or (z, y, x), any type; not 0 = foreground. Of regions of one size the first in C order wins.
Returns uint8 of the same shape, 0 or 1. Raises UsageError for other shapes.)");
  module.def("fill_holes", &fill_holes, "mask"_a,
             R"(Fills what of the background does not touch the border, as scipy.ndimage.binary_fill_holes(mask).

mask: (z, y, x), any type; not 0 = foreground. Where an axis has one or two voxels, all is border. Returns uint8 of the same shape, 0 or 1. Raises UsageError for other shapes.)");
  module.def("nearest_resize", &nearest_resize, "mask"_a, "shape"_a,
             R"(Resizes a mask (z, y, x) to a shape (z, y, x) by the nearest voxel, counted from voxel centres.

Along each axis out[o] = in[min((2 o + 1) s // (2 S), s - 1)]. Returns uint8, 0 or 1. Raises UsageError for other shapes.)");
  module.def("plane_median", &plane_median, "planes"_a,
             R"(Median of each pixel over planes (z, y, x) of uint8 or uint16: float32 (y, x), as numpy.median(planes, 0).

Raises UsageError for other types and shapes.)");
}

}  // namespace flatfield::python
