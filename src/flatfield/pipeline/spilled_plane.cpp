#include "flatfield/pipeline/spilled_plane.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {

SpillFile::SpillFile(std::string folder) : folder_(std::move(folder)) {
  std::string name = folder_ + "/" + kSpillPrefix + "XXXXXX";
  const int number = ::mkstemp(name.data());
  if (number < 0) storage::throw_file_error(ErrorCode::kWriteFailed, "create", name, errno);
  ::unlink(name.c_str());
  file_.reset(::fdopen(number, "w+b"));
  if (file_) return;
  const int reason = errno;
  ::close(number);
  storage::throw_file_error(ErrorCode::kWriteFailed, "open", name, reason);
}

std::int64_t SpillFile::append(std::span<const float> values) {
  std::int64_t begin = -1;
  if (::fseeko(file_.get(), 0, SEEK_END) == 0) begin = ::ftello(file_.get());
  if (begin < 0 || std::fwrite(values.data(), sizeof(float), values.size(), file_.get()) != values.size() ||
      std::fflush(file_.get()) != 0)
    storage::throw_file_error(ErrorCode::kWriteFailed, "write a file in", folder_, errno);
  return begin;
}

void SpillFile::read(std::int64_t begin, std::span<float> values) const {
  errno = EIO;  // of a file that is too short
  if (::fseeko(file_.get(), begin, SEEK_SET) != 0 ||
      std::fread(values.data(), sizeof(float), values.size(), file_.get()) != values.size())
    storage::throw_file_error(ErrorCode::kReadFailed, "read a file in", folder_, errno);
}

SpilledPlane::SpilledPlane(std::shared_ptr<SpillFile> file, BlockView<const float> plane)
    : file_(std::move(file)), shape_(plane.shape), begin_(file_->append(plane.span())) {}

Block<float> SpilledPlane::read() const {
  Block<float> plane(shape_);
  file_->read(begin_, plane.span());
  return plane;
}

}  // namespace flatfield::pipeline
