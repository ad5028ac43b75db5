#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flatfield/cli/argument_words.h"
#include "flatfield/cli/command_options.h"
#include "flatfield/cli/manual.h"
#include "flatfield/config/basic_folder_config.h"
#include "flatfield/config/option_document.h"
#include "flatfield/config/run_config.h"
#include "flatfield/config/s3_reading.h"
#include "flatfield/config/synth_config.h"
#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/core/translate_errors.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/execution/allocator.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/pipeline/basic_folder.h"
#include "flatfield/pipeline/inspect.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/phantom.h"
#include "flatfield/pipeline/plan.h"
#include "flatfield/pipeline/preview.h"
#include "flatfield/pipeline/run.h"
#include "flatfield/pipeline/run_request.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/show_model.h"
#include "flatfield/pipeline/verify.h"
#include "flatfield/pipeline/view.h"
#include "flatfield/report/log.h"

namespace flatfield::cli {
namespace {

constexpr const char* kProgram = "exaspim-flatfield";
constexpr const char* kRunProgram = "exaspim-flatfield-run";  // the same as "exaspim-flatfield run"

/// Throws Error(kWriteFailed) if anything that was printed is lost: a full disk, or a reader that has ended.
void complete_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw Error(ErrorCode::kWriteFailed, "cannot write", "standard output",
              "the disk is full, or the program that reads it has ended");
}

/// Prints a text, whatever bytes it holds.
void print_text(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int plan_command(const config::RunConfig& config, bool json) {
  // What a run says while it goes on is no part of its plan, but warnings are.
  report::Log log(report::LogLevel::kWarning, config.log_format == "json");
  std::string document;
  const int exit = pipeline::plan(config, log, json, document);
  print_text(document);
  return exit;
}

config::RunConfig resolved(const CommandOptions<config::RunConfig>& options) {
  return pipeline::resolve_run([&](config::RunConfig& over) { options.store(over); });
}

int run_command(const CommandOptions<config::RunConfig>& options, config::RunStep step,
                execution::ProcessGroup& processes) {
  catch_interruptions();
  config::RunConfig config;
  processes.together([&] { config = resolved(options); });  // a file may be on the machine of one of them alone
  // For one step it is refused (check_run_config): a plan is that of all of them.
  if (config.dry_run && step == config::RunStep::kRun)
    return processes.is_first() ? plan_command(config, config.log_format == "json") : 0;
  // Of several processes one speaks for all.
  report::Log log(processes.is_first() ? report::log_level_from_name(config.log_level) : report::LogLevel::kCritical,
                  config.log_format == "json");
  return pipeline::run(config, log, processes, step);
}

int preview_command(const config::RunConfig& config, const pipeline::PreviewOptions& options) {
  if (config.dry_run) throw Error(ErrorCode::kUsage, "--dry-run is not for preview", "", "plan says what a run would take");
  catch_interruptions();
  report::Log log(report::log_level_from_name(config.log_level), config.log_format == "json");
  return pipeline::preview(config, options, log);
}

/// For commands that only read.
storage::StoreOpener reading_stores(const CommandOptions<config::RunConfig>& s3) {
  return storage::StoreOpener(pipeline::s3_options(s3.read()));
}

int view_command(const pipeline::ViewOptions& options, bool state, const CommandOptions<config::RunConfig>& s3) {
  storage::StoreOpener stores = reading_stores(s3);
  if (state) {
    std::vector<std::string> notes;
    const std::string text = pipeline::view_state(options, stores, notes);
    for (const std::string& note : notes) std::fprintf(stderr, "%s: note: %s\n", kProgram, note.c_str());
    print_text(text);
    return 0;
  }
  catch_interruptions();
  pipeline::view(options, stores, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    complete_output();  // nobody would know where to look
  });
  return 0;
}

int synth_command(const config::SynthConfig& config) {
  if (config.output.empty()) throw Error(ErrorCode::kUsage, "synth: OUTPUT is missing", "", "name a folder");
  pipeline::synthesize(config);
  std::printf("%s/%s\n", config.output.c_str(), config.name.c_str());
  return 0;
}

int basic_command(config::BasicFolderConfig config) {
  if (config.input.empty()) throw Error(ErrorCode::kUsage, "basic: INPUT is missing", "", "name a folder of images");
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

int inspect_command(const std::string& location, const pipeline::InspectOptions& options,
                    const CommandOptions<config::RunConfig>& s3) {
  storage::StoreOpener stores = reading_stores(s3);
  print_text(pipeline::inspect(location, options, stores));
  return 0;
}

int show_model_command(const std::string& location, const std::string& plots, bool json,
                       const CommandOptions<config::RunConfig>& s3) {
  storage::StoreOpener stores = reading_stores(s3);
  print_text(json ? pipeline::show_model_json(location, stores) : pipeline::show_model(location, plots, stores));
  return 0;
}

int verify_command(const std::vector<std::string>& locations, const pipeline::VerifyOptions& options, int workers,
                   const CommandOptions<config::RunConfig>& s3) {
  catch_interruptions();
  storage::StoreOpener stores = reading_stores(s3);
  execution::ThreadPool pool(workers);
  int exit = 0;
  const auto count = [&](ErrorCode code) {  // an image that is damaged is worse than one that cannot be checked
    if (exit == 0 || code == ErrorCode::kBadInput) exit = exit_code(code);
  };
  for (const std::string& location : locations) {
    stop_if_interrupted();
    pipeline::VerifyReport report;
    try {
      report = pipeline::verify_image(location, options, stores, pool);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted) throw;
      std::fprintf(stderr, "%s: error: %s\n", kProgram, error.what());
      count(error.code());
      continue;
    }
    for (const std::string& problem : report.problems)
      std::fprintf(stderr, "%s: error: %s\n", kProgram, problem.c_str());
    for (const std::string& note : report.notes) std::fprintf(stderr, "%s: warning: %s\n", kProgram, note.c_str());
    std::printf("%s: %s (%lld objects read, %lld of %lld blocks held against the level below)\n", location.c_str(),
                report.problems.empty() ? "good" : "damaged", static_cast<long long>(report.objects),
                static_cast<long long>(report.blocks), static_cast<long long>(report.blocks_in_all));
    if (!report.problems.empty()) count(ErrorCode::kBadInput);
  }
  return exit;
}

/// Refuses arguments whose first is no command.
void require_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  if (arguments.empty())
    throw Error(ErrorCode::kUsage, "no command is named", "",
                fmt::format("one of {}; see --help", fmt::join(names, ", ")));
  const std::string& word = arguments.front();
  if (word.rfind("-", 0) == 0 || std::find(names.begin(), names.end(), word) != names.end()) return;
  const std::string_view near = nearest_word(word, std::vector<std::string_view>(names.begin(), names.end()));
  throw Error(ErrorCode::kUsage, "there is no command " + word, "",
              near.empty() ? "see --help" : fmt::format("did you mean {}? Else see --help", near));
}

/// A command, and what it does once the arguments are parsed.
struct Command {
  const CLI::App* app;
  std::function<int()> work;
  bool for_several = false;  ///< whether several processes can do it together
};

constexpr const char* kExamples = R"(
Correct a tile, and write a report to look at (RESULTS/TILE_report.html):
  exaspim-flatfield run --zarr DIR/tile_000001_ch_488.zarr --output OUT --mask-dir MASKS --results-dir RESULTS --n-levels 7 --save-outputs
The options of a command: exaspim-flatfield COMMAND --help. All of them, and the exit codes: man exaspim-flatfield, README.md.)";

int dispatch(std::vector<std::string> arguments, execution::ProcessGroup& processes) {
  CLI::App app("Subtracts background and corrects illumination of light-sheet tiles in OME-Zarr.", kProgram);
  app.set_version_flag("--version", FLATFIELD_VERSION);
  app.require_subcommand(1);
  std::vector<Command> commands;

  CLI::App* run = app.add_subcommand("run", "Correct a tile.");
  const CommandOptions<config::RunConfig> run_options(*run, config::run_table());
  commands.push_back({run, [&] { return run_command(run_options, config::RunStep::kRun, processes); }, true});

  CLI::App* estimate = app.add_subcommand("estimate", "Learn the correction of a tile, the first step of run.");
  const CommandOptions<config::RunConfig> estimate_options(*estimate, config::step_table());
  commands.push_back(
      {estimate, [&] { return run_command(estimate_options, config::RunStep::kEstimate, processes); }, true});

  CLI::App* apply = app.add_subcommand("apply", "Correct a tile, or a part of it: the second step of run.");
  const CommandOptions<config::RunConfig> apply_options(*apply, config::step_table());
  commands.push_back({apply, [&] { return run_command(apply_options, config::RunStep::kApply, processes); }, true});

  CLI::App* finalize = app.add_subcommand("finalize", "Complete a corrected tile, the last step of run.");
  const CommandOptions<config::RunConfig> finalize_options(*finalize, config::step_table());
  commands.push_back(
      {finalize, [&] { return run_command(finalize_options, config::RunStep::kFinalize, processes); }, true});

  CLI::App* plan = app.add_subcommand("plan", "Say what run would do with the same options, how long it would take, "
                                              "and what memory it needs.");
  const CommandOptions<config::RunConfig> plan_options(*plan, config::run_table());
  bool plan_json = false;
  plan->add_flag("--json", plan_json, "Print the plan as a JSON document.");
  commands.push_back({plan, [&] {
                        catch_interruptions();
                        return plan_command(resolved(plan_options), plan_json);
                      }});

  CLI::App* preview = app.add_subcommand("preview", "Correct a region or a level of a tile, to choose options by.");
  const CommandOptions<config::RunConfig> preview_options(*preview, config::step_table());
  pipeline::PreviewOptions region;
  preview->add_option("--roi", region.roi, "Region z0:z1,y0:y1,x0:x1 in voxels of level 0 (default: everything).");
  preview->add_option("--level", region.level,
                      "Level of the tile that is shown (default: with --roi that of --res, else the level that is learnt from).");
  commands.push_back({preview, [&] { return preview_command(resolved(preview_options), region); }});

  CLI::App* synth = app.add_subcommand("synth", "Make a phantom tile with known illumination.");
  const CommandOptions<config::SynthConfig> synth_options(*synth, config::synth_table());
  commands.push_back({synth, [&] { return synth_command(synth_options.read()); }});

  CLI::App* basic = app.add_subcommand("basic", "Fit BaSiC to a folder of 2-D images, and correct them.");
  const CommandOptions<config::BasicFolderConfig> basic_options(*basic, config::basic_folder_table());
  commands.push_back({basic, [&] { return basic_command(basic_options.read()); }});

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
  const CommandOptions<config::RunConfig> inspect_s3(*inspect, config::s3_reading_table());
  commands.push_back({inspect, [&] { return inspect_command(location, inspect_options, inspect_s3); }});

  CLI::App* show = app.add_subcommand("show-model", "Say what a model file holds, and draw it.");
  std::string model;
  std::string plots;
  bool model_json = false;
  show->add_option("model", model, "Model file that estimate has written.")->required();
  CLI::Option* plots_option = show->add_option("--plots", plots, "Folder for pictures of its curves and planes (PNG).");
  show->add_flag("--json", model_json, "Print its document instead.")->excludes(plots_option);
  const CommandOptions<config::RunConfig> show_s3(*show, config::s3_reading_table());
  commands.push_back({show, [&] { return show_model_command(model, plots, model_json, show_s3); }});

  CLI::App* view = app.add_subcommand("view", "Serve a corrected tile to Neuroglancer on this machine.");
  pipeline::ViewOptions view_options;
  bool view_state = false;
  view->add_option("output", view_options.output, "Corrected tile, or a folder of such.")->required();
  view->add_option("--input", view_options.input, "The tile that it was made of (default: where its provenance says).");
  view->add_option("--port", view_options.port, "Port on 127.0.0.1 (default 8900; 0 = any that is free).")
      ->check(CLI::Range(0, 65535))
      ->type_name("N");
  view->add_option("--neuroglancer", view_options.neuroglancer, "Neuroglancer that the link opens, and that may read the data.");
  view->add_flag("--state", view_state, "Print the state of Neuroglancer as JSON, and serve nothing.");
  const CommandOptions<config::RunConfig> view_s3(*view, config::s3_reading_table());
  commands.push_back({view, [&] { return view_command(view_options, view_state, view_s3); }});

  CLI::App* verify = app.add_subcommand("verify", "Check images that this program has written.");
  std::vector<std::string> images;
  pipeline::VerifyOptions verify_options;
  int verify_workers = 1;
  verify->add_option("image", images, "OME-Zarr images: corrected tiles, masks, probabilities.")->required();
  CLI::Option* all =
      verify->add_flag("--all", verify_options.all, "Hold all of every level against the level below, not a sample.");
  verify->add_flag("--quick", verify_options.quick, "Look at metadata and sizes only.")->excludes(all);
  verify->add_option("--num-workers", verify_workers, "Number of worker threads (default 1).")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  const CommandOptions<config::RunConfig> verify_s3(*verify, config::s3_reading_table());
  commands.push_back({verify, [&] { return verify_command(images, verify_options, verify_workers, verify_s3); }});

  CLI::App* options = app.add_subcommand("options", "Print the options of run as a Markdown table.");
  std::string document = "options";
  options->add_flag("--keys{keys}", document, "Print the keys of the configuration files instead.");
  options->add_flag("--exit-codes{exit-codes}", document, "Print the exit codes instead.");
  options->add_flag("--manual{manual}", document, "Print the manual page instead: man -l FILE.");
  options->add_flag("--completion{completion}", document, "Print the script for bash instead: source FILE.");
  commands.push_back({options, [&] {
                        const std::string text = document == "keys"         ? config::configuration_document()
                                                 : document == "exit-codes" ? config::exit_code_document()
                                                 : document == "manual"     ? manual_page(app, FLATFIELD_VERSION)
                                                 : document == "completion" ? bash_completion(app)
                                                                            : config::option_document();
                        print_text(text);
                        return 0;
                      }});

  app.footer(kExamples);  // after the commands, which would inherit it
  require_command(app, arguments);
  arguments = plain_words(app, arguments);
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes its vector from the back
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw Error(ErrorCode::kUsage, error.what(), "", "see --help");
  }
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    if (processes.is_shared() && !command.for_several)
      throw Error(ErrorCode::kUsage, "only run, estimate, apply and finalize can be done by several processes together",
                  "", "start this command without mpirun");
    return command.work();
  }
  throw Error(ErrorCode::kInternal, "this command does nothing", "", "please report this");
}

/// Says on standard error what went wrong before there was a log, or beside it.
void say_failure(const Error& error, bool json) {
  if (json)
    report::Log(report::LogLevel::kError, true).failure("run_failed", error);
  else
    std::fprintf(stderr, "%s: error: %s\n", kProgram, error.what());
}

}  // namespace
}  // namespace flatfield::cli

int main(int argc, char** argv) {
  // A file that may not grow (`ulimit -f`) is a failed write, reported like any other. So is a pipe without a reader, and
  // a connection that a server has closed, to which libcurl before 7.87 may write so that the signal is sent.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  flatfield::execution::settle_allocator();
  std::vector<std::string> arguments;
  std::unique_ptr<flatfield::execution::ProcessGroup> processes;
  const auto failed = [&](const flatfield::Error& error) {
    if (!processes || processes->is_first())
      flatfield::cli::say_failure(error, flatfield::cli::ask_for_json(arguments));
    return flatfield::exit_code(error.code());
  };
  try {
    if (argc > 0) {
      arguments.assign(argv + 1, argv + argc);
      const std::string program = argv[0];
      const bool asks_version = !arguments.empty() && arguments.front() == "--version";  // no command does
      if (!asks_version && program.substr(program.find_last_of('/') + 1) == flatfield::cli::kRunProgram)
        arguments.insert(arguments.begin(), "run");
    }
    processes = flatfield::execution::join_processes();
    int exit = 0;
    processes->together([&] {
      flatfield::with_errors([&] {
        exit = flatfield::cli::dispatch(arguments, *processes);
        if (exit == 0) flatfield::cli::complete_output();
      });
    });
    return exit;
  } catch (const flatfield::Error& error) {
    return failed(error);
  } catch (const std::exception& error) {
    return failed({flatfield::ErrorCode::kInternal, error.what(), "", "please report this"});
  }
}
