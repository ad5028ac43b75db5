#include "flatfield/config/run_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "flatfield/config/synth_config.h"
#include "support/valid_run_config.h"

namespace flatfield::config {
namespace {

void read(const std::string& text, RunConfig& config) {
  read_object(run_table(), Json::parse(text, "test"), "config.json", config);
}

std::string refusal_of_key(const std::string& text) {
  RunConfig config;
  try {
    read(text, config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown for " << text;
  return "";
}

/// The message of check_run_config; "" if it finds nothing.
std::string refusal(const RunConfig& config) {
  try {
    check_run_config(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(RunConfig, has_the_defaults_of_the_specification) {
  const RunConfig config;
  EXPECT_EQ(config.method, "fitting");
  EXPECT_EQ(config.res, "0");
  EXPECT_EQ(config.num_workers, 1);
  EXPECT_EQ(config.n_levels, 1);
  EXPECT_EQ(config.results_dir, "./results");
  EXPECT_EQ(config.log_level, "INFO");
  EXPECT_EQ(config.background_smoothing_sigma, 1.0);
  EXPECT_EQ(config.background_final_smoothing_sigma, 0.0);
  EXPECT_EQ(config.corrected_rank, "-2");
  EXPECT_FALSE(config.save_outputs || config.overwrite || config.skip_flat_field ||
               config.skip_bkg_sub || config.is_binned);
}

TEST(RunTable, has_unique_documented_keys) {
  std::set<std::string> keys;
  for (const auto& row : run_table()) {
    EXPECT_TRUE(keys.insert(row.key).second) << row.key;
    EXPECT_FALSE(row.help.empty()) << row.key;
    EXPECT_EQ(row.help.back(), '.') << row.key;
    EXPECT_TRUE(std::ranges::all_of(row.key, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    })) << row.key;
  }
  for (const auto& row : synth_table()) EXPECT_FALSE(row.help.empty()) << row.key;
}

TEST(RunTable, the_encryption_of_s3_is_one_that_it_knows) {
  const auto& table = run_table();
  const auto row = std::ranges::find_if(table, [](const auto& r) { return r.key == "s3_sse"; });
  ASSERT_NE(row, table.end());
  RunConfig config;
  for (const char* sse : {"AES256", "aws:kms", "aws:kms:arn:aws:kms:us-west-2:1:key/2"}) {
    row->set(config, Json(sse));
    EXPECT_EQ(config.s3_sse, sse);
  }
  for (const char* sse : {"", "aes256", "aws:kms:", "kms"})
    EXPECT_THROW(row->set(config, Json(sse)), std::invalid_argument) << sse;
}

TEST(RunTable, every_row_refuses_a_value_of_another_type) {
  const Json object = Json::parse(R"({"a": 1})", "test");
  for (const auto& row : run_table()) {
    if (row.use == OptionUse::kIgnored) continue;
    RunConfig config;
    // std::invalid_argument, or the Error of a member of an object.
    EXPECT_THROW(row.set(config, object), std::exception) << row.key;
    EXPECT_THROW(row.set(config, Json(Json::Array{Json(1), Json("x")})), std::exception) << row.key;
  }
  for (const auto& row : synth_table()) {
    SynthConfig config;
    EXPECT_THROW(row.set(config, object), std::invalid_argument) << row.key;
  }
}

TEST(RunTable, every_row_takes_back_its_default) {
  for (const auto& row : run_table()) {
    RunConfig config;
    const Json before = row.get(config);
    EXPECT_NO_THROW(row.set(config, before)) << row.key;
    EXPECT_EQ(row.get(config), before) << row.key;
  }
  for (const auto& row : synth_table()) {
    SynthConfig config;
    const Json before = row.get(config);
    EXPECT_NO_THROW(row.set(config, before)) << row.key;
    EXPECT_EQ(row.get(config), before) << row.key;
  }
}

TEST(RunTable, refuses_what_is_out_of_range) {
  for (const std::string object : {R"({"num_workers": 0})",
                                   R"({"num_workers": 1025})",
                                   R"({"n_levels": 0})",
                                   R"({"n_levels": 33})",
                                   R"({"background_smoothing_sigma": -0.1})",
                                   R"({"background_smoothing_sigma": 1e6})",
                                   R"({"background_final_smoothing_sigma": -1})",
                                   R"({"corrected_rank": 8})",
                                   R"({"corrected_rank": -9})",
                                   R"({"corrected_rank": "median"})",
                                   R"({"corrected_rank": 2.0})",
                                   R"({"corrected_rank": "2x"})",
                                   R"({"output_chunks": [0, 1, 1]})",
                                   R"({"output_chunks": [1, 1, 4097]})",
                                   R"({"output_codec": "zip"})",
                                   R"({"output_codec_level": -1})",
                                   R"({"log_level": "LOUD"})",
                                   R"({"log_level": -1})",
                                   R"({"log_level": 20.5})",
                                   R"({"log_level": true})",
                                   R"({"log_format": "xml"})",
                                   R"({"method": "magic"})",
                                   R"({"pedestal": -1})",
                                   R"({"pedestal": 65536})",
                                   R"({"memory_limit": "much"})",
                                   R"({"memory_limit": 0})",
                                   R"({"memory_limit": "-1G"})",
                                   R"({"memory_limit": 1.5})",
                                   R"({"on_qc_fail": "ignore"})",
                                   R"({"metadata_schema": 3})",
                                   R"({"tile_paths": "a.zarr"})",
                                   R"({"tile_paths": [1]})",
                                   R"({"res": 0.5})"}) {
    const std::string key = object.substr(2, object.find(':') - 3);
    EXPECT_NE(refusal_of_key(object).find(key + ": expected"), std::string::npos) << object;
  }
  EXPECT_NE(refusal_of_key(R"({"skip_flatfield": true})").find("skip_flat_field"),
            std::string::npos);
}

TEST(RunTable, takes_ranks_as_numbers_and_as_text) {
  RunConfig config;
  for (const int rank : {-8, -1, 0, 7}) {
    read(R"({"corrected_rank": )" + std::to_string(rank) + "}", config);
    EXPECT_EQ(config.corrected_rank, std::to_string(rank));
    EXPECT_EQ(*resolved_config(config).find("corrected_rank"), Json(rank));
  }
  read(R"({"corrected_rank": "-3"})", config);
  EXPECT_EQ(*resolved_config(config).find("corrected_rank"), Json(-3));
  for (const std::string name : {"mean", "mode"}) {
    read(R"({"corrected_rank": ")" + name + R"("})", config);
    EXPECT_EQ(*resolved_config(config).find("corrected_rank"), Json(name));
  }
}

TEST(RunTable, takes_log_levels_by_name_in_any_case_and_by_any_number_of_python) {
  RunConfig config;
  for (const auto& [text, level] :
       std::vector<std::pair<std::string, std::string>>{{R"("debug")", "DEBUG"},
                                                        {R"("Warning")", "WARNING"},
                                                        {"0", "DEBUG"},
                                                        {"10", "DEBUG"},
                                                        {"11", "INFO"},
                                                        {"20", "INFO"},
                                                        {R"("25")", "WARNING"},
                                                        {"30", "WARNING"},
                                                        {R"("40")", "ERROR"},
                                                        {"50", "CRITICAL"},
                                                        {"51", "CRITICAL"},
                                                        {"9223372036854775807", "CRITICAL"}}) {
    read(R"({"log_level": )" + text + "}", config);
    EXPECT_EQ(config.log_level, level) << text;
  }
}

TEST(RunTable, takes_chunks_or_none) {
  RunConfig config;
  read(R"({"output_chunks": [128, 256, 4096]})", config);
  EXPECT_EQ(config.output_chunks, (Extent3{128, 256, 4096}));
  read(R"({"output_chunks": null})", config);
  EXPECT_EQ(config.output_chunks, std::nullopt);
}

TEST(RunTable, takes_memory_in_bytes_or_with_a_unit) {
  for (const auto& [text, bytes] : std::vector<std::pair<std::string, std::int64_t>>{
           {"17179869184", std::int64_t{16} << 30},
           {R"("17179869184")", std::int64_t{16} << 30},
           {R"("16G")", std::int64_t{16} << 30},
           {R"("16GiB")", std::int64_t{16} << 30},
           {R"("16gb")", std::int64_t{16} << 30},
           {R"("0.5T")", std::int64_t{512} << 30},
           {R"("512M")", std::int64_t{512} << 20},
           {R"("100k")", 102400},
           {"null", 0}}) {
    RunConfig config;
    read(R"({"memory_limit": )" + text + "}", config);
    EXPECT_EQ(config.memory_limit_bytes, bytes) << text;
  }
}

TEST(RunTable, takes_levels_and_channels_as_text_and_as_numbers) {
  RunConfig config;
  read(R"({"res": 2, "binned_channel": 561, "estimation_res": "coarse"})", config);
  EXPECT_EQ(config.res, "2");
  EXPECT_EQ(config.binned_channel, "561");
  EXPECT_EQ(config.estimation_res, "coarse");
  read(R"({"binned_channel": null})", config);
  EXPECT_EQ(config.binned_channel, "");
}

TEST(RunTable, takes_keys_of_the_python_program_without_effect) {
  RunConfig config;
  read(R"({"worker_mode": "processes", "io_backend": "s3fs", "max_chunks_per_block": 8,
           "io_concurrency": {"read": 4, "write": 4}})",
       config);
  const RunConfig defaults;
  EXPECT_EQ(resolved_config(config), resolved_config(defaults));
  EXPECT_EQ(resolved_config(config).find("io_backend"), nullptr);
}

TEST(RunTable, takes_no_configuration_file_within_a_configuration_file) {
  EXPECT_NE(refusal_of_key(R"({"config": "other.json"})").find("config"), std::string::npos);
}

TEST(RunTable, takes_every_long_option_from_a_file_but_that_which_names_the_file) {
  RunConfig config;
  read(R"({"report": true, "part": "1/3", "dry_run": true, "no_report": true})", config);
  EXPECT_EQ(config.part, "1/3");
  EXPECT_TRUE(config.dry_run);
  EXPECT_EQ(config.report, std::optional<bool>(false));
  for (const auto& row : run_table())
    EXPECT_EQ(row.use == OptionUse::kCommandLineOnly, row.key == "config") << row.key;
}

TEST(RunTable, names_the_key_within_an_object) {
  const std::string refusal = refusal_of_key(R"({"fitting": {"gaussian_sigm": 1}})");
  EXPECT_NE(refusal.find("fitting: "), std::string::npos) << refusal;
  EXPECT_NE(refusal.find("gaussian_sigma"), std::string::npos) << refusal;
  EXPECT_NE(refusal.find("config.json"), std::string::npos) << refusal;
}

TEST(ResolvedConfig, is_read_back_the_same) {
  RunConfig config = valid();
  config.n_levels = 7;
  config.output_chunks = Extent3{1, 2, 3};
  config.corrected_rank = "mean";
  config.is_binned = true;
  config.background_smoothing_sigma = 0.1;
  config.binned_channel = "561";
  config.log_level = "DEBUG";
  config.tile_paths = {"a_tile", "b_tile"};
  config.memory_limit_bytes = 123456;
  config.fitting.gaussian_sigma = 1.5;
  const Json resolved = Json::parse(resolved_config(config).dump(2), "test");
  EXPECT_EQ(resolved.find("dump_learned"), nullptr) << "an option for developers";
  RunConfig back;
  read_object(run_table(), resolved, "test", back);
  EXPECT_EQ(resolved_config(back), resolved_config(config));
  EXPECT_EQ(back.output_chunks, config.output_chunks);
  EXPECT_EQ(back.tile_paths, config.tile_paths);
  EXPECT_EQ(back.fitting.gaussian_sigma, 1.5);
}

TEST(ResolvedConfig, does_not_make_every_start_with_it_a_part_or_a_plan) {
  RunConfig config = valid();
  config.part = "0/2";
  config.dry_run = true;
  config.report = false;
  const Json resolved = resolved_config(config);
  for (const char* key : {"part", "dry_run", "no_report", "config"}) EXPECT_EQ(resolved.find(key), nullptr) << key;
  EXPECT_EQ(*resolved.find("report"), Json(false));
}

TEST(StepTable, has_the_dry_run_only_to_be_refused) {
  EXPECT_EQ(step_table().size(), run_table().size());
  for (const auto& row : step_table())
    EXPECT_EQ(row.use == OptionUse::kHidden, row.key == "dry_run" || row.key == "dump_learned") << row.key;
}

TEST(CheckRunConfig, accepts_a_complete_configuration) { EXPECT_EQ(refusal(valid()), ""); }

TEST(CheckRunConfig, has_no_plan_of_one_step) {
  RunConfig config = valid();
  config.dry_run = true;
  EXPECT_EQ(refusal(config), "");
  for (const RunStep step : {RunStep::kEstimate, RunStep::kApply, RunStep::kFinalize}) {
    try {
      check_run_config(config, step);
      ADD_FAILURE() << "no error was thrown";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("run --dry-run"), std::string::npos) << error.what();
    }
  }
}

TEST(CheckRunConfig, needs_a_tile_an_output_and_a_results_directory) {
  RunConfig config = valid();
  config.zarr.clear();
  EXPECT_NE(refusal(config).find("--zarr"), std::string::npos);
  config = valid();
  config.output.clear();
  EXPECT_NE(refusal(config).find("--output"), std::string::npos);
  config = valid();
  config.results_dir.clear();
  EXPECT_NE(refusal(config).find("--results-dir"), std::string::npos);
}

TEST(CheckRunConfig, needs_masks_for_fitting_unless_the_flatfield_is_skipped) {
  RunConfig config = valid();
  config.mask_dir.clear();
  EXPECT_NE(refusal(config).find("--mask-dir"), std::string::npos);
  config.skip_flat_field = true;
  EXPECT_EQ(refusal(config), "");
}

TEST(CheckRunConfig,
     refuses_fitting_without_background_subtraction_unless_the_flatfield_is_skipped) {
  RunConfig config = valid();
  config.skip_bkg_sub = true;
  EXPECT_NE(refusal(config).find("--skip-bkg-sub"), std::string::npos);
  config.skip_flat_field = true;
  EXPECT_EQ(refusal(config), "");
  config.mask_dir.clear();
  EXPECT_EQ(refusal(config), "") << "both skips rewrite the tile";
}

TEST(CheckRunConfig, does_not_let_parts_remove_what_others_write) {
  RunConfig config = valid();
  config.model = "m.npz";
  config.overwrite = true;
  const auto refused = [&] {
    try {
      check_run_config(config, RunStep::kApply);
    } catch (const Error& error) {
      return error.message().find("--overwrite") != std::string::npos;
    }
    return false;
  };
  EXPECT_FALSE(refused()) << "all of it at once begins afresh";
  config.part = "0/2";
  EXPECT_TRUE(refused());
  config.overwrite = false;
  EXPECT_FALSE(refused());
}

TEST(CheckRunConfig, takes_a_batch_instead_of_a_tile) {
  RunConfig config = valid();
  config.zarr.clear();
  config.tile_paths = {"tile_000001_ch_488.zarr"};
  EXPECT_EQ(refusal(config), "");
}

TEST(CheckRunConfig, needs_a_flatfield_image_for_reference_unless_the_flatfield_is_skipped) {
  RunConfig config = valid();
  config.method = "reference";
  config.mask_dir.clear();
  EXPECT_NE(refusal(config).find("--flatfield-path"), std::string::npos);
  config.skip_bkg_sub = true;
  EXPECT_NE(refusal(config).find("--flatfield-path"), std::string::npos);
  config.skip_flat_field = true;
  EXPECT_EQ(refusal(config), "");
  config.skip_flat_field = false;
  config.flatfield_path = "flatfield.tif";
  EXPECT_EQ(refusal(config), "");
}

TEST(CheckRunConfig, takes_a_pedestal_only_where_no_background_is_subtracted) {
  RunConfig config = valid();
  config.pedestal = 100.0;
  EXPECT_NE(refusal(config).find("--pedestal"), std::string::npos);
  config.skip_bkg_sub = config.skip_flat_field = true;
  EXPECT_EQ(refusal(config), "");
}

TEST(CheckRunConfig, refuses_a_reference_background_that_is_not_subtracted) {
  RunConfig config = valid();
  config.use_reference_bkg = config.skip_bkg_sub = config.skip_flat_field = true;
  EXPECT_NE(refusal(config).find("--use-reference-bkg"), std::string::npos);
}

TEST(CheckRunConfig, knows_the_levels_of_each_codec) {
  struct Case {
    std::string codec;
    int lowest;
    int highest;
  };
  for (const Case& c : std::vector<Case>{{"blosc-zstd", 0, 9},
                                         {"blosc-lz4", 0, 9},
                                         {"zstd", 1, 22},
                                         {"gzip", 0, 9},
                                         {"zlib", 0, 9},
                                         {"bz2", 1, 9},
                                         {"lz4", 1, 65537}}) {
    RunConfig config = valid();
    config.output_codec = c.codec;
    for (const int level : {c.lowest, c.highest}) {
      config.output_codec_level = level;
      EXPECT_EQ(refusal(config), "") << c.codec << " " << level;
    }
    for (const int level : {c.lowest - 1, c.highest + 1}) {
      config.output_codec_level = level;
      EXPECT_NE(refusal(config).find("--output-codec-level"), std::string::npos)
          << c.codec << " " << level;
    }
  }
  RunConfig config = valid();
  config.output_codec = "none";
  config.output_codec_level = 9;
  EXPECT_EQ(refusal(config), "") << "the level means nothing without a codec";
}

TEST(OutputCompressors, are_what_the_codec_names) {
  RunConfig config = valid();
  config.output_codec_level = 5;
  ASSERT_EQ(output_compressors(config).size(), 1U);
  const zarr::Compressor blosc = output_compressors(config).front();
  EXPECT_EQ(blosc.id, "blosc");
  EXPECT_EQ(blosc.blosc_cname, "zstd");
  EXPECT_EQ(blosc.blosc_shuffle, 1);
  EXPECT_EQ(blosc.level, 5);
  config.output_codec = "gzip";
  EXPECT_EQ(output_compressors(config).front().id, "gzip");
  config.output_codec = "none";
  EXPECT_TRUE(output_compressors(config).empty());
}

TEST(SynthTable, refuses_what_is_out_of_range) {
  for (const std::string object :
       {R"({"shape": [0, 1, 1]})", R"({"chunks": [1, 1, 5000]})", R"({"seed": -1})",
        R"({"illumination": 0.95})", R"({"noise": -1})", R"({"background": 70000})",
        R"({"n_levels": 0})"}) {
    SynthConfig config;
    EXPECT_THROW(read_object(synth_table(), Json::parse(object, "test"), "test", config), Error)
        << object;
  }
}

}  // namespace
}  // namespace flatfield::config
