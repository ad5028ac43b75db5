#include "flatfield/pipeline/tile_outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/zarr/codecs_v3.h"

namespace flatfield::pipeline {
namespace {

constexpr int kProbabilityLevels = 5;

numerics::WindowReducer reducer(const config::RunConfig& config) {
  using Kind = numerics::WindowReducer::Kind;
  if (config.corrected_rank == "mean") return {Kind::kMean, 0};
  if (config.corrected_rank == "mode") return {Kind::kMode, 0};
  return {Kind::kRank, std::stoi(config.corrected_rank)};
}

int level_count(const config::RunConfig& config, const Extent3& shape, report::Log& log) {
  const int most = most_levels(shape);
  if (config.n_levels > most)
    log.warning(fmt::format("--n-levels {}: a volume of {} has at most {} levels", config.n_levels,
                            to_string(shape), most));
  return std::min(config.n_levels, most);
}

/// `like`, but in the place and with the shape of another level of the tile.
OutputPlan at_level(const OutputPlan& like, const ome::Tile& tile, const std::string& level,
                    const Extent3& chunk_shape) {
  OutputPlan plan = like;
  plan.shape = tile.spatial_shape(level);
  plan.chunk_shape = min(chunk_shape, plan.shape);
  plan.scale = tile.output_scale(tile.level(level));
  plan.translation = tile.output_translation(tile.level(level));
  return plan;
}

/// Shards of a volume: whole chunks, at least one, and no more than it has. None where the format has no shards, or none are wanted.
std::optional<Extent3> shard_shape(const OutputPlan& plan, const std::optional<Extent3>& size) {
  if (!size || plan.zarr_format != 3) return std::nullopt;
  const Extent3 chunks = min(max(floor_div(*size, plan.chunk_shape), {1, 1, 1}),
                             ceil_div(plan.shape, plan.chunk_shape));
  return chunks * plan.chunk_shape;
}

/// What the output says about sizes that the tile does not say.
void warn_of_sizes(const ome::Tile& tile, const std::string& level, report::Log& log) {
  for (const ome::Axis& axis : tile.axes_of_unknown_unit())
    log.warning(fmt::format("{}: the unit \"{}\" of the axis {} is none that NGFF knows for it: its sizes are taken as they are",
                            tile.describe(), axis.unit, axis.name));
  if (tile.level(level).has_scale) return;
  const std::vector<double> scale = tile.output_scale(tile.level(level));
  log.warning(fmt::format("{}: level \"{}\" has no scale of its own: the output says {}, {}, {} micrometers", tile.describe(),
                          level, scale[2], scale[3], scale[4]));
}

OutputPlan as_mask(OutputPlan plan) {
  plan.volumes = {1, 1};
  plan.dtype = DType::kUint8;
  plan.level_count = 1;
  plan.reducer = {numerics::WindowReducer::Kind::kMode, 0};
  return plan;
}

}  // namespace

TileOutputs plan_tile_outputs(const ome::Tile& tile, const std::string& tile_name,
                              const TileLevels& levels, const zarr::Array& input,
                              const config::RunConfig& config, report::Log& log) {
  const auto& chunks = input.metadata().chunk_shape;
  const std::size_t n = chunks.size();
  // A chunk that is larger than the volume would only be padding: `at_level` clips it.
  const Extent3 chunk_shape =
      config.output_chunks.value_or(Extent3{chunks[n - 3], chunks[n - 2], chunks[n - 1]});
  OutputPlan common;
  common.name = tile_name;
  common.volumes = tile.volume_counts(input);
  common.compressors = config::output_compressors(config);
  common.reducer = reducer(config);
  common.write_empty_chunks = config.write_empty_chunks;
  common.zarr_format = config.output_zarr_format == "match" ? input.metadata().zarr_format
                                                            : std::stoi(config.output_zarr_format);
  if (common.zarr_format == 3) {
    zarr::CodecChain chain;
    chain.compressors = common.compressors;
    zarr::check_codecs_v3(chain, "--output-codec " + config.output_codec);
  }

  if (tile.spatial_shape(levels.target).empty() || tile.spatial_shape(levels.estimation).empty())
    throw Error(ErrorCode::kBadInput, "the level holds no voxels", input.describe());
  warn_of_sizes(tile, levels.target, log);
  TileOutputs outputs;
  outputs.corrected = at_level(common, tile, levels.target, chunk_shape);
  outputs.corrected.level_count = level_count(config, outputs.corrected.shape, log);
  outputs.mask = as_mask(outputs.corrected);
  outputs.probability = at_level(common, tile, levels.estimation, chunk_shape);
  outputs.probability.dtype = DType::kFloat32;
  outputs.probability.level_count = std::min(kProbabilityLevels, most_levels(outputs.probability.shape));
  outputs.low_mask = as_mask(outputs.probability);
  outputs.corrected.shard_shape = shard_shape(outputs.corrected, config.corrected_shard_size);
  outputs.probability.shard_shape = shard_shape(outputs.probability, config.probability_shard_size);
  for (OutputPlan* mask : {&outputs.mask, &outputs.low_mask})
    mask->shard_shape = shard_shape(*mask, config.mask_shard_size);
  return outputs;
}

}  // namespace flatfield::pipeline
