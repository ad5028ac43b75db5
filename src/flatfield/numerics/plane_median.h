#pragma once

#include <cstdint>
#include <span>

namespace flatfield::numerics {

/// Per-pixel median of a stack of planes: `stack` holds `planes` rows of `pixels` values (row p =
/// plane p), `out` one value per pixel; an even number of planes averages the two middle values
/// (exact in float32). Takes a few 10 KiB, or 256 bytes per plane, beyond its arguments. Throws
/// Error(kInternal) if planes < 1 or the sizes do not fit each other. T is uint8 or uint16.
template <class T>
void plane_median(std::span<const T> stack, std::int64_t planes, std::int64_t pixels,
                  std::span<float> out);

/// The same of planes that lie `stride` values apart, for out.size() <= stride pixels from `first` on, which points into
/// the first plane.
template <class T>
void plane_median(const T* first, std::int64_t stride, std::int64_t planes, std::span<float> out);

extern template void plane_median(std::span<const std::uint8_t>, std::int64_t, std::int64_t,
                                  std::span<float>);
extern template void plane_median(const std::uint8_t*, std::int64_t, std::int64_t, std::span<float>);
extern template void plane_median(const std::uint16_t*, std::int64_t, std::int64_t, std::span<float>);
extern template void plane_median(std::span<const std::uint16_t>, std::int64_t, std::int64_t,
                                  std::span<float>);

}  // namespace flatfield::numerics
