#include "flatfield/pipeline/tile_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/execution/memory_budget.h"
#include "flatfield/pipeline/background_median.h"
#include "flatfield/pipeline/foreground_weights.h"

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
  explicit FittedTile(const Extent3& shape, bool is_sharded = false, int estimation = 3) : estimation_(estimation) {
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
  config::RunConfig& config() { return config_; }
  TileOutputs& outputs() { return outputs_; }
  zarr::ArrayMetadata& input() { return levels_.front(); }
  zarr::ArrayMetadata& estimation_level() { return levels_[static_cast<std::size_t>(estimation_)]; }

  /// What a consumer needs at least in a stage; 0 if there is none.
  std::int64_t need(const std::string& stage_name, const std::string& consumer) {
    for (const execution::StageNeeds& stage : tile_needs(facts()))
      for (const execution::MemoryNeed& held : stage.needs)
        if (stage.stage == stage_name && held.consumer == consumer) return held.bytes;
    return 0;
  }

  /// What the run is expected to hold at most.
  std::int64_t peak(std::int64_t limit_bytes) {
    std::int64_t most = 0;
    for (const execution::StageNeeds& stage : expected_needs(facts(), limit_bytes, 0.5))
      most = std::max(most, stage.total_bytes());
    return most;
  }

 private:
  int estimation_;
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

TEST(TileMemory, counts_the_index_of_a_shard_for_each_worker) {
  const auto least = [](std::int64_t shard) {
    FittedTile tile({2048, 2048, 2048});
    tile.input().chunk_shape = {1, 1, 16, 16, 16};
    tile.input().shard_shape = {1, 1, shard, shard, shard};
    return execution::smallest_limit(tile_needs(tile.facts()));
  };
  // Of 32 MiB and of 512 KiB, beside those that are kept.
  EXPECT_GE(least(2048), least(512) + 2 * 31 * kMebibyte);
}

TEST(TileMemory, counts_what_the_source_of_a_probability_holds) {
  FittedTile tile({256, 2048, 2048});
  EXPECT_EQ(tile.need("the probability", "workers"), 0);
  tile.facts().refines = true;
  const OutputPlan& plan = tile.outputs().probability;
  const auto source_bytes = [&](methods::ProbabilityModel model) {
    tile.config().fitting.probability_model = model;
    const std::int64_t source = foreground_source_bytes(tile.config().fitting, tile.estimation_level(), plan);
    EXPECT_EQ(tile.need("the probability", "workers"), stream_memory(plan, source, 2, 0).workers_bytes);
    return source;
  };
  // The level, its voxels without the background, and the weights of a cell; the smoothing reaches around it.
  EXPECT_GT(source_bytes(methods::ProbabilityModel::kPercentile), 32 * 128 * 128 * (2 + 4 + 4));
  // Those of a mixture are in memory as they are.
  EXPECT_EQ(source_bytes(methods::ProbabilityModel::kGaussianMixture), 0);
}

TEST(TileMemory, level_that_a_probability_is_computed_from_is_kept_where_there_is_room_beside_all_items) {
  FittedTile tile({256, 2048, 2048});
  tile.facts().refines = true;
  const std::int64_t level = std::int64_t{32} * 256 * 256 * 2;
  const StreamMemory stream = stream_memory(
      tile.outputs().probability,
      foreground_source_bytes(tile.config().fitting, tile.estimation_level(), tile.outputs().probability), 2, 0);
  const std::int64_t kept = probability_level_bytes(tile.facts(), 512 * kMebibyte);
  EXPECT_EQ(kept, level);
  const std::int64_t most = kept + stream.workers_bytes + stream.items_at_once * stream.item_bytes;
  EXPECT_EQ(probability_level_bytes(tile.facts(), most), kept);
  EXPECT_EQ(probability_level_bytes(tile.facts(), most - 1), 0);
  EXPECT_EQ(tile.need("the probability", "estimation level"), 0) << "it is not needed";
  for (const execution::StageNeeds& stage : expected_needs(tile.facts(), 512 * kMebibyte, 1.0))
    if (stage.stage == "the probability") {
      EXPECT_TRUE(std::ranges::any_of(stage.needs, [&](const auto& need) {
        return need.consumer == "estimation level" && need.bytes == kept;
      }));
    }
  tile.config().fitting.probability_smooth_sigma = 0.0;  // what lies around a chunk is not needed
  EXPECT_EQ(probability_level_bytes(tile.facts(), 512 * kMebibyte), 0);
  tile.config().fitting = {};
  tile.config().fitting.probability_model = methods::ProbabilityModel::kGaussianMixture;
  EXPECT_EQ(probability_level_bytes(tile.facts(), 512 * kMebibyte), 0);
}

TEST(TileMemory, counts_the_probabilities_of_all_volumes_that_are_held) {
  FittedTile tile({256, 2048, 2048});
  tile.facts().refines = true;
  tile.config().fitting.enable_gmm_refinement = true;
  const std::int64_t one = std::int64_t{32} * 256 * 256 * 4;
  tile.config().fitting.probability_model = methods::ProbabilityModel::kPercentile;
  EXPECT_EQ(tile.need("the probability", "foreground probability"), 0);
  tile.config().fitting.probability_model = methods::ProbabilityModel::kGaussianMixture;
  EXPECT_EQ(tile.need("the probability", "foreground probability"), one);
  const std::int64_t beside = learning_plan(tile.facts(), 512 * kMebibyte).beside_bytes;
  tile.outputs().corrected.volumes = {1, 3};
  EXPECT_EQ(tile.need("the probability", "foreground probability"), 3 * one);
  EXPECT_EQ(tile.need("the background image", "foreground probability"), 2 * one);
  EXPECT_EQ(learning_plan(tile.facts(), 512 * kMebibyte).beside_bytes, beside + 2 * one);
}

TEST(TileMemory, counts_the_background_image_while_it_is_made) {
  FittedTile tile({256, 2048, 2048});
  EXPECT_EQ(tile.need("the background image", "background planes"), least_median_bytes(tile.input(), 2, false));
  tile.facts().is_input_remote = true;
  EXPECT_EQ(tile.need("the background image", "background planes"), least_median_bytes(tile.input(), 2, true));
  tile.config().use_reference_bkg = true;
  EXPECT_EQ(tile.need("the background image", "background planes"), 0);
}

TEST(TileMemory, level_is_not_kept_where_the_background_image_cannot_be_made_beside_it) {
  FittedTile tile({256, 2048, 2048});
  tile.input().chunk_shape = {1, 1, 256, 512, 512};
  EXPECT_FALSE(learning_plan(tile.facts(), 512 * kMebibyte).resident);
  tile.config().use_reference_bkg = true;
  EXPECT_TRUE(learning_plan(tile.facts(), 512 * kMebibyte).resident);
}

TEST(TileMemory, counts_a_chunk_of_the_estimation_level_with_all_its_channels) {
  FittedTile tile({256, 2048, 2048});
  const std::int64_t alone = learning_plan(tile.facts(), 0).least_bytes;
  tile.estimation_level().chunk_shape[1] = 32;
  // Each worker holds one as it is stored, and decoded; kept in memory the level is read in the same way.
  EXPECT_GT(learning_plan(tile.facts(), 0).least_bytes - alone, 64 * kMebibyte);
}

TEST(TileMemory, counts_the_rows_of_a_mask_that_is_laid_out_for_the_voxels) {
  FittedTile tile({256, 2048, 2048});
  const auto of_mask = [&](const Extent3& mask) {
    return corrected_source_bytes(tile.input(), tile.outputs().corrected, mask, false);
  };
  // Eight planes at once; a word for each voxel of a row, and a byte for the row.
  EXPECT_EQ(of_mask({256, 2048, 2048}) - of_mask({}), 8 * 128 * (128 * 4 + 1));
  EXPECT_EQ(of_mask({32, 256, 256}) - of_mask({}), 2 * 17 * (128 * 4 + 1));
}

}  // namespace
}  // namespace flatfield::pipeline
