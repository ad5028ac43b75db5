#include "flatfield/pipeline/tile_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "flatfield/execution/memory_budget.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

OutputPlan output_of(const Extent3& shape, DType dtype, int level_count, bool is_sharded) {
  OutputPlan plan;
  plan.volumes = {1, 1};
  plan.shape = shape;
  plan.chunk_shape = {128, 128, 128};
  plan.dtype = dtype;
  plan.level_count = level_count;
  plan.compressors = {zarr::Compressor{"blosc", 1}};
  if (is_sharded) {
    plan.zarr_format = 3;
    plan.shard_shape = Extent3{512, 512, 512};
  }
  return plan;
}

/// A tile that is fitted to from its level `estimation`, and what its memory depends on.
class FittedTile {
 public:
  explicit FittedTile(const Extent3& shape, bool is_sharded = false, int estimation = 3) {
    config_.method = "fitting";
    const Extent3 low = floor_div(shape, std::int64_t{1} << estimation);
    outputs_ = {output_of(shape, DType::kUint16, 5, is_sharded), output_of(shape, DType::kUint8, 1, is_sharded),
                output_of(low, DType::kUint8, 1, is_sharded), output_of(low, DType::kFloat32, 1, is_sharded)};
    levels_ = level_metadata(output_of(shape, DType::kUint16, 5, false));
    facts_.emplace(MemoryFacts{config_, levels_.front(), levels_[static_cast<std::size_t>(estimation)], outputs_, 2, true, false});
  }
  FittedTile(const FittedTile&) = delete;
  FittedTile& operator=(const FittedTile&) = delete;

  MemoryFacts& facts() { return *facts_; }

  /// What the run is expected to hold at most.
  std::int64_t peak(std::int64_t limit_bytes) {
    std::int64_t most = 0;
    for (const execution::StageNeeds& stage : expected_needs(facts(), limit_bytes, 0.5))
      most = std::max(most, stage.total_bytes());
    return most;
  }

 private:
  config::RunConfig config_;
  std::vector<zarr::ArrayMetadata> levels_;
  TileOutputs outputs_;
  std::optional<MemoryFacts> facts_;
};

/// The larger of two peaks by the smaller.
double apart(std::int64_t a, std::int64_t b) {
  return static_cast<double>(std::max(a, b)) / static_cast<double>(std::min(a, b));
}

TEST(TileMemory, peak_does_not_grow_with_the_number_of_planes) {
  for (const bool is_sharded : {false, true}) {
    // Fewer planes than a shard has make smaller shards.
    const std::int64_t planes = is_sharded ? 512 : 256;
    const std::int64_t one = FittedTile({planes, 4096, 4096}, is_sharded).peak(512 * kMebibyte);
    for (const std::int64_t times : {2, 4, 16}) {
      const std::int64_t more = FittedTile({times * planes, 4096, 4096}, is_sharded).peak(512 * kMebibyte);
      // A level of fewer planes than a chunk takes less room to read. The mask stays in memory, a bit per voxel of the
      // estimation level, and so does what is searched for in its planes.
      EXPECT_LE(apart(one, more), times > 4 ? 1.3 : 1.15)
          << times << " times " << planes << " planes: " << one << " and " << more;
    }
  }
}

TEST(TileMemory, coarse_level_is_read_again_where_keeping_it_would_be_the_peak) {
  EXPECT_TRUE(learning_plan(FittedTile({256, 2048, 2048}).facts(), 512 * kMebibyte).resident);
  EXPECT_FALSE(learning_plan(FittedTile({4096, 4096, 4096}).facts(), 512 * kMebibyte).resident);
  // An eighth of the limit may be used for speed.
  EXPECT_TRUE(learning_plan(FittedTile({4096, 4096, 4096}).facts(), 16 * 1024 * kMebibyte).resident);
}

TEST(TileMemory, level_that_costs_much_to_read_is_kept_while_there_is_room) {
  // A quarter of all voxels along each axis, a sixty-fourth in all: ten readings would be a sixth of level 0.
  EXPECT_TRUE(learning_plan(FittedTile({512, 2048, 4096}, false, 2).facts(), 512 * kMebibyte).resident);
  EXPECT_FALSE(learning_plan(FittedTile({2048, 4096, 4096}, false, 2).facts(), 512 * kMebibyte).resident);
}

TEST(TileMemory, remote_level_is_kept_while_there_is_room) {
  FittedTile tile({2048, 4096, 4096});
  EXPECT_FALSE(learning_plan(tile.facts(), 512 * kMebibyte).resident);
  tile.facts().is_input_remote = true;
  EXPECT_TRUE(learning_plan(tile.facts(), 512 * kMebibyte).resident);
}

TEST(TileMemory, all_that_is_expected_lies_within_the_limit) {
  for (const bool is_sharded : {false, true})
    for (const std::int64_t planes : {64, 1024, 16384}) {
      FittedTile tile({planes, 4096, 4096}, is_sharded);
      const std::int64_t least = execution::smallest_limit(tile_needs(tile.facts()));
      for (const std::int64_t limit : {least, 2 * least, 64 * least}) EXPECT_LE(tile.peak(limit), limit) << planes;
    }
}

}  // namespace
}  // namespace flatfield::pipeline
