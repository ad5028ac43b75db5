#include "flatfield/config/run_config.h"

#include <fmt/format.h>

#include <stdexcept>

#include "flatfield/config/fitting_config.h"
#include "flatfield/config/option_rows.h"
#include "flatfield/config/output_codec.h"
#include "flatfield/config/run_rows.h"

namespace flatfield::config {
namespace {

using RunRows = Rows<RunConfig>;

/// Whoever fills a RunConfig without the table has passed none of its checks: each value goes back through its own row.
void check_values(const RunConfig& config) {
  RunConfig copy = config;
  for (const OptionRow<RunConfig>& row : run_table()) {
    const std::string shown = row.use == OptionUse::kFileOnly ? row.key : flag_name(row.key);
    Json value;
    try {
      value = row.get(config);
    } catch (const std::invalid_argument&) {  // no number, where the text of one is kept
      throw Error(ErrorCode::kUsage, fmt::format("{}: expected {}", shown, row.values));
    }
    set_option(row, value, shown, "", copy);
  }
}

}  // namespace

const OptionTable<RunConfig>& run_table() {
  static const OptionTable<RunConfig> table{
      beside_output(RunRows::text("zarr", &RunConfig::zarr, "folder", "OME-Zarr tile to correct.")),
      beside_output(RunRows::text("output", &RunConfig::output, "folder",
                    "Where the corrected tile goes: OUTPUT/TILE, or OUTPUT itself if it is named like the tile.")),
      RunRows::choice("method", &RunConfig::method, {"reference", "basicpy", "fitting"}, "Correction method."),
      beside_output(RunRows::text("flatfield_path", &RunConfig::flatfield_path, "file",
                    "TIFF with the flatfield of method reference.")),
      beside_output(RunRows::text("mask_dir", &RunConfig::mask_dir, "folder",
                    "Folder with foreground masks (TIFF); needed by fitting, weights for basicpy.")),
      text_or_number_row("res", &RunConfig::res, "level", "Level of the tile that is corrected."),
      beside_output(RunRows::integer("num_workers", &RunConfig::num_workers, {1, 1024},
                       "Number of worker threads; default: CO_CPUS, else 1.")),
      beside_output(memory_limit_row()),
      RunRows::integer("n_levels", &RunConfig::n_levels, {1, 32}, "Levels of the output pyramid."),
      beside_output(RunRows::text("results_dir", &RunConfig::results_dir, "folder",
                    "Folder for the log, the run report and the provenance.")),
      beside_output(RunRows::flag("save_outputs", &RunConfig::save_outputs,
                    "Also save the background image, the background planes and the curves.")),
      beside_output(report_row()),
      beside_output(no_report_row()),
      beside_output(RunRows::text("fitting_config", &RunConfig::fitting_config, "file",
                    "JSON file with options of the fitting method.")),
      beside_output(RunRows::text("basic_config", &RunConfig::basic_config, "file",
                    "JSON file with options of the basicpy method.")),
      beside_output(RunRows::text("median_summary_path", &RunConfig::median_summary_path, "file",
                    "JSON file with the mean_of_medians of each channel, which replaces the global factor of fitting.")),
      with_use(RunRows::text("config", &RunConfig::config, "file",
                             "JSON file with these options; those on the command line win."),
               OptionUse::kCommandLineOnly),
      beside_output(RunRows::text("model", &RunConfig::model, "file",
                                  "Model to correct with instead of learning one; with estimate, where it goes.")),
      with_use(beside_output(RunRows::text("part", &RunConfig::part, "I/N, auto, auto/N",
                                           "Share of the items that apply does, I from 0; auto asks the scheduler "
                                           "(Slurm, AWS Batch) for it.")),
               OptionUse::kNotResolved),
      beside_output(RunRows::choice("sync", &RunConfig::sync, {"none", "close", "full"},
                                    "When a file of an image or a model counts as written: none, when the system has it (it "
                                    "outlives the process); close, when its content is on the disk (it outlives a power "
                                    "failure); full, when its name is too. Other results: always none.")),
      beside_output(RunRows::flag("overwrite", &RunConfig::overwrite, "Replace an output that is already there.")),
      with_use(beside_output(RunRows::flag("dry_run", &RunConfig::dry_run,
                                           "Print the plan, as the command plan does, and correct nothing.")),
               OptionUse::kNotResolved),
      RunRows::flag("skip_flat_field", &RunConfig::skip_flat_field, "Subtract the background only."),
      RunRows::flag("skip_bkg_sub", &RunConfig::skip_bkg_sub, "Do not subtract a background."),
      RunRows::number("pedestal", &RunConfig::pedestal, {0, 65535},
                      "Camera offset in counts, subtracted instead of a background; needs --skip-bkg-sub."),
      RunRows::flag("use_reference_bkg", &RunConfig::use_reference_bkg,
                    "Subtract the background image in the folder derivatives/ beside the folder that the tile lies in."),
      RunRows::flag("is_binned", &RunConfig::is_binned,
                    "The tile is binned: it is read, learnt from and corrected at level 0."),
      text_or_number_row("binned_channel", &RunConfig::binned_channel, "number",
                         "Channel whose tiles are binned, as in the tile's name."),
      RunRows::number("background_smoothing_sigma", &RunConfig::background_smoothing_sigma, {0, 1000},
                      "Sigma in voxels of the smoothing that background planes are chosen on."),
      RunRows::number("background_final_smoothing_sigma", &RunConfig::background_final_smoothing_sigma,
                      {0, 10000}, "Sigma in pixels of the smoothing of the background image."),
      text_or_number_row("estimation_res", &RunConfig::estimation_res, "level",
                         "Level that statistics are learnt from; default: 3, for a binned tile 0."),
      RunRows::choice("on_qc_fail", &RunConfig::on_qc_fail, {"warn", "background-only", "error"},
                      "What happens to a tile whose quality numbers fail, before a voxel is written."),
      rank_row(),
      chunks_row(),
      zarr_format_row(),
      shard_row("corrected_shard_size", &RunConfig::corrected_shard_size, "the corrected tile"),
      shard_row("mask_shard_size", &RunConfig::mask_shard_size, "the mask"),
      shard_row("probability_shard_size", &RunConfig::probability_shard_size, "the probability"),
      write_empty_chunks_row(),
      RunRows::choice("output_codec", &RunConfig::output_codec, output_codec_names(),
                      "Compressor of the outputs."),
      RunRows::integer("output_codec_level", &RunConfig::output_codec_level, {0, 65537},
                       "Level of the compressor."),
      beside_output(RunRows::integer("metadata_schema", &RunConfig::metadata_schema, {1, 2},
                       "Form of the provenance record: aind-data-schema 2, or the old form 1.")),
      beside_output(log_level_row()),
      beside_output(RunRows::choice("log_format", &RunConfig::log_format, {"text", "json"},
                      "Lines for people, or one JSON object per line.")),
      beside_output(RunRows::text("s3_endpoint", &RunConfig::s3_endpoint, "URL",
                    "Server of s3:// locations; default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile, Amazon.")),
      beside_output(RunRows::text("s3_region", &RunConfig::s3_region, "name",
                    "Region of the buckets; default: AWS_REGION, the profile, else the bucket is asked.")),
      beside_output(RunRows::flag("s3_anonymous", &RunConfig::s3_anonymous,
                    "Do not sign requests, and look for no credentials: for public buckets.")),
      beside_output(RunRows::flag("s3_request_payer", &RunConfig::s3_request_payer, "Pay for requests to buckets of others.")),
      beside_output(s3_sse_row()),
      beside_output(RunRows::text("s3_acl", &RunConfig::s3_acl, "canned ACL",
                    "Access to what is written, e.g. bucket-owner-full-control.")),
      beside_output(RunRows::integer("s3_concurrency", &RunConfig::s3_concurrency, {1, 1024},
                       "Requests to a bucket under way at once, at most.")),
      beside_output(RunRows::integer("s3_max_attempts", &RunConfig::s3_max_attempts, {1, 1000},
                       "Attempts at a request before it has failed.")),
      beside_output(tile_paths_row()),
      fitting_row(),
      basic_row(),
      ignored_row("worker_mode"),
      ignored_row("io_backend"),
      ignored_row("io_concurrency"),
      ignored_row("max_chunks_per_block"),
      with_use(RunRows::text("dump_learned", &RunConfig::dump_learned, "folder",
                             "Write what was learnt as .npy files."),
               OptionUse::kHidden),
  };
  return table;
}

const OptionTable<RunConfig>& step_table() {
  static const OptionTable<RunConfig> table = [] {
    OptionTable<RunConfig> rows = run_table();
    for (OptionRow<RunConfig>& row : rows)
      if (row.key == "dry_run") row.use = OptionUse::kHidden;
    return rows;
  }();
  return table;
}

void check_run_config(const RunConfig& config, RunStep step) {
  check_values(config);
  const auto refuse = [](const std::string& what, const std::string& remedy) {
    throw Error(ErrorCode::kUsage, what, "", remedy);
  };
  if (config.dry_run && step != RunStep::kRun)
    refuse("--dry-run is not for one step of a run: the plan is that of all of them",
           "plan the whole run: say plan, or run --dry-run, with its options, without --part and without a --model that is yet "
           "to be learnt");
  if (config.zarr.empty() && config.tile_paths.empty())
    refuse("--zarr is missing",
           "name the tile to correct, or several as tile_paths of --config or of ../data/tile_*.json");
  const bool is_estimate = step == RunStep::kEstimate;
  const bool learns = config.model.empty() || is_estimate;
  if (config.output.empty() && (!is_estimate || config.model.empty()))
    refuse("--output is missing", "name the folder for the corrected tile");
  if (!config.part.empty() && step != RunStep::kApply)
    refuse("--part is for apply", "estimate first, apply the parts, and finalize last");
  if (config.overwrite && (step == RunStep::kFinalize || (step == RunStep::kApply && config.model.empty())))
    refuse("--overwrite is not for this step: it would remove what estimate has left", "give it to estimate");
  if (config.overwrite && !config.part.empty())
    refuse("--overwrite cannot be used with --part: the parts would remove what the others have written",
           "remove the output first, or estimate with --overwrite");
  if (config.results_dir.empty()) refuse("--results-dir is empty", "name a folder");
  if (learns && !config.skip_flat_field) {
    if (config.method == "fitting" && config.mask_dir.empty())
      refuse("--method fitting needs --mask-dir",
             "name the folder with the masks, or give --skip-flat-field");
    if (config.method == "fitting" && config.skip_bkg_sub)
      refuse("--method fitting cannot be used with --skip-bkg-sub",
             "leave one out, or also give --skip-flat-field");
    if (config.method == "reference" && config.flatfield_path.empty())
      refuse("--method reference needs --flatfield-path",
             "name the flatfield image, or give --skip-flat-field");
  }
  if (config.pedestal > 0.0 && !config.skip_bkg_sub)
    refuse("--pedestal needs --skip-bkg-sub",
           "leave it out: the background image holds the camera's offset already");
  if (config.use_reference_bkg && config.skip_bkg_sub)
    refuse("--use-reference-bkg cannot be used with --skip-bkg-sub", "leave one out");
  check_output_codec_level(config.output_codec, config.output_codec_level);
}

std::vector<std::string> unused_options(const RunConfig& config) {
  const RunConfig defaults;
  std::vector<std::string> unused;
  const auto note = [&](bool given, const char* flag, const std::string& why) {
    if (given) unused.push_back(std::string(flag) + " has no effect " + why);
  };
  const bool flattens = !config.skip_flat_field;
  const std::string cause = flattens ? "with --method " + config.method : "with --skip-flat-field";
  const bool fits = flattens && config.method == "fitting";
  const bool divides = flattens && config.method == "reference";
  const bool solves = flattens && config.method == "basicpy";
  note(config.method != defaults.method && !flattens, "--method", cause);
  note(!config.flatfield_path.empty() && !divides, "--flatfield-path", cause);
  note(!config.fitting_config.empty() && !fits, "--fitting-config", cause);
  note(!config.basic_config.empty() && !solves, "--basic-config", cause);
  note(!config.median_summary_path.empty() && !fits, "--median-summary-path", cause);
  note(!config.mask_dir.empty() && !fits && !solves, "--mask-dir", cause);
  // A model has numbers of its own.
  note(config.on_qc_fail != defaults.on_qc_fail && !flattens && config.model.empty(), "--on-qc-fail", cause);

  const std::string without_image = config.skip_bkg_sub ? "with --skip-bkg-sub" : "with --use-reference-bkg";
  const bool takes_median = !config.skip_bkg_sub && !config.use_reference_bkg;
  // Of an image from elsewhere only the weights of the fit need planes.
  const bool chooses_planes = takes_median || (!config.skip_bkg_sub && fits && config.fitting.enable_gmm_refinement);
  note(config.background_smoothing_sigma != defaults.background_smoothing_sigma && !chooses_planes,
       "--background-smoothing-sigma", without_image);
  note(config.background_final_smoothing_sigma != defaults.background_final_smoothing_sigma && !takes_median,
       "--background-final-smoothing-sigma", without_image);
  note(fits && config.use_reference_bkg && !chooses_planes && config.fitting.exclude_background_planes_from_mask,
       "exclude_background_planes_from_mask", "with --use-reference-bkg, which chooses no planes without refinement");
  return unused;
}

Json output_options(const RunConfig& config) {
  Json out = Json::object();
  const bool flattens = !config.skip_flat_field;
  for (const auto& row : run_table()) {
    const bool is_key = row.use == OptionUse::kEverywhere || row.use == OptionUse::kFileOnly;
    if (!is_key || !row.changes_output) continue;
    if (row.key == "fitting" && !(flattens && config.method == "fitting")) continue;
    if (row.key == "basic" && !(flattens && config.method == "basicpy")) continue;
    out[row.key] = row.get(config);
  }
  return out;
}

Json resolved_config(const RunConfig& config) { return to_json(run_table(), config); }

std::vector<zarr::Compressor> output_compressors(const RunConfig& config) {
  return output_codec_compressors(config.output_codec, config.output_codec_level);
}

}  // namespace flatfield::config
