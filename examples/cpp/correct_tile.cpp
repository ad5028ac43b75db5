// Corrects a tile as `exaspim-flatfield run` does, from a program of your own:
//   correct_tile TILE MASKS OUTPUT RESULTS
#include <cstdio>

#include "flatfield/config/run_config.h"
#include "flatfield/core/error.h"
#include "flatfield/pipeline/run.h"
#include "flatfield/report/log.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s TILE MASKS OUTPUT RESULTS\n", argv[0]);
    return 2;
  }
  flatfield::config::RunConfig config;  // the defaults of the command line
  config.zarr = argv[1];
  config.mask_dir = argv[2];
  config.output = argv[3];
  config.results_dir = argv[4];
  config.num_workers = 2;
  config.n_levels = 3;
  config.fitting.profile_percentile = 60;
  flatfield::report::Log log(flatfield::report::LogLevel::kWarning, false);
  try {
    return flatfield::pipeline::run(config, log);  // 0, or the exit code of the error that the log has shown
  } catch (const flatfield::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return flatfield::exit_code(error.code());
  }
}
