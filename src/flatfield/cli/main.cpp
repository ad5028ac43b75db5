#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "flatfield/cli/command_options.h"
#include "flatfield/config/basic_folder_config.h"
#include "flatfield/config/option_document.h"
#include "flatfield/config/run_config.h"
#include "flatfield/config/synth_config.h"
#include "flatfield/core/error.h"
#include "flatfield/execution/allocator.h"
#include "flatfield/pipeline/basic_folder.h"
#include "flatfield/pipeline/inspect.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/phantom.h"
#include "flatfield/pipeline/plan.h"
#include "flatfield/pipeline/run.h"
#include "flatfield/pipeline/run_request.h"
#include "flatfield/report/log.h"

namespace flatfield::cli {
namespace {

constexpr const char* kProgram = "exaspim-flatfield";
constexpr const char* kRunProgram = "exaspim-flatfield-run";  // the same as "exaspim-flatfield run"

int plan_command(const config::RunConfig& config, bool json) {
  // What a run says while it goes on is no part of its plan, but warnings are.
  report::Log log(report::LogLevel::kWarning, config.log_format == "json");
  std::string document;
  const int exit = pipeline::plan(config, log, json, document);
  std::fputs(document.c_str(), stdout);
  return exit;
}

config::RunConfig resolved(const CommandOptions<config::RunConfig>& options) {
  return pipeline::resolve_run([&](config::RunConfig& over) { options.store(over); });
}

int run_command(const CommandOptions<config::RunConfig>& options) {
  const config::RunConfig config = resolved(options);
  if (config.dry_run) return plan_command(config, config.log_format == "json");
  report::Log log(report::log_level_from_name(config.log_level), config.log_format == "json");
  return pipeline::run(config, log);
}

int synth_command(const config::SynthConfig& config) {
  if (config.output.empty()) throw Error(ErrorCode::kUsage, "synth: OUTPUT is missing", "", "name a folder");
  pipeline::synthesize(config);
  std::printf("%s/%s\n", config.output.c_str(), config.name.c_str());
  return 0;
}

int basic_command(config::BasicFolderConfig config) {
  if (config.output.empty()) throw Error(ErrorCode::kUsage, "--output is missing", "", "name a folder");
  if (!config.basic_config.empty()) {
    storage::StoreOpener stores;
    config.basic = config::read_basic_config(
        pipeline::read_json(config.basic_config, "check --basic-config", stores), config.basic_config);
  }
  report::Log log(report::LogLevel::kInfo, false);
  pipeline::correct_folder(config, log);
  return 0;
}

int inspect_command(const std::string& location, const pipeline::InspectOptions& options) {
  std::fputs(pipeline::inspect(location, options).c_str(), stdout);
  return 0;
}

int dispatch(std::vector<std::string> arguments) {
  CLI::App app("Subtracts background and corrects illumination of light-sheet tiles in OME-Zarr.", kProgram);
  app.set_version_flag("--version", FLATFIELD_VERSION);
  app.require_subcommand(1);

  CLI::App* run = app.add_subcommand("run", "Correct a tile.");
  const CommandOptions<config::RunConfig> run_options(*run, config::run_table());
  CLI::App* plan = app.add_subcommand("plan", "Say what run would do with the same options, how long it would take, "
                                              "and what memory it needs.");
  const CommandOptions<config::RunConfig> plan_options(*plan, config::run_table());
  bool plan_json = false;
  plan->add_flag("--json", plan_json, "Print the plan as a JSON document.");
  CLI::App* synth = app.add_subcommand("synth", "Make a phantom tile with known illumination.");
  const CommandOptions<config::SynthConfig> synth_options(*synth, config::synth_table());
  CLI::App* basic = app.add_subcommand("basic", "Fit BaSiC to a folder of 2-D images, and correct them.");
  const CommandOptions<config::BasicFolderConfig> basic_options(*basic, config::basic_folder_table());
  CLI::App* inspect = app.add_subcommand("inspect", "Say what a tile is, or any Zarr array or group.");
  std::string location;
  pipeline::InspectOptions inspect_options;
  inspect->add_option("path", location, "OME-Zarr tile, or a Zarr array or group.")->required();
  inspect->add_flag("--checksum", inspect_options.checksum,
                    "Add the SHA-256 of the content of each array: its elements in C order, little-endian.");
  inspect->add_flag("--json", inspect_options.json, "Print everything as a JSON document.");
  inspect->add_option("--zarr-format", inspect_options.zarr_format,
                      "Which metadata to read where those of both formats are there (default 3).")
      ->check(CLI::IsMember({2, 3}))
      ->type_name("N");

  CLI::App* options = app.add_subcommand("options", "Print the options of run as a Markdown table.");
  bool keys = false;
  options->add_flag("--keys", keys, "Print the keys of the configuration files instead.");

  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes its vector from the back
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw Error(ErrorCode::kUsage, error.what(), "", "see --help");
  }
  if (run->parsed()) return run_command(run_options);
  if (plan->parsed()) return plan_command(resolved(plan_options), plan_json);
  if (synth->parsed()) return synth_command(synth_options.read());
  if (basic->parsed()) return basic_command(basic_options.read());
  if (options->parsed()) {
    std::fputs((keys ? config::configuration_document() : config::option_document()).c_str(), stdout);
    return 0;
  }
  return inspect_command(location, inspect_options);
}

}  // namespace
}  // namespace flatfield::cli

int main(int argc, char** argv) {
  // A file that may not grow (`ulimit -f`) is a failed write, reported like any other.
  std::signal(SIGXFSZ, SIG_IGN);
  flatfield::execution::settle_allocator();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string program = argc > 0 ? argv[0] : "";
  if (program.substr(program.find_last_of('/') + 1) == flatfield::cli::kRunProgram)
    arguments.insert(arguments.begin(), "run");
  try {
    return flatfield::cli::dispatch(arguments);
  } catch (const flatfield::Error& error) {
    std::fprintf(stderr, "%s: error: %s\n", flatfield::cli::kProgram, error.what());
    return flatfield::exit_code(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: error: %s: please report this\n", flatfield::cli::kProgram, error.what());
    return flatfield::exit_code(flatfield::ErrorCode::kInternal);
  }
}
