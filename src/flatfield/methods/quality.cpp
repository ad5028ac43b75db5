#include "flatfield/methods/quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <span>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/methods/mask_agreement.h"
#include "flatfield/methods/stream_percentiles.h"
#include "flatfield/numerics/exact_moments.h"
#include "flatfield/numerics/gaussian_block.h"
#include "flatfield/numerics/percentile.h"

namespace flatfield::methods {
namespace {

constexpr float kSaturated = 65535.0F;
constexpr double kBrightPercentile = 99.9;
constexpr double kFewestBackgroundCounts = 10.0;
constexpr double kAgreementSigma = 1.0;
constexpr std::size_t kEntropyBins = 100;

void measure_background(const Block<float>& background, QualityNumbers& out) {
  std::vector<float> values(background.span().begin(), background.span().end());
  const std::span<float> all(values);
  const double median = numerics::median(all);
  const double span = numerics::percentile(all, 99.0) - numerics::percentile(all, 1.0);
  out.background_span = span / std::max(median, kFewestBackgroundCounts);
}

/// What the coefficient of joint variation is made of.
struct JointMoments {
  std::optional<numerics::Moments> foreground;
  std::optional<numerics::Moments> background;

  [[nodiscard]] std::optional<double> cjv() const {
    if (!foreground || !background || foreground->mean == background->mean) return std::nullopt;
    return (foreground->deviation + background->deviation) /
           std::abs(foreground->mean - background->mean);
  }
};

/// What the voxels inside the mask, and only they, were multiplied with besides the curves.
float mask_factor(const Correction& correction) {
  return correction.curves ? correction.curves->ratio : 1.0F;
}

/// Density over equal bins of [lo, hi].
class Histogram {
 public:
  Histogram(double lo, double hi) : lo_(lo), hi_(hi), width_((hi - lo) / static_cast<double>(kEntropyBins)) {}

  void add(float value) {
    const auto v = static_cast<double>(value);
    if (v >= lo_ && v <= hi_ && width_ > 0.0)
      ++counts_[std::min(static_cast<std::size_t>((v - lo_) / width_), kEntropyBins - 1)];
  }
  void add(const Histogram& other) {
    for (std::size_t bin = 0; bin < kEntropyBins; ++bin) counts_[bin] += other.counts_[bin];
  }
  void merge(const Merge& merge) { merge.sum(counts_); }

  /// No value where nothing lies in it.
  [[nodiscard]] std::optional<double> differential_entropy() const {
    std::int64_t total = 0;
    for (const std::int64_t count : counts_) total += count;
    if (total == 0) return std::nullopt;
    double entropy = std::log(width_);
    for (const std::int64_t count : counts_) {
      if (count == 0) continue;
      const double share = static_cast<double>(count) / static_cast<double>(total);
      entropy -= share * std::log(share);
    }
    return entropy;
  }

 private:
  double lo_;
  double hi_;
  double width_;
  std::array<std::int64_t, kEntropyBins> counts_{};
};

/// The level as it is after some changes.
class ChangedStream : public LevelStream {
 public:
  ChangedStream(LevelStream& level, const QualityInput::Change& change) : level_(level), change_(change) {}
  [[nodiscard]] const Extent3& shape() const override { return level_.shape(); }
  [[nodiscard]] int workers() const override { return level_.workers(); }
  void visit(const LevelPass& pass, const Visitor& visitor) override {
    level_.visit(pass, [&](const LevelBlock& block) {
      change_(block.seen, block.values);
      visitor(block);
    });
  }
  [[nodiscard]] const Merge& merge() const override { return level_.merge(); }

 private:
  LevelStream& level_;
  const QualityInput::Change& change_;
};

numerics::Moments divided(const numerics::Moments& moments, double by) {
  return {moments.mean / by, moments.deviation / by};
}

/// Moments of two sets of values together.
numerics::Moments together(std::int64_t count_a, const numerics::Moments& a, std::int64_t count_b,
                           const numerics::Moments& b) {
  const auto n_a = static_cast<double>(count_a);
  const auto n_b = static_cast<double>(count_b);
  const double mean = (n_a * a.mean + n_b * b.mean) / (n_a + n_b);
  const auto squares = [&](double n, const numerics::Moments& m) {
    return n * (m.deviation * m.deviation + (m.mean - mean) * (m.mean - mean));
  };
  return {mean, std::sqrt((squares(n_a, a) + squares(n_b, b)) / (n_a + n_b))};
}

/// The measurement, pass by pass.
class Measurement {
 public:
  explicit Measurement(const QualityInput& input)
      : input_(input),
        shape_(input.raw.shape()),
        workers_(input.raw.workers()),
        before_stream_(input.raw, input.to_before),
        to_after_both_([&input](const Box3& box, BlockView<float> values) {
          input.to_before(box, values);
          input.to_after(box, values);
        }),
        after_stream_(input.raw, to_after_both_),
        worker_(static_cast<std::size_t>(workers_)) {}

  QualityNumbers measure() {
    choose_mask();
    measure_dark_planes();
    measure_level();
    out_.cjv = {before_.cjv(), after_.cjv()};
    return out_;
  }

 private:
  using Medians = AxisPercentiles<numerics::RankCounts>;

  /// What one worker adds up.
  struct Worker {
    std::vector<std::uint8_t> inside;
    std::vector<float> row;
    numerics::ExactMoments before;
    numerics::ExactMoments after;
    std::int64_t saturated = 0;
  };

  void choose_mask() {
    if (input_.mask) {
      out_.mask_source = MaskSource::kGiven;
      out_.mask_fraction =
          static_cast<double>(input_.mask->count()) / static_cast<double>(input_.mask->size());
      out_.background_planes_in_mask = share_in_mask(input_.background_planes, *input_.mask);
    } else if (input_.background_planes.empty()) {
      out_.mask_source = MaskSource::kAllVoxels;
    } else {
      out_.mask_source = MaskSource::kBrightVoxels;
      bright_ = percentiles_of_planes(before_stream_, input_.background_planes, {kBrightPercentile},
                                      kTypicalMost, input_.bytes)
                    .front()
                    .linear();
    }
  }

  /// The mask of a box as 0 and 1, from its values before; whether there is any foreground in it.
  bool expand_mask(const Box3& box, BlockView<const float> before, BlockView<std::uint8_t> inside) const {
    if (input_.mask) {
      input_.mask->sub(box).expand(inside);
    } else {
      for (std::int64_t z = 0; z < box.shape.z; ++z)
        for (std::int64_t y = 0; y < box.shape.y; ++y) {
          const float* values = before.row(z, y);
          std::transform(values, values + box.shape.x, inside.row(z, y), [&](float v) {
            return static_cast<std::uint8_t>(!bright_ || double{v} > *bright_);
          });
        }
    }
    const std::span<const std::uint8_t> all = inside.span();
    return std::any_of(all.begin(), all.end(), [](std::uint8_t m) { return m != 0; });
  }

  BlockView<std::uint8_t> mask_memory(const LevelBlock& block) {
    std::vector<std::uint8_t>& memory = worker_[static_cast<std::size_t>(block.worker)].inside;
    memory.resize(static_cast<std::size_t>(block.box.shape.volume()));
    return {memory.data(), block.box.shape};
  }

  void measure_dark_planes() {
    const std::vector<std::int64_t>& planes = input_.background_planes;
    if (planes.empty()) return;
    struct Part {
      std::int64_t zeroed = 0;
      numerics::ExactMoments before;
      numerics::ExactMoments after_inside;
      numerics::ExactMoments after_outside;
    };
    std::vector<Part> parts(static_cast<std::size_t>(workers_));
    input_.raw.visit({{}, 0, plane_ranges(planes)}, [&](const LevelBlock& block) {
      Part& mine = parts[static_cast<std::size_t>(block.worker)];
      input_.to_before(block.box, block.values);
      const BlockView<std::uint8_t> inside = mask_memory(block);
      expand_mask(block.box, block.values, inside);
      for (const float v : block.values.span()) mine.zeroed += v == 0.0F ? 1 : 0;
      mine.before.add(block.values.span());
      input_.to_after(block.box, block.values);
      std::size_t i = 0;
      for (const float v : block.values.span())
        (inside.data[i++] != 0 ? mine.after_inside : mine.after_outside).add(v);
    });
    Part all;
    for (const Part& part : parts) {
      all.zeroed += part.zeroed;
      all.before.add(part.before);
      all.after_inside.add(part.after_inside);
      all.after_outside.add(part.after_outside);
    }
    merge_sums({&all.before, &all.after_inside, &all.after_outside}, all.zeroed);
    out_.background_zeroed_fraction =
        static_cast<double>(all.zeroed) / static_cast<double>(all.before.count());
    before_.background = all.before.moments();
    const auto median = [&](LevelStream& stream) {
      return percentiles_of_planes(stream, planes, {50.0}, kTypicalMost, input_.bytes).front().median();
    };
    out_.background_median.before = median(before_stream_);
    out_.background_median.after = median(after_stream_);
    const double ratio = mask_factor(input_.correction);
    if (!(ratio > 0.0)) return;
    const numerics::Moments none;
    after_.background = together(
        all.after_inside.count(),
        all.after_inside.count() > 0 ? divided(all.after_inside.moments(), ratio) : none,
        all.after_outside.count(), all.after_outside.count() > 0 ? all.after_outside.moments() : none);
  }

  [[nodiscard]] Medians medians_of(float typical_most, std::vector<double> overall) const {
    return Medians({shape_, 50.0, std::move(overall), typical_most, workers_, input_.bytes / 3});
  }

  void measure_level() {
    // Medians lie around g; where there is none, anywhere.
    const float before_most =
        input_.fit ? std::min(static_cast<float>(8.0 * input_.fit->g), kMost) : kMost;
    const float after_most = std::min(before_most * mask_factor(input_.correction), kMost);
    const float background_most =
        input_.correction.background
            ? *std::max_element(input_.correction.background->span().begin(),
                                input_.correction.background->span().end())
            : 0.0F;
    Medians raw = medians_of(std::min(before_most + background_most, kMost), {});
    Medians before = medians_of(before_most, {50.0, 1.0, 99.0});
    Medians after = medians_of(after_most, {50.0});

    std::optional<BrightnessAuc> auc;
    std::optional<EdgeAgreement> edges;
    if (input_.mask) {
      auc.emplace(*input_.mask, workers_);
      edges.emplace(*input_.mask, workers_);
    }
    bool first = true;
    while (!raw.done() || !before.done() || !after.done()) {
      const LevelPass pass = first ? quality_pass(input_.mask.has_value()) : LevelPass{{}, 1, {}};
      input_.raw.visit(pass, [&](const LevelBlock& block) {
        const Box3 inner = block.inner();
        const BlockView<float> v_low = block.spare[0];
        copy_block<float>(block.values, v_low);
        input_.to_before(block.seen, v_low);
        const BlockView<std::uint8_t> inside = mask_memory(block);
        const bool any = expand_mask(block.box, v_low.sub(inner), inside);
        if (any && !raw.done()) raw.add(block.box, block.values.sub(inner), inside, block.worker);
        if (any && !before.done()) before.add(block.box, v_low.sub(inner), inside, block.worker);
        if (first) {
          if (auc) agree(block, v_low, *auc, *edges);
          add_masked(v_low.sub(inner), inside, block.worker, &Worker::before);
        }
        input_.to_after(block.box, v_low.sub(inner));
        if (first) {
          add_masked(v_low.sub(inner), inside, block.worker, &Worker::after);
          count_saturated(v_low.sub(inner), block.worker);
        }
        if (any && !after.done()) after.add(block.box, v_low.sub(inner), inside, block.worker);
      });
      for (Medians* medians : {&raw, &before, &after})
        if (!medians->done()) medians->end_pass(input_.raw.merge());
      first = false;
    }
    if (auc) {
      out_.mask_auc = auc->value(input_.raw.merge());
      out_.mask_edge_agreement = edges->value(input_.raw.merge());
    }
    out_.profile_cv_raw = profile_cv(raw, shape_);
    out_.profile_cv_before = profile_cv(before, shape_);
    out_.profile_cv_after = profile_cv(after, shape_);
    finish_sums();
    measure_foreground(before, after);
  }

  /// Whether the mask belongs to the level.
  void agree(const LevelBlock& block, BlockView<const float> v_low, BrightnessAuc& auc,
             EdgeAgreement& edges) const {
    constexpr std::array<double, 3> kSigma{kAgreementSigma, kAgreementSigma, kAgreementSigma};
    const Box3 inner = block.inner();
    const BlockView<float> smoothed = block.spare[1];
    copy_block<float>(v_low, smoothed);
    numerics::gaussian_filter_block(smoothed, inner, kSigma);
    auc.add(block.box, v_low.sub(inner), smoothed.sub(inner), block.worker);
    constexpr std::int64_t kReach = EdgeAgreement::kReach;
    const Box3 reached = intersect({inner.origin, inner.shape + Extent3{kReach, kReach, kReach}},
                                   {{0, 0, 0}, block.seen.shape});
    // Most boxes lie inside or outside as a whole.
    const std::int64_t in_mask = input_.mask->sub({block.box.origin, reached.shape}).count();
    if (in_mask == 0 || in_mask == reached.shape.volume()) return;
    copy_block<float>(block.values, smoothed);
    numerics::gaussian_filter_block(smoothed, reached, kSigma);
    edges.add(block.box, {block.box.origin, reached.shape}, v_low.sub(reached), smoothed.sub(reached),
              block.worker);
  }

  void add_masked(BlockView<const float> values, BlockView<const std::uint8_t> inside, int worker,
                  numerics::ExactMoments Worker::*moments) {
    Worker& mine = worker_[static_cast<std::size_t>(worker)];
    for (std::int64_t z = 0; z < values.shape.z; ++z)
      for (std::int64_t y = 0; y < values.shape.y; ++y) {
        mine.row.clear();
        for (std::int64_t x = 0; x < values.shape.x; ++x)
          if (inside.row(z, y)[x] != 0) mine.row.push_back(values.row(z, y)[x]);
        (mine.*moments).add(mine.row);
      }
  }

  void count_saturated(BlockView<const float> after, int worker) {
    for (std::int64_t z = 0; z < after.shape.z; ++z)
      for (std::int64_t y = 0; y < after.shape.y; ++y)
        worker_[static_cast<std::size_t>(worker)].saturated +=
            std::count_if(after.row(z, y), after.row(z, y) + after.shape.x,
                          [](float v) { return v >= kSaturated; });
  }

  /// Makes sums over this process's part of the level those over all of it.
  void merge_sums(std::initializer_list<numerics::ExactMoments*> moments, std::int64_t& count) const {
    for (numerics::ExactMoments* part : moments)
      numerics::ExactMoments::merge(std::span(part, 1), input_.raw.merge());
    input_.raw.merge().sum(std::span(&count, 1));
  }

  void finish_sums() {
    Worker all;
    for (const Worker& part : worker_) {
      all.before.add(part.before);
      all.after.add(part.after);
      all.saturated += part.saturated;
    }
    merge_sums({&all.before, &all.after}, all.saturated);
    out_.saturated_fraction = static_cast<double>(all.saturated) / static_cast<double>(shape_.volume());
    if (all.before.count() == 0) return;
    before_.foreground = all.before.moments();
    if (const double ratio = mask_factor(input_.correction); ratio > 0.0)
      after_.foreground = divided(all.after.moments(), ratio);
  }

  void measure_foreground(const Medians& before, const Medians& after) {
    if (before.overall(0).total == 0) return;
    out_.foreground_median.before = before.overall(0).median();
    out_.foreground_median.after = after.overall(0).median();
    const double lo = before.overall(1).linear();
    const double hi = before.overall(2).linear();
    const double scale = *out_.foreground_median.after / *out_.foreground_median.before;
    const bool scales = std::isfinite(scale) && scale > 0.0;
    using Histograms = std::array<Histogram, 2>;  // before and after
    const Histograms empty{Histogram(lo, hi), scales ? Histogram(lo * scale, hi * scale) : Histogram(0.0, 0.0)};
    std::vector<Histograms> parts(static_cast<std::size_t>(workers_), empty);
    input_.raw.visit({}, [&](const LevelBlock& block) {
      Histograms& mine = parts[static_cast<std::size_t>(block.worker)];
      input_.to_before(block.box, block.values);
      const BlockView<std::uint8_t> inside = mask_memory(block);
      if (!expand_mask(block.box, block.values, inside)) return;
      const auto add = [&](Histogram& to) {
        std::size_t i = 0;
        for (const float v : block.values.span())
          if (inside.data[i++] != 0) to.add(v);
      };
      add(mine[0]);
      if (!scales) return;
      input_.to_after(block.box, block.values);
      add(mine[1]);
    });
    for (std::size_t i = 1; i < parts.size(); ++i)
      for (std::size_t k = 0; k < 2; ++k) parts[0][k].add(parts[i][k]);
    for (Histogram& histogram : parts[0]) histogram.merge(input_.raw.merge());
    out_.entropy.before = parts[0][0].differential_entropy();
    if (!scales) return;
    out_.entropy.after = parts[0][1].differential_entropy();
    if (out_.entropy.after) *out_.entropy.after -= std::log(scale);
  }

  static constexpr float kMost = 65536.0F;
  static constexpr float kTypicalMost = 1024.0F;

  const QualityInput& input_;
  const Extent3 shape_;
  const int workers_;
  ChangedStream before_stream_;
  QualityInput::Change to_after_both_;
  ChangedStream after_stream_;
  std::optional<double> bright_;  ///< values above it are foreground; none = all are
  std::vector<Worker> worker_;
  JointMoments before_;
  JointMoments after_;
  QualityNumbers out_;
};

void measure_curves(const AxisCurves& curves, const std::optional<AxisFit>& fit,
                    QualityNumbers& out) {
  out.global_ratio = double{curves.ratio};
  double least = std::numeric_limits<double>::infinity();
  double most = 0.0;
  const std::array<const std::vector<float>*, 3> all{&curves.z, &curves.y, &curves.x};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::vector<float>& curve = *all[axis];
    if (curve.empty()) continue;
    const auto [smallest, largest] = std::minmax_element(curve.begin(), curve.end());
    least = std::min(least, 1.0 / double{*largest});
    most = std::max(most, 1.0 / double{*smallest});
    if (!fit || !fit->axes[axis].limits) continue;
    const auto lo = static_cast<float>(fit->axes[axis].limits->lo);
    const auto hi = static_cast<float>(fit->axes[axis].limits->hi);
    const auto clipped =
        std::count_if(curve.begin(), curve.end(), [&](float c) { return c == lo || c == hi; });
    out.axis_at_limits[axis] = static_cast<double>(clipped) / static_cast<double>(curve.size());
  }
  if (most == 0.0) return;
  out.axis_gain_min = least;
  out.axis_gain_max = most;
}

void measure_flatfield(const Block<float>& flatfield, QualityNumbers& out) {
  const FlatNumbers flat = flat_numbers(flatfield);
  out.flat_std = flat.deviation;
  out.flat_span = flat.span;
  out.flat_min = flat.least;
}

}  // namespace

FlatNumbers flat_numbers(const Block<float>& flatfield) {
  const numerics::Moments moments = numerics::moments(flatfield.span());
  const auto [least, most] = std::minmax_element(flatfield.span().begin(), flatfield.span().end());
  return {moments.deviation / moments.mean, (double{*most} - double{*least}) / moments.mean,
          double{*least} / moments.mean};
}

AxisNumbers profile_cv(const AxisPercentiles<numerics::RankCounts>& medians, const Extent3& shape) {
  AxisNumbers cv;
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<float> found;
    for (std::int64_t i = 0; i < shape[axis]; ++i)
      if (const RankResult median = medians.plane(axis, i); median.total > 0) found.push_back(median.median());
    if (found.empty()) continue;
    const numerics::Moments moments = numerics::moments(found);
    if (moments.mean != 0.0)
      cv[static_cast<std::size_t>(axis)] = 100.0 * moments.deviation / moments.mean;
  }
  return cv;
}

std::optional<double> share_in_mask(const std::vector<std::int64_t>& planes,
                                    BitView mask) {
  const Extent3 plane{1, mask.shape.y, mask.shape.x};
  if (planes.empty() || plane.empty()) return std::nullopt;
  std::int64_t inside = 0;
  for (const std::int64_t z : planes) inside += mask.sub({{z, 0, 0}, plane}).count();
  return static_cast<double>(inside) /
         static_cast<double>(static_cast<std::int64_t>(planes.size()) * plane.volume());
}

LevelPass quality_pass(bool with_mask) {
  if (!with_mask) return {{}, 1, {}};
  constexpr std::int64_t kHalo = EdgeAgreement::kReach + 4;  // and the Gaussian of sigma 1
  return {{kHalo, kHalo, kHalo}, 2, {}};
}

std::int64_t least_quality_bytes(const Extent3& shape, int workers) {
  return 3 * AxisPercentiles<numerics::RankCounts>::least_bytes(shape, workers);
}

QualityNumbers measure_quality(const QualityInput& input) {
  if (input.mask && input.mask->shape != input.raw.shape())
    throw Error(ErrorCode::kInternal, "measure_quality: a mask of another shape");
  if (input.raw.shape().empty()) return {};
  QualityNumbers out = Measurement(input).measure();
  const Correction& correction = input.correction;
  if (correction.background) measure_background(*correction.background, out);
  if (correction.curves) measure_curves(*correction.curves, input.fit, out);
  if (correction.image) measure_flatfield(correction.image->flatfield, out);
  return out;
}

}  // namespace flatfield::methods
