#include "flatfield/config/synth_config.h"

#include "flatfield/config/option_rows.h"

namespace flatfield::config {

const OptionTable<SynthConfig>& synth_table() {
  using SynthRows = Rows<SynthConfig>;
  static const OptionTable<SynthConfig> table{
      with_use(SynthRows::text("output", &SynthConfig::output, "folder",
                               "Where the tile, masks/ and the truth go."),
               OptionUse::kPositional),
      SynthRows::text("name", &SynthConfig::name, "text", "Name of the tile."),
      SynthRows::extent("shape", &SynthConfig::shape, 1 << 20, "Voxels of level 0."),
      SynthRows::extent("chunks", &SynthConfig::chunks, 4096, "Chunk shape."),
      SynthRows::integer("n_levels", &SynthConfig::n_levels, {1, 32}, "Levels of the pyramid."),
      SynthRows::integer("seed", &SynthConfig::seed, {0, 4294967295}, "Seed of texture and noise."),
      SynthRows::flag("is_binned", &SynthConfig::is_binned,
                      "A tile of a binned channel: 8 times larger voxels."),
      SynthRows::number("background", &SynthConfig::background, {0, 60000},
                        "Counts of the background in the middle of a plane."),
      SynthRows::number("foreground", &SynthConfig::foreground, {0, 60000},
                        "Counts of tissue above the background under full illumination."),
      SynthRows::number("illumination", &SynthConfig::illumination, {0, 0.9},
                        "Share of light that is lost at the far end of each axis."),
      SynthRows::number("noise", &SynthConfig::noise, {0, 100},
                        "Standard deviation of the noise, in square roots of the counts."),
      SynthRows::integer("num_workers", &SynthConfig::num_workers, {1, 1024}, "Number of worker threads."),
      SynthRows::flag("overwrite", &SynthConfig::overwrite, "Replace a tile that is already there."),
  };
  return table;
}

}  // namespace flatfield::config
