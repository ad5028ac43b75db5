// BaSiC and what it is made of, as operations of the probe.
#include <vector>

#include "flatfield/config/basic_config.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/basic.h"
#include "flatfield/methods/basic_autotune.h"
#include "flatfield/methods/basic_cost.h"
#include "flatfield/methods/basic_transform.h"
#include "flatfield/numerics/dct.h"
#include "flatfield/numerics/linear_resize.h"
#include "flatfield/numerics/otsu_threshold.h"
#include "probe.h"

namespace flatfield::test {
namespace {

int threads_of(const ProbeCall& call) {
  return static_cast<int>(call.argument("threads").as_int64());
}

/// (t, y, x) or (t, z, y, x) values as frames; `values` must stay.
methods::FrameStack frames_of(const Npy<float>& values) {
  const auto& s = values.shape;
  const Extent3 shape{s.size() == 4 ? s[1] : 1, s.at(s.size() - 2), s.at(s.size() - 1)};
  return {values.values.data(), s.at(0), shape};
}

void put_solves(const ProbeCall& call, const methods::BasicFit& fit) {
  std::vector<std::int64_t> iterations;
  std::vector<double> residuals;
  std::vector<std::uint8_t> converged;
  for (const auto* solves : {&fit.solves, &fit.baseline_solves})
    for (const methods::BasicSolve& solve : *solves) {
      iterations.push_back(solve.iterations);
      residuals.push_back(solve.residual);
      converged.push_back(solve.converged ? 1 : 0);
    }
  call.put("iterations", iterations);
  call.put("residuals", residuals);
  call.put("converged", converged);
  call.put("reweight_score", std::vector<double>{fit.reweight_score});
}

/// The frames of `images`, and those of `weights` if the argument `weighted` says so.
struct Frames {
  explicit Frames(const ProbeCall& call)
      : image_values(call.array<float>("images")), images(frames_of(image_values)) {
    if (!call.argument("weighted").as_bool()) return;
    weight_values = call.array<float>("weights");
    weights = frames_of(weight_values);
  }
  Npy<float> image_values;
  Npy<float> weight_values;
  methods::FrameStack images;
  std::optional<methods::FrameStack> weights;
};

/// `config` is read as --basic-config.
void basic_fit(const ProbeCall& call) {
  const Frames frames(call);
  const config::BasicConfig config = config::read_basic_config(call.argument("config"), "config");
  const auto output = call.argument("baseline").as_bool() ? methods::BasicOutput::kFieldsAndBaseline
                                                          : methods::BasicOutput::kFields;
  execution::ThreadPool pool(threads_of(call));
  const methods::BasicFit fit =
      methods::fit_basic(frames.images, frames.weights, config, output, pool.as_parallel_for());
  call.put("flatfield", fit.flatfield);
  call.put("darkfield", fit.darkfield);
  call.put("baseline", fit.baseline);
  call.put("S_working", fit.working_flatfield);
  call.put("B_working", fit.working_baseline);
  put_solves(call, fit);
  call.put("warnings", std::vector<std::int64_t>{static_cast<std::int64_t>(fit.warnings.size())});
}

void basic_transform(const ProbeCall& call) {
  const Npy<float> images = call.array<float>("images");
  methods::BasicFit fit;
  fit.flatfield = call.block<float>("flatfield");
  fit.darkfield = call.block<float>("darkfield");
  fit.baseline = call.array<float>("baseline").values;
  const std::string& timelapse = call.argument("timelapse").as_string();
  std::vector<std::int64_t> indices;
  for (const Json& index : call.argument("frames").as_array()) indices.push_back(index.as_int64());
  std::vector<float> out(images.values.size());
  methods::transform_basic(
      frames_of(images), fit,
      timelapse == "additive"         ? methods::Timelapse::kAdditive
      : timelapse == "multiplicative" ? methods::Timelapse::kMultiplicative
                                      : methods::Timelapse::kNone,
      indices,
      call.argument("clip").as_bool() ? methods::Clipping::kToUint16 : methods::Clipping::kNone,
      out, serial_for);
  call.put<float>("transformed", images.shape, out);
}

/// The cost of the given fields at a given range, and what range they would give.
void basic_cost(const ProbeCall& call) {
  const Frames frames(call);
  const Block<float> flatfield = call.block<float>("flatfield");
  const Block<float> darkfield = call.block<float>("darkfield");
  const methods::BasicCostOptions options;
  const methods::BasicCost cost =
      methods::measure_cost(frames.images, frames.weights, flatfield.view(), darkfield.view(),
                            call.argument("range").as_double(), options, serial_for);
  call.put("cost", std::vector<double>{cost.entropy, cost.fourier_l0_norm, cost.cost});
  call.put("range", std::vector<double>{methods::entropy_range(
                        frames.images, flatfield.view(), darkfield.view(), options, serial_for)});
  call.put("quantiles", methods::CorrectedFrames(frames.images, flatfield.view(), darkfield.view())
                            .quantiles({0.0, 0.01, 0.3, 0.5, 0.99, 1.0}, serial_for));
}

/// One row per candidate: the three parameters, entropy, Fourier L0 norm, cost.
void basic_autotune(const ProbeCall& call) {
  const Frames frames(call);
  const config::BasicConfig config = config::read_basic_config(call.argument("config"), "config");
  methods::BasicAutotuneOptions options;
  options.max_evaluations = call.argument("max_evaluations").as_int64();
  options.seed = static_cast<std::uint64_t>(call.argument("seed").as_int64());
  execution::ThreadPool pool(threads_of(call));
  const methods::BasicAutotune tuned = methods::autotune_basic(
      frames.images, frames.weights, config, options, pool.as_parallel_for());
  std::vector<double> rows;
  for (const methods::BasicCandidate& candidate : tuned.candidates)
    rows.insert(rows.end(), {candidate.smoothness.flatfield, candidate.smoothness.darkfield,
                             candidate.smoothness.sparse_cost_darkfield, candidate.cost.entropy,
                             candidate.cost.fourier_l0_norm, candidate.cost.cost});
  call.put<double>("candidates", {static_cast<std::int64_t>(tuned.candidates.size()), 6}, rows);
  call.put("best", std::vector<double>{tuned.best.flatfield, tuned.best.darkfield,
                                       tuned.best.sparse_cost_darkfield});
}

void run_dct(const ProbeCall& call) {
  Block<double> values = call.block<double>("values");
  const numerics::Dct dct(values.shape());
  execution::ThreadPool pool(threads_of(call));
  if (call.argument("inverse").as_bool())
    dct.inverse(values.span(), pool.as_parallel_for());
  else
    dct.forward(values.span(), pool.as_parallel_for());
  call.put("transformed", values);
}

void run_resize_linear(const ProbeCall& call) {
  const Block<float> plane = call.block<float>("plane");
  const auto mode = call.argument("mode").as_string() == "jax" ? numerics::LinearResize::kJax
                                                               : numerics::LinearResize::kSkimage;
  call.put("resized", numerics::resize_linear(plane.view(), call.argument("height").as_int64(),
                                              call.argument("width").as_int64(), mode, serial_for));
}

void run_otsu_threshold(const ProbeCall& call) {
  call.put("threshold",
           std::vector<float>{numerics::otsu_threshold(call.array<float>("values").values)});
}

}  // namespace

void add_basic_operations(ProbeOperations& operations) {
  operations["basic_fit"] = basic_fit;
  operations["basic_transform"] = basic_transform;
  operations["basic_cost"] = basic_cost;
  operations["basic_autotune"] = basic_autotune;
  operations["dct"] = run_dct;
  operations["resize_linear"] = run_resize_linear;
  operations["otsu_threshold"] = run_otsu_threshold;
}

}  // namespace flatfield::test
