// A group: its attributes, the image that they describe, and its levels.
#include <optional>
#include <string>
#include <vector>

#include "array_exercise.h"
#include "expectation.h"
#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/ome/ngff_rules.h"
#include "flatfield/ome/tile.h"
#include "flatfield/zarr/group.h"
#include "flatfield/zarr/metadata_v3.h"
#include "store_input.h"
#include "targets.h"

namespace flatfield::fuzz {
namespace {

using storage::MemoryStore;

template <class Read>
bool reads(Read read) {
  return accepts({ErrorCode::kBadInput, ErrorCode::kUnsupported, ErrorCode::kNotFound}, read);
}

/// What becomes the attributes of an output must be an image that keeps the rules.
void write_attributes(const ome::Tile& tile) {
  ome::Multiscale output;
  output.name = tile.multiscale().name;
  output.axes = ome::output_axes();
  const ome::Level& level = tile.multiscale().levels.front();
  output.levels = ome::output_levels(tile.output_scale(level), tile.output_translation(level), 2);
  for (const int zarr_format : {2, 3}) {
    const Json attributes = ome::write_group_attributes(output, {"a type", "a method", Json::object()},
                                                        tile.attributes(), 1, 255.0, zarr_format);
    require(ome::has_multiscale(attributes), "an output that is no image");
    // Numbers that are too large for JSON are written as null.
    const Json reread = Json::parse(attributes.dump(), "fuzz");
    reads([&] {
      const ome::Multiscale again = ome::read_multiscale(reread, "fuzz");
      require(again.axes.size() == 5 && again.levels.size() == 2, "an output of another form");
    });
    static_cast<void>(ome::check_ngff(reread));
  }
}

/// Planes of a level, read whole and chunk by chunk.
template <class T>
void read_planes(const ome::Volume& volume) {
  constexpr std::int64_t kLargest = 1 << 14;
  constexpr std::int64_t kLargestChunk = 1 << 14;
  const Extent3 shape = volume.shape();
  const bool is_small = shape.z <= kLargest && shape.y <= kLargest && shape.x <= kLargest &&
                        shape.z * shape.y <= kLargest && shape.z * shape.y * shape.x <= kLargest;
  if (!is_small || shape.z * shape.y * shape.x == 0 ||
      volume.array().metadata().chunk_elements() > kLargestChunk)
    return;
  Block<T> whole(shape);
  zarr::ChunkScratch scratch;
  if (!reads([&] { volume.read<T>({{0, 0, 0}, shape}, whole.view(), scratch); })) return;
  const Extent3& chunk = volume.chunk_shape();
  const Extent3 grid = ceil_div(shape, chunk);
  for (std::int64_t i = 0; i < grid.volume(); ++i) {
    const Box3 box = tile_box(unravel(i, grid), chunk, shape);
    Block<T> planes(chunk);
    std::vector<ome::Volume::PlanePart<T>> parts;
    for (std::int64_t z = 0; z < chunk.z; ++z) parts.push_back({z, 0, planes.plane(z).span()});
    if (!reads([&] { volume.read_plane_parts<T>(unravel(i, grid), parts, scratch); })) continue;
    for (std::int64_t k = 0; k < box.shape.volume(); ++k) {
      const Extent3 p = unravel(k, box.shape);
      const Extent3 q = box.origin + p;
      require(planes.at(p.z, p.y, p.x) == whole.at(q.z, q.y, q.x), "planes are not those of the volume");
    }
  }
}

void exercise_tile(const ome::Tile& tile) {
  write_attributes(tile);
  for (const ome::Level& level : tile.multiscale().levels) {
    std::optional<ome::Volume> volume;
    if (!reads([&] { volume.emplace(tile.open_volume(level.path, {})); })) continue;
    require(tile.multiscale().find_level(level.path) != nullptr, "a level that is not there");
    const ome::VolumeId counts = tile.volume_counts(volume->array());
    if (counts.t == 0 || counts.c == 0) continue;
    if (volume->dtype() == DType::kUint8) read_planes<std::uint8_t>(*volume);
    if (volume->dtype() == DType::kUint16) read_planes<std::uint16_t>(*volume);
  }
}

}  // namespace

void ome_image(Input input) {
  const std::shared_ptr<MemoryStore> store = read_store(input);
  for (const int zarr_format : {0, 2, 3}) {
    reads([&] { static_cast<void>(zarr::find_node(*store, "", zarr_format)); });
    reads([&] {
      const Json attributes = zarr::read_group_attributes(*store, "", zarr_format);
      const ome::NgffReport report = ome::check_ngff(attributes);
      require(!report.version.empty() || report.problems.empty(), "problems of nothing");
      if (ome::has_multiscale(attributes))
        reads([&] { static_cast<void>(ome::read_multiscale(attributes, "fuzz")); });
    });
  }
  if (const auto text = storage::get_text(*store, "zarr.json"))
    reads([&] { static_cast<void>(zarr::parse_group_v3(*text, "zarr.json")); });
  std::optional<ome::Tile> tile;
  if (reads([&] { tile.emplace(ome::Tile::open(store)); })) exercise_tile(*tile);
}

}  // namespace flatfield::fuzz
