#include <pybind11/stl.h>

#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/config/synth_config.h"
#include "flatfield/pipeline/item_share.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/phantom.h"
#include "flatfield/pipeline/plan.h"
#include "flatfield/pipeline/run.h"
#include "flatfield/pipeline/run_request.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/core/translate_errors.h"
#include "flatfield/pipeline/verify.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/bindings.h"
#include "flatfield/python/json_values.h"
#include "flatfield/python/native_work.h"
#include "flatfield/python/requests.h"
#include "flatfield/report/log.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::python {
namespace {

/// The code of an error by its name.
ErrorCode code_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInterrupted); ++i)
    if (error_code_name(static_cast<ErrorCode>(i)) == name) return static_cast<ErrorCode>(i);
  return ErrorCode::kInternal;
}

/// Passes what a run says on to Python, and remembers what went wrong. A callback that raises ends the run between two
/// items.
class PythonListener : public report::LogListener {
 public:
  /// Both may be None. They are called with Python's lock, from one thread at a time.
  PythonListener(py::object on_event, py::object on_progress)
      : on_event_(std::move(on_event)), on_progress_(std::move(on_progress)) {}

  void on_failure(const Json& fields) override {
    const std::lock_guard lock(mutex_);
    failures_.push_back(fields);
  }

  void on_event(report::LogLevel level, std::string_view name, std::string_view message, const Json& /*fields*/) override {
    if (on_event_.is_none()) return;
    const py::gil_scoped_acquire locked;
    try {
      on_event_(10 * (static_cast<int>(level) + 1), std::string(name), to_text(message));
    } catch (py::error_already_set& error) {
      keep(error);
    }
  }

  void on_progress(std::string_view stage, std::int64_t done_bytes, std::int64_t total_bytes) override {
    {
      const py::gil_scoped_acquire locked;
      try {
        if (!raised_ && !on_progress_.is_none()) on_progress_(std::string(stage), done_bytes, total_bytes);
      } catch (py::error_already_set& error) {
        keep(error);
      }
      if (!raised_) return;
    }
    throw Error(ErrorCode::kInterrupted, "a callback raised an exception");
  }

  /// Raises what a run ended with, if it did not end well; with Python's lock.
  void raise_failure(int exit, const std::string& results) {
    if (raised_) {
      PyErr_Restore(type_.release().ptr(), value_.release().ptr(), trace_.release().ptr());
      throw py::error_already_set();
    }
    if (exit == 0) return;
    if (exit == exit_code(ErrorCode::kInterrupted)) throw_interrupted();
    if (failures_.empty()) throw Error(ErrorCode::kInternal, "the run failed", "", "please report this");
    const auto text = [&](const char* key) { return failures_.front().find(key)->as_string(); };
    if (exit == exit_code(ErrorCode::kTilesFailed))
      throw Error(ErrorCode::kTilesFailed,
                  std::to_string(failures_.size()) + " tiles failed, the first with \"" + text("what") + "\"", results,
                  "run_report.json says which and why");
    throw Error(code_of(text("error_code")), text("what"), text("where"), text("remedy"));
  }

 private:
  void keep(py::error_already_set& error) {
    if (raised_) return;
    raised_ = true;
    type_ = error.type();
    value_ = error.value();
    trace_ = error.trace();
  }

  py::object on_event_;
  py::object on_progress_;
  std::mutex mutex_;
  std::vector<Json> failures_;
  bool raised_ = false;
  py::object type_;
  py::object value_;
  py::object trace_;
};

config::RunConfig asked_for(const py::dict& options) {
  const py::gil_scoped_release unlocked;  // the files may be on a server, even one of this process
  return pipeline::resolve_run([&](config::RunConfig& over) {
    const py::gil_scoped_acquire locked;
    store_options(options, over);
  });
}

/// The same for all but plan().
config::RunConfig resolved(const py::dict& options) {
  config::RunConfig config = asked_for(options);
  require(!config.dry_run, "dry_run: call plan() with the same options");
  return config;
}

config::RunStep step_of(const std::string& name) {
  if (name == "estimate") return config::RunStep::kEstimate;
  if (name == "apply") return config::RunStep::kApply;
  return name == "finalize" ? config::RunStep::kFinalize : config::RunStep::kRun;
}

/// The first tile that the options name, whose model estimate returns.
std::string first_tile(const config::RunConfig& config) {
  return pipeline::location_name(config.zarr.empty() ? config.tile_paths.front() : config.zarr);
}

/// Throws Error(kOutputExists) if estimate found the output of the first tile finished: there is no model beside it.
void refuse_finished(const config::RunConfig& config, const Json& report) {
  const std::string tile = first_tile(config);
  for (const Json& record : report.find("tiles")->as_array())
    if (*record.find("tile") == Json(tile) && *record.find("status") == Json("skipped"))
      throw Error(ErrorCode::kOutputExists, "the output is finished already",
                  pipeline::output_locations(config.output, tile).corrected, "give model=FILE, or overwrite=True");
}

/// Runs a step; the run report.
py::object run(const std::string& step, const py::dict& options, const py::object& on_event, const py::object& on_progress) {
  const config::RunConfig config = resolved(options);
  const std::string results = pipeline::results_folder(config.results_dir, pipeline::parse_share(config.part));
  PythonListener listener(on_event, on_progress);
  int exit = 0;
  native_work([&] {
    report::Log log(report::log_level_from_name(config.log_level), listener);
    exit = pipeline::run(config, log, step_of(step));
  });
  listener.raise_failure(exit, results);
  storage::StoreOpener stores;
  const Json report =
      without_lock([&] { return pipeline::read_json(results + "/run_report.json", "run again", stores); });
  if (step_of(step) == config::RunStep::kEstimate) refuse_finished(config, report);
  return from_json(report);
}

py::object plan(const py::dict& options, const py::object& on_event) {
  const config::RunConfig config = asked_for(options);
  PythonListener listener(on_event, py::none());
  std::string document;
  int exit = 0;
  native_work([&] {
    report::Log log(report::LogLevel::kWarning, listener);
    exit = pipeline::plan(config, log, true, document);
  });
  if (exit != exit_code(ErrorCode::kTilesFailed)) listener.raise_failure(exit, config.results_dir);
  return from_json(Json::parse(document, "plan"));
}

py::object verify(const py::object& location, bool quick, bool all, int workers, const py::dict& s3) {
  require(workers >= 1 && workers <= 1024, "workers: expected 1 to 1024, found " + std::to_string(workers));
  const std::string image = to_location(location, "location");
  config::RunConfig config;
  store_s3_options(s3, config);
  pipeline::VerifyReport report;
  native_work([&] {
    storage::StoreOpener stores(pipeline::s3_options(config));
    execution::ThreadPool pool(workers);
    report = pipeline::verify_image(image, {quick, all}, stores, pool);
  });
  using namespace pybind11::literals;
  return py::dict("good"_a = report.problems.empty(), "problems"_a = from_json(Json(report.problems)),
                  "notes"_a = from_json(Json(report.notes)), "objects"_a = report.objects, "blocks"_a = report.blocks,
                  "blocks_in_all"_a = report.blocks_in_all);
}

py::str synthesize(const py::object& output, const py::dict& options) {
  Json values = to_json(options, "options");
  // None is the same as leaving one out.
  std::erase_if(values.as_object(), [](const Json::Member& option) { return option.second.is_null(); });
  values["output"] = to_location(output, "output");
  config::SynthConfig config;
  config::read_object(config::synth_table(), values, "", config);
  native_work([&] { with_errors([&] { pipeline::synthesize(config); }); });
  return to_text(config.output + "/" + config.name);
}

/// Where estimate leaves the model of the first tile that the options name.
py::str model_location(const py::dict& options) {
  config::RunConfig config = resolved(options);
  config::check_run_config(config, config::RunStep::kEstimate);
  const std::string tile = first_tile(config);
  if (!config.model.empty()) return to_text(pipeline::model_location(config.model, tile));
  const std::string image = pipeline::output_locations(config.output, tile).corrected;
  return to_text(pipeline::join_location(pipeline::join_location(image, pipeline::kScratchName), "model.npz"));
}

/// What the options and the files that they name come to, by the keys of a file; None = not given.
py::object resolved_options(const py::dict& options) {
  const config::RunConfig defaults;
  const config::RunConfig config = resolved(options);
  Json document = config::resolved_config(config);
  if (!config.part.empty()) document["part"] = config.part;
  if (config.results_dir == defaults.results_dir) document["results_dir"] = Json();
  return from_json(document);
}

}  // namespace

void bind_run(py::module_& module) {
  using namespace pybind11::literals;
  module.def("_run", &run, "step"_a, "options"_a, "on_event"_a, "on_progress"_a);
  module.def("_plan", &plan, "options"_a, "on_event"_a);
  module.def("_verify", &verify, "location"_a, "quick"_a, "all"_a, "workers"_a, "s3"_a);
  module.def("_synthesize", &synthesize, "output"_a, "options"_a);
  module.def("_model_location", &model_location, "options"_a);
  module.def("_resolved", &resolved_options, "options"_a);
}

}  // namespace flatfield::python
