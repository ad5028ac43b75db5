#include "flatfield/pipeline/input_tile.h"

#include <cstdint>

#include "flatfield/core/error.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/level_reader.h"
#include "flatfield/pipeline/results.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {

InputTile::InputTile(RunContext& context, const std::string& location)
    : location_(trimmed_location(location)),
      name_(location_name(location_)),
      tile_(ome::Tile::open(context.stores.open(location_))),
      levels_(choose_levels(tile_, name_, context.config, context.log)),
      array_(tile_.open_array(levels_.target)) {
  const DType dtype = array_.metadata().dtype;
  if (dtype != DType::kUint8 && dtype != DType::kUint16) refuse_data_type(array_);
  if (shape().empty() || volume_counts().t == 0 || volume_counts().c == 0)
    throw Error(ErrorCode::kBadInput, "the level holds no voxels", array_.describe());
}

std::string InputTile::label(ome::VolumeId id) const { return volume_label(name_, id, volume_counts()); }

storage::Caching InputTile::caching() const {
  // What passes through once must not drive everything else out of the memory of a machine that can hardly hold it: more
  // than half of what a run may use unless it is told otherwise.
  const std::int64_t voxel_bytes = shape().volume() * static_cast<std::int64_t>(size_of(array_.metadata().dtype));
  return voxel_bytes > execution::default_memory_ceiling() / 2 ? storage::Caching::kPassing : storage::Caching::kKept;
}

ome::Tile InputTile::for_streaming(RunContext& context) const {
  if (caching() == storage::Caching::kKept) return tile_;
  return ome::Tile::open(context.stores.open(location_, storage::Caching::kPassing));
}

const Json& InputTile::identity() {
  if (identity_.is_null()) identity_ = tile_identity(tile_, levels_);
  return identity_;
}

}  // namespace flatfield::pipeline
