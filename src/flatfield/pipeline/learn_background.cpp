#include "flatfield/pipeline/learn_background.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/background_median.h"
#include "flatfield/pipeline/reference_background.h"

namespace flatfield::pipeline {
namespace {

methods::PlanePositions plane_positions(const ome::Tile& tile, const std::string& key) {
  const ome::Level& level = tile.level(key);
  if (!level.has_scale)
    throw Error(ErrorCode::kBadInput, fmt::format("level \"{}\" has no scale", key), tile.describe(),
                "background planes are mapped between levels by their z scale: add it to multiscales");
  const auto z = static_cast<std::size_t>(*tile.multiscale().axis("z"));
  return {level.scale[z], level.translation[z]};
}

Block<float> reference_image(const VolumeRequest& request, const Extent3& shape, RunContext& context) {
  ReferenceBackground reference = read_reference_background(request.location, context.stores);
  context.log.info(fmt::format("reference background: {} ({} x {} pixels)", reference.path,
                               reference.image.shape().y, reference.image.shape().x));
  for (const float v : reference.image.span())
    if (!std::isfinite(v))
      throw Error(ErrorCode::kBadInput, "the reference background has pixels that are not finite",
                  reference.path, "make it again, or leave out --use-reference-bkg");
  if (reference.image.shape().y == shape.y && reference.image.shape().x == shape.x) return std::move(reference.image);
  return numerics::resize_plane(reference.image.view(), shape.y, shape.x, context.pool.as_parallel_for());
}

}  // namespace

void learn_background_planes(EstimationLevel& level, RunContext& context, Learned& learned) {
  learned.background_planes = methods::select_background_planes(
      level.raw(), context.config.background_smoothing_sigma, level.search_bytes());
  if (learned.background_planes.all_rejected)
    note_warning(learned,
                 "every candidate for a background plane holds bright voxels: the planes of lowest deviation are used as they "
                 "are",
                 context.log);
  context.log.info(fmt::format("planes kept: {} of {} (initial {}, {} rejection rounds)",
                               learned.background_planes.planes.size(), level.shape().z,
                               learned.background_planes.initial.size(), learned.background_planes.rounds));
}

std::vector<std::int64_t> target_planes(const ome::Tile& tile, const std::string& from, const std::string& to,
                                        const std::vector<std::int64_t>& planes) {
  return methods::map_planes(planes, plane_positions(tile, from), plane_positions(tile, to),
                             tile.spatial_shape(to).z);
}

void learn_background_image(const VolumeRequest& request, EstimationLevel& level, RunContext& context,
                            Learned& learned) {
  const ome::Volume target = request.tile.open_volume(request.levels.target, request.id);
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  const config::RunConfig& config = context.config;
  if (config.use_reference_bkg) {
    learned.correction.background = reference_image(request, target.shape(), context);
    return;
  }
  learn_background_planes(level, context, learned);
  const TileLevels& levels = request.levels;
  learned.target_planes =
      target_planes(request.tile, levels.estimation, levels.target, learned.background_planes.planes);
  if (learned.target_planes.empty())
    throw Error(ErrorCode::kBadInput,
                fmt::format("the background planes of level \"{}\" lie outside level \"{}\"",
                            levels.estimation, levels.target),
                request.tile.describe(), "check the scales and translations of the multiscales metadata");
  context.log.info(fmt::format("target planes: {} of {}", learned.target_planes.size(), target.shape().z));
  level.lend(context);
  const MedianPlan plan =
      plan_median(target, learned.target_planes, context.pool.workers(), context.memory.free_bytes());
  auto held = context.memory.reserve("background planes", plan.bytes);
  Block<float> background = median_of_planes(target, learned.target_planes, plan, parallel_for, context.processes);
  held = {};
  level.take_back(context);
  const double final_sigma = config.background_final_smoothing_sigma;
  numerics::gaussian_filter(background.view(), {0.0, final_sigma, final_sigma}, parallel_for);
  learned.correction.background = std::move(background);
}

}  // namespace flatfield::pipeline
