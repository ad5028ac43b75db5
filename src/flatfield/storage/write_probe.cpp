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

}  // namespace

bool is_probe(std::string_view name) { return name.starts_with(kProbeStart); }

void erase_probes(Store& store) {
  for (const std::string& name : store.list(""))
    if (is_probe(name)) store.erase(name);
}

void prove_writable(Store& store) {
  // Other processes may try the same place at the same moment.
  const std::string key =
      fmt::format("{}{}_{:08x}", kProbeStart, ::getpid(), std::random_device{}());
  const std::string text = "This object proves that a run may write here; it may be removed.\n";
  put_text(store, key, text);
  std::optional<std::string> read;
  try {
    read = get_text(store, key);
  } catch (const Error&) {
    try {
      store.erase(key);
    } catch (const Error&) {
      // What went wrong first is what is told.
    }
    throw;
  }
  store.erase(key);
  if (read != text)
    throw Error(ErrorCode::kWriteFailed, "what is written here is not read back",
                store.describe(""), "choose another --output");
}

}  // namespace flatfield::storage
