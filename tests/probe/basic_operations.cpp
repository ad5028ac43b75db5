// BaSiC and what it is made of, as operations of the probe.
#include <vector>

#include "flatfield/config/basic_config.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/basic.h"
#include "flatfield/numerics/ball_erosion.h"
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

/// `images`, `weights` if the argument `weighted` says so; `config` as for --basic-config.
void basic_fit(const ProbeCall& call) {
  const Npy<float> images = call.array<float>("images");
  Npy<float> weights;
  std::optional<methods::FrameStack> weight_frames;
  if (call.argument("weighted").as_bool()) {
    weights = call.array<float>("weights");
    weight_frames = frames_of(weights);
  }
  const config::BasicConfig config = config::read_basic_config(call.argument("config"), "config");
  const auto output = call.argument("baseline").as_bool() ? methods::BasicOutput::kFieldsAndBaseline
                                                          : methods::BasicOutput::kFields;
  execution::ThreadPool pool(threads_of(call));
  const methods::BasicFit fit =
      methods::fit_basic(frames_of(images), weight_frames, config, output, pool.as_parallel_for());
  call.put("flatfield", fit.flatfield);
  call.put("darkfield", fit.darkfield);
  call.put("baseline", fit.baseline);
  call.put("S_working", fit.working_flatfield);
  call.put("B_working", fit.working_baseline);
  put_solves(call, fit);
  call.put("warnings", std::vector<std::int64_t>{static_cast<std::int64_t>(fit.warnings.size())});
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

void run_erode_inside_border(const ProbeCall& call) {
  const Block<std::uint8_t> mask = call.block<std::uint8_t>("mask");
  call.put("eroded",
           numerics::erode_inside_border(mask.view(), call.argument("radius").as_int64()));
}

}  // namespace

void add_basic_operations(ProbeOperations& operations) {
  operations["basic_fit"] = basic_fit;
  operations["dct"] = run_dct;
  operations["resize_linear"] = run_resize_linear;
  operations["otsu_threshold"] = run_otsu_threshold;
  operations["erode_inside_border"] = run_erode_inside_border;
}

}  // namespace flatfield::test
