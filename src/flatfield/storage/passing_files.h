#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

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
  /// The pages of an open file that was written set out for the disk. Does not wait for that, unless the disk has more to
  /// do than it takes.
  static void send_off(int file) noexcept;
  /// A file that was sent off is complete under its name: its pages leave the cache after some more files, when they are
  /// on the disk. Files are kept by name: one that is removed meanwhile must not be kept open, which network file systems
  /// do not forgive (its folder cannot be removed then).
  void was_written(const std::string& path);

  /// Files that are on their way to the disk; beyond that the oldest leaves the cache.
  static constexpr std::size_t kUnderWay = 64;

 private:
  std::mutex mutex_;
  std::deque<std::string> written_;  ///< oldest first
};

}  // namespace flatfield::storage
