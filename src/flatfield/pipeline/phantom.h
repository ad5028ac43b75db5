#pragma once

#include <cstdint>
#include <vector>

#include "flatfield/config/synth_config.h"
#include "flatfield/core/block.h"
#include "flatfield/pipeline/volume_stage.h"

namespace flatfield::pipeline {

/// A made-up tile with known illumination: an ellipsoid of textured tissue over a vignetted background,
///   counts = background(y, x) + tissue(z, y, x) * fz(z) * fy(y) * fx(x) + noise,
/// where noise has the standard deviation `noise * sqrt(counts)`. Every voxel is a function of its place
/// and the seed alone, so that the tile can be made box by box in any order.
class Phantom : public VoxelSource<std::uint16_t> {
 public:
  explicit Phantom(const config::SynthConfig& config);

  void read(const Box3& box, BlockView<std::uint16_t> out, int worker) override;

  /// The illumination along an axis (0 = z), one value per voxel, in (0, 1].
  [[nodiscard]] const std::vector<float>& illumination(int axis) const {
    return illumination_[static_cast<std::size_t>(axis)];
  }
  /// The background without noise, (1, y, x).
  [[nodiscard]] const Block<float>& background() const { return background_; }
  /// Where tissue is, sampled at the centres of `factor` times larger voxels.
  [[nodiscard]] Block<std::uint8_t> tissue_mask(std::int64_t factor) const;

 private:
  /// Range [first, last) of the row's voxels that are tissue; positions count from voxel centres.
  struct RowExtent {
    double first;
    double last;
  };
  [[nodiscard]] RowExtent tissue_row(double z, double y) const;
  void texture_row(std::int64_t z, std::int64_t y, const Box3& box, std::vector<float>& out) const;

  config::SynthConfig config_;
  std::vector<float> illumination_[3];
  Block<float> background_;
};

/// Makes the phantom tile, its mask and its truth below `config.output`:
/// NAME (OME-Zarr), masks/phantom_NAME_pred.tif, NAME.truth.json (fz, fy, fx and the options) and
/// NAME.truth_background.tif. Throws Error, with kUsage where that is no local folder, and kMemory, before an earlier tile is
/// removed, where there is not enough for the phantom.
void synthesize(const config::SynthConfig& config);

}  // namespace flatfield::pipeline
