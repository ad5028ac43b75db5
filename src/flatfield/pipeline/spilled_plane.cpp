#include "flatfield/pipeline/spilled_plane.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "flatfield/core/error.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {

SpilledPlane::SpilledPlane(const std::string& folder, BlockView<const float> plane) : folder_(folder), shape_(plane.shape) {
  std::string name = folder + "/.flatfield_plane_XXXXXX";
  const int number = ::mkstemp(name.data());
  if (number < 0) storage::throw_file_error(ErrorCode::kWriteFailed, "create", name, errno);
  ::unlink(name.c_str());
  file_.reset(::fdopen(number, "w+b"));
  if (!file_) {
    const int reason = errno;
    ::close(number);
    storage::throw_file_error(ErrorCode::kWriteFailed, "open", name, reason);
  }
  for (std::int64_t y = 0; y < shape_.y; ++y)
    if (const auto count = static_cast<std::size_t>(shape_.x); std::fwrite(plane.row(0, y), sizeof(float), count, file_.get()) != count)
      storage::throw_file_error(ErrorCode::kWriteFailed, "write", name, errno);
  if (std::fflush(file_.get()) != 0) storage::throw_file_error(ErrorCode::kWriteFailed, "write", name, errno);
}

Block<float> SpilledPlane::read() const {
  Block<float> plane(shape_);
  const auto count = static_cast<std::size_t>(shape_.volume());
  std::rewind(file_.get());
  if (std::fread(plane.data(), sizeof(float), count, file_.get()) != count)
    storage::throw_file_error(ErrorCode::kReadFailed, "read", folder_, errno);
  return plane;
}

}  // namespace flatfield::pipeline
