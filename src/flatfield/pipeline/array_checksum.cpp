#include "flatfield/pipeline/array_checksum.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <new>

#include "flatfield/zarr/nd_copy.h"
#include "flatfield/zarr/read_box.h"

namespace flatfield::pipeline {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      throw std::bad_alloc();
  }
  void add(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) throw std::bad_alloc();
  }
  std::string digits() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1) throw std::bad_alloc();
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

/// How an array is cut into slabs that follow each other in C order: they are one element thick
/// along the axes before `axis`, `thickness` along it, and whole along those behind.
struct Slabs {
  std::size_t axis = 0;
  std::int64_t thickness = 1;
};

Slabs choose_slabs(const zarr::ArrayMetadata& metadata, std::int64_t most_bytes) {
  Slabs slabs;
  const std::size_t ndim = metadata.shape.size();
  for (slabs.axis = 0; slabs.axis < ndim; ++slabs.axis) {
    auto bytes = static_cast<std::int64_t>(size_of(metadata.dtype));  // of a layer of one element
    for (std::size_t i = slabs.axis + 1; i < ndim; ++i) bytes *= metadata.shape[i];
    const std::int64_t fitting = most_bytes / bytes;
    if (fitting == 0 && slabs.axis + 1 < ndim) continue;
    // Whole chunks, so that each is decoded once, if they fit.
    const std::int64_t chunk = std::min(metadata.chunk_shape[slabs.axis], metadata.shape[slabs.axis]);
    slabs.thickness = fitting < chunk ? std::max<std::int64_t>(fitting, 1) : fitting / chunk * chunk;
    break;
  }
  return slabs;
}

}  // namespace

std::string array_checksum(const zarr::Array& array, std::int64_t most_bytes) {
  const zarr::ArrayMetadata& metadata = array.metadata();
  Sha256 hash;
  if (std::find(metadata.shape.begin(), metadata.shape.end(), 0) != metadata.shape.end())
    return hash.digits();
  const Slabs slabs = choose_slabs(metadata, most_bytes);
  zarr::Shape grid = metadata.shape;
  for (std::size_t i = slabs.axis; i < grid.size(); ++i)
    grid[i] = i == slabs.axis ? (grid[i] + slabs.thickness - 1) / slabs.thickness : 1;
  zarr::ChunkScratch scratch;
  Buffer buffer;
  zarr::for_each_index(grid, [&](const zarr::Shape& index) {
    zarr::Shape origin = index;
    zarr::Shape shape(index.size(), 1);
    std::size_t bytes = size_of(metadata.dtype);
    for (std::size_t i = 0; i < index.size(); ++i) {
      if (i == slabs.axis) {
        origin[i] *= slabs.thickness;
        shape[i] = std::min(slabs.thickness, metadata.shape[i] - origin[i]);
      } else if (i > slabs.axis) {
        shape[i] = metadata.shape[i];
      }
      bytes *= static_cast<std::size_t>(shape[i]);
    }
    const std::span<std::byte> slab = buffer.resize(bytes);
    zarr::read_box(array, origin, shape, slab, scratch);
    if constexpr (std::endian::native == std::endian::big)
      swap_bytes(slab, info(metadata.dtype).swap_size);
    hash.add(slab);
  });
  return hash.digits();
}

}  // namespace flatfield::pipeline
