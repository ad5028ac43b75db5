#pragma once

#include <memory>

#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/correction.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/volume_stage.h"

namespace flatfield::pipeline {

/// The voxels of a tile's volume, corrected: input of the corrected pyramid. The volume is uint8 or
/// uint16; the kernel's correction must outlive the source.
[[nodiscard]] std::unique_ptr<VoxelSource<std::uint16_t>> corrected_source(
    const ome::Volume& input, const methods::CorrectionKernel& kernel, int workers);

/// The foreground mask at full resolution: input of the mask volume. The correction must have a mask.
[[nodiscard]] std::unique_ptr<VoxelSource<std::uint8_t>> mask_source(
    const methods::CorrectionKernel& kernel);

/// Voxels that are in memory already. The block must outlive the source.
[[nodiscard]] std::unique_ptr<VoxelSource<float>> block_source(const Block<float>& block);
/// The same of bits, as 0 and 1.
[[nodiscard]] std::unique_ptr<VoxelSource<std::uint8_t>> bit_source(const BitVolume& bits);

}  // namespace flatfield::pipeline
