#include <limits>
#include <optional>
#include <string>

#include "flatfield/methods/quality.h"
#include "probe.h"

namespace flatfield::test {
namespace {

using namespace flatfield::methods;

/// measure_quality of volumes `raw`, `before`, `after`, and, where "with_mask" is true, `mask`,
/// with the background plane `background` and `planes`. Inside the mask, `after` holds the factor
/// "ratio".
void run_measure_quality(const ProbeCall& call) {
  const Block<float> raw = call.block<float>("raw");
  const Block<float> before = call.block<float>("before");
  const Block<float> after = call.block<float>("after");
  const BitVolume mask(call.block<std::uint8_t>("mask").view());
  const std::vector<std::int64_t> planes = call.array<std::int64_t>("planes").values;
  Correction correction;
  correction.background = call.block<float>("background");
  correction.curves =
      AxisCurves{{}, {}, {}, static_cast<float>(call.argument("ratio").as_double())};
  std::optional<BitView> given;
  if (call.argument("with_mask").as_bool()) given = mask.view();
  BlockStream stream(raw.view(), {8, 16, 64});
  const auto become = [](const Block<float>& volume) {
    return [&volume](const Box3& box, BlockView<float> values) {
      copy_block<float>(volume.view().sub(box), values);
    };
  };
  const std::optional<AxisFit> no_fit;
  const QualityNumbers numbers = measure_quality(
      {stream, become(before), become(after), given, planes, correction, no_fit, 100000});

  const auto put = [&](const std::string& name, const std::optional<double>& value) {
    call.put(name, std::vector<double>{value.value_or(std::numeric_limits<double>::quiet_NaN())});
  };
  put("mask_fraction", numbers.mask_fraction);
  put("mask_auc", numbers.mask_auc);
  put("mask_edge_agreement", numbers.mask_edge_agreement);
  put("background_planes_in_mask", numbers.background_planes_in_mask);
  put("background_span", numbers.background_span);
  put("background_zeroed_fraction", numbers.background_zeroed_fraction);
  put("background_median_before", numbers.background_median.before);
  put("background_median_after", numbers.background_median.after);
  put("foreground_median_before", numbers.foreground_median.before);
  put("foreground_median_after", numbers.foreground_median.after);
  put("cjv_before", numbers.cjv.before);
  put("cjv_after", numbers.cjv.after);
  put("entropy_before", numbers.entropy.before);
  put("entropy_after", numbers.entropy.after);
  put("saturated_fraction", numbers.saturated_fraction);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::string name = std::string("profile_cv_") + "zyx"[axis];
    put(name + "_raw", numbers.profile_cv_raw[axis]);
    put(name + "_before", numbers.profile_cv_before[axis]);
    put(name + "_after", numbers.profile_cv_after[axis]);
  }
}

}  // namespace

void add_quality_operations(ProbeOperations& operations) {
  operations["measure_quality"] = run_measure_quality;
}

}  // namespace flatfield::test
