#include "flatfield/core/environment.h"

#include <cstdlib>

namespace flatfield {

std::optional<std::string> process_environment(const std::string& name) {
  // Nothing in this program changes its environment while threads run.
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::optional<std::string> non_empty(const Environment& environment, const std::string& name) {
  std::optional<std::string> value = environment(name);
  if (value && value->empty()) value.reset();
  return value;
}

}  // namespace flatfield
