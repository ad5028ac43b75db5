// What the background image costs, against plain decoding of the same chunks.
//
//   background TILE [WORKERS]      (default 2)
//
// TILE is an OME-Zarr group of uint8 or uint16 whose level 0 is at the path "0". For 5 % of its planes, once side by side
// and once spread over the whole tile, prints a line of JSON: how many chunks hold them, the CPU seconds to decode
// these chunks whole, to take the median image with ample memory, and with as little as it takes. The medians of the
// last two are compared; the program ends with status 1 where they differ.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/ome/volume.h"
#include "flatfield/pipeline/background_median.h"
#include "flatfield/storage/local_store.h"
#include "flatfield/zarr/array.h"

namespace {

using namespace flatfield;

constexpr std::int64_t kAmple = std::int64_t{1} << 40;

template <class Work>
double cpu_seconds(Work work) {
  const double start = execution::process_cpu_seconds();
  work();
  return execution::process_cpu_seconds() - start;
}

void decode_whole(const ome::Volume& volume, const std::vector<std::int64_t>& planes, const ParallelFor& parallel_for) {
  const Extent3& chunk = volume.chunk_shape();
  std::vector<std::int64_t> rows;
  for (const std::int64_t plane : planes)
    if (rows.empty() || rows.back() != plane / chunk.z) rows.push_back(plane / chunk.z);
  const Extent3 shape = volume.shape();
  const Extent3 grid{std::ssize(rows), ceil_div(shape.y, chunk.y), ceil_div(shape.x, chunk.x)};
  parallel_for(grid.volume(), [&](std::int64_t i) {
    const Extent3 place = unravel(i, grid);
    thread_local zarr::ChunkScratch scratch;
    scratch.chunk.resize(volume.array().metadata().chunk_bytes());
    Buffer chunk_bytes = std::move(scratch.chunk);
    volume.array().read_chunk(
        volume.chunk_index({rows[static_cast<std::size_t>(place.z)], place.y, place.x}), chunk_bytes.span(), scratch);
    scratch.chunk = std::move(chunk_bytes);
  });
}

bool measure(const char* name, const ome::Volume& volume, const std::vector<std::int64_t>& planes, int workers,
             const ParallelFor& parallel_for) {
  const auto median = [&](std::int64_t budget) {
    execution::ProcessGroup alone;
    return pipeline::median_of_planes(volume, planes, pipeline::plan_median(volume, planes, workers, budget),
                                      parallel_for, alone);
  };
  decode_whole(volume, planes, parallel_for);  // from here on the files are in the page cache
  Block<float> ample;
  Block<float> least;
  const double decode = cpu_seconds([&] { decode_whole(volume, planes, parallel_for); });
  const double ample_seconds = cpu_seconds([&] { ample = median(kAmple); });
  const double least_seconds = cpu_seconds([&] { least = median(0); });
  const pipeline::MedianPlan plan = pipeline::plan_median(volume, planes, workers, kAmple);
  std::printf("{\"planes\": \"%s\", \"count\": %zu, \"chunks\": %lld, \"decode_cpu_seconds\": %.3f, "
              "\"median_cpu_seconds\": %.3f, \"median_bytes\": %lld, \"least_memory_cpu_seconds\": %.3f, "
              "\"least_memory_bytes\": %lld}\n",
              name, planes.size(), static_cast<long long>(plan.chunks), decode, ample_seconds,
              static_cast<long long>(plan.bytes), least_seconds, static_cast<long long>(plan.least_bytes));
  return std::memcmp(ample.data(), least.data(), static_cast<std::size_t>(ample.size()) * sizeof(float)) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: background TILE [WORKERS]\n");
    return 2;
  }
  try {
    const int workers = argc > 2 ? std::max(1, std::atoi(argv[2])) : 2;
    execution::ThreadPool pool(workers);
    const zarr::Array array = zarr::Array::open(storage::open_local_store(argv[1]), "0");
    const ome::Volume volume(array, std::vector<std::int64_t>(array.metadata().shape.size() - 3, 0));
    const std::int64_t count = std::max<std::int64_t>(1, volume.shape().z / 20);
    std::vector<std::int64_t> together;
    std::vector<std::int64_t> spread;
    for (std::int64_t i = 0; i < count; ++i) {
      together.push_back(i);
      spread.push_back(i * volume.shape().z / count);
    }
    bool same = measure("together", volume, together, workers, pool.as_parallel_for());
    same &= measure("spread", volume, spread, workers, pool.as_parallel_for());
    if (!same) std::fprintf(stderr, "background: the image depends on the memory\n");
    return same ? 0 : 1;
  } catch (const Error& error) {
    std::fprintf(stderr, "background: %s\n", error.what());
    return 1;
  }
}
