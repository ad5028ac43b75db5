#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "flatfield/core/block.h"

namespace flatfield::pipeline {

/// What the name of the file begins with, where it has one.
inline constexpr const char* kSpillPrefix = ".flatfield_planes_";

/// A file without a name, which vanishes with it, also when the process is killed. To be used from one thread.
class SpillFile {
 public:
  /// The file is in `folder`, of this machine. Throws Error(kWriteFailed).
  explicit SpillFile(std::string folder);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// Puts values behind those that are there; returns where they begin. Throws Error(kWriteFailed).
  [[nodiscard]] std::int64_t append(std::span<const float> values);
  /// Throws Error(kReadFailed).
  void read(std::int64_t begin, std::span<float> values) const;

 private:
  std::string folder_;
  int number_ = -1;  ///< of the open file
  std::int64_t end_ = 0;
};

/// A plane of float32 that waits for its use in a file.
class SpilledPlane {
 public:
  /// Throws Error(kWriteFailed).
  SpilledPlane(std::shared_ptr<SpillFile> file, BlockView<const float> plane);

  /// The plane, (1, y, x). Throws Error(kReadFailed).
  [[nodiscard]] Block<float> read() const;

 private:
  std::shared_ptr<SpillFile> file_;
  Extent3 shape_;
  std::int64_t begin_;
};

}  // namespace flatfield::pipeline
