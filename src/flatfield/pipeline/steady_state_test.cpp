// In the steady state no chunk takes memory of its own: what is made for 8 times the chunks is made no more often.
// Counted are all large requests of this project to the allocator, in a program without sanitizers.

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <string>

#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/storage/memory_store.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

/// Half of the smallest buffer of a chunk of the test.
constexpr std::size_t kLarge = 16 * 16 * 16;
std::atomic<std::int64_t> large_requests{0};

void count(std::size_t bytes) {
  if (bytes >= kLarge) ++large_requests;
}

}  // namespace

// Blocks and buffers.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  count(bytes);
  return memalign(alignment, bytes);
}

// Not inlined: the compiler would otherwise see memory of malloc given to delete, and warn.
__attribute__((noinline)) void* operator new(std::size_t bytes) {
  count(bytes);
  void* const p = std::malloc(bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::size_t /*bytes*/) noexcept { std::free(p); }

namespace flatfield::pipeline {
namespace {

constexpr Extent3 kChunk{16, 16, 16};

/// Takes what is written, and forgets it.
class Sink : public storage::MemoryStore {
 public:
  void put(std::string_view key, std::span<const std::byte> bytes) override {
    const bool is_metadata = key.find(".z") != std::string_view::npos || key.find("zarr.json") != std::string_view::npos;
    const bool is_carry = key.find("carry") != std::string_view::npos;
    if (is_metadata || is_carry) MemoryStore::put(key, bytes);
  }
};

zarr::ArrayMetadata metadata(const Extent3& shape) {
  zarr::ArrayMetadata array;
  array.shape = {shape.z, shape.y, shape.x};
  array.chunk_shape = {kChunk.z, kChunk.y, kChunk.x};
  array.dtype = DType::kUint16;
  array.codecs.compressors = {zarr::Compressor{"blosc", 1}};
  return array;
}

/// Large requests while a tile of `shape` is corrected, two levels deep.
std::int64_t requests_for(const Extent3& shape) {
  const auto input_store = std::make_shared<storage::MemoryStore>();
  const zarr::Array input = zarr::Array::create(input_store, "in", metadata(shape));
  std::mt19937 random(7);
  zarr::ChunkScratch scratch;
  Block<std::uint16_t> chunk(kChunk);
  const Extent3 grid = floor_div(shape, kChunk);
  for (std::int64_t i = 0; i < grid.volume(); ++i) {
    for (std::uint16_t& voxel : chunk.span()) voxel = static_cast<std::uint16_t>(100 + random() % 64);
    const Extent3 index = unravel(i, grid);
    input.write_chunk({index.z, index.y, index.x}, std::as_bytes(chunk.span()), scratch);
  }
  const auto sink = std::make_shared<Sink>();
  PyramidTarget target;
  target.name = "corrected";
  target.levels = {{zarr::Array::create(sink, "0", metadata(shape)), {}},
                   {zarr::Array::create(sink, "1", metadata(floor_div(shape, 2))), {}}};
  target.reducer = {numerics::WindowReducer::Kind::kRank, -2};
  target.chunk_shape = kChunk;
  target.store = sink;
  target.scratch_path = "scratch";
  methods::Correction correction;
  correction.shape = shape;
  correction.background.emplace(Extent3{1, shape.y, shape.x}, 110.0F);
  const methods::CorrectionKernel kernel(correction);
  execution::ThreadPool pool(2);
  const auto source = corrected_source({input, {}}, kernel, pool.workers());
  const std::int64_t before = large_requests;
  write_pyramid(*source, target, pool, std::int64_t{1} << 30, {});
  return large_requests - before;
}

TEST(SteadyState, NoChunkTakesMemoryOfItsOwn) {
  const std::int64_t few = requests_for({64, 64, 128});
  const std::int64_t many = requests_for({128, 128, 256});  // 8 times the chunks
  EXPECT_GT(few, 0);
  // What workers hold grows to the largest encoded chunk that each has seen: a few more requests, whatever the number
  // of chunks (512 here).
  EXPECT_LE(many - few, 24) << few << " for 64 chunks, " << many << " for 512";
}

}  // namespace
}  // namespace flatfield::pipeline

#endif
