#include "flatfield/storage/passing_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <new>

namespace flatfield::storage {
namespace {

/// Pages that are still on their way stay in the cache.
void let_go(int file) noexcept {
  static_cast<void>(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
  ::close(file);
}

}  // namespace

PassingFiles::~PassingFiles() {
  for (const int file : written_) let_go(file);
}

void PassingFiles::was_read(int file, std::uint64_t offset, std::uint64_t length) noexcept {
  static_cast<void>(
      ::posix_fadvise(file, static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_DONTNEED));
}

void PassingFiles::was_written(int file) noexcept {
  // Does not wait for the disk, unless that has more to do than it takes.
  static_cast<void>(::sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE));
  const int kept = ::fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (kept < 0) return;
  int oldest = kept;
  try {
    const std::scoped_lock lock(mutex_);
    written_.push_back(kept);
    if (written_.size() <= kUnderWay) return;
    oldest = written_.front();
    written_.pop_front();
  } catch (const std::bad_alloc&) {
    // The file leaves the cache as far as it is on the disk already.
  }
  let_go(oldest);
}

}  // namespace flatfield::storage
