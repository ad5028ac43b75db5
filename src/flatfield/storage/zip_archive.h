#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/storage/store.h"

namespace flatfield::storage {

// Zip archives as Python's zipfile and numpy.load read them (APPNOTE 6.3, always with the fields of Zip64): entries are
// deflated or stored, of one fixed time, so that the same content gives the same bytes. The comment at the end holds the
// CRC-32C of everything before it.

/// Writes an archive from its beginning to its end, as one object. For one thread.
class ZipWriter {
 public:
  /// The object becomes visible with `finish`.
  explicit ZipWriter(std::unique_ptr<ObjectWriter> object);
  ~ZipWriter();

  /// Begins an entry; what is appended until the next `begin` is its content. `deflated` suits content that repeats
  /// itself. Throws what the object throws.
  void begin(std::string_view name, bool deflated);
  void append(std::span<const std::byte> bytes);
  /// Completes the archive.
  void finish();

 private:
  struct Entry {
    std::string name;
    bool deflated = false;
    std::uint32_t crc32 = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t packed_bytes = 0;
    std::uint64_t offset = 0;
  };
  class Deflater;

  void write(std::span<const std::byte> bytes);
  void write(const std::string& bytes);
  void end_entry();

  std::unique_ptr<ObjectWriter> object_;
  std::vector<Entry> entries_;
  std::unique_ptr<Deflater> deflater_;  ///< of the entry that is open, if it is deflated
  bool open_ = false;
  std::uint64_t written_ = 0;
  std::uint32_t crc32c_ = 0;
};

/// Reads archives that ZipWriter has written. May be used from several threads at once.
class ZipReader {
 public:
  /// Reads the list of entries. Throws Error(kNotFound) if there is no such object, Error(kBadInput) if it is
  /// damaged or no such archive, and what the store throws.
  ZipReader(std::shared_ptr<const Store> store, std::string key);

  struct Entry {
    std::string name;
    std::uint64_t raw_bytes = 0;  ///< of the content

   private:
    friend class ZipReader;
    bool deflated = false;
    std::uint32_t crc32 = 0;
    std::uint64_t packed_bytes = 0;
    std::uint64_t offset = 0;
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  /// The entry of a name; nullptr if there is none.
  [[nodiscard]] const Entry* find(std::string_view name) const;

  /// Reads the content of an entry: first `head`, then `body`, which have its size together.
  /// Throws Error(kBadInput) if it is damaged.
  void read(const Entry& entry, std::span<std::byte> head, std::span<std::byte> body) const;
  void read(const Entry& entry, std::span<std::byte> into) const { read(entry, {}, into); }
  /// Reads everything once, and throws Error(kBadInput) if any byte is not as it was written.
  void check_whole() const;

  /// Full name of the object, for messages.
  [[nodiscard]] std::string describe() const { return store_->describe(key_); }

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void read_range(std::uint64_t offset, std::uint64_t length, Buffer& into) const;

  std::shared_ptr<const Store> store_;
  std::string key_;
  std::uint64_t size_ = 0;
  std::uint32_t recorded_crc32c_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace flatfield::storage
