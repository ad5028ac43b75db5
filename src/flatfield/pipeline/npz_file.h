#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/storage/zip_archive.h"

namespace flatfield::pipeline {

/// The head of a NumPy file (format 1.0, C order): `descr` is NumPy's type string.
[[nodiscard]] std::string npy_head(std::string_view descr, const std::vector<std::int64_t>& shape);

/// Writes named arrays as numpy.load reads them (.npz), and texts beside them. Equal content gives equal bytes.
/// T is uint8, uint32, uint64, int64 or float.
class NpzWriter {
 public:
  explicit NpzWriter(std::unique_ptr<storage::ObjectWriter> object) : zip_(std::move(object)) {}

  template <class T>
  void add(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const T> values);
  /// Begins an array, whose values follow in pieces.
  template <class T>
  void begin(const std::string& name, const std::vector<std::int64_t>& shape);
  template <class T>
  void append(std::span<const T> values) {
    zip_.append(std::as_bytes(values));
  }
  /// An entry that is its bytes: `numpy.load(FILE)[name]` are these.
  void add_text(const std::string& name, std::string_view text);
  void finish() { zip_.finish(); }

 private:
  storage::ZipWriter zip_;
};

/// Reads what NpzWriter has written.
class NpzReader {
 public:
  /// Throws as storage::ZipReader, also where any byte of the file is not as it was written.
  NpzReader(std::shared_ptr<const storage::Store> store, std::string key);

  [[nodiscard]] bool has(const std::string& name) const { return zip_.find(name + ".npy") != nullptr; }
  /// Throws Error(kBadInput) that names the array unless it takes as many bytes as one of this shape.
  template <class T>
  void expect(const std::string& name, const std::vector<std::int64_t>& shape) const;
  /// An array, whose shape must be `shape`. Throws Error(kBadInput) that names it otherwise.
  template <class T>
  [[nodiscard]] std::vector<T> read(const std::string& name, const std::vector<std::int64_t>& shape) const;
  /// An array of bytes into memory that holds as many.
  void read_bytes(const std::string& name, const std::vector<std::int64_t>& shape, std::span<std::byte> into) const;
  /// A list of numbers, of whatever length.
  [[nodiscard]] std::vector<float> read_vector(const std::string& name) const;
  /// A plane (y, x) as (1, y, x).
  [[nodiscard]] Block<float> read_plane(const std::string& name, const Extent3& shape) const;
  [[nodiscard]] std::string read_text(const std::string& name) const;
  [[nodiscard]] std::string describe() const { return zip_.describe(); }

 private:
  [[nodiscard]] const storage::ZipReader::Entry& require(const std::string& name) const;
  [[noreturn]] void refuse(const storage::ZipReader::Entry& entry, const std::string& head) const;
  void read_into(const storage::ZipReader::Entry& entry, const std::string& head, std::span<std::byte> body) const;

  storage::ZipReader zip_;
};

}  // namespace flatfield::pipeline
