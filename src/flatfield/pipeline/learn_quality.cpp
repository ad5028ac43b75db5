#include "flatfield/pipeline/learn_quality.h"

#include <fmt/format.h>

#include <cmath>

#include "flatfield/methods/level_correction.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kAxes[] = {"z", "y", "x"};

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f} %", *value) : "not measured";
}

/// The largest power of 2 from 0.5 to 1 that all values of a background are multiples of, so that differences of whole
/// numbers and it are too; 0 if there is none. Medians of planes at full size lie on such a grid.
float grid_of(BlockView<const float> background) {
  float grid = 1.0F;
  for (const float v : background.span()) {
    if (v == std::floor(v)) continue;
    if (2.0F * v != std::floor(2.0F * v)) return 0.0F;
    grid = 0.5F;
  }
  return grid;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

void learn_quality(const std::optional<BitVolume>& mask, EstimationLevel& level, RunContext& context, Learned& learned) {
  const methods::Correction& correction = learned.correction;
  const methods::LevelCorrection corrected(correction, learned.fit, level.shape(),
                                           context.pool.as_parallel_for());
  const std::optional<BitVolume>& used = correction.mask ? correction.mask : mask;
  std::optional<BitView> inside;
  if (used) inside = used->view();
  const methods::QualityNumbers numbers = methods::measure_quality(
      {level.raw(),
       methods::subtraction_of(level.background()),
       [&](const Box3& box, BlockView<float> values) { corrected.apply(box, values); }, inside,
       learned.background_planes.planes, correction, learned.fit, level.search_bytes(), 1.0F,
       level.background() ? grid_of(*level.background()) : 1.0F, level.sample_voxels()});
  for (std::size_t axis = 0; axis < 3; ++axis)
    context.log.info(fmt::format("profile CV along {}: raw {}, before {}, after {}", kAxes[axis],
                                 percent(numbers.profile_cv_raw[axis]),
                                 percent(numbers.profile_cv_before[axis]),
                                 percent(numbers.profile_cv_after[axis])));
  learned.quality = methods::judge_quality(numbers, learned.ratio_clamped);
  context.log.info(fmt::format("quality: {}", methods::verdict_name(learned.quality->verdict)));
  for (const std::string& reason : learned.quality->reasons) note_warning(learned, reason, context.log);
}

Json quality_json(const Learned& learned, const TileLevels& levels, double pedestal_counts) {
  if (!learned.quality) return {};
  const methods::QualityReport& quality = *learned.quality;
  Json out;
  out["verdict"] = methods::verdict_name(quality.verdict);
  out["reasons"] = Json(quality.reasons);
  out["level"] = levels.estimation;
  out["mask"] = quality.mask;
  out["pedestal"] = pedestal_counts;
  Json& numbers = out["numbers"];
  for (const methods::JudgedNumber& judged : quality.numbers) {
    Json& number = numbers[judged.name];
    number["value"] = judged.value && std::isfinite(*judged.value) ? Json(*judged.value) : Json();
    number["verdict"] = methods::verdict_name(judged.verdict);
    number["warn"] = text_or_null(judged.warn);
    number["fail"] = text_or_null(judged.fail);
  }
  return out;
}

}  // namespace flatfield::pipeline
