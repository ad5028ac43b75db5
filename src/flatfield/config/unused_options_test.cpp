#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "flatfield/config/run_config.h"
#include "support/valid_run_config.h"

namespace flatfield::config {
namespace {

/// The options that unused_options names, in its order.
std::vector<std::string> named_by(const RunConfig& config, const std::string& cause) {
  std::vector<std::string> names;
  for (const std::string& line : unused_options(config)) {
    const std::size_t end = line.find(" has no effect " + cause);
    EXPECT_NE(end, std::string::npos) << line;
    names.push_back(line.substr(0, end));
  }
  return names;
}

TEST(UnusedOptions, are_those_of_other_methods) {
  RunConfig config = valid();
  EXPECT_TRUE(unused_options(config).empty());
  config.flatfield_path = "flatfield.tif";
  ASSERT_EQ(unused_options(config).size(), 1U);
  EXPECT_NE(unused_options(config).front().find("--flatfield-path has no effect"), std::string::npos);
  config.method = "reference";
  ASSERT_EQ(unused_options(config).size(), 1U);
  EXPECT_NE(unused_options(config).front().find("--mask-dir has no effect"), std::string::npos);
  config.mask_dir.clear();
  EXPECT_TRUE(unused_options(config).empty());
  config.fitting_config = "fitting.json";
  config.median_summary_path = "medians.json";
  EXPECT_EQ(unused_options(config).size(), 2U);
}

TEST(UnusedOptions, are_all_of_the_flatfield_where_that_is_skipped) {
  RunConfig config = valid();
  config.skip_flat_field = true;
  EXPECT_EQ(named_by(config, "with --skip-flat-field"), std::vector<std::string>{"--mask-dir"});
  config.method = "reference";
  config.flatfield_path = "flatfield.tif";
  config.fitting_config = "fitting.json";
  config.basic_config = "basic.json";
  config.median_summary_path = "medians.json";
  config.on_qc_fail = "error";
  EXPECT_EQ(named_by(config, "with --skip-flat-field"),
            (std::vector<std::string>{"--method", "--flatfield-path", "--fitting-config", "--basic-config",
                                      "--median-summary-path", "--mask-dir", "--on-qc-fail"}));
}

TEST(UnusedOptions, are_those_of_a_background_that_is_not_estimated) {
  RunConfig config = valid();
  config.background_smoothing_sigma = 2.0;
  config.background_final_smoothing_sigma = 3.0;
  EXPECT_TRUE(unused_options(config).empty());
  config.use_reference_bkg = true;
  const std::vector<std::string> both{"--background-smoothing-sigma", "--background-final-smoothing-sigma"};
  EXPECT_EQ(named_by(config, "with --use-reference-bkg"), both);
  config.fitting.enable_gmm_refinement = true;  // which needs background planes
  EXPECT_EQ(named_by(config, "with --use-reference-bkg"), std::vector<std::string>{both.back()});
  config.use_reference_bkg = false;
  config.skip_bkg_sub = true;
  config.method = "basicpy";
  EXPECT_EQ(named_by(config, "with --skip-bkg-sub"), both);
}

}  // namespace
}  // namespace flatfield::config
