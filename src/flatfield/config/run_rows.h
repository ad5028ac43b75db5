#pragma once

#include <cstdint>
#include <string>

#include "flatfield/config/run_config.h"

namespace flatfield::config {

// Rows of the table of `run` whose values are more than one number, text or choice.

[[nodiscard]] OptionRow<RunConfig> chunks_row();
/// Voxels of a shard, or none.
[[nodiscard]] OptionRow<RunConfig> shard_row(std::string key,
                                             std::optional<Extent3> RunConfig::*member,
                                             std::string what);
/// The Zarr format of the outputs, which files may also give as an integer.
[[nodiscard]] OptionRow<RunConfig> zarr_format_row();
/// true or false, which the command line writes out.
[[nodiscard]] OptionRow<RunConfig> write_empty_chunks_row();
[[nodiscard]] OptionRow<RunConfig> log_level_row();
[[nodiscard]] OptionRow<RunConfig> rank_row();
[[nodiscard]] OptionRow<RunConfig> memory_limit_row();
[[nodiscard]] OptionRow<RunConfig> s3_sse_row();
/// The pages of the report: wanted, and not wanted.
[[nodiscard]] OptionRow<RunConfig> report_row();
[[nodiscard]] OptionRow<RunConfig> no_report_row();
[[nodiscard]] OptionRow<RunConfig> tile_paths_row();
[[nodiscard]] OptionRow<RunConfig> fitting_row();
[[nodiscard]] OptionRow<RunConfig> basic_row();
/// A text that files may also give as an integer: levels and channels.
[[nodiscard]] OptionRow<RunConfig> text_or_number_row(std::string key, std::string RunConfig::*member,
                                                      std::string values, std::string help);
/// A key that configuration files may hold without effect.
[[nodiscard]] OptionRow<RunConfig> ignored_row(std::string key);

/// Bytes from "17179869184", "16G", "16GiB" or "0.5T" (powers of 1024). Throws std::invalid_argument.
[[nodiscard]] std::int64_t parse_memory_size(const std::string& text);

}  // namespace flatfield::config
