#include "flatfield/pipeline/tile_fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "flatfield/core/buffer.h"
#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"
#include "flatfield/pipeline/reference_background.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/fan_out.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// Chunks of a level whose size and time are looked at.
constexpr std::int64_t kSampledChunks = 128;
constexpr int kAtOnce = 16;
/// In the place of the stamp of a chunk that could not be read.
constexpr const char* kUnreadable = "unreadable";
/// Values longer than that are not repeated in messages.
constexpr std::size_t kLongestValue = 60;

Json stamp_json(const std::optional<storage::ObjectStamp>& stamp) {
  if (!stamp) return {};
  return fmt::format("{} bytes, {}", stamp->bytes, stamp->version.empty() ? "no time" : stamp->version);
}

Json text_json(const std::optional<std::string>& text) {
  if (!text) return {};
  return fmt::format("{} bytes, crc32c {:08x}", text->size(), crc32c(as_bytes(*text)));
}

/// Stamps of chunks that lie evenly in a level.
Json sampled_chunks(const zarr::Array& array) {
  const zarr::ArrayMetadata& metadata = array.metadata();
  const zarr::Shape grid = zarr::object_grid(metadata);
  const std::int64_t count = zarr::object_count(metadata);
  const std::int64_t sampled = std::min(count, kSampledChunks);
  std::vector<std::string> keys(static_cast<std::size_t>(sampled));
  std::vector<Json> stamps(keys.size());
  for (std::int64_t i = 0; i < sampled; ++i) {
    std::int64_t number = i * count / sampled;
    zarr::Shape index(grid.size());
    for (std::size_t axis = grid.size(); axis-- > 0; number /= grid[axis]) index[axis] = number % grid[axis];
    keys[static_cast<std::size_t>(i)] = storage::join_key(array.path(), zarr::object_key(metadata, index));
  }
  storage::fan_out(sampled, kAtOnce, [&](std::int64_t i) {
    const auto k = static_cast<std::size_t>(i);
    stamps[k] = stamp_json(array.shared_store()->stamp(keys[k]));
  });
  Json out = Json::object();
  for (std::size_t i = 0; i < keys.size(); ++i) out[keys[i]] = std::move(stamps[i]);
  return out;
}

/// A file that an option names, wherever it is.
Json file_json(const std::string& location, storage::StoreOpener& stores) {
  const auto [store, key] = stores.open_object(location);
  Json out;
  out["file"] = location_name(location);
  out["is"] = stamp_json(store->stamp(key));
  return out;
}

/// The options as far as they matter for this tile. Where all tiles are binned, the channel of binned tiles, which is that of
/// the first tile of the batch, only stands for the one that a name does not hold, to look up in the medians.
Json tile_options(const RunContext& context, const std::string& location) {
  Json options = config::output_options(context.config);
  if (context.config.is_binned && (tile_channel(location_name(location)) || !context.median_summary))
    options.erase("binned_channel");
  return options;
}

/// The files beside the tile that are learnt from.
Json other_inputs(RunContext& context, const std::string& location) {
  const config::RunConfig& config = context.config;
  Json out = Json::object();
  if (config.use_reference_bkg)
    if (const auto file = find_reference_background(location, context.stores))
      out["reference_background"] = file_json(*file, context.stores);
  if (config.skip_flat_field) return out;
  if (context.masks)
    if (const auto file = context.masks->find_file(location_name(location)))
      out["mask"] = file_json(*file, context.stores);
  if (config.method == "reference") out["flatfield"] = file_json(config.flatfield_path, context.stores);
  if (context.median_summary) out["medians"] = *context.median_summary;
  return out;
}

std::string short_text(const Json* value) {
  if (value == nullptr || value->is_null()) return "nothing";
  std::string text = value->dump();
  if (text.size() <= kLongestValue) return text;
  return text.substr(0, kLongestValue) + "...";
}

void compare(const Json& before, const Json& now, const std::string& path, std::vector<std::string>& differences) {
  if (before == now || before == Json(kUnreadable)) return;
  if (!before.is_object() || !now.is_object()) {
    differences.push_back(fmt::format("{}: {} before, {} now", path, short_text(&before), short_text(&now)));
    return;
  }
  std::set<std::string> keys;
  for (const Json* object : {&before, &now})
    for (const auto& [key, value] : object->as_object()) keys.insert(key);
  for (const std::string& key : keys) {
    const Json* a = before.find(key);
    const Json* b = now.find(key);
    compare(a == nullptr ? Json() : *a, b == nullptr ? Json() : *b, path.empty() ? key : path + "." + key, differences);
  }
}

}  // namespace

Json tile_identity(const ome::Tile& tile, const TileLevels& levels) {
  Json documents = Json::object();
  Json chunks = Json::object();
  documents["attributes"] = text_json(tile.attributes().dump());
  std::set<std::string> keys{levels.target, levels.estimation};
  for (const std::string& level : keys) {
    const zarr::Array array = tile.open_array(level);
    for (const std::string& key :
         zarr::document_keys(array.path(), {array.metadata().zarr_format, true}))
      documents[key] = text_json(storage::get_text(*array.shared_store(), key));
    const Json sampled = sampled_chunks(array);
    for (const auto& [key, stamp] : sampled.as_object()) chunks[key] = stamp;
  }
  Json out;
  out["documents"] = std::move(documents);
  out["chunks"] = std::move(chunks);
  return out;
}

std::string lack_of_chunks(const Json& identity) {
  const Json::Object& chunks = identity.find("chunks")->as_object();
  if (std::any_of(chunks.begin(), chunks.end(), [](const auto& chunk) { return !chunk.second.is_null(); })) return "";
  return fmt::format("of {} objects that were looked for none is there, and what is missing is taken for the fill value; "
                     "check where its chunks are, and the dimension_separator of its metadata",
                     chunks.size());
}

std::string tile_change(const Json& identity, const ome::Tile& tile, const TileLevels& levels) {
  try {
    const std::vector<std::string> differences = fingerprint_differences(identity, tile_identity(tile, levels));
    return differences.empty() ? "" : "the tile changed while it was corrected (" + differences.front() + ")";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kBadInput) throw;
    return std::string("the tile vanished while it was corrected (") + error.message() + ")";
  }
}

Json tile_fingerprint(RunContext& context, const std::string& location, const Json& identity, const Json& model) {
  Json out;
  out["format"] = kOutputFormat;
  out["options"] = tile_options(context, location);
  out["tile"] = identity;
  if (model.is_null())
    out["files"] = other_inputs(context, location);
  else
    out["model"] = model;
  return out;
}

bool note_unreadable(Json& fingerprint, const storage::Store& tile, const std::string& where) {
  const Json* tile_known = fingerprint.find("tile");
  const Json* known = tile_known == nullptr ? nullptr : tile_known->find("chunks");
  if (known == nullptr || !known->is_object()) return false;
  Json& chunks = fingerprint["tile"]["chunks"];
  const auto found = std::find_if(chunks.as_object().begin(), chunks.as_object().end(),
                                  [&](const auto& chunk) { return tile.describe(chunk.first) == where; });
  if (found == chunks.as_object().end()) return false;
  const std::string key = found->first;
  chunks[key] = kUnreadable;
  return true;
}

std::vector<std::string> fingerprint_differences(const Json& before, const Json& now) {
  std::vector<std::string> differences;
  compare(before, now, "", differences);
  return differences;
}

}  // namespace flatfield::pipeline
