#include "flatfield/numerics/plane_median.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/numerics/count_below.h"

namespace flatfield::numerics {
namespace {

/// Pixels that are worked on together, at most and at least.
constexpr std::int64_t kWidestStrip = 256;
constexpr std::int64_t kNarrowestStrip = 64;
/// Bytes of a strip over all planes: with the counters it stays within a 32 KiB cache.
constexpr std::int64_t kStripBytes = 16 * 1024;

/// Medians of a strip of pixels over all planes, by radix selection: the bits of the result are
/// settled from the highest down, each by counting per pixel how many planes lie below the result
/// with that bit set. Every inner loop runs over the pixels of the strip without branches.
///
/// Lane is a signed integer (the only kind that SSE2 compares) that is at least as wide as T and
/// can count the planes, so that values and counters fill vectors alike.
template <class T, class Lane>
class StripMedian {
  // Where a lane is as wide as T the top bit is flipped, which keeps the order of values.
  static constexpr int kFlip =
      sizeof(Lane) == sizeof(T) ? std::numeric_limits<T>::max() / 2 + 1 : 0;
  static Lane ordered(T value) { return static_cast<Lane>(value ^ kFlip); }
  static T plain(Lane value) { return static_cast<T>(value ^ kFlip); }

  static constexpr Lane kLargest = std::numeric_limits<Lane>::max();

 public:
  explicit StripMedian(std::int64_t planes)
      : planes_(planes),
        width_(std::clamp(kStripBytes / (planes * std::int64_t{sizeof(Lane)}) / 64 * 64,
                          kNarrowestStrip, kWidestStrip)),
        values_(static_cast<std::size_t>(planes * width_)) {}

  [[nodiscard]] std::int64_t width() const { return width_; }

  /// Medians of `count` <= width() pixels. `first` is the first of them in plane 0; planes are
  /// `stride` values apart.
  void write(const T* first, std::int64_t stride, std::int64_t count, float* __restrict out) {
    const T differing = load(first, stride, count);
    select((planes_ - 1) / 2, differing, count);
    const Lane* const lower = lower_.data();
    if (planes_ % 2 == 1) {
      for (std::int64_t i = 0; i < count; ++i) out[i] = plain(lower[i]);
      return;
    }
    find_above(lower, count);
    const Lane* const above = above_.data();
    // Where the lower middle value itself reaches past the middle it is the upper one too.
    count_below(above, count);
    const Lane* const below = below_.data();
    for (std::int64_t i = 0; i < count; ++i) {
      const Lane low = lower[i];
      const Lane next = above[i];
      const Lane high = below[i] > static_cast<Lane>(planes_ / 2) ? low : next;
      out[i] = static_cast<float>(plain(low) + plain(high)) * 0.5F;
    }
  }

 private:
  [[nodiscard]] const Lane* plane(std::int64_t p) const { return values_.data() + p * width_; }

  /// Copies the strip, and returns the bits that are not the same in all planes of some pixel.
  T load(const T* first, std::int64_t stride, std::int64_t count) {
    std::array<T, kWidestStrip> differing{};
    for (std::int64_t p = 0; p < planes_; ++p) {
      const T* const from = first + p * stride;
      Lane* __restrict const to = values_.data() + p * width_;
      T* __restrict const bits = differing.data();
      for (std::int64_t i = 0; i < count; ++i) {
        to[i] = ordered(from[i]);
        bits[i] = static_cast<T>(bits[i] | (from[i] ^ first[i]));
      }
    }
    T any = 0;
    for (const T bits : differing) any = static_cast<T>(any | bits);
    return any;
  }

  /// Sets lower_ to the order statistic `rank` of each pixel.
  void select(std::int64_t rank, T differing, std::int64_t count) {
    int bit = std::numeric_limits<T>::max() / 2 + 1;
    while (bit > differing) bit >>= 1;
    // What lies above the highest differing bit is the same in all planes, so it is known.
    const int unknown = bit == 0 ? 0 : 2 * bit - 1;
    Lane* __restrict const lower = lower_.data();
    const Lane* const any_plane = plane(0);
    for (std::int64_t i = 0; i < count; ++i)
      lower[i] = ordered(static_cast<T>(plain(any_plane[i]) & ~unknown));
    for (; bit != 0; bit >>= 1) {
      Lane* __restrict const candidate = candidate_.data();
      for (std::int64_t i = 0; i < count; ++i) candidate[i] = static_cast<Lane>(lower[i] ^ bit);
      count_below(candidate, count);
      const Lane* const below = below_.data();
      for (std::int64_t i = 0; i < count; ++i)
        lower[i] = static_cast<Lane>(lower[i] ^ (below[i] <= static_cast<Lane>(rank) ? bit : 0));
    }
  }

  /// Sets above_ to the smallest value of each pixel that is greater than `lower`.
  void find_above(const Lane* lower, std::int64_t count) {
    above_.fill(kLargest);
    Lane* __restrict const above = above_.data();
    for (std::int64_t p = 0; p < planes_; ++p) {
      const Lane* const values = plane(p);
      for (std::int64_t i = 0; i < count; ++i) {
        const Lane value = values[i] > lower[i] ? values[i] : kLargest;
        above[i] = value < above[i] ? value : above[i];
      }
    }
  }

  /// Sets below_ to the number of planes whose value is less than the threshold of the pixel.
  void count_below(const Lane* threshold, std::int64_t count) {
    numerics::count_below(values_.data(), width_, planes_, threshold, below_.data(), count);
  }

  using Strip = std::array<Lane, kWidestStrip>;

  std::int64_t planes_;
  std::int64_t width_;
  std::vector<Lane> values_;  ///< one row of width_ pixels per plane
  Strip lower_{};
  Strip above_{};
  Strip candidate_{};
  Strip below_{};
};

template <class T, class Lane>
void write_medians(const T* first, std::int64_t stride, std::int64_t planes, std::span<float> out) {
  const std::int64_t pixels = std::ssize(out);
  StripMedian<T, Lane> strip(planes);
  for (std::int64_t x = 0; x < pixels; x += strip.width())
    strip.write(first + x, stride, std::min(strip.width(), pixels - x), out.data() + x);
}

}  // namespace

template <class T>
void plane_median(const T* first, std::int64_t stride, std::int64_t planes, std::span<float> out) {
  if (planes < 1 || planes > std::numeric_limits<std::int32_t>::max() || std::ssize(out) > stride)
    throw Error(ErrorCode::kInternal, "plane_median: " + std::to_string(out.size()) + " pixels of " +
                                          std::to_string(planes) + " planes of " +
                                          std::to_string(stride) + " pixels");
  if (sizeof(T) == 1 && planes <= std::numeric_limits<std::int8_t>::max()) {
    if constexpr (sizeof(T) == 1) write_medians<T, std::int8_t>(first, stride, planes, out);
  } else if (planes <= std::numeric_limits<std::int16_t>::max()) {
    write_medians<T, std::int16_t>(first, stride, planes, out);
  } else {
    write_medians<T, std::int32_t>(first, stride, planes, out);
  }
}

template <class T>
void plane_median(std::span<const T> stack, std::int64_t planes, std::int64_t pixels,
                  std::span<float> out) {
  if (planes < 1 || pixels < 0 || std::ssize(stack) != planes * pixels || std::ssize(out) != pixels)
    throw Error(ErrorCode::kInternal, "plane_median: " + std::to_string(stack.size()) +
                                          " values are not " + std::to_string(planes) +
                                          " planes of " + std::to_string(pixels) + " pixels for " +
                                          std::to_string(out.size()) + " results");
  plane_median(stack.data(), pixels, planes, out);
}

template void plane_median(std::span<const std::uint8_t>, std::int64_t, std::int64_t,
                           std::span<float>);
template void plane_median(std::span<const std::uint16_t>, std::int64_t, std::int64_t,
                           std::span<float>);
template void plane_median(const std::uint8_t*, std::int64_t, std::int64_t, std::span<float>);
template void plane_median(const std::uint16_t*, std::int64_t, std::int64_t, std::span<float>);

}  // namespace flatfield::numerics
