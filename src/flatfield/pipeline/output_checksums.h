#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flatfield/pipeline/item_ledger.h"
#include "flatfield/storage/store.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

/// Size and CRC-32C of an object.
struct ObjectSum {
  std::uint64_t bytes = 0;  ///< 0 = there is no such object
  std::uint32_t crc32c = 0;

  friend bool operator==(const ObjectSum&, const ObjectSum&) = default;
};

/// What was written of an image: every object of its levels, and the documents that describe them. It is kept with the
/// image, in an object that readers of Zarr do not see (docs/formats.md).
class OutputChecksums {
 public:
  /// Of an image with these levels ("0", "1", ...), of which nothing is written yet.
  explicit OutputChecksums(const std::vector<zarr::ArrayMetadata>& levels);

  [[nodiscard]] std::size_t level_count() const { return levels_.size(); }
  [[nodiscard]] const std::vector<ObjectSum>& level(std::size_t level) const { return levels_[level]; }
  /// False, and nothing is set, where the image has no such object.
  [[nodiscard]] bool set(const WrittenObject& object) {
    if (object.level < 0 || object.level >= std::ssize(levels_)) return false;
    std::vector<ObjectSum>& level = levels_[static_cast<std::size_t>(object.level)];
    if (object.number < 0 || object.number >= std::ssize(level)) return false;
    level[static_cast<std::size_t>(object.number)] = {object.bytes, object.crc32c};
    return true;
  }
  /// Objects of a level along each axis.
  [[nodiscard]] const zarr::Shape& grid(std::size_t level) const { return grids_[level]; }
  [[nodiscard]] const std::map<std::string, ObjectSum>& documents() const { return documents_; }
  void set_document(const std::string& key, std::string_view text);

  /// Not counted as bytes written: how far the file deflates depends on the checksums of documents with times in them,
  /// and what a run reports of itself should be the same every time.
  void write(storage::Store& store) const;
  /// Reads those of an image. Throws Error(kNotFound) if it has none, Error(kBadInput) if they are damaged.
  [[nodiscard]] static OutputChecksums read(const std::shared_ptr<const storage::Store>& store);
  /// Key of the object in an image.
  static constexpr const char* kKey = "0/.exaspim_flatfield_checksums.npz";

 private:
  explicit OutputChecksums(std::vector<zarr::Shape> grids);

  std::vector<std::vector<ObjectSum>> levels_;  ///< by number of the object in its level
  std::vector<zarr::Shape> grids_;
  std::map<std::string, ObjectSum> documents_;
};

}  // namespace flatfield::pipeline
