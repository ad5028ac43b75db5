#include <stdexcept>
#include <string>

#include "flatfield/numerics/exponential.h"
#include "flatfield/numerics/gaussian_derivatives.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/mask_erosion.h"
#include "flatfield/numerics/nearest_resize.h"
#include "flatfield/numerics/percentile.h"
#include "flatfield/numerics/plane_median.h"
#include "flatfield/numerics/window_reduce.h"
#include "probe.h"

namespace flatfield::test {
namespace {

using namespace flatfield::numerics;

/// Calls `run` with a value of the type that the argument `dtype` names.
template <class Run>
void with_dtype(const ProbeCall& call, Run run) {
  const std::string& dtype = call.argument("dtype").as_string();
  if (dtype == "uint8") return run(std::uint8_t{});
  if (dtype == "uint16") return run(std::uint16_t{});
  if (dtype == "float32") return run(float{});
  if (dtype == "float64") return run(double{});
  throw std::runtime_error("unknown dtype " + dtype);
}

void put_scalar(const ProbeCall& call, const std::string& name, double value) {
  call.put(name, std::vector<double>{value});
}

void run_gaussian_kernel(const ProbeCall& call) {
  call.put("kernel", gaussian_kernel(call.argument("sigma").as_double()));
}

void run_gaussian_filter(const ProbeCall& call) {
  Block<float> volume = call.block<float>("volume");
  const Json::Array& sigma = call.argument("sigma").as_array();
  gaussian_filter(volume.view(),
                  {sigma.at(0).as_double(), sigma.at(1).as_double(), sigma.at(2).as_double()},
                  serial_for);
  call.put("filtered", volume);
}

void run_gaussian_derivatives(const ProbeCall& call) {
  const Block<float> volume = call.block<float>("volume");
  const double sigma = call.argument("sigma").as_double();
  call.put("gradient_magnitude", gaussian_gradient_magnitude(volume.view(), sigma, serial_for));
  call.put("laplace", gaussian_laplace(volume.view(), sigma, serial_for));
}

void run_erode_by_ball(const ProbeCall& call) {
  const BitVolume mask(call.block<std::uint8_t>("mask").view());
  const BeyondBorder beyond =
      call.argument("beyond").as_bool() ? BeyondBorder::kForeground : BeyondBorder::kBackground;
  call.put("eroded",
           erode_by_ball(mask.view(), call.argument("radius").as_int64(), serial_for, beyond).expanded());
}

void run_exp_as_numpy(const ProbeCall& call) {
  std::vector<float> values = call.array<float>("values").values;
  for (float& value : values) value = exp_as_numpy(value);
  call.put("exp", values);
}

void run_weighted_percentile(const ProbeCall& call) {
  const std::vector<float> values = call.array<float>("values").values;
  const std::vector<float> weights = call.array<float>("weights").values;
  std::vector<WeightedValue> samples;
  for (std::size_t i = 0; i < values.size(); ++i) samples.push_back({values[i], weights[i]});
  std::vector<float> found;
  for (const double q : call.array<double>("q").values)
    found.push_back(weighted_percentile(samples, q));
  call.put("percentiles", found);
}

void run_percentile(const ProbeCall& call) {
  with_dtype(call, [&]<class T>(T) {
    if constexpr (std::is_floating_point_v<T>) {
      Npy<T> values = call.array<T>("values");
      put_scalar(call, "percentile",
                 percentile(std::span<T>(values.values), call.argument("q").as_double()));
    }
  });
}

void run_median(const ProbeCall& call) {
  Npy<float> values = call.array<float>("values");
  call.put("median", std::vector<float>{median(values.values)});
}

void run_moments(const ProbeCall& call) {
  const Npy<float> values = call.array<float>("values");
  const Moments result = moments(values.values);
  put_scalar(call, "mean", result.mean);
  put_scalar(call, "deviation", result.deviation);
}

void run_histogram_percentile(const ProbeCall& call) {
  const Npy<std::int64_t> counts = call.array<std::int64_t>("counts");
  put_scalar(call, "percentile",
             histogram_percentile(counts.values, call.argument("q").as_double()));
}

void run_plane_median(const ProbeCall& call) {
  with_dtype(call, [&]<class T>(T) {
    if constexpr (std::is_integral_v<T>) {
      const Block<T> stack = call.block<T>("stack");
      const Extent3 shape = stack.shape();
      Block<float> out(Extent3{1, shape.y, shape.x});
      plane_median<T>(stack.span(), shape.z, shape.y * shape.x, out.span());
      call.put("median", out);
    }
  });
}

void run_reduce_windows(const ProbeCall& call) {
  const std::string& kind = call.argument("kind").as_string();
  WindowReducer reducer;
  reducer.kind = kind == "rank"   ? WindowReducer::Kind::kRank
                 : kind == "mean" ? WindowReducer::Kind::kMean
                                  : WindowReducer::Kind::kMode;
  reducer.rank = static_cast<int>(call.argument("rank").as_int64());
  with_dtype(call, [&]<class T>(T) {
    if constexpr (!std::is_same_v<T, double>) {
      const Block<T> volume = call.block<T>("volume");
      Block<T> out(floor_div(volume.shape(), 2));
      reduce_windows<T>(volume.view(), out.view(), reducer);
      call.put("reduced", out);
    }
  });
}

void run_nearest_resize(const ProbeCall& call) {
  const Json::Array& shape = call.argument("shape").as_array();
  const BitVolume mask(call.block<std::uint8_t>("mask").view());
  const Extent3 target{shape.at(0).as_int64(), shape.at(1).as_int64(), shape.at(2).as_int64()};
  call.put("resized", nearest_resize(mask.view(), target).expanded());
}

}  // namespace

void add_filter_operations(ProbeOperations& operations) {
  operations["gaussian_kernel"] = run_gaussian_kernel;
  operations["gaussian_filter"] = run_gaussian_filter;
  operations["gaussian_derivatives"] = run_gaussian_derivatives;
  operations["erode_by_ball"] = run_erode_by_ball;
  operations["exp_as_numpy"] = run_exp_as_numpy;
  operations["weighted_percentile"] = run_weighted_percentile;
  operations["percentile"] = run_percentile;
  operations["median"] = run_median;
  operations["moments"] = run_moments;
  operations["histogram_percentile"] = run_histogram_percentile;
  operations["plane_median"] = run_plane_median;
  operations["reduce_windows"] = run_reduce_windows;
  operations["nearest_resize"] = run_nearest_resize;
}

}  // namespace flatfield::test
