#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "flatfield/numerics/gaussian_filter.h"
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

void require(bool holds, const std::string& what) {
  if (!holds) throw Error(ErrorCode::kUsage, what);
}

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

py::array_t<float> gaussian_filter(const Array<float>& volume, const std::variant<double, std::vector<double>>& sigma,
                                   int workers) {
  Block<float> out = copy_of(volume, "volume");
  const auto sigma_voxels = sigmas(sigma, volume.ndim());
  if (!out.empty())
    without_lock(workers, [&](const ParallelFor& parallel_for) {
      numerics::gaussian_filter(out.view(), sigma_voxels, parallel_for);
    });
  return to_array(std::move(out), static_cast<int>(volume.ndim()));
}

double percentile(const Array<float>& values, double q) {
  require_percentile(q);
  require(values.size() > 0, "values: there are none");
  std::vector<float> copy(values.data(), values.data() + values.size());
  require(std::none_of(copy.begin(), copy.end(), [](float v) { return std::isnan(v); }), "values: one is NaN");
  const py::gil_scoped_release unlocked;
  return numerics::percentile(std::span(copy), q);
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
  const BlockView<const T> in = view_of(typed, "volume");
  Block<T> out(floor_div(in.shape, 2));
  {
    const py::gil_scoped_release unlocked;
    numerics::reduce_windows<T>(in, out.view(), reducer);
  }
  return to_array(std::move(out));
}

py::array reduce_windows(const py::array& volume, const std::variant<int, std::string>& rank) {
  require(volume.ndim() == 3, "volume: expected 3 axes (z, y, x)");
  const WindowReducer reducer = reducer_of(rank);
  if (py::isinstance<py::array_t<std::uint8_t>>(volume)) return reduced<std::uint8_t>(volume, reducer);
  if (py::isinstance<py::array_t<std::uint16_t>>(volume)) return reduced<std::uint16_t>(volume, reducer);
  if (py::isinstance<py::array_t<float>>(volume)) return reduced<float>(volume, reducer);
  throw Error(ErrorCode::kUsage, "volume: expected uint8, uint16 or float32, found " +
                                     std::string(py::str(volume.dtype())));
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

py::array_t<float> plane_median(const py::array& planes) {
  require(planes.ndim() == 3 && planes.shape(0) >= 1, "planes: expected 3 axes (z, y, x) with at least one plane");
  if (py::isinstance<py::array_t<std::uint8_t>>(planes)) return median_of<std::uint8_t>(planes);
  if (py::isinstance<py::array_t<std::uint16_t>>(planes)) return median_of<std::uint16_t>(planes);
  throw Error(ErrorCode::kUsage, "planes: expected uint8 or uint16, found " + std::string(py::str(planes.dtype())));
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
mode="reflect", anti_aliasing=False, clip=True, preserve_range=True) of float32, within 1 ulp.

Returns float32 (height, width). Raises UsageError for values that are not finite and other shapes.)");
  module.def("reduce_windows", &reduce_windows, "volume"_a, "rank"_a = -2,
             R"(The next pyramid level: each 2 x 2 x 2 window becomes one voxel, an odd last plane, row or column is dropped.

volume: (z, y, x), uint8, uint16 or float32 without NaN. rank: index into the 8 sorted values, -8..7 (-2, the default, is
the second brightest), or "mean" (rounded half to even), or "mode" (ties go to the smallest). Raises UsageError otherwise.)");
  module.def("plane_median", &plane_median, "planes"_a,
             R"(Median of each pixel over planes (z, y, x) of uint8 or uint16: float32 (y, x), as numpy.median(planes, 0).

Raises UsageError for other types and shapes.)");
}

}  // namespace flatfield::python
