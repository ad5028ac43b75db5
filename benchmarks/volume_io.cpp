// What shards cost: writes a volume to a Zarr v3 array with and without shards and reads both back,
// with the code that corrections write and read with.
//
//   volume_io TILE.zarr FOLDER SHARD_EDGE WORKERS PAIRS
//
// The volume is level 0 of TILE, held in memory; the arrays are FOLDER/plain/0 and
// FOLDER/sharded/0, with the chunks of TILE and Zstandard level 1 with byte shuffle. What is read
// is compared with what was written. Prints one line of JSON: CPU and wall seconds of each round,
// from the first byte to the last, the volume's own bytes, and those stored.

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/json.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/ome/tile.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/storage/open_store.h"

namespace {

using namespace flatfield;
namespace fs = std::filesystem;

constexpr std::int64_t kMemory = std::int64_t{4} << 30;

struct Cost {
  double cpu;
  double wall;
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// What `work` costs. The disk is quiet when it begins.
template <class Work>
Cost cost_of(Work work) {
  ::sync();
  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {cpu_seconds() - cpu, wall.count()};
}

class BlockSource final : public pipeline::VoxelSource<std::uint16_t> {
 public:
  explicit BlockSource(const Block<std::uint16_t>& block) : block_(block) {}
  void read(const Box3& box, BlockView<std::uint16_t> out, int /*worker*/) override {
    copy_block<std::uint16_t>(block_.view().sub(box), out);
  }

 private:
  const Block<std::uint16_t>& block_;
};

/// Reads a volume as a correction does: 2 x 2 x 2 chunks are announced, and then read one by one.
void read_volume(const ome::Volume& volume, execution::ThreadPool& pool,
                 Block<std::uint16_t>& into) {
  const Extent3 part = volume.chunk_shape() * 2;
  const Extent3 grid = ceil_div(volume.shape(), part);
  std::vector<zarr::ChunkScratch> scratches(static_cast<std::size_t>(pool.workers()));
  std::vector<Block<std::uint16_t>> chunks;
  for (int i = 0; i < pool.workers(); ++i) chunks.emplace_back(volume.chunk_shape());
  std::atomic<std::int64_t> next{0};
  pool.run_on_all([&](int worker) {
    zarr::ChunkScratch& scratch = scratches[static_cast<std::size_t>(worker)];
    Block<std::uint16_t>& chunk = chunks[static_cast<std::size_t>(worker)];
    for (std::int64_t i = next++; i < grid.volume(); i = next++) {
      const Extent3 index = unravel(i, grid);
      volume.expect(tile_box(index, part, volume.shape()), scratch);
      for (std::int64_t octant = 0; octant < 8; ++octant) {
        const Box3 box =
            tile_box(index * 2 + unravel(octant, {2, 2, 2}), volume.chunk_shape(), volume.shape());
        if (box.empty()) continue;
        const BlockView<std::uint16_t> out(chunk.data(), box.shape);
        volume.read<std::uint16_t>(box, out, scratch);
        copy_block<std::uint16_t>(out, into.view().sub(box));
      }
    }
  });
}

std::uintmax_t stored_bytes(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

class VolumeIo {
 public:
  VolumeIo(const std::string& tile, fs::path folder, std::int64_t shard_edge, int workers)
      : folder_(std::move(folder)), shard_edge_(shard_edge), pool_(workers) {
    const ome::Volume volume = ome::Tile::open(storage::open_store(tile)).open_volume("0", {0, 0});
    chunk_shape_ = volume.chunk_shape();
    voxels_ = Block<std::uint16_t>(volume.shape());
    read_volume(volume, pool_, voxels_);
    found_ = Block<std::uint16_t>(volume.shape());
  }

  Json round(const std::string& name) {
    const std::string place = (folder_ / name).string();
    fs::remove_all(place);
    const Cost written = cost_of([&] { write(place, name == "sharded"); });
    std::memset(found_.data(), 0, found_.span().size_bytes());
    const ome::Volume volume(zarr::Array::open(storage::open_store(place), "0"), {0, 0});
    const Cost read = cost_of([&] { read_volume(volume, pool_, found_); });
    if (std::memcmp(found_.data(), voxels_.data(), voxels_.span().size_bytes()) != 0)
      throw Error(ErrorCode::kInternal, "what is read is not what was written", place);
    Json json = Json::object();
    json["write_cpu"] = written.cpu;
    json["write_wall"] = written.wall;
    json["read_cpu"] = read.cpu;
    json["read_wall"] = read.wall;
    json["stored_bytes"] = static_cast<std::int64_t>(stored_bytes(place));
    return json;
  }

  [[nodiscard]] std::int64_t bytes() const { return 2 * voxels_.size(); }

 private:
  void write(const std::string& place, bool sharded) {
    pipeline::OutputPlan plan;
    plan.name = "volume";
    plan.volumes = {1, 1};
    plan.shape = voxels_.shape();
    plan.chunk_shape = chunk_shape_;
    if (sharded) plan.shard_shape = Extent3{shard_edge_, shard_edge_, shard_edge_};
    plan.level_count = 1;
    plan.compressors = {zarr::Compressor{"blosc", 1}};
    plan.zarr_format = 3;
    plan.scale = {1.0, 1.0, 1.0, 1.0, 1.0};
    plan.translation = {0.0, 0.0, 0.0, 0.0, 0.0};
    pipeline::OutputImage image(storage::open_store(place), plan);
    BlockSource source(voxels_);
    pipeline::write_pyramid<std::uint16_t>(source, image.target({}, "volume"), pool_, kMemory, {});
    image.finish(Json(), Json());
  }

  fs::path folder_;
  std::int64_t shard_edge_;
  execution::ThreadPool pool_;
  Extent3 chunk_shape_;
  Block<std::uint16_t> voxels_;
  Block<std::uint16_t> found_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 6) {
    std::fprintf(stderr, "usage: volume_io TILE.zarr FOLDER SHARD_EDGE WORKERS PAIRS\n");
    return 2;
  }
  VolumeIo io(argv[1], argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
  Json rounds = Json::object();
  rounds["bytes"] = io.bytes();
  for (int i = 0; i < 2 * std::atoi(argv[5]); ++i) {
    const char* name = i % 4 == 0 || i % 4 == 3 ? "plain" : "sharded";  // alternating order
    rounds[name].push_back(io.round(name));
  }
  std::printf("%s\n", rounds.dump().c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "volume_io: %s\n", error.what());
  return 1;
}
