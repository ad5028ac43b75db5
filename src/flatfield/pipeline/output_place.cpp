#include "flatfield/pipeline/output_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/pipeline/tile_fingerprint.h"
#include "flatfield/storage/write_probe.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// Differences that a message lists.
constexpr std::size_t kNamedDifferences = 3;

std::string claim_key() { return storage::join_key(kScratchName, "run.json"); }

bool is_left_behind(const std::string& name) {
  return name == std::string(kScratchName) + "/" || storage::is_probe(name);
}

}  // namespace

OutputState output_state(const storage::Store& store) {
  const std::vector<std::string> names = store.list("");
  if (std::all_of(names.begin(), names.end(), is_left_behind) && !store.size(claim_key())) return OutputState::kAbsent;
  const auto node = zarr::find_node(store, "");
  if (!node) return store.size(claim_key()) ? OutputState::kUnfinished : OutputState::kSomethingElse;
  if (node->is_array) return OutputState::kUnfinished;
  return ome::has_multiscale(zarr::read_group_attributes(store, "")) ? OutputState::kFinished
                                                                     : OutputState::kUnfinished;
}

void check_place(const storage::Store& store, bool overwrite) {
  const OutputState state = output_state(store);
  if (state == OutputState::kAbsent) return;
  if (state == OutputState::kSomethingElse)
    throw Error(ErrorCode::kOutputExists,
                "something that is not a Zarr is where the output would go", store.describe(""),
                "remove it, or choose another --output");
  if (!overwrite)
    throw Error(ErrorCode::kOutputExists,
                state == OutputState::kFinished ? "an output is there already"
                                                : "an unfinished output is there already, without what is needed to go on with it",
                store.describe(""), "give --overwrite to replace it");
}

bool is_resumable(const storage::Store& store, const Json& fingerprint, bool overwrite) {
  if (overwrite) return false;
  const auto text = storage::get_text(store, claim_key());
  if (!text) return false;
  const Json before = Json::parse(*text, store.describe(claim_key()));
  const std::vector<std::string> differences = fingerprint_differences(before, fingerprint);
  if (differences.empty()) return true;
  std::string named;
  for (std::size_t i = 0; i < std::min(differences.size(), kNamedDifferences); ++i)
    named += (i == 0 ? "" : "; ") + differences[i];
  if (differences.size() > kNamedDifferences)
    named += fmt::format("; and {} more", differences.size() - kNamedDifferences);
  throw Error(ErrorCode::kOutputExists, "the unfinished output that is there was begun otherwise (" + named + ")",
              store.describe(""), "start as it was begun, or give --overwrite to start afresh");
}

void claim_place(storage::Store& store, const Json& fingerprint) {
  storage::put_text(store, claim_key(), fingerprint.dump(2) + "\n");
}

void release_place(storage::Store& store) {
  if (!store.list(kScratchName).empty()) store.erase_prefix(kScratchName);
}

void clear_place(storage::Store& store) {
  zarr::erase_group_attributes(store, "");
  // First what says that the rest can be gone on with: this may be interrupted.
  store.erase(claim_key());
  store.erase_prefix(kScratchName);
  store.erase_prefix("");
}

}  // namespace flatfield::pipeline
