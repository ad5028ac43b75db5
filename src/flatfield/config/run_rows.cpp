#include "flatfield/config/run_rows.h"

#include <algorithm>
#include <array>

#include "flatfield/config/fitting_config.h"
#include "flatfield/config/option_rows.h"

namespace flatfield::config {
namespace {

constexpr std::int64_t kLargestChunkEdge = 4096;
constexpr std::int64_t kLargestShardEdge = 65536;

}  // namespace

OptionRow<RunConfig> chunks_row() {
  return {"output_chunks", OptionKind::kIntegerList, "Z,Y,X",
          "Chunk shape of the outputs; default: that of the input.",
          [](RunConfig& config, const Json& value) {
            config.output_chunks.reset();
            if (!value.is_null()) config.output_chunks = parse_extent(value, kLargestChunkEdge);
          },
          [](const RunConfig& config) {
            const auto& chunks = config.output_chunks;
            return chunks ? Json(Json::Array{chunks->z, chunks->y, chunks->x}) : Json();
          }};
}

OptionRow<RunConfig> shard_row(std::string key, std::optional<Extent3> RunConfig::*member,
                               std::string what) {
  return {std::move(key), OptionKind::kText, "N, Z,Y,X or none",
          "Voxels of the shards of " + what +
              " in Zarr format 3, rounded down to whole chunks; none = every chunk is an object.",
          [member](RunConfig& config, const Json& value) {
            if (value.is_null() || (value.is_string() && value.as_string() == "none")) {
              (config.*member).reset();
              return;
            }
            Json sizes = value;
            if (value.is_string()) sizes = parse_argument(OptionKind::kIntegerList, value.as_string());
            if (sizes.is_integer()) sizes = Json(Json::Array{sizes});
            if (sizes.is_array() && sizes.as_array().size() == 1)
              sizes.as_array().resize(3, Json(sizes.as_array().front()));
            config.*member = parse_extent(sizes, kLargestShardEdge);
          },
          [member](const RunConfig& config) {
            const std::optional<Extent3>& size = config.*member;
            return size ? Json(Json::Array{size->z, size->y, size->x}) : Json("none");
          }};
}

OptionRow<RunConfig> zarr_format_row() {
  return {"output_zarr_format", OptionKind::kText, "match, 2, 3",
          "Zarr format of the outputs: that of the tile, or 2 (OME-NGFF 0.4) or 3 (OME-NGFF 0.5).",
          [](RunConfig& config, const Json& value) {
            const std::string text = value.is_string() ? value.as_string() : value.dump();
            if (text != "match" && text != "2" && text != "3")
              throw std::invalid_argument("expected match, 2 or 3");
            config.output_zarr_format = text;
          },
          [](const RunConfig& config) { return Json(config.output_zarr_format); }};
}

OptionRow<RunConfig> write_empty_chunks_row() {
  return {"write_empty_chunks", OptionKind::kText, "true, false",
          "Whether chunks of nothing but zeros are stored; those that are not read as zeros.",
          [](RunConfig& config, const Json& value) {
            const std::string text = value.is_string() ? value.as_string() : value.dump();
            if (text != "true" && text != "false") throw std::invalid_argument("expected true or false");
            config.write_empty_chunks = text == "true";
          },
          [](const RunConfig& config) { return Json(config.write_empty_chunks); }};
}

/// A name, or an integer of Python's logging, which users of the Python program pass.
OptionRow<RunConfig> log_level_row() {
  return {"log_level", OptionKind::kText, "DEBUG, INFO, WARNING, ERROR, CRITICAL, or >= 0",
          "Least severe message that is printed; integers are those of Python: 0 = all, 25 = from WARNING (30) on.",
          [](RunConfig& config, const Json& value) {
            const std::array<std::string, 5> names{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};
            std::string text = value.is_string() ? value.as_string() : value.dump();
            std::transform(text.begin(), text.end(), text.begin(), [](char c) {
              return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            });
            if (std::find(names.begin(), names.end(), text) != names.end()) {
              config.log_level = text;
              return;
            }
            try {
              const std::int64_t number = parse_argument(OptionKind::kInteger, text).as_int64();
              if (number < 0) throw std::invalid_argument("");
              // The names have the numbers 10 to 50: the least that is not below it. No message is above CRITICAL.
              const std::int64_t known = std::clamp<std::int64_t>(number, 1, 50);
              config.log_level = names[static_cast<std::size_t>((known - 1) / 10)];
            } catch (const std::invalid_argument&) {
              throw std::invalid_argument("expected DEBUG, INFO, WARNING, ERROR, CRITICAL or an integer >= 0");
            }
          },
          [](const RunConfig& config) { return Json(config.log_level); }};
}

OptionRow<RunConfig> rank_row() {
  return {"corrected_rank", OptionKind::kText, "-8..7, mean, mode",
          "Which of the 8 sorted voxels of a window makes the next level; negative from the brightest.",
          [](RunConfig& config, const Json& value) {
            const std::string text = value.is_string() ? value.as_string() : value.dump();
            if (text != "mean" && text != "mode") {
              try {
                const std::int64_t rank = parse_argument(OptionKind::kInteger, text).as_int64();
                if (rank < -8 || rank > 7) throw std::invalid_argument("");
              } catch (const std::invalid_argument&) {
                throw std::invalid_argument("expected an integer -8..7, mean or mode");
              }
            }
            config.corrected_rank = text;
          },
          [](const RunConfig& config) {
            const std::string& rank = config.corrected_rank;
            return rank == "mean" || rank == "mode" ? Json(rank)
                                                    : parse_argument(OptionKind::kInteger, rank);
          }};
}

OptionRow<RunConfig> text_or_number_row(std::string key, std::string RunConfig::*member, std::string values,
                                        std::string help) {
  return {std::move(key), OptionKind::kText, std::move(values), std::move(help),
          [member](RunConfig& config, const Json& value) {
            if (value.is_null()) {
              config.*member = "";
            } else if (value.is_string()) {
              config.*member = text_without_nul(value);
            } else if (value.is_integer()) {
              config.*member = value.dump();
            } else {
              throw std::invalid_argument("expected a text or an integer");
            }
          },
          [member](const RunConfig& config) {
            return (config.*member).empty() ? Json() : Json(config.*member);
          }};
}

OptionRow<RunConfig> memory_limit_row() {
  return {"memory_limit", OptionKind::kText, "bytes, or like 512M, 16G",
          "Memory that the run may use; default: CO_MEMORY, else 80 % of what the container or machine has.",
          [](RunConfig& config, const Json& value) {
            if (value.is_null()) {
              config.memory_limit_bytes = 0;
            } else if (value.is_string() || value.is_integer()) {
              config.memory_limit_bytes =
                  parse_memory_size(value.is_string() ? value.as_string() : value.dump());
            } else {
              throw std::invalid_argument("expected bytes, or a number with K, M, G or T");
            }
          },
          [](const RunConfig& config) {
            return config.memory_limit_bytes == 0 ? Json() : Json(config.memory_limit_bytes);
          }};
}

OptionRow<RunConfig> s3_sse_row() {
  return {"s3_sse", OptionKind::kText, "AES256, aws:kms, aws:kms:KEY",
          "Encryption by S3 of what is written; default: what the bucket says.",
          [](RunConfig& config, const Json& value) {
            const std::string text = value.is_string() ? value.as_string() : "";
            const bool with_key = text.starts_with("aws:kms:") && text.size() > 8;
            if (!value.is_null() && text != "AES256" && text != "aws:kms" && !with_key)
              throw std::invalid_argument("expected AES256, aws:kms or aws:kms:KEY");
            config.s3_sse = text;
          },
          [](const RunConfig& config) { return config.s3_sse.empty() ? Json() : Json(config.s3_sse); }};
}

OptionRow<RunConfig> report_row() {
  return {"report", OptionKind::kFlag, "",
          "Write TILE_report.html, and index.html for a batch; default: with --save-outputs.",
          [](RunConfig& config, const Json& value) {
            if (!value.is_null() && !value.is_bool()) throw std::invalid_argument("expected true or false");
            config.report.reset();
            if (value.is_bool()) config.report = value.as_bool();
          },
          [](const RunConfig& config) { return config.report ? Json(*config.report) : Json(); }};
}

OptionRow<RunConfig> no_report_row() {
  OptionRow<RunConfig> row{"no_report", OptionKind::kFlag, "", "Write no report, also with --save-outputs.",
                           [](RunConfig& config, const Json& value) {
                             if (!value.is_bool()) throw std::invalid_argument("expected true or false");
                             if (value.as_bool()) config.report = false;
                           },
                           [](const RunConfig&) { return Json(false); }};
  row.use = OptionUse::kNotResolved;  // "report" says it
  return row;
}

OptionRow<RunConfig> tile_paths_row() {
  OptionRow<RunConfig> row{
      "tile_paths", OptionKind::kText, "list of folders",
      "Tiles of a batch, corrected one after another in sorted order; zarr wins over them.",
      [](RunConfig& config, const Json& value) {
        std::vector<std::string> paths;
        if (!value.is_null() && !value.is_array()) throw std::invalid_argument("expected a list of texts");
        if (value.is_array())
          for (const Json& path : value.as_array()) {
            if (!path.is_string()) throw std::invalid_argument("expected a list of texts");
            paths.push_back(text_without_nul(path));
          }
        config.tile_paths = std::move(paths);
      },
      [](const RunConfig& config) {
        return config.tile_paths.empty() ? Json() : Json(config.tile_paths);
      }};
  row.use = OptionUse::kFileOnly;
  return row;
}

OptionRow<RunConfig> fitting_row() {
  OptionRow<RunConfig> row{"fitting", OptionKind::kText, "object",
                           "The fitting configuration itself, as the resolved configuration holds it; "
                           "--fitting-config on the command line wins over it.",
                           [](RunConfig& config, const Json& value) {
                             if (!value.is_object()) throw std::invalid_argument("expected an object");
                             config.fitting = read_fitting_config(value, "");
                             config.fitting_config.clear();  // wins over a file named before, in an earlier row too
                           },
                           [](const RunConfig& config) { return to_json(fitting_table(), config.fitting); }};
  row.use = OptionUse::kFileOnly;
  return row;
}

OptionRow<RunConfig> basic_row() {
  OptionRow<RunConfig> row{"basic", OptionKind::kText, "object",
                           "The BaSiC configuration itself, as the resolved configuration holds it; "
                           "--basic-config on the command line wins over it.",
                           [](RunConfig& config, const Json& value) {
                             if (!value.is_object()) throw std::invalid_argument("expected an object");
                             config.basic = read_basic_config(value, "");
                             config.basic_config.clear();  // wins over a file named before, in an earlier row too
                           },
                           [](const RunConfig& config) { return to_json(basic_table(), config.basic); }};
  row.use = OptionUse::kFileOnly;
  return row;
}

OptionRow<RunConfig> ignored_row(std::string key) {
  OptionRow<RunConfig> row{std::move(key), OptionKind::kText, "anything",
                           "A key of the Python program that means nothing here.",
                           [](RunConfig&, const Json&) {}, [](const RunConfig&) { return Json(); }};
  row.use = OptionUse::kIgnored;
  return row;
}

std::int64_t parse_memory_size(const std::string& text) {
  constexpr const char* kExpected = "expected bytes, or a number with K, M, G or T";
  std::string number = text;
  if (number.size() > 1 && (number.back() == 'B' || number.back() == 'b')) number.pop_back();
  if (number.size() > 1 && number.back() == 'i') number.pop_back();
  double unit = 1.0;
  if (!number.empty()) {
    constexpr std::string_view kUnits = "KMGT";
    const char letter = number.back() >= 'a' ? static_cast<char>(number.back() - 'a' + 'A') : number.back();
    if (const std::size_t power = kUnits.find(letter); power != std::string_view::npos) {
      unit = std::pow(1024.0, static_cast<double>(power + 1));
      number.pop_back();
    }
  }
  double bytes = 0.0;
  try {
    bytes = parse_argument(OptionKind::kNumber, number).as_double() * unit;
  } catch (const std::invalid_argument&) {
    throw std::invalid_argument(kExpected);
  }
  if (!(bytes >= 1.0) || bytes > 0x1p62) throw std::invalid_argument(kExpected);
  return static_cast<std::int64_t>(bytes);
}

}  // namespace flatfield::config
