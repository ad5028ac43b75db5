#pragma once

#include <cstdint>
#include <string>

#include "flatfield/config/option_table.h"
#include "flatfield/methods/basic_options.h"

namespace flatfield::config {

/// The options of BaSiC with the defaults of this program's `basicpy` method (docs/methods.md 3), and what it needs
/// besides them.
struct BasicConfig : methods::BasicOptions {
  BasicConfig();

  bool autotune = false;
  std::int64_t max_frames = 500;
};

/// The table of the BaSiC configuration (`--basic-config`).
[[nodiscard]] const OptionTable<BasicConfig>& basic_table();

/// Reads a BaSiC configuration. Throws Error(kUsage) naming `where` and the key.
[[nodiscard]] BasicConfig read_basic_config(const Json& object, const std::string& where);

}  // namespace flatfield::config
