// Splines, resizing and binary regions, as operations of the probe.
#include <algorithm>
#include <thread>
#include <vector>

#include "flatfield/core/parallel.h"
#include "flatfield/numerics/binary_regions.h"
#include "flatfield/numerics/smoothing_spline.h"
#include "flatfield/numerics/spline_resize.h"
#include "probe.h"

namespace flatfield::test {
namespace {

/// `y`: profiles one after the other; `lengths`; `smoothing`: one value per profile; `points`:
/// how many positions each spline is evaluated at, evenly spaced over its data. Gives `knots`,
/// `knot_counts` and `values`, each one after the other. Many profiles in one call, because
/// starting a program costs more than a spline.
void smoothing_splines(const ProbeCall& call) {
  const auto y = call.array<double>("y").values;
  const auto lengths = call.array<std::int64_t>("lengths").values;
  const auto smoothing = call.array<double>("smoothing").values;
  const std::int64_t points = call.argument("points").as_int64();
  std::vector<double> knots;
  std::vector<double> values;
  std::vector<std::int64_t> knot_counts;
  std::size_t first = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto length = static_cast<std::size_t>(lengths[i]);
    const numerics::Spline spline =
        numerics::smoothing_spline(std::span(y).subspan(first, length), smoothing[i]);
    first += length;
    knots.insert(knots.end(), spline.knots.begin(), spline.knots.end());
    knot_counts.push_back(static_cast<std::int64_t>(spline.knots.size()));
    for (std::int64_t p = 0; p < points; ++p)
      values.push_back(spline(points == 1
                                  ? 0.0
                                  : static_cast<double>(p) * static_cast<double>(lengths[i] - 1) /
                                        static_cast<double>(points - 1)));
  }
  call.put("knots", knots);
  call.put("knot_counts", knot_counts);
  call.put("values", values);
}

/// Index i of each loop runs on thread i mod `threads`.
ParallelFor threaded_for(std::int64_t threads) {
  return [threads](std::int64_t count, const std::function<void(std::int64_t)>& body) {
    std::vector<std::jthread> pool;
    for (std::int64_t t = 0; t < threads; ++t)
      pool.emplace_back([=, &body] {
        for (std::int64_t i = t; i < count; i += threads) body(i);
      });
  };
}

void resize_plane(const ProbeCall& call) {
  const Block<float> plane = call.block<float>("plane");
  call.put("resized", numerics::resize_plane(plane.view(), call.argument("height").as_int64(),
                                             call.argument("width").as_int64(),
                                             threaded_for(call.argument("threads").as_int64())));
}

void keep_largest_regions(const ProbeCall& call) {
  BitVolume mask(call.block<std::uint8_t>("mask").view());
  const std::int64_t regions = numerics::keep_largest_regions(
      mask, static_cast<int>(call.argument("count").as_int64()));
  call.put("kept", mask.expanded());
  call.put("regions", std::vector<std::int64_t>{regions});
}

void fill_holes(const ProbeCall& call) {
  BitVolume mask(call.block<std::uint8_t>("mask").view());
  numerics::fill_holes(mask);
  call.put("filled", mask.expanded());
}

}  // namespace

void add_spline_operations(ProbeOperations& operations) {
  operations["smoothing_splines"] = smoothing_splines;
  operations["resize_plane"] = resize_plane;
  operations["keep_largest_regions"] = keep_largest_regions;
  operations["fill_holes"] = fill_holes;
}

}  // namespace flatfield::test
