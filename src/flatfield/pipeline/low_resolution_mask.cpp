#include "flatfield/pipeline/low_resolution_mask.h"

#include <utility>

#include "flatfield/core/block.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {

std::string low_resolution_mask_location(const std::string& results_dir, const std::string& tile_name) {
  return join_location(results_dir, tile_name + "_mask_low_res.zarr");
}

std::optional<BitVolume> read_low_resolution_mask(const std::string& location, storage::StoreOpener& stores) {
  const auto store = stores.open(location);
  if (output_state(*store) != OutputState::kFinished) return std::nullopt;
  const ome::Volume volume(zarr::Array::open(store, "0"), {0, 0});
  Block<std::uint8_t> mask(volume.shape());
  zarr::ChunkScratch scratch;
  volume.read<std::uint8_t>({{0, 0, 0}, mask.shape()}, mask.view(), scratch);
  return BitVolume(std::as_const(mask).view());
}

void write_low_resolution_mask(const std::string& location, storage::StoreOpener& stores, const BitVolume& mask,
                               const OutputPlan& plan, ImageStreaming& streaming) {
  const auto store = stores.open(location);
  clear_place(*store);
  OutputImage image(store, plan);
  const auto source = bit_source(mask);
  streaming.pyramid(*source, image.target({}, "low-resolution mask"), plan);
  image.finish(Json(), Json());
}

}  // namespace flatfield::pipeline
