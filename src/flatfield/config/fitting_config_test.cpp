#include "flatfield/config/fitting_config.h"

#include <gtest/gtest.h>

#include <string>

namespace flatfield::config {
namespace {

using methods::FittingOptions;
using methods::Limits;
using methods::ProbabilityModel;

FittingOptions read(const std::string& text) {
  return read_fitting_config(Json::parse(text, "test"), "fit.json");
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

TEST(FittingConfig, has_the_defaults_of_the_specification) {
  const FittingOptions options = read("{}");
  EXPECT_EQ(options.med_factor_binned, 2.0);
  EXPECT_EQ(options.med_factor_unbinned, 2.0);
  EXPECT_EQ(options.gaussian_sigma, 2.0);
  EXPECT_EQ(options.profile_percentile, 50.0);
  EXPECT_EQ(options.profile_min_voxels, 0);
  EXPECT_EQ(options.spline_smoothing, 0.0);
  EXPECT_EQ(options.limits_x, (Limits{0.25, 1.2}));
  EXPECT_EQ(options.limits_y, (Limits{0.25, 1.2}));
  EXPECT_EQ(options.limits_z, (Limits{0.25, 1.2}));
  EXPECT_EQ(options.global_factor_binned, 3200.0);
  EXPECT_EQ(options.global_factor_unbinned, 100.0);
  EXPECT_EQ(options.global_ratio_limits, std::nullopt);
  EXPECT_FALSE(options.exclude_background_planes_from_mask);
  EXPECT_EQ(options.median_summary_path, "");
  EXPECT_FALSE(options.enable_gmm_refinement);
  EXPECT_EQ(options.probability_model, ProbabilityModel::kPercentile);
  EXPECT_EQ(options.probability_bg_low_percentile, 50.0);
  EXPECT_EQ(options.probability_bg_high_percentile, 99.9);
  EXPECT_EQ(options.probability_ramp_eps, 1e-4);
  EXPECT_EQ(options.probability_ramp_start_frac, 0.2);
  EXPECT_EQ(options.probability_ramp_nu, 1.0);
  EXPECT_EQ(options.probability_smooth_sigma, 1.0);
  EXPECT_EQ(options.gmm_n_components, 3);
  EXPECT_EQ(options.gmm_max_samples, 2000000);
  EXPECT_EQ(options.gmm_batch_size, 200000);
  EXPECT_EQ(options.erosion_radius, 2);
  EXPECT_EQ(options.gmm_random_state, 0);
}

TEST(FittingConfig, reads_every_key) {
  const FittingOptions options = read(R"({
    "med_factor_binned": 3, "med_factor_unbinned": 4.5, "gaussian_sigma": 0, "profile_percentile": 100,
    "profile_min_voxels": 12, "spline_smoothing": 0.5, "limits_x": [1, 1], "limits_y": null,
    "limits_z": [0.5, 2], "global_factor_binned": 1, "global_factor_unbinned": 0,
    "global_ratio_limits": [-1, 3], "exclude_background_planes_from_mask": true,
    "median_summary_path": "medians.json", "enable_gmm_refinement": true,
    "probability_model": "gmm", "probability_bg_low_percentile": 0,
    "probability_bg_high_percentile": 100, "probability_ramp_eps": 0.4,
    "probability_ramp_start_frac": 1, "probability_ramp_nu": 2.5, "probability_smooth_sigma": 0,
    "gmm_n_components": 5, "gmm_max_samples": 1, "gmm_batch_size": 7, "erosion_radius": 0,
    "gmm_random_state": 42})");
  EXPECT_EQ(options.med_factor_binned, 3.0);
  EXPECT_EQ(options.med_factor_unbinned, 4.5);
  EXPECT_EQ(options.gaussian_sigma, 0.0);
  EXPECT_EQ(options.profile_percentile, 100.0);
  EXPECT_EQ(options.profile_min_voxels, 12);
  EXPECT_EQ(options.spline_smoothing, 0.5);
  EXPECT_EQ(options.limits_x, (Limits{1.0, 1.0}));
  EXPECT_EQ(options.limits_y, std::nullopt);
  EXPECT_EQ(options.limits_z, (Limits{0.5, 2.0}));
  EXPECT_EQ(options.global_factor_binned, 1.0);
  EXPECT_EQ(options.global_factor_unbinned, 0.0);
  EXPECT_EQ(options.global_ratio_limits, (Limits{-1.0, 3.0}));
  EXPECT_TRUE(options.exclude_background_planes_from_mask);
  EXPECT_EQ(options.median_summary_path, "medians.json");
  EXPECT_TRUE(options.enable_gmm_refinement);
  EXPECT_EQ(options.probability_model, ProbabilityModel::kGaussianMixture);
  EXPECT_EQ(options.probability_bg_low_percentile, 0.0);
  EXPECT_EQ(options.probability_bg_high_percentile, 100.0);
  EXPECT_EQ(options.probability_ramp_eps, 0.4);
  EXPECT_EQ(options.probability_ramp_start_frac, 1.0);
  EXPECT_EQ(options.probability_ramp_nu, 2.5);
  EXPECT_EQ(options.probability_smooth_sigma, 0.0);
  EXPECT_EQ(options.gmm_n_components, 5);
  EXPECT_EQ(options.gmm_max_samples, 1);
  EXPECT_EQ(options.gmm_batch_size, 7);
  EXPECT_EQ(options.erosion_radius, 0);
  EXPECT_EQ(options.gmm_random_state, 42);
}

TEST(FittingConfig, refuses_what_is_out_of_range) {
  for (const std::string key :
       {"med_factor_binned", "med_factor_unbinned", "gaussian_sigma", "profile_min_voxels",
        "spline_smoothing", "global_factor_binned", "global_factor_unbinned", "profile_percentile",
        "probability_bg_low_percentile", "probability_bg_high_percentile", "probability_ramp_eps",
        "probability_ramp_start_frac", "probability_ramp_nu", "probability_smooth_sigma",
        "gmm_n_components", "gmm_max_samples", "gmm_batch_size", "erosion_radius",
        "gmm_random_state"})
    EXPECT_NE(refusal(R"({")" + key + R"(": -1})").find(key + ": expected"), std::string::npos);
  EXPECT_NE(refusal(R"({"profile_percentile": 100.5})").find("0..100"), std::string::npos);
  for (const std::string value : {"0", "0.5"})
    EXPECT_NE(refusal(R"({"probability_ramp_eps": )" + value + "}").find("between 0 and 0.5"),
              std::string::npos);
  EXPECT_NE(refusal(R"({"probability_ramp_nu": 0.9})").find(">= 1"), std::string::npos);
  for (const std::string key : {"gmm_max_samples", "gmm_batch_size"})
    EXPECT_NE(refusal(R"({")" + key + R"(": 0})").find(">= 1"), std::string::npos);
  for (const std::string value : {"0", "1001", "4000000000000000000"})
    EXPECT_NE(refusal(R"({"gmm_n_components": )" + value + "}").find("1..1000"), std::string::npos);
  EXPECT_EQ(read(R"({"gmm_n_components": 1000})").gmm_n_components, 1000);
  for (const std::string value : {R"("mixture")", "1", "null"})
    EXPECT_NE(refusal(R"({"probability_model": )" + value + "}").find("percentile, gmm"),
              std::string::npos);
  for (const std::string key : {"limits_x", "limits_y", "limits_z"})
    for (const std::string value :
         {"[0, 1]", "[2, 1]", "[-1, 1]", "[1]", "[1, 2, 3]", R"(["1", 2])", "1", "true"})
      EXPECT_NE(
          refusal(R"({")" + key + R"(": )" + value + "}").find(key + ": expected null or [lo, hi]"),
          std::string::npos)
          << value;
  for (const std::string value : {"[1, 1]", "[2, 1]", "[1]", "3"})
    EXPECT_NE(
        refusal(R"({"global_ratio_limits": )" + value + "}").find("expected null or [min, max]"),
        std::string::npos);
  EXPECT_NE(refusal(R"({"exclude_background_planes_from_mask": 1})").find("true or false"),
            std::string::npos);
}

TEST(FittingConfig, refuses_unknown_keys_with_the_nearest_known_one) {
  const std::string message = refusal(R"({"gausian_sigma": 1})");
  EXPECT_NE(message.find("gaussian_sigma"), std::string::npos);
  EXPECT_NE(message.find("fit.json"), std::string::npos);
}

TEST(FittingConfig, resolved_is_read_back_the_same) {
  FittingOptions options;
  options.limits_y = std::nullopt;
  options.global_ratio_limits = Limits{0.1, 0.7};
  options.profile_min_voxels = 9;
  options.probability_model = ProbabilityModel::kGaussianMixture;
  options.gmm_random_state = 3;
  const Json object = to_json(fitting_table(), options);
  const FittingOptions back = read_fitting_config(Json::parse(object.dump(2), "test"), "test");
  EXPECT_EQ(to_json(fitting_table(), back), object);
  EXPECT_EQ(back.limits_y, std::nullopt);
  EXPECT_EQ(back.global_ratio_limits, options.global_ratio_limits);
}

}  // namespace
}  // namespace flatfield::config
