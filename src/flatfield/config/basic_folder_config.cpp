#include "flatfield/config/basic_folder_config.h"

#include "flatfield/config/option_rows.h"

namespace flatfield::config {

const OptionTable<BasicFolderConfig>& basic_folder_table() {
  using FolderRows = Rows<BasicFolderConfig>;
  static const OptionTable<BasicFolderConfig> table{
      with_use(FolderRows::text("input", &BasicFolderConfig::input, "folder",
                                "Folder of 2-D images (TIFF) of one shape, taken in sorted order."),
               OptionUse::kPositional),
      FolderRows::text("output", &BasicFolderConfig::output, "folder",
                       "Where the corrected images go under their own names, with flatfield.tif, darkfield.tif and "
                       "basic_report.json."),
      FolderRows::text("basic_config", &BasicFolderConfig::basic_config, "file",
                       "JSON file with options of BaSiC."),
      FolderRows::text("weights_dir", &BasicFolderConfig::weights_dir, "folder",
                       "Folder with an image of the same name for each, which says how much each pixel counts."),
      FolderRows::choice("timelapse", &BasicFolderConfig::timelapse, {"none", "multiplicative", "additive"},
                         "Also subtract the brightness of each image."),
      FolderRows::choice("output_type", &BasicFolderConfig::output_type, {"uint16", "float32"},
                         "Data type of the corrected images; uint16 is clipped and rounded half to even."),
      FolderRows::integer("num_workers", &BasicFolderConfig::num_workers, {1, 1024},
                          "Number of worker threads."),
      FolderRows::flag("overwrite", &BasicFolderConfig::overwrite, "Replace files that are already there."),
  };
  return table;
}

}  // namespace flatfield::config
