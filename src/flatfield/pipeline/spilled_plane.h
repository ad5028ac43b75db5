#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "flatfield/core/block.h"

namespace flatfield::pipeline {

/// A plane of float32 that waits for its use in a file without a name, which vanishes with it, also when the process is killed.
class SpilledPlane {
 public:
  /// The file is in `folder`, of this machine. Throws Error(kWriteFailed).
  SpilledPlane(const std::string& folder, BlockView<const float> plane);

  /// The plane, (1, y, x). Throws Error(kReadFailed).
  [[nodiscard]] Block<float> read() const;

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::string folder_;
  Extent3 shape_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace flatfield::pipeline
