#include "flatfield/pipeline/output_checksums.h"

#include <fmt/format.h>

#include "flatfield/core/buffer.h"
#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/pipeline/npz_file.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kFormat = "exaspim-flatfield checksums";
constexpr std::int64_t kVersion = 1;
constexpr const char* kDocument = "checksums.json";

std::string array_name(std::size_t level, const char* what) { return fmt::format("level_{}_{}", level, what); }

std::vector<zarr::Shape> grids_of(const std::vector<zarr::ArrayMetadata>& levels) {
  std::vector<zarr::Shape> grids;
  for (const zarr::ArrayMetadata& metadata : levels) grids.push_back(zarr::object_grid(metadata));
  return grids;
}

}  // namespace

OutputChecksums::OutputChecksums(const std::vector<zarr::ArrayMetadata>& levels)
    : OutputChecksums(grids_of(levels)) {}

OutputChecksums::OutputChecksums(std::vector<zarr::Shape> grids) : grids_(std::move(grids)) {
  for (const zarr::Shape& grid : grids_) {
    std::size_t count = 1;
    for (const std::int64_t length : grid) count *= static_cast<std::size_t>(length);
    levels_.emplace_back(count);
  }
}

void OutputChecksums::set_document(const std::string& key, std::string_view text) {
  documents_[key] = {text.size(), crc32c(as_bytes(text))};
}

void OutputChecksums::write(storage::Store& store) const {
  Json document;
  document["format"] = kFormat;
  document["version"] = kVersion;
  document["level_objects"] = Json::array();
  for (const zarr::Shape& grid : grids_) document["level_objects"].push_back(Json(grid));
  Json documents = Json::object();
  for (const auto& [key, sum] : documents_) documents[key] = Json(Json::Array{sum.bytes, sum.crc32c});
  document["documents"] = std::move(documents);
  NpzWriter file(store.create(kKey));
  file.add_text(kDocument, document.dump(2) + "\n");
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    std::vector<std::uint64_t> bytes;
    std::vector<std::uint32_t> sums;
    bytes.reserve(levels_[level].size());
    sums.reserve(levels_[level].size());
    for (const ObjectSum& sum : levels_[level]) {
      bytes.push_back(sum.bytes);
      sums.push_back(sum.crc32c);
    }
    file.add<std::uint64_t>(array_name(level, "bytes"), grids_[level], bytes);
    file.add<std::uint32_t>(array_name(level, "crc32c"), grids_[level], sums);
  }
  file.finish();
}

OutputChecksums OutputChecksums::read(const std::shared_ptr<const storage::Store>& store) {
  const NpzReader file(store, kKey);
  const Json document = Json::parse(file.read_text(kDocument), file.describe());
  const ObjectReader reader(document, file.describe());
  if (reader.get_string("format") != kFormat) reader.fail("format", fmt::format("expected \"{}\"", kFormat));
  if (reader.get_int("version") != kVersion)
    throw Error(ErrorCode::kUnsupported, "the version of the checksums is not known", file.describe(),
                "use the program that wrote them");
  std::vector<zarr::Shape> grids;
  for (const Json& grid : reader.get_array("level_objects")) {
    Json one;
    one["grid"] = grid;
    grids.push_back(ObjectReader(one, file.describe(), "level_objects").get_ints("grid", 0, std::int64_t{1} << 31));
  }
  OutputChecksums checksums(std::move(grids));
  for (std::size_t level = 0; level < checksums.level_count(); ++level) {
    const auto bytes = file.read<std::uint64_t>(array_name(level, "bytes"), checksums.grids_[level]);
    const auto sums = file.read<std::uint32_t>(array_name(level, "crc32c"), checksums.grids_[level]);
    for (std::size_t i = 0; i < bytes.size(); ++i) checksums.levels_[level][i] = {bytes[i], sums[i]};
  }
  const ObjectReader documents = reader.get_object("documents");
  for (const auto& [key, unused] : document.find("documents")->as_object()) {
    const std::vector<std::int64_t> pair = documents.get_ints(key, 0);
    if (pair.size() != 2) documents.fail(key, "expected two integers");
    checksums.documents_[key] = {static_cast<std::uint64_t>(pair[0]), static_cast<std::uint32_t>(pair[1])};
  }
  return checksums;
}

}  // namespace flatfield::pipeline
