#pragma once

#include <string>

#include "flatfield/config/basic_config.h"
#include "flatfield/config/option_table.h"

namespace flatfield::config {

/// What `basic` is asked to do: BaSiC on a folder of 2-D images.
struct BasicFolderConfig {
  std::string input;
  std::string output;
  std::string basic_config;
  std::string weights_dir;
  std::string timelapse = "none";
  std::string output_type = "uint16";
  int num_workers = 1;
  bool overwrite = false;

  BasicConfig basic;  ///< content of basic_config
};

/// The table of the options of `basic` (its positional INPUT is the key "input").
[[nodiscard]] const OptionTable<BasicFolderConfig>& basic_folder_table();

}  // namespace flatfield::config
