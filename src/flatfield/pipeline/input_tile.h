#pragma once

#include <string>

#include "flatfield/core/extent.h"
#include "flatfield/core/json.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/tile_fingerprint.h"
#include "flatfield/pipeline/tile_levels.h"
#include "flatfield/storage/open_store.h"
#include "flatfield/zarr/array.h"

namespace flatfield::pipeline {

/// The tile that a run corrects: the levels that are corrected and learnt from, and whether it is still what it was.
class InputTile {
 public:
  /// Throws Error where there is no tile at `location`, or one that cannot be corrected.
  InputTile(RunContext& context, const std::string& location);

  [[nodiscard]] const std::string& location() const noexcept { return location_; }  ///< without trailing slashes
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const ome::Tile& tile() const noexcept { return tile_; }
  [[nodiscard]] const TileLevels& levels() const noexcept { return levels_; }

  // Of the level that is corrected.
  [[nodiscard]] const zarr::Array& array() const noexcept { return array_; }
  [[nodiscard]] Extent3 shape() const { return tile_.spatial_shape(levels_.target); }
  [[nodiscard]] ome::VolumeId volume_counts() const { return tile_.volume_counts(array_); }
  /// Name that the files of a volume start with.
  [[nodiscard]] std::string label(ome::VolumeId id) const;

  /// Whether what is read and written in the pass over the tile stays in the memory of the machine.
  [[nodiscard]] storage::Caching caching() const;
  /// The tile for that pass.
  [[nodiscard]] ome::Tile for_streaming(RunContext& context) const;

  /// What it is known by, as it was when this was asked first: before anything is learnt from the tile.
  [[nodiscard]] const Json& identity();
  /// What of the tile is not as an identity says that was taken of it before, for people; "" if nothing is.
  [[nodiscard]] std::string change_since(const Json& identity) const { return tile_change(identity, tile_, levels_); }

 private:
  std::string location_;
  std::string name_;
  ome::Tile tile_;
  TileLevels levels_;
  zarr::Array array_;
  Json identity_;
};

}  // namespace flatfield::pipeline
