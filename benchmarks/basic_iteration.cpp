// How long one inner iteration of BaSiC takes, against the memory traffic that it cannot do without.
//
//   basic_iteration [FRAMES EDGE WORKERS]      (default 100 512 2)
//
// The floor is measured in the same run: the time that WORKERS threads take, at the bandwidth of a STREAM triad, to read
// seven arrays of FRAMES x EDGE x EDGE float32 values and to write two: images, residual, multiplier and weights in and
// the residual out in the first sweep; images, residual and multiplier in and the multiplier out in the second. Prints
// one JSON object; nothing is asserted.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/basic.h"

namespace {

using flatfield::Block;
using flatfield::ParallelFor;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Bytes per second of a = b + s * c over arrays that no cache holds; bytes counted as STREAM does.
double triad_bandwidth(int workers, const ParallelFor& parallel_for) {
  constexpr std::int64_t kValues = 32 << 20;
  std::vector<float> a(kValues, 0.0F);
  std::vector<float> b(kValues, 1.0F);
  std::vector<float> c(kValues, 2.0F);
  const std::int64_t part = kValues / workers;
  std::vector<double> times;
  for (int repeat = 0; repeat < 7; ++repeat) {
    const Clock::time_point start = Clock::now();
    parallel_for(workers, [&](std::int64_t w) {
      float* to = a.data() + w * part;
      const float* first = b.data() + w * part;
      const float* second = c.data() + w * part;
      for (std::int64_t i = 0; i < part; ++i) to[i] = first[i] + 3.0F * second[i];
    });
    times.push_back(seconds_since(start));
  }
  return 3.0 * kValues * sizeof(float) / median(times);
}

/// A stack under one light, with scattered bright objects; the same for every run.
Block<float> stack(std::int64_t frames, std::int64_t edge) {
  Block<float> images({frames, edge, edge});
  std::uint64_t state = 1;
  for (std::int64_t n = 0; n < frames; ++n)
    for (std::int64_t y = 0; y < edge; ++y)
      for (std::int64_t x = 0; x < edge; ++x) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        const double noise = static_cast<double>(state >> 40) / 16777216.0;
        const double dy = 2.0 * static_cast<double>(y) / static_cast<double>(edge) - 1.0;
        const double dx = 2.0 * static_cast<double>(x) / static_cast<double>(edge) - 1.0;
        const double light = (1.0 - 0.3 * dy * dy) * (1.0 - 0.3 * dx * dx);
        const double object = noise > 0.98 ? 400.0 : 0.0;
        images.at(n, y, x) = static_cast<float>((100.0 + 20.0 * noise + object) * light);
      }
  return images;
}

/// Seconds and iterations of a fit that is stopped after `iterations` of its only solve.
struct Timing {
  double seconds = 0.0;
  std::int64_t iterations = 0;
};
Timing time_fit(const Block<float>& images, std::int64_t iterations, const ParallelFor& parallel_for) {
  flatfield::methods::BasicOptions options;
  options.working_size.reset();
  options.smoothness_flatfield = 0.1;
  options.sort_intensity = true;
  options.max_iterations = iterations;
  options.max_reweight_iterations = 1;
  options.optimization_tol = 0.0;  // every iteration is run
  const Clock::time_point start = Clock::now();
  const flatfield::methods::FrameStack frames(images.view());
  std::int64_t done = 0;
  try {
    const auto fit = flatfield::methods::fit_basic(frames, std::nullopt, options,
                                                   flatfield::methods::BasicOutput::kFields, parallel_for);
    for (const auto& solve : fit.solves) done += solve.iterations;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::exit(1);
  }
  return {seconds_since(start), done};
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t frames = argc > 1 ? std::atoll(argv[1]) : 100;
  const std::int64_t edge = argc > 2 ? std::atoll(argv[2]) : 512;
  const int workers = argc > 3 ? std::atoi(argv[3]) : 2;
  flatfield::execution::ThreadPool pool(workers);
  const ParallelFor parallel_for = pool.as_parallel_for();

  const Block<float> images = stack(frames, edge);
  constexpr std::int64_t kShort = 30;
  constexpr std::int64_t kLong = 60;
  std::vector<double> per_iteration;
  std::vector<double> bandwidths;
  Timing longest;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Timing few = time_fit(images, kShort, parallel_for);
    longest = time_fit(images, kLong, parallel_for);
    per_iteration.push_back((longest.seconds - few.seconds) / static_cast<double>(longest.iterations - few.iterations));
  }
  const auto peak = flatfield::execution::peak_resident_bytes();  // before the arrays of the triad
  for (int repeat = 0; repeat < 3; ++repeat) bandwidths.push_back(triad_bandwidth(workers, parallel_for));
  const double bytes = 9.0 * static_cast<double>(frames * edge * edge) * sizeof(float);
  const double floor_seconds = bytes / median(bandwidths);
  std::printf(
      "{\"frames\": %lld, \"edge\": %lld, \"workers\": %d, \"iteration_seconds\": %.4f, \"floor_seconds\": %.4f, "
      "\"ratio\": %.2f, \"triad_gigabytes_per_second\": %.2f, \"peak_memory_megabytes\": %.0f, "
      "\"fit_of_%lld_iterations_seconds\": %.2f}\n",
      static_cast<long long>(frames), static_cast<long long>(edge), workers, median(per_iteration), floor_seconds,
      median(per_iteration) / floor_seconds, median(bandwidths) / 1e9, static_cast<double>(peak) / 1e6,
      static_cast<long long>(longest.iterations), longest.seconds);
  return 0;
}
