#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flatfield/config/basic_config.h"
#include "flatfield/config/option_table.h"
#include "flatfield/core/extent.h"
#include "flatfield/methods/axis_fit.h"
#include "flatfield/zarr/metadata.h"

namespace flatfield::config {

/// What `run` was asked to do. Defaults are those of the command line.
struct RunConfig {
  std::string zarr;
  std::string output;
  std::vector<std::string> tile_paths;  ///< a batch; used where `zarr` is empty
  std::string method = "fitting";
  std::string flatfield_path;
  std::string mask_dir;
  std::string res = "0";
  int num_workers = 1;
  std::int64_t memory_limit_bytes = 0;  ///< 0 = a share of what the container or machine has
  int n_levels = 1;
  std::string results_dir = "./results";
  bool save_outputs = false;
  std::optional<bool> report;  ///< none = with save_outputs
  std::string fitting_config;
  std::string basic_config;
  std::string median_summary_path;
  std::string config;
  std::string model;
  std::string part;
  std::string sync = "none";  ///< none, close, full
  bool overwrite = false;
  bool dry_run = false;
  bool skip_flat_field = false;
  bool skip_bkg_sub = false;
  double pedestal = 0.0;
  bool use_reference_bkg = false;
  bool is_binned = false;
  std::string binned_channel;
  double background_smoothing_sigma = 1.0;
  double background_final_smoothing_sigma = 0.0;
  std::string estimation_res;
  std::string on_qc_fail = "warn";
  std::string corrected_rank = "-2";
  std::optional<Extent3> output_chunks;
  std::string output_zarr_format = "match";  ///< match, 2, 3
  // Voxels of the shards of Zarr format 3; none = no shards.
  std::optional<Extent3> corrected_shard_size = Extent3{512, 512, 512};
  std::optional<Extent3> mask_shard_size = Extent3{1024, 1024, 1024};
  std::optional<Extent3> probability_shard_size = Extent3{512, 512, 512};
  bool write_empty_chunks = true;
  std::string output_codec = "blosc-zstd";
  int output_codec_level = 1;
  int metadata_schema = 2;
  std::string log_level = "INFO";
  std::string log_format = "text";
  std::string s3_endpoint;
  std::string s3_region;
  bool s3_anonymous = false;
  bool s3_request_payer = false;
  std::string s3_sse;
  std::string s3_acl;
  int s3_concurrency = 32;
  int s3_max_attempts = 16;
  std::string dump_learned;

  methods::FittingOptions fitting;  ///< content of fitting_config
  BasicConfig basic;                ///< content of basic_config
  std::vector<std::string> notices;  ///< what is to be said of how this came about, e.g. keys without effect
};

/// Whether reports are written as web pages.
[[nodiscard]] inline bool writes_report(const RunConfig& config) { return config.report.value_or(config.save_outputs); }

/// Which steps of a correction are done: all, or one of them.
enum class RunStep : std::uint8_t { kRun, kEstimate, kApply, kFinalize };

/// The table of the options of `run` and `plan`.
[[nodiscard]] const OptionTable<RunConfig>& run_table();
/// That of `estimate`, `apply`, `finalize` and `preview`, of which there is no plan: the same, but `dry_run` is there only
/// to be refused, and not shown.
[[nodiscard]] const OptionTable<RunConfig>& step_table();

/// Checks each value as its row of the table does, whoever set it, and what concerns several options at once: which are
/// missing, and which cannot be given together. Throws Error(kUsage) that names them.
void check_run_config(const RunConfig& config, RunStep step = RunStep::kRun);

/// A line for each option of learning that differs from its default but has no effect in combination with the others.
[[nodiscard]] std::vector<std::string> unused_options(const RunConfig& config);

/// The whole resolved configuration, the options of the methods under "fitting" and "basic"; `--config` takes
/// it back.
[[nodiscard]] Json resolved_config(const RunConfig& config);

/// Of the resolved configuration, the options that another output comes of.
[[nodiscard]] Json output_options(const RunConfig& config);

/// The compressor that --output-codec and --output-codec-level name; none for "none".
[[nodiscard]] std::vector<zarr::Compressor> output_compressors(const RunConfig& config);

}  // namespace flatfield::config
