#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/ome/volume.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/array.h"

namespace flatfield::ome {

/// Which volume of a tile: index along the time and channel axes (0 where the tile has no such axis).
struct VolumeId {
  std::int64_t t = 0;
  std::int64_t c = 0;
  friend bool operator==(const VolumeId&, const VolumeId&) = default;
};

/// One OME-Zarr image: a pyramid of arrays with 3 to 5 axes, of which the last three are z, y, x.
class Tile {
 public:
  /// Opens the group at the root of `store`, which need not be able to list what it has. Throws Error(kNotFound) if there
  /// is nothing, kBadInput if it is no OME-Zarr image, kUnsupported for axes other than t, c, z, y, x.
  [[nodiscard]] static Tile open(std::shared_ptr<storage::Store> store);

  [[nodiscard]] const Multiscale& multiscale() const { return multiscale_; }
  /// All attributes of the group.
  [[nodiscard]] const Json& attributes() const { return attributes_; }
  [[nodiscard]] std::string describe() const { return store_->describe(""); }

  /// Level metadata by key. Throws Error(kNotFound) that lists the levels there are.
  [[nodiscard]] const Level& level(const std::string& key) const;
  [[nodiscard]] zarr::Array open_array(const std::string& key) const;
  /// Number of time points and channels of an array of this tile.
  [[nodiscard]] VolumeId volume_counts(const zarr::Array& array) const;
  /// Throws Error(kUsage) if the tile has no such time point or channel.
  [[nodiscard]] Volume open_volume(const std::string& key, VolumeId id) const;
  /// Shape (z, y, x) of a level.
  [[nodiscard]] Extent3 spatial_shape(const std::string& key) const;

  /// Scale and translation of a level along t, c, z, y, x (1 and 0 for an axis the tile does not have), in the units of
  /// an output; the numbers as they are where the unit of an axis is missing or none of NGFF's.
  [[nodiscard]] std::vector<double> output_scale(const Level& level) const;
  [[nodiscard]] std::vector<double> output_translation(const Level& level) const;
  /// The axes whose units are none of NGFF's, or of another kind of axis.
  [[nodiscard]] std::vector<Axis> axes_of_unknown_unit() const;

 private:
  Tile(std::shared_ptr<storage::Store> store, Json attributes, Multiscale multiscale);
  [[nodiscard]] std::vector<double> to_output_axes(const std::vector<double>& values,
                                                   double otherwise) const;

  std::shared_ptr<storage::Store> store_;
  Json attributes_;
  Multiscale multiscale_;
};

}  // namespace flatfield::ome
