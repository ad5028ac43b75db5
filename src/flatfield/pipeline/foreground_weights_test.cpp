#include "flatfield/pipeline/foreground_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/methods/level_stream.h"
#include "support/counting_store.h"

namespace flatfield::pipeline {
namespace {

constexpr Extent3 kShape{6, 7, 8};

/// A run that refines by mixtures. What it finds may not outlive it.
class MixtureRun {
 public:
  MixtureRun() { config_.fitting.probability_model = methods::ProbabilityModel::kGaussianMixture; }
  MixtureRun(const MixtureRun&) = delete;
  MixtureRun& operator=(const MixtureRun&) = delete;

  FoundWeights weights(methods::LevelStream& v_low, const BitVolume& mask) {
    return ForegroundWeights::mixture(v_low, mask, {0}, context_);
  }

 private:
  config::RunConfig config_;
  execution::ThreadPool pool_{1};
  execution::ProcessGroup processes_;
  report::Log log_{report::LogLevel::kCritical, false};
  storage::StoreOpener stores_;
  execution::MemoryBudget memory_{std::int64_t{1} << 30};
  RunContext context_{.config = config_,
                      .pool = pool_,
                      .processes = processes_,
                      .log = log_,
                      .stores = stores_,
                      .memory = memory_};
};

/// A level of which a chunk cannot be decoded.
class DamagedLevel : public methods::LevelStream {
 public:
  [[nodiscard]] const Extent3& shape() const override { return shape_; }
  [[nodiscard]] int workers() const override { return 1; }
  void visit(const methods::LevelPass& /*pass*/, const Visitor& /*visitor*/) override {
    throw Error(ErrorCode::kBadInput, "the chunk cannot be decoded", "1/0/0/3/31/0");
  }

 private:
  Extent3 shape_ = kShape;
};

TEST(MixtureWeights, of_a_level_that_cannot_be_read_are_an_error_that_says_where) {
  MixtureRun run;
  DamagedLevel level;
  try {
    static_cast<void>(run.weights(level, BitVolume(kShape, true)));
    FAIL() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_EQ(error.where(), "1/0/0/3/31/0");
  }
}

TEST(MixtureWeights, that_the_data_do_not_hold_are_none_for_a_reason) {
  MixtureRun run;
  const Block<float> values(kShape, 100.0F);
  methods::BlockStream level(values.view());
  BitVolume mask(kShape);
  mask.set(3, 3, 3, true);  // the ball that erodes it does not fit in
  const FoundWeights found = run.weights(level, mask);
  EXPECT_FALSE(found.weights);
  EXPECT_NE(found.reason.find("too few for a Gaussian mixture"), std::string::npos) << found.reason;
}

TEST(MixtureWeights, of_an_empty_mask_are_found) {
  MixtureRun run;
  const Block<float> values(kShape, 100.0F);
  methods::BlockStream level(values.view());
  const FoundWeights found = run.weights(level, BitVolume(kShape));
  EXPECT_TRUE(found.weights);
  EXPECT_EQ(found.reason, "");
}

TEST(ForegroundSource, gives_the_same_from_a_level_that_is_read_box_by_box_and_from_one_that_is_kept) {
  const auto store = std::make_shared<CountingStore>();
  zarr::ArrayMetadata metadata;
  metadata.shape = {20, 17, 30};
  metadata.chunk_shape = {8, 8, 8};
  const ome::Volume level(zarr::Array::create(store, "level", metadata), {});
  std::mt19937 random(3);
  zarr::ChunkScratch scratch;
  const Extent3 grid = ceil_div(level.shape(), level.chunk_shape());
  for (std::int64_t i = 0; i < grid.volume(); ++i) {
    Block<std::uint16_t> voxels(level.chunk_shape());
    for (std::uint16_t& v : voxels.span()) v = static_cast<std::uint16_t>(random() % 300);
    level.array().write_chunk(level.chunk_index(unravel(i, grid)), std::as_bytes(voxels.span()), scratch);
  }
  methods::ForegroundWeightOptions options;
  const auto weights = ForegroundWeights::ramp({50.0, 200.0, options});
  methods::Correction correction;
  correction.background = Block<float>({1, 17, 30}, 20.0F);
  execution::ThreadPool pool(2);
  std::vector<Block<float>> found;
  for (const LevelPlace place : {LevelPlace::kStore, LevelPlace::kMemory}) {
    store->gets = 0;
    const auto source = foreground_source(*weights, level, place, correction, pool);
    source->begin();
    Block<float> out(level.shape());
    for (std::int64_t i = 0; i < grid.volume(); ++i) {
      const Box3 box = tile_box(unravel(i, grid), level.chunk_shape(), level.shape());
      source->read(box, out.view().sub(box), static_cast<int>(i % 2));
    }
    if (place == LevelPlace::kMemory)
      EXPECT_EQ(store->gets, grid.volume());
    else
      EXPECT_GT(store->gets, 5 * grid.volume());
    found.push_back(std::move(out));
  }
  EXPECT_TRUE(std::ranges::equal(found[0].span(), found[1].span()));
  EXPECT_TRUE(std::ranges::any_of(found[0].span(), [](float w) { return w > 0.2F && w < 0.8F; }));
}

TEST(NoForegroundSource, gives_zeros) {
  Block<float> out({2, 3, 4}, 7.0F);
  no_foreground_source()->read({{5, 5, 5}, {2, 3, 2}}, out.view().sub({{0, 0, 1}, {2, 3, 2}}), 0);
  for (std::int64_t z = 0; z < 2; ++z)
    for (std::int64_t y = 0; y < 3; ++y)
      for (std::int64_t x = 0; x < 4; ++x) EXPECT_EQ(out.at(z, y, x), x == 1 || x == 2 ? 0.0F : 7.0F);
}

}  // namespace
}  // namespace flatfield::pipeline
