#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

namespace flatfield::storage {

/// Keeps files that are read or written once from filling the page cache, which others on the machine may need for what
/// they read again and again. Advice to the kernel: whatever of it fails, nothing but the cache is different. From several
/// threads.
class PassingFiles {
 public:
  PassingFiles() = default;
  PassingFiles(const PassingFiles&) = delete;
  PassingFiles& operator=(const PassingFiles&) = delete;
  ~PassingFiles();

  /// Part of an open file has been read: its whole pages leave the cache.
  static void was_read(int file, std::uint64_t offset, std::uint64_t length) noexcept;
  /// An open file has been written: its pages go to the disk, and leave the cache after some more files, when they are
  /// there.
  void was_written(int file) noexcept;

  /// Files that are on their way to the disk; beyond that the oldest leaves the cache.
  static constexpr std::size_t kUnderWay = 64;

 private:
  std::mutex mutex_;
  std::deque<int> written_;  ///< owned, oldest first
};

}  // namespace flatfield::storage
