#include "flatfield/pipeline/foreground_weights.h"

#include <gtest/gtest.h>

#include <string>

#include "flatfield/core/error.h"
#include "flatfield/methods/level_stream.h"

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
  RunContext context_{config_, pool_, processes_, log_, stores_, memory_, {}, {}, {}, {}, {}, config::RunStep::kRun, {}};
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

TEST(NoForegroundSource, gives_zeros) {
  Block<float> out({2, 3, 4}, 7.0F);
  no_foreground_source()->read({{5, 5, 5}, {2, 3, 2}}, out.view().sub({{0, 0, 1}, {2, 3, 2}}), 0);
  for (std::int64_t z = 0; z < 2; ++z)
    for (std::int64_t y = 0; y < 3; ++y)
      for (std::int64_t x = 0; x < 4; ++x) EXPECT_EQ(out.at(z, y, x), x == 1 || x == 2 ? 0.0F : 7.0F);
}

}  // namespace
}  // namespace flatfield::pipeline
