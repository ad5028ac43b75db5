// Foreground weights and the fit that uses them, as operations of the probe. `options` of a call is
// a fitting configuration.
#include <optional>
#include <utility>
#include <vector>

#include "flatfield/config/fitting_config.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/methods/foreground_weight.h"
#include "flatfield/methods/voxel_features.h"
#include "probe.h"

namespace flatfield::test {
namespace {

methods::FittingOptions options_of(const ProbeCall& call) {
  return config::read_fitting_config(call.argument("options"), "options");
}

void run_foreground_weight(const ProbeCall& call) {
  const Block<float> v_low = call.block<float>("v_low");
  const BitVolume mask(call.block<std::uint8_t>("mask").view());
  const Npy<std::int64_t> planes = call.array<std::int64_t>("planes");
  call.put("weights", methods::foreground_weight(v_low.view(), mask.view(), planes.values,
                                                 options_of(call), serial_for));
}

void run_voxel_features(const ProbeCall& call) {
  const Block<float> v_low = call.block<float>("v_low");
  std::vector<float> values;
  methods::for_each_feature_slab(v_low.view(), serial_for, [&](const methods::FeatureSlab& slab) {
    const Extent3& shape = slab.features[0].shape;
    for (std::int64_t z = 0; z < shape.z; ++z)
      for (std::int64_t y = 0; y < shape.y; ++y)
        for (std::int64_t x = 0; x < shape.x; ++x)
          for (const BlockView<const float>& feature : slab.features)
            values.push_back(feature.at(z, y, x));
  });
  call.put("features", values);
}

/// The weighted fit of the unbinned tile: g, and per axis the profile and the curve.
void run_weighted_fit(const ProbeCall& call) {
  const Block<float> v_low = call.block<float>("v_low");
  const BitVolume mask(call.block<std::uint8_t>("mask").view());
  const Block<float> weights = call.block<float>("weights");
  const Json::Array& lengths = call.argument("lengths").as_array();
  const methods::FittingOptions options = options_of(call);
  methods::BlockStream level(v_low.view());
  const methods::FitMask fit_mask(mask.view());
  const methods::StoredWeights field(weights.view());
  const double g = methods::global_level(level, fit_mask, options.profile_percentile, &field);
  const methods::AxisFit fit = methods::fit_axes(level, fit_mask, g, options.med_factor_unbinned, options,
                                                 std::int64_t{1} << 20, &field);
  call.put("g", std::vector<double>{g});
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::string name(1, "zyx"[axis]);
    call.put("profile_" + name, fit.axes[axis].profile);
    call.put("curve_" + name, methods::evaluate_curve(fit.axes[axis], lengths.at(axis).as_int64()));
  }
}

}  // namespace

void add_weight_operations(ProbeOperations& operations) {
  operations["foreground_weight"] = run_foreground_weight;
  operations["voxel_features"] = run_voxel_features;
  operations["weighted_fit"] = run_weighted_fit;
}

}  // namespace flatfield::test
