#include "flatfield/storage/write_probe.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <random>
#include <string>

#include "flatfield/core/error.h"

namespace flatfield::storage {

namespace {

constexpr std::string_view kProbeStart = ".exaspim_flatfield_probe_";

/// A server may answer that it does not tell.
bool sees(const Store& store, const std::string& key) {
  try {
    return store.size(key).has_value();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

bool is_probe(std::string_view name) { return name.starts_with(kProbeStart); }

void erase_probes(Store& store) {
  for (const std::string& name : store.list(""))
    if (is_probe(name)) store.erase(name);
}

void prove_writable(Store& store, const Store* input) {
  // Other processes may try the same place at the same moment.
  const std::string key =
      fmt::format("{}{}_{:08x}", kProbeStart, ::getpid(), std::random_device{}());
  const std::string text = "This object proves that a run may write here; it may be removed.\n";
  put_text(store, key, text);
  std::optional<std::string> read;
  bool is_input = false;
  try {
    read = get_text(store, key);
    is_input = input != nullptr && sees(*input, key);
  } catch (const Error&) {
    try {
      store.erase(key);
    } catch (const Error&) {
      // What went wrong first is what is told.
    }
    throw;
  }
  store.erase(key);
  if (is_input)
    throw Error(ErrorCode::kUsage, "the output would overwrite the input, which is the same place under another name",
                store.describe(""), "choose another --output");
  if (read != text)
    throw Error(ErrorCode::kWriteFailed, "what is written here is not read back",
                store.describe(""), "choose another --output");
}

}  // namespace flatfield::storage
