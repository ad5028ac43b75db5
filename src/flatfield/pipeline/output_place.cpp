#include "flatfield/pipeline/output_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

#include "flatfield/core/buffer.h"
#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"
#include "flatfield/core/fail_point.h"
#include "flatfield/ome/ngff_metadata.h"
#include "flatfield/pipeline/tile_fingerprint.h"
#include "flatfield/storage/write_probe.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// Differences that a message lists.
constexpr std::size_t kNamedDifferences = 3;
/// In the place of a fingerprint: why the output is not to be gone on with.
constexpr const char* kRetired = "retired";

constexpr const char* kClaimName = "run.json";
/// Beside what a fingerprint says: the claim id.
constexpr const char* kBegun = "begun";

std::string claim_key() { return storage::join_key(kScratchName, kClaimName); }

/// What a place is claimed with; what a crash of the machine has left of it says that it is of no use.
Json parse_claim(const storage::Store& store, const std::string& text) {
  try {
    Json claim = Json::parse(text, store.describe(claim_key()));
    const Json* why = claim.is_object() ? claim.find(kRetired) : nullptr;
    if (claim.is_object() && (why == nullptr || why->is_string())) return claim;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadInput) throw;
  }
  Json retired;
  retired[kRetired] = "what it depends on is damaged (" + store.describe(claim_key()) + ")";
  return retired;
}

/// The claim id of a claim; zeros, which no run has, where it says none.
std::string id_of(const Json& claim) {
  const Json* id = claim.find(kBegun);
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (id != nullptr && id->is_string() && id->as_string().size() == kClaimDigits &&
      std::all_of(id->as_string().begin(), id->as_string().end(), is_digit))
    return id->as_string();
  return std::string(kClaimDigits, '0');
}

void write_claim(storage::Store& store, const Json& claim) { storage::put_text(store, claim_key(), claim.dump(2) + "\n"); }

bool is_left_behind(const std::string& name) {
  return name == std::string(kScratchName) + "/" || storage::is_probe(name);
}

/// Removes all that is below a prefix, but for one name.
void erase_others(storage::Store& store, const std::string& prefix, const std::string& kept) {
  for (const std::string& name : store.list(prefix)) {
    const bool is_folder = name.ends_with('/');
    const std::string child = is_folder ? name.substr(0, name.size() - 1) : name;
    if (child == kept) continue;
    const std::string key = storage::join_key(prefix, child);
    if (is_folder)
      store.erase_prefix(key);
    else
      store.erase(key);
  }
}

}  // namespace

OutputState output_state(const storage::Store& store) {
  const std::vector<std::string> names = store.list("");
  if (std::all_of(names.begin(), names.end(), is_left_behind) && !store.size(claim_key())) return OutputState::kAbsent;
  try {
    const auto node = zarr::find_node(store, "");
    if (!node) return store.size(claim_key()) ? OutputState::kUnfinished : OutputState::kSomethingElse;
    if (node->is_array) return OutputState::kUnfinished;
    return ome::has_multiscale(zarr::read_group_attributes(store, "")) ? OutputState::kFinished
                                                                       : OutputState::kUnfinished;
  } catch (const Error& error) {
    // Metadata that a crash of the machine has left empty.
    if (error.code() != ErrorCode::kBadInput) throw;
    return OutputState::kUnfinished;
  }
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

std::string new_claim_id() {
  std::random_device random;
  const std::uint32_t first = random();
  return fmt::format("{:08x}{:08x}", first, random());
}

std::string shared_claim_id(const Json& fingerprint) {
  return fmt::format("{:0{}x}", crc32c(as_bytes(fingerprint.dump())), kClaimDigits);
}

std::optional<std::string> resumable_claim(const storage::Store& store, const Json& fingerprint, bool overwrite) {
  if (overwrite) return std::nullopt;
  const auto text = storage::get_text(store, claim_key());
  if (!text) return std::nullopt;
  Json before = parse_claim(store, *text);
  if (const Json* why = before.find(kRetired))
    throw Error(ErrorCode::kOutputExists, "the output that is there is not to be gone on with: " + why->as_string(),
                store.describe(""), "give --overwrite to start afresh");
  const std::string id = id_of(before);
  before.erase(kBegun);
  const std::vector<std::string> differences = fingerprint_differences(before, fingerprint);
  if (differences.empty()) return id;
  std::string named;
  for (std::size_t i = 0; i < std::min(differences.size(), kNamedDifferences); ++i)
    named += (i == 0 ? "" : "; ") + differences[i];
  if (differences.size() > kNamedDifferences)
    named += fmt::format("; and {} more", differences.size() - kNamedDifferences);
  throw Error(ErrorCode::kOutputExists, "the unfinished output that is there was begun otherwise (" + named + ")",
              store.describe(""), "start as it was begun, or give --overwrite to start afresh");
}

void claim_place(storage::Store& store, const Json& fingerprint, const std::string& id) {
  Json claim = fingerprint;
  claim[kBegun] = id;
  write_claim(store, claim);
}

void check_unclaimed(const storage::Store& store) {
  // In this order: a part that begins at the same moment claims the place before it notes items.
  if (store.list(items_key()).empty() || store.size(claim_key())) return;
  throw Error(ErrorCode::kOutputExists, "an output that was removed has left notes of items, which a part would take for done",
              store.describe(kScratchName), "remove it");
}

void release_place(storage::Store& store) {
  if (!store.list(kScratchName).empty()) store.erase_prefix(kScratchName);
}

std::string items_key(const std::string& claim) {
  const std::string all = storage::join_key(kScratchName, "items");
  return claim.empty() ? all : storage::join_key(all, claim);
}

void check_claim(const storage::Store& store, const std::string& id) {
  const auto text = storage::get_text(store, claim_key());
  const auto stop = [&](const std::string& what) {
    throw Error(ErrorCode::kOutputExists, what, store.describe(""), "start again as soon as nothing else writes there");
  };
  if (!text) stop("the output was removed while it was written");
  const Json claim = parse_claim(store, *text);
  if (const Json* why = claim.find(kRetired)) stop("the output is not to be gone on with: " + why->as_string());
  if (id_of(claim) != id) stop("another run has begun the output anew");
}

Json own_claim(const storage::Store& store, const std::string& id) {
  const auto text = storage::get_text(store, claim_key());
  if (!text) return {};
  Json claim = parse_claim(store, *text);
  return id_of(claim) == id ? claim : Json();
}

void note_unreadable_chunk(storage::Store& store, const std::string& id, const storage::Store& tile,
                           const std::string& where) {
  Json claim = own_claim(store, id);
  if (note_unreadable(claim, tile, where)) write_claim(store, claim);
}

void retire_place(storage::Store& store, const std::string& why) {
  if (store.list("").empty()) return;
  Json retired;
  retired[kRetired] = why;
  write_claim(store, retired);
  zarr::erase_group_attributes(store, "");
}

void clear_place(storage::Store& store) {
  retire_place(store, kBeingRemoved);
  fail_point("clear.begun");
  erase_others(store, "", kScratchName);
  fail_point("clear.scratch");
  erase_others(store, kScratchName, kClaimName);
  fail_point("clear.claim");
  // Last what says whose the place is: without it items that are noted could pass for those of the next run there.
  store.erase_prefix("");
}

}  // namespace flatfield::pipeline
