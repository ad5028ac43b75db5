#include "flatfield/pipeline/stream_geometry.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "flatfield/zarr/codec_memory.h"

namespace flatfield::pipeline {
namespace {

/// Boxes of a visit, largest first. Rows of 64 voxels, so that no two visits share a word of a mask.
constexpr std::array<Extent3, 6> kTiles{{{64, 128, 128}, {64, 64, 128}, {32, 64, 128}, {32, 32, 64},
                                         {16, 16, 64}, {8, 8, 64}}};
/// A box in whose visits the halo is not yet most of what is seen.
constexpr Extent3 kThriftyTile = kTiles[2];
/// Lengths shorter than this are not worth it where there is a choice.
constexpr std::int64_t kShortest = 8;

/// Lengths along an axis to choose from: the whole axis, whole chunks, and parts of a chunk. Each band or
/// slab must hold what the next one needs of it.
std::vector<std::int64_t> lengths(std::int64_t axis, std::int64_t chunk, std::int64_t halo) {
  std::vector<std::int64_t> found{axis};
  for (std::int64_t length = chunk; length < axis; length *= 2)
    if (length >= 2 * halo) found.push_back(length);
  for (std::int64_t length = chunk / 2; length >= std::max(2 * halo, kShortest); length /= 2)
    if (length < axis) found.push_back(length);
  if (2 * halo >= 1 && 2 * halo < axis) found.push_back(2 * halo);
  return found;
}

std::int64_t visit_bytes(const StreamRequest& request, const Extent3& tile) {
  const Extent3 seen = min(tile + request.halo * 2, request.shape);
  return request.workers * request.volumes * seen.volume() * static_cast<std::int64_t>(sizeof(float));
}

/// Voxels that visitors work on for each one that they are asked for.
double visit_cost(const StreamRequest& request, const Extent3& tile) {
  double cost = 1.0;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t length = std::min(tile[axis], request.shape[axis]);
    const std::int64_t seen = std::min(length + 2 * request.halo[axis], request.shape[axis]);
    cost *= static_cast<double>(seen) / static_cast<double>(length);
  }
  return cost;
}

/// A chunk, encoded and decoded, and the planes that are taken from it where not all are needed.
std::int64_t decode_bytes(const StreamRequest& request) {
  return request.workers * (request.reading_bytes + request.chunk.volume() * request.voxel_bytes);
}

/// How often a chunk is decoded.
double decode_cost(const StreamRequest& request, std::int64_t band, std::int64_t slab) {
  double cost = 1.0;
  const std::int64_t chunk_y = std::min(request.chunk.y, request.shape.y);
  if (band < request.shape.y && band % request.chunk.y != 0)
    cost *= 1.0 + static_cast<double>(chunk_y) / static_cast<double>(band);
  // Of a part of a chunk's planes only the blocks that hold them are decoded.
  if (slab < request.shape.z && slab % request.chunk.z != 0) cost *= 1.5;
  return cost;
}

std::int64_t window_bytes(const StreamRequest& request, std::int64_t band, std::int64_t slab) {
  const Extent3& shape = request.shape;
  const std::int64_t planes = std::min(shape.z, slab + 2 * request.halo.z);
  const std::int64_t rows = std::min(shape.y, band + 2 * request.halo.y);
  const std::int64_t kept = band < shape.y ? 2 * request.halo.y * shape.z * shape.x : 0;
  return (planes * rows * shape.x + kept) * request.voxel_bytes;
}

/// The smallest window with which a chunk is decoded no more than so often.
std::int64_t least_window_bytes(const StreamRequest& request, double most_decoded) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t band : lengths(request.shape.y, request.chunk.y, request.halo.y))
    for (const std::int64_t slab : lengths(request.shape.z, request.chunk.z, request.halo.z))
      if (decode_cost(request, band, slab) <= most_decoded) least = std::min(least, window_bytes(request, band, slab));
  return least;
}

}  // namespace

std::int64_t chunk_reading_bytes(const zarr::ArrayMetadata& metadata) {
  return zarr::decoder_bytes(metadata) + static_cast<std::int64_t>(metadata.chunk_bytes());
}

std::optional<StreamGeometry> choose_geometry(const StreamRequest& request, std::int64_t bytes) {
  constexpr double kDecode = 2.0;  // against the arithmetic on a voxel
  constexpr double kMove = 0.2;
  std::optional<StreamGeometry> best;
  double least_cost = std::numeric_limits<double>::infinity();
  for (const Extent3& tile : kTiles)
    for (const std::int64_t band : lengths(request.shape.y, request.chunk.y, request.halo.y))
      for (const std::int64_t slab : lengths(request.shape.z, request.chunk.z, request.halo.z)) {
        const std::int64_t need =
            visit_bytes(request, tile) + decode_bytes(request) + window_bytes(request, band, slab);
        if (need > bytes) continue;
        // A band or slab that is thinner than a tile makes thin tiles.
        const Extent3 cut = min(tile, {slab, band, tile.x});
        const auto part = [](std::int64_t halo, std::int64_t length) {
          return static_cast<double>(2 * halo) / static_cast<double>(length);
        };
        const double cost = kDecode * decode_cost(request, band, slab) + visit_cost(request, cut) +
                            kMove * (part(request.halo.z, slab) + part(request.halo.y, band));
        if (cost >= least_cost) continue;
        least_cost = cost;
        best = {band, slab, tile, need};
      }
  return best;
}

std::int64_t least_stream_bytes(const StreamRequest& request) {
  return least_window_bytes(request, std::numeric_limits<double>::infinity()) + visit_bytes(request, kTiles.back()) +
         decode_bytes(request);
}

std::int64_t thrifty_stream_bytes(const StreamRequest& request) {
  return least_window_bytes(request, 1.0) + visit_bytes(request, kThriftyTile) + decode_bytes(request);
}

std::optional<StreamGeometry> resident_geometry(const StreamRequest& request, std::int64_t bytes) {
  for (const Extent3& tile : kTiles)
    if (const std::int64_t need = visit_bytes(request, tile); need <= bytes)
      return StreamGeometry{request.shape.y, request.shape.z, tile, need};
  return std::nullopt;
}

}  // namespace flatfield::pipeline
