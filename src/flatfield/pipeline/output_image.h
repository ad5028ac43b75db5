#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/dtype.h"
#include "flatfield/numerics/window_reduce.h"
#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/object_sizes.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {

/// Attribute of a corrected group: what came out, for a run that finds it finished: {"status", "reason", "qc"} as in the run
/// report.
inline constexpr const char* kOutcomeKey = "exaspim_flatfield_outcome";

/// What an output OME-Zarr is to be.
struct OutputPlan {
  std::string name;       ///< of the image: the tile's name
  ome::VolumeId volumes;  ///< time points and channels
  Extent3 shape;          ///< of level 0
  Extent3 chunk_shape;
  std::optional<Extent3> shard_shape;  ///< whole multiples of chunk_shape, only for Zarr format 3
  int zarr_format = 2;
  bool write_empty_chunks = true;  ///< false: chunks of zeros are left out
  DType dtype = DType::kUint16;
  int level_count = 1;
  std::vector<zarr::Compressor> compressors;
  std::vector<double> scale;        ///< of level 0, axes t, c, z, y, x
  std::vector<double> translation;
  numerics::WindowReducer reducer;
};

/// The arrays of an output, finest level first.
[[nodiscard]] std::vector<zarr::ArrayMetadata> level_metadata(const OutputPlan& plan);
/// Objects of all levels of an image.
[[nodiscard]] std::int64_t object_count(const std::vector<zarr::ArrayMetadata>& levels);

/// Items that were noted, and of which objects are not there as they were written, or that note themselves is damaged.
struct LostItems {
  std::int64_t count = 0;
  std::string first;  ///< where the first of these objects would be
};

/// An OME-Zarr being written: 5-D arrays (t, c, z, y, x), levels first; the group's `multiscales` come last,
/// so that an output without them is an unfinished one.
class OutputImage {
 public:
  /// Writes the group and the metadata of all levels, the same bytes every time.
  OutputImage(std::shared_ptr<storage::Store> store, OutputPlan plan);

  /// From now on items are noted in a ledger beside the image; `resumed` if there may be one already.
  void keep_ledger(bool resumed, const std::string& claim);
  /// Forgets what is lost of the items that are noted in the ledger, so that they are done again: of all, or of those of a
  /// part. To be called before this run does any, by one process.
  [[nodiscard]] LostItems forget_lost(const Share& share);

  /// The pyramid of one volume, ready to be written.
  [[nodiscard]] PyramidTarget target(ome::VolumeId id, const std::string& message_name) const;

  /// Writes the checksums of what was written, if a ledger was kept, and then the group's attributes: the output is
  /// finished. `inherited` are the input group's attributes to keep (may be null), `provenance` goes under the key
  /// "exaspim_flatfield" unless it is null, and `outcome` under kOutcomeKey. Objects that nobody has noted are removed: another
  /// run may have written them that stood still while this one took its place. Throws Error(kWriteFailed) where an object is
  /// not there or not as large as it was written; the items that it belongs to are then done again by the next run.
  void finish(const Json& inherited, const Json& provenance, const Json& outcome = Json());

 private:
  [[nodiscard]] Json attributes(const Json& inherited, const Json& provenance, const Json& outcome) const;
  void write_checksums(const zarr::Document& group);
  /// Calls visit(item, what it has written) for items of a pass, in order.
  template <class Visit>
  void for_each_entry(const std::string& pass, const std::vector<std::int64_t>& items, Visit visit) const;
  using VisitObject = std::function<void(const WrittenObject&)>;
  /// Forgets those of some items of a pass that are lost, and calls `visit` for the objects that are there.
  void forget_lost(const std::string& pass, const std::vector<std::int64_t>& items, const ObjectSizes& sizes, LostItems& lost,
                   const VisitObject& visit);
  [[nodiscard]] bool is_there(const WrittenObject& object, const ObjectSizes& sizes) const;
  [[nodiscard]] std::string location_of(const WrittenObject& object) const {
    return object_location(levels_, object.level, object.number);
  }

  std::shared_ptr<storage::Store> store_;
  OutputPlan plan_;
  std::vector<zarr::ArrayMetadata> levels_;
  std::vector<zarr::Array> arrays_;
  std::shared_ptr<ItemLedger> ledger_;
  bool resumed_ = false;
};

}  // namespace flatfield::pipeline
