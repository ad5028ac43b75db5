#include "flatfield/storage/passing_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace flatfield::storage {
namespace {

/// Pages that are still on their way stay in the cache. A file that is gone has none.
void let_go(const std::string& path) noexcept {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (file < 0) return;
  static_cast<void>(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
  ::close(file);
}

}  // namespace

PassingFiles::~PassingFiles() {
  for (const std::string& path : written_) let_go(path);
}

void PassingFiles::was_read(int file, std::uint64_t offset, std::uint64_t length) noexcept {
  static_cast<void>(
      ::posix_fadvise(file, static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_DONTNEED));
}

void PassingFiles::send_off(int file) noexcept {
  static_cast<void>(::sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE));
}

void PassingFiles::was_written(const std::string& path) {
  std::string oldest;
  {
    const std::scoped_lock lock(mutex_);
    written_.push_back(path);
    if (written_.size() <= kUnderWay) return;
    oldest = std::move(written_.front());
    written_.pop_front();
  }
  let_go(oldest);
}

}  // namespace flatfield::storage
