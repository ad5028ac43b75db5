#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/json.h"
#include "flatfield/pipeline/image_streaming.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {

/// TILE_mask_low_res.zarr of the results directory: the mask as it was learnt with.
[[nodiscard]] std::string low_resolution_mask_location(const std::string& results_dir, const std::string& tile_name);

/// The mask that an earlier run left there; none if it has not finished it. `reserve` is told its shape before it takes
/// memory.
[[nodiscard]] std::optional<BitVolume> read_low_resolution_mask(const std::string& location, storage::StoreOpener& stores,
                                                                const std::function<void(const Extent3&)>& reserve);

/// What a mask is known by: its shape, and the CRC-32C of its voxels.
[[nodiscard]] std::string mask_checksum(const BitVolume& mask);

/// The same of the mask of each volume of a model, "" where it has none.
[[nodiscard]] std::vector<std::string> mask_checksums(const TileModel& model);

/// Gives the mask of a tile that is finished already to those to come that share it. Where it cannot be read, or is not the
/// one that `outcome`, which is kept with the tile, says that it was corrected with, they make their own, which the log says.
void adopt_low_resolution_mask(const std::string& location, const std::string& tile_name, const Json& outcome,
                               RunContext& context);

/// Removes the mask that an earlier run has left there: that of a tile which is corrected without one.
void remove_low_resolution_mask(const std::string& location, RunContext& context);

/// Writes a mask in place of what is there. That of a model which was learnt from a tile of another shape may not have the
/// shape of `plan`: it is not written then, which the log says.
void write_low_resolution_mask(const std::string& location, RunContext& context, const BitVolume& mask,
                               const OutputPlan& plan, ImageStreaming& streaming);

}  // namespace flatfield::pipeline
