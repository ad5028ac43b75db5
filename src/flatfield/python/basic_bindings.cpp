#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "flatfield/config/basic_config.h"
#include "flatfield/methods/basic.h"
#include "flatfield/methods/basic_autotune.h"
#include "flatfield/methods/basic_transform.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/bindings.h"
#include "flatfield/python/json_values.h"

namespace flatfield::python {
namespace {

using methods::BasicFit;
using methods::FrameStack;

/// Frames of an array (t, y, x) or (t, z, y, x), borrowed. Throws Error(kUsage).
FrameStack frames_of(const Array<float>& images, const char* name) {
  const auto axes = images.ndim();
  if ((axes != 3 && axes != 4) || images.size() == 0)
    throw Error(ErrorCode::kUsage, std::string(name) + ": expected 3 axes (t, y, x) or 4 (t, z, y, x), not empty");
  const int last = static_cast<int>(axes) - 1;
  return {images.data(), images.shape(0), {axes == 4 ? images.shape(1) : 1, images.shape(last - 1), images.shape(last)}};
}

/// The options of BaSiCPy: those of the method without what concerns the pipeline around the fit.
const config::OptionTable<config::BasicConfig>& class_table() {
  static const config::OptionTable<config::BasicConfig> table = [] {
    config::OptionTable<config::BasicConfig> rows = config::basic_table();
    std::erase_if(rows, [](const auto& row) { return row.key == "autotune" || row.key == "max_frames"; });
    return rows;
  }();
  return table;
}

/// BaSiC with the names of BaSiCPy: options as attributes, results as attributes after fit().
class Basic {
 public:
  explicit Basic(const py::kwargs& options) {
    // The defaults are those of BaSiCPy, not those of this program's method "basicpy".
    static_cast<methods::BasicOptions&>(config_) = methods::BasicOptions{};
    for (const auto& [key, value] : options) set(py::str(key), value);
  }

  /// Sets an option. Throws Error(kUsage).
  void set(const std::string& key, const py::handle& value) {
    if (key == "max_workers") {
      const Json workers = to_json(value, key);
      require(workers.is_integer() && workers.as_double() >= 1 && workers.as_double() <= 1024,
              "max_workers: expected 1 to 1024, found " + workers.dump());
      workers_ = static_cast<int>(workers.as_int64());
      return;
    }
    Json one = Json::object();
    one[key] = to_json(value, key);
    config::read_object(class_table(), one, "BaSiC", config_);
  }
  [[nodiscard]] int workers() const { return workers_; }
  [[nodiscard]] const config::BasicConfig& config() const { return config_; }

  void fit(const Array<float>& images, const std::optional<Array<float>>& fitting_weight) {
    const FrameStack frames = frames_of(images, "images");
    const std::optional<FrameStack> weights = weights_of(fitting_weight);
    fit_ = without_lock(workers_, [&](const ParallelFor& parallel_for) {
      return std::make_shared<const BasicFit>(
          methods::fit_basic(frames, weights, config_, methods::BasicOutput::kFieldsAndBaseline, parallel_for));
    });
    axes_ = static_cast<int>(images.ndim()) - 1;
  }

  py::array_t<float> transform(const Array<float>& images, const std::variant<bool, std::string>& timelapse,
                               const std::optional<std::vector<std::int64_t>>& frames) const {
    const FrameStack stack = frames_of(images, "images");
    const methods::Timelapse kind = timelapse_of(timelapse);
    py::array_t<float> out(std::vector<py::ssize_t>(images.shape(), images.shape() + images.ndim()));
    const std::span<float> values(out.mutable_data(), static_cast<std::size_t>(out.size()));
    const std::shared_ptr<const BasicFit> kept = fitted();
    const BasicFit& fit = *kept;
    without_lock(workers_, [&](const ParallelFor& parallel_for) {
      methods::transform_basic(stack, fit, kind, frames.value_or(std::vector<std::int64_t>{}),
                               methods::Clipping::kNone, values, parallel_for);
    });
    return out;
  }

  py::array_t<float> fit_transform(const Array<float>& images, const std::optional<Array<float>>& fitting_weight,
                                   const std::variant<bool, std::string>& timelapse) {
    fit(images, fitting_weight);
    return transform(images, timelapse, std::nullopt);
  }

  py::list autotune(const Array<float>& images, const std::optional<Array<float>>& fitting_weight,
                    std::int64_t max_evaluations, std::uint64_t seed) {
    const FrameStack frames = frames_of(images, "images");
    const std::optional<FrameStack> weights = weights_of(fitting_weight);
    methods::BasicAutotuneOptions options;
    options.max_evaluations = max_evaluations;
    options.seed = seed;
    const methods::BasicAutotune tuned = without_lock(workers_, [&](const ParallelFor& parallel_for) {
      return methods::autotune_basic(frames, weights, config_, options, parallel_for);
    });
    config_.smoothness_flatfield = tuned.best.flatfield;
    config_.smoothness_darkfield = tuned.best.darkfield;
    config_.sparse_cost_darkfield = tuned.best.sparse_cost_darkfield;
    py::list candidates;
    for (const methods::BasicCandidate& candidate : tuned.candidates) {
      using namespace pybind11::literals;
      candidates.append(py::dict("smoothness_flatfield"_a = candidate.smoothness.flatfield,
                                 "smoothness_darkfield"_a = candidate.smoothness.darkfield,
                                 "sparse_cost_darkfield"_a = candidate.smoothness.sparse_cost_darkfield,
                                 "cost"_a = candidate.cost.cost));
    }
    return candidates;
  }

  [[nodiscard]] py::object settings() const { return from_json(config::to_json(class_table(), config_)); }
  [[nodiscard]] py::array_t<float> flatfield() const { return shared_array(fitted()->flatfield, fitted(), axes_); }
  [[nodiscard]] py::array_t<float> darkfield() const { return shared_array(fitted()->darkfield, fitted(), axes_); }
  [[nodiscard]] py::object baseline() const { return fit_ ? py::object(to_array(fit_->baseline)) : py::none(); }
  [[nodiscard]] const std::shared_ptr<const BasicFit>& fitted() const {
    if (!fit_) throw Error(ErrorCode::kUsage, "BaSiC: there is no fit yet", "", "call fit() first");
    return fit_;
  }

 private:
  static std::optional<FrameStack> weights_of(const std::optional<Array<float>>& weights) {
    if (!weights) return std::nullopt;
    return frames_of(*weights, "fitting_weight");
  }
  static methods::Timelapse timelapse_of(const std::variant<bool, std::string>& timelapse) {
    if (const bool* flag = std::get_if<bool>(&timelapse))
      return *flag ? methods::Timelapse::kMultiplicative : methods::Timelapse::kNone;
    const std::string& name = std::get<std::string>(timelapse);
    if (name == "multiplicative") return methods::Timelapse::kMultiplicative;
    if (name == "additive") return methods::Timelapse::kAdditive;
    throw Error(ErrorCode::kUsage, "timelapse: expected False, True, \"multiplicative\" or \"additive\", found \"" +
                                       name + "\"");
  }

  config::BasicConfig config_;
  int workers_ = 1;
  std::shared_ptr<const BasicFit> fit_;  ///< arrays that were handed out keep theirs
  int axes_ = 2;
};

}  // namespace

void bind_basic(py::module_& module) {
  using namespace pybind11::literals;
  py::class_<Basic> basic(module, "BaSiC",
                    R"(BaSiC: flatfield and darkfield of a stack of images (Peng et al. 2017), as BaSiCPy 1.2.0.

frame_n = baseline_n * flatfield + darkfield + residual. Options are those of BaSiCPy with its defaults (settings shows
them; docs/configuration.md describes them) and can be set as attributes; an unknown one or one out of range raises
UsageError. max_workers is the number of threads, default 1: results do not depend on it.)");
  basic.def(py::init<const py::kwargs&>())
      .def(
          "fit",
          [](const py::object& self, const Array<float>& images, const std::optional<Array<float>>& fitting_weight) {
            self.cast<Basic&>().fit(images, fitting_weight);
            return self;
          },
          "images"_a, "fitting_weight"_a = py::none(),
          R"(Fits to images (t, y, x) or (t, z, y, x), converted to float32; returns self.

fitting_weight: of the shape of the images, how much each pixel counts (scaled to 0..1; all the same counts as ones).
Raises BadInputError for values that are not finite, shapes that differ and a flatfield that comes out as zero.
Memory: four float32 arrays of frames times working pixels (five with weights).)")
      .def("transform", &Basic::transform, "images"_a, "timelapse"_a = false, "frames"_a = py::none(),
           R"(Corrected images, float32: (images - darkfield) / flatfield; not clipped.

timelapse: True or "multiplicative" also subtracts the baseline of each image, "additive" gives
images - darkfield - flatfield * baseline. frames: which frame of the fit each image is; default: in order.)")
      .def("fit_transform", &Basic::fit_transform, "images"_a, "fitting_weight"_a = py::none(), "timelapse"_a = false,
           "fit() and then transform() of the same images.")
      .def("autotune", &Basic::autotune, "images"_a, "fitting_weight"_a = py::none(), py::kw_only(),
           "max_evaluations"_a = 100, "seed"_a = 0,
           R"(Chooses smoothness_flatfield (with get_darkfield also the darkfield's two) by the cost of the corrected images.

Sets them in the settings and returns the candidates that were tried: a dict each, with its "cost". Does not fit.)")
      .def_property_readonly("settings", &Basic::settings, "All options with their present values.")
      .def_property_readonly("flatfield", &Basic::flatfield, "Flatfield, float32, of the shape of an image.")
      .def_property_readonly("darkfield", &Basic::darkfield, "Darkfield in intensity; zeros without get_darkfield.")
      .def_property_readonly("baseline", &Basic::baseline, "Brightness of each image, float32; None before fit().")
      .def_property_readonly(
          "converged", [](const Basic& self) { return self.fitted()->reweight_converged; },
          "Whether the reweighting converged.")
      .def_property_readonly(
          "warnings", [](const Basic& self) { return self.fitted()->warnings; },
          "What to know about the fit, e.g. solves that did not converge.")
      .def_property_readonly(
          "score", [](const Basic& self) { return self.fitted()->reweight_score; },
          "Relative change by the last reweighting.")
      .def_property(
          "max_workers", &Basic::workers, [](Basic& self, const py::object& value) { self.set("max_workers", value); },
          "Number of threads.");
  for (const auto& row : class_table()) {
    const std::string key = row.key;
    basic.def_property(
        key.c_str(), [&row](const Basic& self) { return from_json(row.get(self.config())); },
        [key](Basic& self, const py::object& value) { self.set(key, value); }, row.help.c_str());
  }
}

}  // namespace flatfield::python
