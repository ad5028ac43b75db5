#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/json.h"
#include "flatfield/core/parallel.h"
#include "flatfield/execution/memory_budget.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/pipeline/spilled_plane.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

class InputTile;
struct RunContext;
struct TileModel;

/// A tile of a batch that was corrected, and where it lies.
struct PlacedTile {
  std::string name;
  std::string channel;
  std::string input;   ///< location of the tile
  std::string output;  ///< location of the corrected tile
  std::string level;   ///< of the input that overlaps are measured on
  std::array<double, 3> scale{};  ///< of that level, micrometers, axes z, y, x
  std::array<double, 3> translation{};
  Extent3 shape;
  std::optional<SpilledPlane> background;  ///< (1, y, x) at that level; none = nothing was subtracted
};

/// A tile that was corrected into `output`: overlaps are measured on the level that was learnt from, and `background`, of
/// any size, was subtracted; it waits in `spill`. Throws Error(kWriteFailed).
[[nodiscard]] PlacedTile placed_tile(const InputTile& input, const std::string& output,
                                     const std::optional<Block<float>>& background, std::shared_ptr<SpillFile> spill,
                                     const ParallelFor& parallel_for);

/// placed_tile of a tile that was corrected with a model, which is made applicable to it; none where the run measures no
/// overlaps. That it cannot be kept is a warning.
[[nodiscard]] std::optional<PlacedTile> place_for_overlaps(const InputTile& input, const std::string& output, TileModel& model,
                                                           RunContext& context);

/// Where two tiles of a channel overlap: the same box of the one and of the other, in voxels of their level.
struct TileOverlap {
  std::size_t first = 0;
  std::size_t second = 0;
  Box3 box_of_first;
  Box3 box_of_second;
};
/// Pairs of tiles of the same channel and scale that overlap by at least 4 voxels along each axis and 5,000 in
/// all, rounded to whole voxels. Tiles at the same place are no pair: their positions are not known.
[[nodiscard]] std::vector<TileOverlap> find_overlaps(const std::vector<PlacedTile>& tiles);

/// What of an overlap lies in corrected tiles of the shapes `first` and `second`, which may lack a voxel at the end of an axis.
[[nodiscard]] TileOverlap common_part(TileOverlap overlap, const Extent3& first, const Extent3& second);

/// The overlap residual of docs/quality.md before (background-subtracted) and after the correction, over all pairs, for the run
/// report: {"pairs", "residual_before", "residual_after", "tiles": [...]}; null where no tiles overlap. After is null
/// where the output has no level of the same scale, which may lack the voxel by which odd lengths are rounded. At most 2^22
/// voxels of an overlap are read, around its middle along z. Throws Error(kMemory) where the memory for a pair is not there.
[[nodiscard]] Json measure_overlaps(const std::vector<PlacedTile>& tiles, storage::StoreOpener& stores,
                                    execution::ThreadPool& pool, execution::MemoryBudget& memory);

}  // namespace flatfield::pipeline
