#include "flatfield/pipeline/spilled_plane.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {

SpillFile::SpillFile(std::string folder) : folder_(std::move(folder)) {
  std::string name = folder_ + "/" + kSpillPrefix + "XXXXXX";
  number_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (number_ < 0) storage::throw_file_error(ErrorCode::kWriteFailed, "create", name, errno);
  ::unlink(name.c_str());
}

SpillFile::~SpillFile() { ::close(number_); }

std::int64_t SpillFile::append(std::span<const float> values) {
  const std::int64_t begin = end_;
  for (std::span<const std::byte> left = std::as_bytes(values); !left.empty();) {
    const auto at = begin + static_cast<std::int64_t>(values.size_bytes() - left.size());
    const ssize_t count = ::pwrite(number_, left.data(), left.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) storage::throw_file_error(ErrorCode::kWriteFailed, "write a file in", folder_, count < 0 ? errno : EIO);
    left = left.subspan(static_cast<std::size_t>(count));
  }
  end_ += static_cast<std::int64_t>(values.size_bytes());
  return begin;
}

void SpillFile::read(std::int64_t begin, std::span<float> values) const {
  for (std::span<std::byte> left = std::as_writable_bytes(values); !left.empty();) {
    const auto at = begin + static_cast<std::int64_t>(values.size_bytes() - left.size());
    const ssize_t count = ::pread(number_, left.data(), left.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) storage::throw_file_error(ErrorCode::kReadFailed, "read a file in", folder_, count < 0 ? errno : EIO);
    left = left.subspan(static_cast<std::size_t>(count));
  }
}

SpilledPlane::SpilledPlane(std::shared_ptr<SpillFile> file, BlockView<const float> plane)
    : file_(std::move(file)), shape_(plane.shape), begin_(file_->append(plane.span())) {}

Block<float> SpilledPlane::read() const {
  Block<float> plane(shape_);
  file_->read(begin_, plane.span());
  return plane;
}

}  // namespace flatfield::pipeline
