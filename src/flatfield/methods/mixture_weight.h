#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/core/parallel.h"
#include "flatfield/methods/foreground_weight.h"

namespace flatfield::methods {

/// The "gmm" model of docs/methods.md 4.3: the posterior of foreground, with prior 0.5, from two
/// Gaussian mixtures over five features per voxel (voxel_features.h), 0 outside the mask. One
/// mixture is fitted to the mask eroded by a ball, the other to the background planes; of each at
/// most `gmm_max_samples` voxels, drawn without replacement. The same seed gives the same bits for
/// any number of threads.
///
/// Throws Error(kBadInput) where the background planes or the eroded mask hold fewer voxels than a
/// mixture has components, so also for no background planes, or a mask that is thinner than the
/// ball. Everything else is defined: features that do not vary count for nothing, and a mask that
/// covers the volume is eroded from its border.
///
/// In memory beside the result: mixture_weight_bytes.
[[nodiscard]] Block<float> mixture_weight(BlockView<const float> v_low,
                                          BitView mask,
                                          const std::vector<std::int64_t>& background_planes,
                                          const ForegroundWeightOptions& options,
                                          const ParallelFor& parallel_for);
/// What it takes with `workers` threads: an eroded mask and what eroding takes, the features of 40 planes, the samples.
[[nodiscard]] std::int64_t mixture_weight_bytes(const Extent3& shape, const ForegroundWeightOptions& options, int workers);

}  // namespace flatfield::methods
