#include "flatfield/pipeline/packed_mask.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "flatfield/core/buffer.h"
#include "flatfield/zarr/compressors.h"

namespace flatfield::pipeline {
namespace {

/// So much is compressed at once, so that what is needed beside the mask is small.
constexpr std::size_t kPartBytes = std::size_t{1} << 20;

const zarr::CompressorInfo& zstd() { return *zarr::find_compressor("zstd"); }

}  // namespace

PackedMask::PackedMask(const BitVolume& mask) : shape_(mask.shape()) {
  const zarr::Compressor settings{.id = "zstd", .level = 1};
  Buffer encoded;
  for (auto rest = std::as_bytes(mask.words()); !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kPartBytes));
    zstd().encode(settings, sizeof(std::uint64_t), part, encoded);
    parts_.emplace_back(encoded.span().begin(), encoded.span().end());
    rest = rest.subspan(part.size());
  }
}

BitVolume PackedMask::unpacked() const {
  BitVolume mask(shape_);
  auto rest = std::as_writable_bytes(mask.words());
  for (const std::vector<std::byte>& part : parts_) {
    const auto room = rest.first(std::min(rest.size(), kPartBytes));
    const std::span<const std::byte> decoded = zstd().decode(part, room);
    if (decoded.data() != room.data()) std::memcpy(room.data(), decoded.data(), decoded.size());
    rest = rest.subspan(room.size());
  }
  return mask;
}

std::int64_t PackedMask::bytes() const {
  std::size_t sum = 0;
  for (const std::vector<std::byte>& part : parts_) sum += sizeof part + part.capacity();
  return static_cast<std::int64_t>(sum);
}

}  // namespace flatfield::pipeline
