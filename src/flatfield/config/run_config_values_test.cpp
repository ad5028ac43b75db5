#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/config/run_config.h"
#include "support/valid_run_config.h"

namespace flatfield::config {
namespace {

/// The message of check_run_config; "" if it finds nothing.
std::string refusal(const RunConfig& config) {
  try {
    check_run_config(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage) << error.what();
    return error.what();
  }
  return "";
}

TEST(CheckRunConfig, refuses_values_that_no_option_takes_also_where_a_program_has_set_them) {
  using Change = std::function<void(RunConfig&)>;
  constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::pair<Change, std::string>> cases{
      {[](RunConfig& c) { c.method = "basic"; },
       R"(--method: expected one of reference, basicpy, fitting, found "basic")"},
      {[](RunConfig& c) { c.method.clear(); }, R"(--method: expected one of reference, basicpy, fitting, found "")"},
      {[](RunConfig& c) { c.num_workers = 0; }, "--num-workers: expected an integer 1..1024, found 0"},
      {[](RunConfig& c) { c.n_levels = 33; }, "--n-levels: expected an integer 1..32, found 33"},
      {[](RunConfig& c) { c.corrected_rank = "median"; }, "--corrected-rank: expected -8..7, mean, mode"},
      {[](RunConfig& c) { c.corrected_rank.clear(); }, "--corrected-rank: expected -8..7, mean, mode"},
      {[](RunConfig& c) { c.corrected_rank = "8"; }, "--corrected-rank: expected an integer -8..7, mean or mode, found 8"},
      {[](RunConfig& c) { c.output_zarr_format = "four"; }, R"(--output-zarr-format: expected match, 2 or 3, found "four")"},
      {[](RunConfig& c) { c.output_codec = "zip"; }, "--output-codec: expected one of blosc-zstd, "},
      {[](RunConfig& c) { c.output_chunks = Extent3{0, 1, 1}; }, "--output-chunks: expected three integers"},
      {[](RunConfig& c) { c.mask_shard_size = Extent3{1, 1, 0}; }, "--mask-shard-size: expected three integers"},
      {[](RunConfig& c) { c.memory_limit_bytes = -1; }, "--memory-limit: expected bytes"},
      {[](RunConfig& c) { c.pedestal = kNoNumber; }, "--pedestal: expected a number 0..65535"},
      {[](RunConfig& c) { c.sync = "always"; }, "--sync: expected one of none, close, full"},
      {[](RunConfig& c) { c.log_level = "LOUD"; }, "--log-level: expected"},
      {[](RunConfig& c) { c.s3_sse = "kms"; }, "--s3-sse: expected"},
      {[](RunConfig& c) { c.results_dir = std::string("a\0b", 3); },
       R"(--results-dir: expected a text without U+0000, found "a\u0000b")"},
      {[](RunConfig& c) { c.fitting.profile_percentile = 101; }, "fitting: profile_percentile: expected a number 0..100"},
      {[](RunConfig& c) { c.fitting.limits_x = methods::Limits{2, 1}; }, "fitting: limits_x: expected null or"},
      {[](RunConfig& c) { c.basic.max_iterations = 0; }, "basic: max_iterations: expected an integer"},
  };
  for (const auto& [change, message] : cases) {
    RunConfig config = valid();
    change(config);
    EXPECT_TRUE(refusal(config).starts_with(message)) << message << "\n  is " << refusal(config);
  }
}

TEST(RunTable, refuses_texts_that_the_system_would_cut) {
  for (const std::string object :
       {R"({"zarr": "a\u0000b"})", R"({"output": "\u0000"})", R"({"fitting_config": "a\u0000b"})",
        R"({"tile_paths": ["a", "b\u0000c"]})", R"({"res": "0\u0000"})", R"({"binned_channel": "561\u0000"})"}) {
    const std::string key = object.substr(2, object.find(':') - 3);
    RunConfig config;
    try {
      read_object(run_table(), Json::parse(object, "test"), "config.json", config);
      ADD_FAILURE() << "no error was thrown for " << object;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_TRUE(error.message().starts_with(key + ": expected a text without U+0000, found ")) << error.message();
    }
  }
}

TEST(CheckRunConfig, accepts_every_form_of_the_values_that_options_take) {
  for (const std::string values :
       {R"("memory_limit": null)", R"("memory_limit": "1.5")", R"("memory_limit": "4194304T")", R"("memory_limit": 1)",
        R"("corrected_rank": -8)", R"("corrected_rank": "007")", R"("corrected_rank": "mode")",
        R"("output_zarr_format": 3)", R"("output_zarr_format": "2")", R"("output_chunks": [1, 2, 4096])",
        R"("corrected_shard_size": "none", "mask_shard_size": 64, "probability_shard_size": "8,16,65536")",
        R"("report": null)", R"("report": true, "no_report": true)", R"("write_empty_chunks": "false")",
        R"("log_level": 25)", R"("log_level": "debug")", R"("s3_sse": "aws:kms:KEY")", R"("s3_sse": null)",
        R"("zarr": null, "tile_paths": ["a_tile", "b_tile"])", R"("res": "", "estimation_res": "coarse")",
        R"("res": 2, "binned_channel": 561)", R"("num_workers": 1024, "n_levels": 32)", R"("dry_run": true)",
        R"("pedestal": 65535, "skip_bkg_sub": true, "skip_flat_field": true)", R"("io_backend": "s3fs")",
        R"("fitting": {"limits_x": null, "limits_y": [1, 1], "global_ratio_limits": [-0.5, 2.5], "probability_model": "gmm"})",
        R"("basic": {"working_size": null, "resize_mode": "jax", "fitting_mode": "approximate"})",
        R"("basic": {"working_size": [512, 256], "resize_mode": "skimage_dask"})"}) {
    RunConfig config = valid();
    read_object(run_table(), Json::parse("{" + values + "}", "test"), "config.json", config);
    EXPECT_EQ(refusal(config), "") << values;
  }
}

}  // namespace
}  // namespace flatfield::config
