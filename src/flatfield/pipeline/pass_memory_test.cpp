#include "flatfield/pipeline/pass_memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "flatfield/pipeline/output_image.h"
#include "flatfield/zarr/codec_memory.h"

namespace flatfield::pipeline {
namespace {

OutputPlan plan_of(const Extent3& shape, bool is_sharded) {
  OutputPlan plan;
  plan.volumes = {1, 1};
  plan.shape = shape;
  plan.chunk_shape = {128, 128, 128};
  plan.level_count = 5;
  plan.compressors = {zarr::Compressor{"blosc", 1}};
  if (is_sharded) {
    plan.zarr_format = 3;
    plan.shard_shape = Extent3{512, 512, 512};
  }
  return plan;
}

std::vector<PassMemory> memory_of(const OutputPlan& plan, int workers) {
  return pyramid_memory(level_metadata(plan), plan.chunk_shape, plan.shard_shape, workers);
}

/// The most that a pass holds, of each kind.
PassMemory most_of(const std::vector<PassMemory>& passes) {
  PassMemory most;
  for (const PassMemory& pass : passes) {
    most.worker_bytes = std::max(most.worker_bytes, pass.worker_bytes);
    most.item_bytes = std::max(most.item_bytes, pass.item_bytes);
    most.open_shards = std::max(most.open_shards, pass.open_shards);
  }
  return most;
}

TEST(PassMemory, does_not_grow_with_the_number_of_planes) {
  for (const bool is_sharded : {false, true}) {
    // Fewer planes make a last level of less than a chunk.
    const PassMemory few = most_of(memory_of(plan_of({2048, 2048, 2048}, is_sharded), 2));
    const PassMemory many = most_of(memory_of(plan_of({8192, 2048, 2048}, is_sharded), 2));
    EXPECT_EQ(few.worker_bytes, many.worker_bytes);
    EXPECT_EQ(few.item_bytes, many.item_bytes);
    EXPECT_EQ(few.open_shards, many.open_shards);
  }
}

TEST(PassMemory, of_shards_counts_chunks_that_come_early_and_the_shards_that_are_open) {
  const auto one = memory_of(plan_of({4096, 2048, 2048}, true), 1);
  const auto four = memory_of(plan_of({4096, 2048, 2048}, true), 4);
  EXPECT_EQ(one.front().open_shards, 9);  // 2 x 2 x 2 and one of the next level
  const std::int64_t cell = 128 * 128 * 128 * 2;
  // And the chunks of the carry, of which each worker may be filling another.
  EXPECT_EQ(four.front().item_bytes - one.front().item_bytes, 3 * (8 * cell + cell));
  EXPECT_EQ(four.front().worker_bytes, one.front().worker_bytes);
}

TEST(PassMemory, of_shards_holds_no_more_of_the_carry_than_its_workers_fill) {
  const auto item_of = [](const ItemGeometry& geometry, int workers) {
    ItemShape item;
    item.levels = 2;
    item.has_carry = true;
    item.is_sharded = true;
    item.workers = workers;
    return open_carry_chunks(geometry, item);
  };
  const ItemGeometry usual({128, 128, 128}, Extent3{512, 512, 512});  // a carry of 2 x 2 x 2 chunks
  EXPECT_EQ(item_of(usual, 1), 1);
  EXPECT_EQ(item_of(usual, 2), 2);
  EXPECT_EQ(item_of(usual, 32), 8);
  // A carry of 1.5 cells along x is chunks of half a cell there, two of which are filled by the parts of 2 x 2 x 2.
  const ItemGeometry odd({128, 128, 128}, Extent3{512, 512, 384});
  EXPECT_EQ(item_of(odd, 1), 2);
  EXPECT_EQ(item_of(odd, 2), 4);
  EXPECT_EQ(item_of(odd, 32), 12);
  // Where they are half a cell along all axes each has a part of its own.
  EXPECT_EQ(item_of(ItemGeometry({128, 128, 128}, Extent3{384, 384, 384}), 2), 2);
  EXPECT_EQ(item_of(ItemGeometry({128, 128, 128}), 2), 0) << "is reduced from the third level";
}

TEST(PassMemory, counts_the_codec_of_a_carry_that_is_larger_than_a_chunk) {
  OutputPlan plan = plan_of({4096, 4096, 4096}, true);
  const auto codec_bytes = [&](std::int64_t chunk, std::int64_t shard) {
    plan.chunk_shape = {chunk, chunk, chunk};
    plan.shard_shape = Extent3{shard, shard, shard};
    const PassMemory pass = memory_of(plan, 2).front();
    const std::int64_t cell = ItemGeometry(plan.chunk_shape, plan.shard_shape).cell.volume() * 2;
    return pass.worker_bytes - (chunk % 2 == 0 ? 2 : 3) * cell;  // two levels, and what odd chunks are cut from
  };
  // Four odd chunks are two cells, and a carry of them is one cell, which is eight chunks; one of two is a chunk.
  EXPECT_GT(codec_bytes(65, 260) - codec_bytes(65, 130), (130 * 130 * 130 - 65 * 65 * 65) * 2);
  EXPECT_EQ(codec_bytes(64, 256), codec_bytes(64, 192));
}

TEST(PassMemory, counts_the_chunks_of_a_level_that_is_smaller_than_a_chunk) {
  const std::vector<PassMemory> whole = memory_of(plan_of({2048, 2048, 2048}, false), 2);
  const std::vector<PassMemory> clipped = memory_of(plan_of({1024, 2048, 2048}, false), 2);
  EXPECT_EQ(clipped.front().worker_bytes, whole.front().worker_bytes);
  EXPECT_EQ(clipped.back().worker_bytes - whole.back().worker_bytes, 64 * 128 * 128 * 2);
}

TEST(PassMemory, counts_carries_that_are_fetched_together) {
  const std::vector<PassMemory> passes = memory_of(plan_of({4096, 4096, 4096}, false), 2);
  EXPECT_EQ(passes.front().ahead_bytes, 0);
  // A part reads 4 x 4 x 4 cells of carries of 64 x 64 x 64 voxels each: as much as may be fetched at all.
  EXPECT_GT(passes.back().ahead_bytes, zarr::kMostExpectedBytes / 2);
}

TEST(PassMemory, of_chunks_is_a_cell_per_level_and_what_the_codec_holds) {
  const PassMemory pass = memory_of(plan_of({4096, 2048, 2048}, false), 8).front();
  const std::int64_t cell = 128 * 128 * 128 * 2;
  EXPECT_EQ(pass.open_shards, 0);
  EXPECT_EQ(pass.item_bytes, cell);
  EXPECT_GT(pass.worker_bytes, 4 * cell);
  EXPECT_LT(pass.worker_bytes, 6 * cell);
}

}  // namespace
}  // namespace flatfield::pipeline
