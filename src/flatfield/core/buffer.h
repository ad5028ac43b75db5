#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "flatfield/core/large_memory.h"

namespace flatfield {

/// Reusable bytes: grows but never shrinks, and does not clear what it hands out.
/// One per thread and purpose, so that the steady state allocates nothing per chunk.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::move(other.data_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  /// Makes room for `size` bytes, whose content is then undefined.
  std::span<std::byte> resize(std::size_t size) {
    if (size > capacity_) {
      data_.reset();
      capacity_ = 0;
      size_ = 0;
      data_.reset(static_cast<std::byte*>(allocate_memory(size)));
      capacity_ = size;
    }
    size_ = size;
    forbid_beyond(data_.get(), size_, capacity_);
    return span();
  }
  /// Keeps the first `size` bytes.
  void truncate(std::size_t size) {
    size_ = size < size_ ? size : size_;
    forbid_beyond(data_.get(), size_, capacity_);
  }

  [[nodiscard]] std::span<std::byte> span() { return {data_.get(), size_}; }
  [[nodiscard]] std::span<const std::byte> span() const { return {data_.get(), size_}; }
  [[nodiscard]] std::byte* data() { return data_.get(); }
  [[nodiscard]] const std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(data_.get()), size_};
  }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { std::free(p); }
  };

  std::unique_ptr<std::byte[], Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// The bytes of a text.
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace flatfield
