#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "flatfield/storage/store.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::pipeline {

/// Key in an image of the object at a place in a level ("0", "1", ...).
[[nodiscard]] std::string object_location(const std::vector<zarr::ArrayMetadata>& levels, int level,
                                          std::int64_t number);

/// Sizes of all objects of an image, by one listing.
class ObjectSizes {
 public:
  /// Throws what the store throws.
  ObjectSizes(const storage::Store& store, const std::vector<zarr::ArrayMetadata>& levels);

  /// Whether the image has room for such an object, in C order of the objects of its level.
  [[nodiscard]] bool knows(int level, std::int64_t number) const {
    return level >= 0 && level < std::ssize(bytes_) && number >= 0 &&
           number < std::ssize(bytes_[static_cast<std::size_t>(level)]);
  }
  /// Bytes of one that it knows; 0 if there is none, or an empty one.
  [[nodiscard]] std::uint64_t of(int level, std::int64_t number) const {
    return bytes_[static_cast<std::size_t>(level)][static_cast<std::size_t>(number)];
  }
  /// Keys of objects that are no chunks, shards or documents of the image, except in hidden folders and files; at
  /// most some.
  [[nodiscard]] const std::vector<std::string>& others() const { return others_; }

 private:
  std::vector<std::vector<std::uint64_t>> bytes_;
  std::vector<std::string> others_;
};

}  // namespace flatfield::pipeline
