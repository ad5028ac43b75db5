#include "flatfield/pipeline/low_resolution_mask.h"

#include <fmt/format.h>

#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "flatfield/core/block.h"
#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_result.h"

namespace flatfield::pipeline {

std::string low_resolution_mask_location(const std::string& results_dir, const std::string& tile_name) {
  return join_location(results_dir, tile_name + "_mask_low_res.zarr");
}

std::optional<BitVolume> read_low_resolution_mask(const std::string& location, storage::StoreOpener& stores,
                                                  const std::function<void(const Extent3&)>& reserve) {
  const auto store = stores.open(location);
  if (output_state(*store) != OutputState::kFinished) return std::nullopt;
  const ome::Volume volume(zarr::Array::open(store, "0"), {0, 0});
  reserve(volume.shape());
  BitVolume mask(volume.shape());
  // By rows of chunks: as bytes the whole of it could be larger than all that a run may hold.
  const Extent3 part{volume.chunk_shape().z, volume.chunk_shape().y, volume.shape().x};
  const Extent3 grid = ceil_div(volume.shape(), part);
  Block<std::uint8_t> values(part);
  zarr::ChunkScratch scratch;
  for (std::int64_t i = 0; i < grid.volume(); ++i) {
    const Box3 box = tile_box(unravel(i, grid), part, volume.shape());
    const BlockView<std::uint8_t> here = values.view().sub({{0, 0, 0}, box.shape});
    volume.read<std::uint8_t>(box, here, scratch);
    for (std::int64_t z = 0; z < box.shape.z; ++z)
      for (std::int64_t y = 0; y < box.shape.y; ++y)
        mask.set_row(box.origin.z + z, box.origin.y + y, 0, here.row(z, y), box.shape.x);
  }
  return mask;
}

std::string mask_checksum(const BitVolume& mask) {
  return fmt::format("{}, crc32c {:08x}", to_string(mask.shape()), crc32c(std::as_bytes(mask.words())));
}

std::vector<std::string> mask_checksums(const TileModel& model) {
  std::vector<std::string> sums;
  for (const ModelVolume& volume : model.volumes) {
    const std::optional<BitVolume>& mask = volume.learned.correction.mask;
    sums.push_back(mask ? mask_checksum(*mask) : std::string());
  }
  return sums;
}

void adopt_low_resolution_mask(const std::string& location, const std::string& tile_name, const Json& outcome,
                               RunContext& context) {
  if (!context.masks->misses(tile_name)) return;
  try {
    execution::MemoryBudget::Reservation held;
    const auto mask = read_low_resolution_mask(location, context.stores, [&](const Extent3& shape) {
      // The mask itself, and as it is kept.
      held = context.memory.reserve("mask of a finished tile", 2 * BitVolume::bytes_of(shape));
    });
    const Json* known = outcome.find(kLowMaskKey);
    if (mask && known != nullptr && *known == Json(mask_checksum(*mask)))
      context.masks->adopt(tile_name, *mask);
    else
      context.log.warning((mask ? location + " is not known as the mask of the finished tile" : "there is no " + location) +
                          ": other channels of the finished tile make a mask of their own, "
                          "which may differ from its; start again with the results directory of its run");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    context.log.warning(std::string("the mask of the finished output is not used: ") + error.what());
  }
}

void remove_low_resolution_mask(const std::string& location, RunContext& context) {
  const auto store = context.stores.open(location);
  const OutputState state = output_state(*store);
  if (state != OutputState::kFinished && state != OutputState::kUnfinished) return;
  clear_place(*store);
  std::error_code ignored;
  std::filesystem::remove(location, ignored);  // the folder, which is empty now
}

void write_low_resolution_mask(const std::string& location, RunContext& context, const BitVolume& mask,
                               const OutputPlan& plan, ImageStreaming& streaming) {
  const auto store = context.stores.open(location);
  clear_place(*store);  // also where none is written: that of an earlier run would pass for this one's
  if (mask.shape() != plan.shape) {
    context.log.info(fmt::format("{} is not written: the mask of the model has {} voxels, the estimation level of the tile {}",
                                 location, to_string(mask.shape()), to_string(plan.shape)));
    return;
  }
  OutputImage image(store, plan);
  const auto source = bit_source(mask);
  streaming.pyramid(*source, image.target({}, "low-resolution mask"), plan);
  image.finish(Json(), Json());
}

}  // namespace flatfield::pipeline
