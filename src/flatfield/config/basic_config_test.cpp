#include "flatfield/config/basic_config.h"

#include <gtest/gtest.h>

#include <string>

namespace flatfield::config {
namespace {

using methods::BasicMode;
using methods::WorkingSize;
using numerics::LinearResize;

BasicConfig read(const std::string& text) {
  return read_basic_config(Json::parse(text, "test"), "basic.json");
}

std::string refusal(const std::string& text) {
  try {
    (void)read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown for " << text;
  return "";
}

TEST(BasicConfig, has_the_defaults_of_the_specification) {
  const BasicConfig config = read("{}");
  EXPECT_EQ(config.fitting_mode, BasicMode::kLadmap);
  EXPECT_FALSE(config.get_darkfield);
  EXPECT_EQ(config.smoothness_flatfield, 0.1);
  EXPECT_EQ(config.smoothness_darkfield, 0.1);
  EXPECT_EQ(config.sparse_cost_darkfield, 0.01);
  EXPECT_EQ(config.epsilon, 0.1);
  EXPECT_EQ(config.max_iterations, 500);
  EXPECT_EQ(config.max_reweight_iterations, 10);
  EXPECT_EQ(config.max_reweight_iterations_baseline, 5);
  EXPECT_EQ(config.rho, 1.5);
  EXPECT_EQ(config.mu_coef, 12.5);
  EXPECT_EQ(config.max_mu_coef, 1e7);
  EXPECT_EQ(config.optimization_tol, 1e-3);
  EXPECT_EQ(config.optimization_tol_diff, 1e-2);
  EXPECT_EQ(config.reweighting_tol, 1e-2);
  EXPECT_TRUE(config.sort_intensity);
  EXPECT_EQ(config.working_size, (WorkingSize{512, 512}));
  EXPECT_EQ(config.resize_mode, LinearResize::kSkimage);
  EXPECT_FALSE(config.autosegment);
  EXPECT_EQ(config.autosegment_margin, 10);
  EXPECT_FALSE(config.autotune);
  EXPECT_EQ(config.max_frames, 500);
}

TEST(BasicConfig, reads_every_key) {
  const std::string text = R"({
    "fitting_mode": "approximate", "get_darkfield": true, "smoothness_flatfield": 2,
    "smoothness_darkfield": 0, "sparse_cost_darkfield": 0.5, "epsilon": 0.2, "max_iterations": 7,
    "max_reweight_iterations": 3, "max_reweight_iterations_baseline": 0, "rho": 1, "mu_coef": 10,
    "max_mu_coef": 100.0, "optimization_tol": 0.5, "optimization_tol_diff": 0.25,
    "reweighting_tol": 0, "sort_intensity": false, "working_size": [64, 96], "resize_mode": "jax",
    "autosegment": true, "autosegment_margin": 3, "autotune": true, "max_frames": 20})";
  const BasicConfig config = read(text);
  EXPECT_EQ(config.fitting_mode, BasicMode::kApproximate);
  EXPECT_EQ(config.working_size, (WorkingSize{64, 96}));
  EXPECT_EQ(config.resize_mode, LinearResize::kJax);
  EXPECT_EQ(config.max_iterations, 7);
  EXPECT_TRUE(config.autotune);
  const Json given = Json::parse(text, "test");
  const Json resolved = to_json(basic_table(), config);
  for (const OptionRow<BasicConfig>& row : basic_table()) {
    ASSERT_NE(given.find(row.key), nullptr) << row.key << " is missing in this test";
    EXPECT_NE(to_json(basic_table(), BasicConfig{}).find(row.key)->dump(),
              resolved.find(row.key)->dump())
        << row.key;
  }
}

TEST(BasicConfig, takes_the_three_forms_of_a_working_size) {
  EXPECT_EQ(read(R"({"working_size": 100})").working_size, (WorkingSize{100, 100}));
  EXPECT_EQ(read(R"({"working_size": [3, 4]})").working_size, (WorkingSize{3, 4}));
  EXPECT_EQ(read(R"({"working_size": null})").working_size, std::nullopt);
}

TEST(BasicConfig, takes_skimage_dask_for_skimage) {
  EXPECT_EQ(read(R"({"resize_mode": "skimage_dask"})").resize_mode, LinearResize::kSkimage);
}

TEST(BasicConfig, refuses_what_is_out_of_range) {
  for (const std::string key :
       {"smoothness_flatfield", "smoothness_darkfield", "sparse_cost_darkfield", "epsilon",
        "max_iterations", "max_reweight_iterations", "max_reweight_iterations_baseline", "rho",
        "mu_coef", "max_mu_coef", "optimization_tol", "optimization_tol_diff", "reweighting_tol",
        "working_size", "autosegment_margin", "max_frames", "autotune", "resize_mode"})
    EXPECT_NE(refusal(R"({")" + key + R"(": -1})").find(key + ": expected"), std::string::npos);
  for (const std::string key :
       {"epsilon", "mu_coef", "max_iterations", "max_frames", "working_size"})
    EXPECT_NE(refusal(R"({")" + key + R"(": 0})").find(key + ": expected"), std::string::npos);
  for (const std::string value : {"[1]", "[1, 2, 3]", "[0, 5]", "1.5", R"("big")", "70000"})
    EXPECT_NE(refusal(R"({"working_size": )" + value + "}").find("expected an integer or [y, x]"),
              std::string::npos)
        << value;
  EXPECT_NE(refusal(R"({"fitting_mode": "exact"})").find("ladmap, approximate"), std::string::npos);
}

TEST(BasicConfig, refuses_unknown_keys_with_the_nearest_known_one) {
  const std::string message = refusal(R"({"smoothnes_flatfield": 1})");
  EXPECT_NE(message.find("smoothness_flatfield"), std::string::npos);
  EXPECT_NE(message.find("basic.json"), std::string::npos);
}

TEST(BasicConfig, resolved_is_read_back_the_same) {
  BasicConfig config;
  config.working_size = std::nullopt;
  config.resize_mode = LinearResize::kJax;
  const Json object = to_json(basic_table(), config);
  const BasicConfig back = read_basic_config(Json::parse(object.dump(2), "test"), "test");
  EXPECT_EQ(to_json(basic_table(), back), object);
}

}  // namespace
}  // namespace flatfield::config
