#include "flatfield/pipeline/tile_overlap.h"

#include <algorithm>
#include <cmath>

#include "flatfield/methods/background.h"
#include "flatfield/methods/overlap_residual.h"
#include "flatfield/numerics/percentile.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/input_tile.h"
#include "flatfield/pipeline/level_reader.h"
#include "flatfield/pipeline/results.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kFewestAlongAxis = 4;
constexpr std::int64_t kFewestVoxels = 5000;
constexpr std::int64_t kMostVoxels = std::int64_t{1} << 22;

bool same_scale(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (std::abs(a[axis] - b[axis]) > 1e-6 * a[axis]) return false;
  return true;
}

/// The background-subtracted voxels of a box of the input.
Block<float> before(const PlacedTile& tile, const Box3& box, storage::StoreOpener& stores,
                    const ParallelFor& parallel_for) {
  const ome::Tile input = ome::Tile::open(stores.open(tile.input));
  Block<float> voxels = read_box_as_float(input.open_volume(tile.level, {}), box, parallel_for);
  if (tile.background)
    methods::subtract_background(voxels.view(), box, tile.background->read().view());
  return voxels;
}

/// Whether a level of an output may be the one that is `level` in the input: odd lengths are rounded down in outputs, and may
/// be rounded up in inputs.
bool same_but_for_rounding(const Extent3& output, const Extent3& level) {
  for (int axis = 0; axis < 3; ++axis)
    if (output[axis] != level[axis] && output[axis] + 1 != level[axis]) return false;
  return true;
}

/// The level of the output that is the one of the input; none if it has no level of this scale and shape.
std::optional<ome::Volume> level_after(const PlacedTile& tile, storage::StoreOpener& stores) {
  const ome::Tile output = ome::Tile::open(stores.open(tile.output));
  for (const ome::Level& level : output.multiscale().levels) {
    const std::vector<double> scale = output.output_scale(level);
    if (same_scale({scale[2], scale[3], scale[4]}, tile.scale) &&
        same_but_for_rounding(output.spatial_shape(level.path), tile.shape))
      return output.open_volume(level.path, {});
  }
  return std::nullopt;
}

/// Of a pair at a time: its two boxes and their ratios, a background plane, and the chunks that are decoded.
std::int64_t overlap_bytes(const PlacedTile& tile, const TileOverlap& overlap, storage::StoreOpener& stores, int workers) {
  const zarr::ArrayMetadata level = ome::Tile::open(stores.open(tile.input)).open_array(tile.level).metadata();
  const Extent3& box = overlap.box_of_first.shape;
  const std::int64_t plane = tile.background ? tile.shape.y * tile.shape.x : 0;
  std::int64_t chunks = 1;  // that a box can touch
  for (int axis = 0; axis < 3; ++axis)
    chunks *= ceil_div(box[axis], level.chunk_shape[level.chunk_shape.size() - 3 + static_cast<std::size_t>(axis)]) + 1;
  return (3 * box.volume() + plane) * static_cast<std::int64_t>(sizeof(float)) +
         2 * std::min<std::int64_t>(workers, chunks) * static_cast<std::int64_t>(level.chunk_bytes());
}

/// The middle of a box along z, of at most kMostVoxels.
Box3 middle(Box3 box) {
  const std::int64_t planes =
      std::clamp<std::int64_t>(kMostVoxels / (box.shape.y * box.shape.x), 1, box.shape.z);
  box.origin.z += (box.shape.z - planes) / 2;
  box.shape.z = planes;
  return box;
}

Json median_or_null(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  return values.empty() ? Json() : Json(numerics::percentile(std::span<double>(values), 50.0));
}

}  // namespace

PlacedTile placed_tile(const InputTile& input, const std::string& output, const std::optional<Block<float>>& background,
                       std::shared_ptr<SpillFile> spill, const ParallelFor& parallel_for) {
  const ome::Tile& tile = input.tile();
  const ome::Level& level = tile.level(input.levels().estimation);
  const std::vector<double> scale = tile.output_scale(level);
  const std::vector<double> translation = tile.output_translation(level);
  PlacedTile placed;
  placed.name = input.name();
  placed.channel = tile_channel(placed.name).value_or("");
  placed.input = input.location();
  placed.output = output;
  placed.level = input.levels().estimation;
  placed.scale = {scale[2], scale[3], scale[4]};
  placed.translation = {translation[2], translation[3], translation[4]};
  placed.shape = tile.spatial_shape(placed.level);
  if (background) {
    const numerics::PlaneOfSize plane(background->view(), placed.shape.y, placed.shape.x, parallel_for);
    placed.background.emplace(std::move(spill), plane.view());
  }
  return placed;
}

std::optional<PlacedTile> place_for_overlaps(const InputTile& input, const std::string& output, TileModel& model,
                                             RunContext& context) {
  std::optional<PlacedTile> placed;
  // A tile of several volumes lies beside itself: overlaps are those of tiles of one.
  if (!context.spill || model.volumes.size() != 1) return placed;
  ModelVolume& volume = model.volumes.front();
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  make_applicable(volume, input.shape(), parallel_for);
  write_diagnostic("the background for the overlap with other tiles", context.log, [&] {
    placed = placed_tile(input, output, volume.learned.correction.background, context.spill, parallel_for);
  });
  return placed;
}

std::vector<TileOverlap> find_overlaps(const std::vector<PlacedTile>& tiles) {
  std::vector<TileOverlap> overlaps;
  for (std::size_t i = 0; i < tiles.size(); ++i)
    for (std::size_t j = i + 1; j < tiles.size(); ++j) {
      const PlacedTile& a = tiles[i];
      const PlacedTile& b = tiles[j];
      if (a.channel != b.channel || !same_scale(a.scale, b.scale)) continue;
      Extent3 offset;  // of b in voxels of a
      for (int axis = 0; axis < 3; ++axis) {
        const auto k = static_cast<std::size_t>(axis);
        // In range of an integer: tiles that are further apart do not overlap.
        const double voxels = std::round((b.translation[k] - a.translation[k]) / a.scale[k]);
        offset[axis] = static_cast<std::int64_t>(std::clamp(voxels, -1e15, 1e15));
      }
      if (offset == Extent3{0, 0, 0}) continue;
      TileOverlap overlap;
      overlap.first = i;
      overlap.second = j;
      overlap.box_of_first = intersect({{0, 0, 0}, a.shape}, {offset, b.shape});
      const Extent3& shape = overlap.box_of_first.shape;
      if (shape.empty() || std::min({shape.z, shape.y, shape.x}) < kFewestAlongAxis ||
          shape.volume() < kFewestVoxels)
        continue;
      overlap.box_of_first = middle(overlap.box_of_first);
      overlap.box_of_second = {overlap.box_of_first.origin - offset, overlap.box_of_first.shape};
      overlaps.push_back(overlap);
    }
  return overlaps;
}

TileOverlap common_part(TileOverlap overlap, const Extent3& first, const Extent3& second) {
  const Extent3 shape = min(min(overlap.box_of_first.shape, first - overlap.box_of_first.origin),
                            second - overlap.box_of_second.origin);
  overlap.box_of_first.shape = shape;
  overlap.box_of_second.shape = shape;
  return overlap;
}

Json measure_overlaps(const std::vector<PlacedTile>& tiles, storage::StoreOpener& stores,
                      execution::ThreadPool& pool, execution::MemoryBudget& memory) {
  const ParallelFor parallel_for = pool.as_parallel_for();
  std::vector<double> residuals_before;
  std::vector<double> residuals_after;
  Json pairs = Json::array();
  for (const TileOverlap& overlap : find_overlaps(tiles)) {
    const PlacedTile& first = tiles[overlap.first];
    const PlacedTile& second = tiles[overlap.second];
    const auto held = memory.reserve("overlap of two tiles", overlap_bytes(first, overlap, stores, pool.workers()));
    {
      Block<float> a = before(first, overlap.box_of_first, stores, parallel_for);
      Block<float> b = before(second, overlap.box_of_second, stores, parallel_for);
      residuals_before.push_back(methods::overlap_residual(a.view(), b.view(), parallel_for));
    }
    Json pair;
    pair["tiles"] = Json(Json::Array{first.name, second.name});
    pair["voxels"] = overlap.box_of_first.shape.volume();
    pair["residual_before"] = median_or_null({residuals_before.back()});
    pair["residual_after"] = Json();
    const std::optional<ome::Volume> level_of_first = level_after(first, stores);
    const std::optional<ome::Volume> level_of_second = level_after(second, stores);
    if (level_of_first && level_of_second) {
      const TileOverlap common = common_part(overlap, level_of_first->shape(), level_of_second->shape());
      Block<float> a = read_box_as_float(*level_of_first, common.box_of_first, parallel_for);
      Block<float> b = read_box_as_float(*level_of_second, common.box_of_second, parallel_for);
      residuals_after.push_back(methods::overlap_residual(a.view(), b.view(), parallel_for));
      pair["residual_after"] = median_or_null({residuals_after.back()});
    }
    pairs.push_back(std::move(pair));
  }
  if (pairs.as_array().empty()) return {};
  Json out;
  out["pairs"] = residuals_before.size();
  out["residual_before"] = median_or_null(residuals_before);
  out["residual_after"] = median_or_null(residuals_after);
  out["tiles"] = std::move(pairs);
  return out;
}

}  // namespace flatfield::pipeline
