// A configuration file of each kind, and the texts of the command line.
#include <stdexcept>
#include <string>

#include "expectation.h"
#include "flatfield/config/basic_folder_config.h"
#include "flatfield/config/fitting_config.h"
#include "flatfield/config/option_table.h"
#include "flatfield/config/run_config.h"
#include "flatfield/config/run_rows.h"
#include "flatfield/config/synth_config.h"
#include "flatfield/core/json.h"
#include "targets.h"

namespace flatfield::fuzz {
namespace {

template <class Read>
bool reads(Read read) {
  return accepts({ErrorCode::kUsage}, read);
}

/// Reads `object` as the options of `table`. What was read is said again in the same words.
template <class Config>
bool read_options(const config::OptionTable<Config>& table, const Json& object, Config& into) {
  if (!reads([&] { config::read_object(table, object, "fuzz", into); })) return false;
  const Json resolved = config::to_json(table, into);
  const Json stored = Json::parse(resolved.dump(2), "fuzz");
  Config again;
  require(reads([&] { config::read_object(table, stored, "fuzz", again); }),
          "a resolved configuration is refused");
  require(config::to_json(table, again) == resolved, "a resolved configuration says something else");
  return true;
}

void read_file(const Json& object) {
  config::RunConfig run;
  if (read_options(config::run_table(), object, run)) {
    reads([&] {
      config::check_run_config(run);
      static_cast<void>(config::output_compressors(run));
    });
    static_cast<void>(config::unused_options(run));
    static_cast<void>(config::resolved_config(run));
  }
  methods::FittingOptions fitting;
  if (read_options(config::fitting_table(), object, fitting))
    static_cast<void>(config::read_fitting_config(object, "fuzz"));
  config::BasicConfig basic;
  if (read_options(config::basic_table(), object, basic))
    static_cast<void>(config::read_basic_config(object, "fuzz"));
  config::BasicFolderConfig folder;
  read_options(config::basic_folder_table(), object, folder);
  config::SynthConfig synth;
  read_options(config::synth_table(), object, synth);
}

/// A text is an argument of each option.
void read_argument(const std::string& text) {
  for (const auto& row : config::run_table()) {
    config::RunConfig run;
    try {
      const Json value = config::parse_argument(row.kind, text);
      reads([&] { config::set_option(row, value, config::flag_name(row.key), "", run); });
      static_cast<void>(config::default_text(row.get(run)));
    } catch (const std::invalid_argument&) {  // NOLINT(bugprone-empty-catch)
    }
  }
  try {
    require(config::parse_memory_size(text) >= 1, "memory of less than a byte");
  } catch (const std::invalid_argument&) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace

void configuration(Input input) {
  const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
  if (text.size() <= 64) read_argument(text);
  Json document;
  if (!accepts({ErrorCode::kBadInput}, [&] { document = Json::parse(text, "fuzz"); })) return;
  require(Json::parse(document.dump(), "fuzz") == document, "JSON is not read as it was written");
  read_file(document);
}

}  // namespace flatfield::fuzz
