// How fast the arithmetic on voxels is, on one core with its data in the cache.
//
//   kernels [Google Benchmark's options, e.g. --benchmark_repetitions=9 --benchmark_format=json]
//
// Each kernel is first held against its naive twin, bit for bit; where one differs the program says so and ends with
// status 1. bytes_per_second counts the input volume once. Two floors are measured in the same run: a copy of the same
// block within the cache, and one in memory; and the clock and how many operations a core gets through, since other work
// on the machine lowers all of them.
// All times are CPU times.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "flatfield/methods/correction.h"
#include "flatfield/numerics/gaussian_filter.h"
#include "flatfield/numerics/plane_median.h"
#include "flatfield/numerics/window_reduce.h"

namespace {

using namespace flatfield;

constexpr Extent3 kChunk{32, 64, 128};  // 512 KiB of uint16: with the result in a second-level cache of 1 MiB
constexpr Extent3 kSmoothed{32, 64, 128};  // 1 MiB of float32
constexpr std::int64_t kPlanes = 64;
constexpr double kSigma = 2.0;

Block<std::uint16_t> random_counts(const Extent3& shape, unsigned most) {
  std::mt19937 random(1);
  Block<std::uint16_t> block(shape);
  for (std::uint16_t& v : block.span()) v = static_cast<std::uint16_t>(random() % (most + 1));
  return block;
}

Block<float> random_floats(const Extent3& shape, float least, float most) {
  std::mt19937 random(2);
  std::uniform_real_distribution<float> value(least, most);
  Block<float> block(shape);
  for (float& v : block.span()) v = value(random);
  return block;
}

template <class T>
bool same_bits(const Block<T>& a, const Block<T>& b) {
  return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(T)) == 0;
}

// ---- correction

enum class Inside { kNone, kAll, kMixed };

methods::Correction correction_by_curves(Inside inside) {
  methods::Correction correction;
  correction.shape = kChunk;
  correction.background = random_floats({1, kChunk.y, kChunk.x}, 90.0F, 110.0F);
  // Every row of a mixed mask has voxels inside and outside, the slowest kind of row.
  const Extent3 low = floor_div(kChunk, 8);
  correction.mask = BitVolume(low, inside != Inside::kNone);
  if (inside == Inside::kMixed)
    for (std::int64_t i = 0; i < low.volume(); i += 3) {
      const Extent3 p = unravel(i, low);
      correction.mask->set(p.z, p.y, p.x, false);
    }
  const auto curve = [](std::int64_t length) {
    const Block<float> values = random_floats({1, 1, length}, 0.3F, 1.2F);
    return std::vector<float>(values.span().begin(), values.span().end());
  };
  correction.curves = methods::AxisCurves{curve(kChunk.z), curve(kChunk.y), curve(kChunk.x), 1.25F};
  return correction;
}

methods::Correction correction_by_image() {
  methods::Correction correction;
  correction.shape = kChunk;
  correction.background = random_floats({1, kChunk.y, kChunk.x}, 90.0F, 110.0F);
  correction.image.emplace(random_floats({1, kChunk.y, kChunk.x}, 0.3F, 1.2F),
                           random_floats({1, kChunk.y, kChunk.x}, -5.0F, 20.0F));
  return correction;
}

Block<std::uint16_t> corrected_naively(const methods::Correction& correction, const Block<std::uint16_t>& raw) {
  Block<std::uint16_t> out(raw.shape());
  for (std::int64_t i = 0; i < raw.size(); ++i) {
    const Extent3 p = unravel(i, raw.shape());
    float v = static_cast<float>(raw.data()[i]) - correction.background->at(0, p.y, p.x);
    if (!(v > 0.0F)) v = 0.0F;
    if (correction.image)
      v = (v - correction.image->darkfield->at(0, p.y, p.x)) / correction.image->flatfield.at(0, p.y, p.x);
    if (correction.curves && correction.mask->at(p.z / 8, p.y / 8, p.x / 8)) {
      v = v * (1.0F / correction.curves->x[static_cast<std::size_t>(p.x)]);
      v = v * (1.0F / correction.curves->y[static_cast<std::size_t>(p.y)]);
      v = v * (1.0F / correction.curves->z[static_cast<std::size_t>(p.z)]);
      v = v * correction.curves->ratio;
    }
    out.data()[i] = static_cast<std::uint16_t>(std::nearbyint(std::clamp(v, 0.0F, 65535.0F)));
  }
  return out;
}

struct CorrectionCase {
  methods::Correction correction;
  Block<std::uint16_t> raw = random_counts(kChunk, 3000);
  Block<std::uint16_t> out{kChunk};
  methods::CorrectionKernel::Scratch scratch{};

  void run(const methods::CorrectionKernel& kernel) {
    kernel.apply<std::uint16_t>({{0, 0, 0}, kChunk}, raw.view(), out.view(), scratch);
  }
};

bool correction_is_right(methods::Correction correction) {
  CorrectionCase data{std::move(correction)};
  data.run(methods::CorrectionKernel(data.correction));
  return same_bits(data.out, corrected_naively(data.correction, data.raw));
}

void time_correction(benchmark::State& state, methods::Correction correction) {
  CorrectionCase data{std::move(correction)};
  const methods::CorrectionKernel kernel(data.correction);
  for (auto _ : state) {
    data.run(kernel);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kChunk.volume() * 2);
}

// ---- pyramid

void reduce(const Block<std::uint16_t>& in, Block<std::uint16_t>& out) {
  numerics::reduce_windows<std::uint16_t>(in.view(), out.view(), {numerics::WindowReducer::Kind::kRank, -2});
}

bool second_largest_is_right() {
  const Block<std::uint16_t> in = random_counts(kChunk, 65535);
  Block<std::uint16_t> out(floor_div(kChunk, 2));
  Block<std::uint16_t> expected(out.shape());
  reduce(in, out);
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const Extent3 p = unravel(i, out.shape());
    std::array<std::uint16_t, 8> window{};
    for (std::int64_t k = 0; k < 8; ++k)
      window[static_cast<std::size_t>(k)] = in.at(2 * p.z + k / 4, 2 * p.y + k / 2 % 2, 2 * p.x + k % 2);
    std::sort(window.begin(), window.end());
    expected.data()[i] = window[6];
  }
  return same_bits(out, expected);
}

void time_second_largest(benchmark::State& state) {
  const Block<std::uint16_t> in = random_counts(kChunk, 3000);
  Block<std::uint16_t> out(floor_div(kChunk, 2));
  for (auto _ : state) {
    reduce(in, out);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kChunk.volume() * 2);
}

// ---- background

bool plane_median_is_right() {
  const Block<std::uint16_t> stack = random_counts({kPlanes, 64, 128}, 65535);
  const std::int64_t pixels = 64 * 128;
  Block<float> out({1, 64, 128});
  Block<float> expected({1, 64, 128});
  numerics::plane_median<std::uint16_t>(stack.span(), kPlanes, pixels, out.span());
  std::vector<std::uint16_t> column(kPlanes);
  for (std::int64_t x = 0; x < pixels; ++x) {
    for (std::int64_t p = 0; p < kPlanes; ++p)
      column[static_cast<std::size_t>(p)] = stack.data()[p * pixels + x];
    std::sort(column.begin(), column.end());
    expected.data()[x] = (static_cast<float>(column[kPlanes / 2 - 1]) + static_cast<float>(column[kPlanes / 2])) / 2;
  }
  return same_bits(out, expected);
}

void time_plane_median(benchmark::State& state, unsigned most) {
  const Block<std::uint16_t> stack = random_counts({kPlanes, 64, 128}, most);
  Block<float> out({1, 64, 128});
  for (auto _ : state) {
    numerics::plane_median<std::uint16_t>(stack.span(), kPlanes, 64 * 128, out.span());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * stack.size() * 2);
}

// ---- smoothing

void smooth_axis_naively(Block<float>& block, int axis) {
  const std::vector<double> weights = numerics::gaussian_kernel(kSigma);
  const auto radius = static_cast<std::int64_t>(weights.size() / 2);
  const Block<float> before = block.clone();
  const std::int64_t length = block.shape()[axis];
  for (std::int64_t i = 0; i < block.size(); ++i) {
    const Extent3 place = unravel(i, block.shape());
    const auto value = [&](std::int64_t offset) {
      std::int64_t index = place[axis] + offset;
      while (index < 0 || index >= length) index = index < 0 ? -1 - index : 2 * length - 1 - index;
      Extent3 p = place;
      p[axis] = index;
      return static_cast<double>(before.at(p.z, p.y, p.x));
    };
    double sum = value(0) * weights[static_cast<std::size_t>(radius)];
    for (std::int64_t k = radius; k > 0; --k)
      sum += (value(-k) + value(k)) * weights[static_cast<std::size_t>(radius - k)];
    block.data()[i] = static_cast<float>(sum);
  }
}

bool gaussian_is_right() {
  Block<float> block = random_floats(kSmoothed, 0.0F, 1000.0F);
  Block<float> expected = block.clone();
  numerics::gaussian_filter(block.view(), {kSigma, kSigma, kSigma}, serial_for);
  for (int axis = 0; axis < 3; ++axis) smooth_axis_naively(expected, axis);
  return same_bits(block, expected);
}

void time_gaussian(benchmark::State& state) {
  Block<float> block = random_floats(kSmoothed, 0.0F, 1000.0F);
  for (auto _ : state) {
    numerics::gaussian_filter(block.view(), {kSigma, kSigma, kSigma}, serial_for);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * block.size() * 4);
}

// ---- floors

void time_copy(benchmark::State& state, std::int64_t bytes) {
  std::vector<char> from(static_cast<std::size_t>(bytes), 'a');
  std::vector<char> to(static_cast<std::size_t>(bytes), 'b');
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), to.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
}

/// A chain of exclusive ors, each of which has to wait for the one before: one cycle each on any CPU.
void time_clock(benchmark::State& state) {
  constexpr int kChain = 1000;
  std::uint64_t value = 1;
  std::uint64_t other = 3;
  for (auto _ : state)
#pragma GCC unroll 50
    for (int i = 0; i < kChain; ++i) {
      asm volatile("" : "+r"(value), "+r"(other));
      value ^= other;
    }
  benchmark::DoNotOptimize(value);
  state.counters["GHz"] = benchmark::Counter(1e-9 * kChain * static_cast<double>(state.iterations()),
                                             benchmark::Counter::kIsRate);
}

/// Four such chains at once. A core that shares its units with another thread at work gets through fewer of them.
void time_units(benchmark::State& state) {
  constexpr int kChain = 1000;
  std::uint64_t a = 1, b = 2, c = 3, d = 4;
  std::uint64_t other = 5;
  for (auto _ : state)
#pragma GCC unroll 50
    for (int i = 0; i < kChain; ++i) {
      asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(other));
      a ^= other, b ^= other, c ^= other, d ^= other;
    }
  benchmark::DoNotOptimize(a ^ b ^ c ^ d);
  state.counters["operations_per_ns"] = benchmark::Counter(4e-9 * kChain * static_cast<double>(state.iterations()),
                                                           benchmark::Counter::kIsRate);
}

bool is_right(const char* kernel, bool right) {
  if (!right) std::fprintf(stderr, "kernels: %s differs from its naive twin\n", kernel);
  return right;
}

}  // namespace

int main(int argc, char** argv) {
  bool right = is_right("correction, outside the mask", correction_is_right(correction_by_curves(Inside::kNone)));
  right &= is_right("correction, inside the mask", correction_is_right(correction_by_curves(Inside::kAll)));
  right &= is_right("correction, across the mask", correction_is_right(correction_by_curves(Inside::kMixed)));
  right &= is_right("correction, image", correction_is_right(correction_by_image()));
  right &= is_right("second largest", second_largest_is_right());
  right &= is_right("plane median", plane_median_is_right());
  right &= is_right("gaussian", gaussian_is_right());
  if (!right) return 1;

  using benchmark::RegisterBenchmark;
  RegisterBenchmark("floor/clock", time_clock);
  RegisterBenchmark("floor/units", time_units);
  RegisterBenchmark("floor/copy_512KiB", time_copy, std::int64_t{1} << 19);
  RegisterBenchmark("floor/copy_256MiB", time_copy, std::int64_t{1} << 28);
  const auto correction = [](const char* name, auto make) {
    RegisterBenchmark(name, [make](benchmark::State& state) { time_correction(state, make()); });
  };
  correction("correction/outside", [] { return correction_by_curves(Inside::kNone); });
  correction("correction/inside", [] { return correction_by_curves(Inside::kAll); });
  correction("correction/across", [] { return correction_by_curves(Inside::kMixed); });
  correction("correction/image", [] { return correction_by_image(); });
  RegisterBenchmark("second_largest", time_second_largest);
  RegisterBenchmark("plane_median/64_noise", time_plane_median, 300U);
  RegisterBenchmark("plane_median/64_any_value", time_plane_median, 65535U);
  RegisterBenchmark("gaussian/sigma_2", time_gaussian);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
