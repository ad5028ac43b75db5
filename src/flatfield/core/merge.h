#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace flatfield {

/// How pure code that sees only a part of something makes its partial result that of the whole, where several processes
/// share the parts. All of them call the same functions in the same order, with equally many values; afterwards all hold
/// the same. What is merged are integers, extremes and bits, so that the result does not depend on who saw what. This one
/// is for a process that has seen everything itself: nothing changes.
class Merge {
 public:
  Merge() = default;
  Merge(const Merge&) = delete;
  Merge& operator=(const Merge&) = delete;
  virtual ~Merge() = default;

  /// Whether others have seen parts: if not, there is nothing to merge.
  [[nodiscard]] virtual bool is_shared() const { return false; }
  /// Adds up each value.
  virtual void sum(std::span<std::uint64_t> /*values*/) const {}
  virtual void sum(std::span<std::uint32_t> /*values*/) const {}
  void sum(std::span<std::int64_t> values) const;
  /// The least, or the greatest, of each value.
  virtual void least(std::span<float> /*values*/) const {}
  virtual void most(std::span<float> /*values*/) const {}
  virtual void least(std::span<std::int64_t> /*values*/) const {}
  /// Each bit that one has set: what each has written to its own places of memory that was 0.
  virtual void unite(std::span<std::byte> /*bits*/) const {}
  /// Each bit that all have set.
  virtual void common(std::span<std::uint64_t> /*bits*/) const {}
  /// Of each value the sum over the processes before this one.
  [[nodiscard]] virtual std::vector<std::uint64_t> before(std::span<const std::uint64_t> values) const {
    return std::vector<std::uint64_t>(values.size());
  }

  /// That of a process that has seen everything.
  [[nodiscard]] static const Merge& alone() {
    static const Merge merge;
    return merge;
  }
};

inline void Merge::sum(std::span<std::int64_t> values) const {
  // The same object as another integer type of its size; sums in two's complement are those of unsigned numbers.
  sum(std::span(reinterpret_cast<std::uint64_t*>(values.data()), values.size()));
}

}  // namespace flatfield
