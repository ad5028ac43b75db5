#include "flatfield/methods/quality.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <span>
#include <utility>

#include "flatfield/core/error.h"
#include "flatfield/methods/correction_numbers.h"
#include "flatfield/methods/entropies.h"
#include "flatfield/methods/joint_variation.h"
#include "flatfield/methods/mask_agreement.h"
#include "flatfield/methods/stream_percentiles.h"
#include "flatfield/numerics/exact_moments.h"

namespace flatfield::methods {
namespace {

constexpr float kSaturated = 65535.0F;
constexpr double kBrightPercentile = 99.9;

/// What the voxels inside the mask, and only they, were multiplied with besides the curves.
float mask_factor(const Correction& correction) {
  return correction.curves ? correction.curves->ratio : 1.0F;
}

/// The measurement, pass by pass.
class Measurement {
 public:
  explicit Measurement(const QualityInput& input)
      : input_(input),
        shape_(input.raw.shape()),
        workers_(input.raw.workers()),
        is_sampled_(shape_.volume() > input.sample_voxels),
        before_stream_(input.raw, input.to_before),
        worker_(static_cast<std::size_t>(workers_)) {}

  QualityNumbers measure() {
    choose_mask();
    measure_dark_planes();
    measure_agreement();
    measure_level();
    out_.cjv = {before_.coefficient(), after_.coefficient()};
    return out_;
  }

 private:
  using Medians = AxisPercentiles<numerics::RankCounts>;

  /// What one worker adds up.
  struct Worker {
    std::vector<std::uint8_t> inside;
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
    return std::memchr(all.data(), 1, all.size()) != nullptr;
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
    StreamPercentiles before({50.0}, {kTypicalMost, 0.0F, input_.before_grid}, input_.bytes / 2);
    StreamPercentiles after({50.0}, {kTypicalMost}, input_.bytes / 2);
    bool first = true;
    while (!before.done() || !after.done()) {
      before_stream_.visit({{}, 0, plane_ranges(planes)}, [&](const LevelBlock& block) {
        Part& mine = parts[static_cast<std::size_t>(block.worker)];
        const std::span<const float> values = block.values.span();
        const BlockView<std::uint8_t> inside = mask_memory(block);
        if (!before.done()) before.add(block.values);
        if (first) {
          expand_mask(block.box, block.values, inside);
          mine.zeroed += std::count(values.begin(), values.end(), 0.0F);
          mine.before.add(values);
        }
        input_.to_after(block.box, block.values);
        if (!after.done()) after.add(block.values);
        if (first) {
          mine.after_inside.add_where(values, inside.span());
          for (std::uint8_t& in : inside.span()) in ^= 1U;
          mine.after_outside.add_where(values, inside.span());
        }
      });
      for (StreamPercentiles* medians : {&before, &after})
        if (!medians->done()) medians->end_pass(input_.raw.merge());
      first = false;
    }
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
    out_.background_median.before = before.results().front().median();
    out_.background_median.after = after.results().front().median();
    const double ratio = mask_factor(input_.correction);
    if (!(ratio > 0.0)) return;
    const numerics::Moments none;
    after_.background = together(
        all.after_inside.count(),
        all.after_inside.count() > 0 ? divided(all.after_inside.moments(), ratio) : none,
        all.after_outside.count(), all.after_outside.count() > 0 ? all.after_outside.moments() : none);
  }

  [[nodiscard]] Medians medians_of(const numerics::RankRange& range, std::vector<double> overall,
                                   std::int64_t bytes) const {
    return Medians({shape_, 50.0, std::move(overall), range, workers_, bytes});
  }

  /// Those inside the mask, from the percentiles before and the sums of the first pass.
  [[nodiscard]] Entropies entropies_of(const Medians& before) const {
    if (before.overall(0).total == 0) return {};
    return {before.overall(1).linear(), before.overall(2).linear(), foreground_mean_after_ / before_.foreground->mean,
            workers_};
  }

  /// The same of some slabs of the level, measured.
  [[nodiscard]] Entropies sampled_entropies(const Medians& before) {
    Entropies entropies = entropies_of(before);
    before_stream_.visit({{}, 0, sample_planes(shape_, input_.sample_voxels)}, [&](const LevelBlock& block) {
      const BlockView<std::uint8_t> inside = mask_memory(block);
      if (!expand_mask(block.box, block.values, inside)) return;
      entropies.add_before(block.values.span(), inside.span(), block.worker);
      input_.to_after(block.box, block.values);
      entropies.add_after(block.values.span(), inside.span(), block.worker);
    });
    return entropies;
  }

  /// Whether the mask belongs to the level.
  void measure_agreement() {
    if (!input_.mask) return;
    const MaskAgreement agreement = measure_mask_agreement(input_.raw, input_.to_before, *input_.mask,
                                                           sample_planes(shape_, input_.sample_voxels));
    out_.mask_auc = agreement.auc;
    out_.mask_edge_agreement = agreement.edges;
  }

  void measure_level() {
    // Medians lie around g, and after the correction around its ratio to it; where there is none, anywhere.
    const auto g = input_.fit ? static_cast<float>(input_.fit->g) : 0.0F;
    const float g_after = g * mask_factor(input_.correction);
    const auto range = [](float least, float most, float grid) {
      return numerics::RankRange{most > 0.0F ? std::min(most, kMost) : kMostUnknown, least, grid};
    };
    const float background_most =
        input_.correction.background
            ? *std::max_element(input_.correction.background->span().begin(),
                                input_.correction.background->span().end())
            : 0.0F;
    const bool rounds = is_sampled_ && g_after > 0.0F;
    // Those after are on no grid, unless they are rounded, and need the finest bins.
    Medians raw = medians_of(range(0.0F, g > 0.0F ? 3.0F * g + background_most : 0.0F, input_.raw_grid), {},
                             input_.bytes / 6);
    Medians before =
        medians_of(range(0.0F, 3.0F * g, input_.before_grid), {50.0, 1.0, 99.0}, input_.bytes / 6);
    Medians after =
        medians_of(range(0.25F * g_after, 1.75F * g_after, rounds ? 1.0F : 0.0F), {50.0}, input_.bytes * 2 / 3);
    std::optional<Entropies> entropies;

    bool first = true;
    while (!raw.done() || !before.done() || !after.done() || (!is_sampled_ && !entropies)) {
      const bool measures_entropies = !is_sampled_ && before.done() && !entropies;
      if (measures_entropies) entropies = entropies_of(before);
      // The raw values are kept where what is inside is known only from the others.
      const bool keeps_raw = !input_.mask && !raw.done();
      LevelPass pass{{}, keeps_raw ? 1 : 0, {}};
      if (!first && input_.mask) pass.wants = [&](const Box3& box) { return input_.mask->sub(box).any(); };
      input_.raw.visit(pass, [&](const LevelBlock& block) {
        const Box3& box = block.box;
        const BlockView<std::uint8_t> inside = mask_memory(block);
        BlockView<float> v_low = block.values;
        if (keeps_raw) copy_block<float>(block.values, v_low = block.spare[0]);
        bool any = input_.mask && expand_mask(box, v_low, inside);
        if (any && !raw.done()) raw.add(box, block.values, inside, block.worker);
        Worker& mine = worker_[static_cast<std::size_t>(block.worker)];
        for_each_plane(box, v_low, inside, [&](const Box3& plane, BlockView<float> values, BlockView<std::uint8_t> in) {
          if (input_.to_before) input_.to_before(plane, values);
          if (!input_.mask) any = expand_mask(plane, values, in) || any;
          if (first && any) mine.before.add_where(values.span(), in.span());
        });
        if (any && keeps_raw) raw.add(box, block.values, inside, block.worker);
        if (!first && !any) return;
        if (any && !before.done()) before.add(box, v_low, inside, block.worker);
        for_each_plane(box, v_low, inside, [&](const Box3& plane, BlockView<float> values, BlockView<std::uint8_t> in) {
          if (measures_entropies) entropies->add_before(values.span(), in.span(), block.worker);
          input_.to_after(plane, values);
          if (rounds) round_counts(values.span());
          if (first && any) mine.after.add_where(values.span(), in.span());
          if (first) count_saturated(values, mine);
          if (measures_entropies) entropies->add_after(values.span(), in.span(), block.worker);
        });
        if (any && !after.done()) after.add(box, v_low, inside, block.worker);
      });
      for (Medians* medians : {&raw, &before, &after})
        if (!medians->done()) medians->end_pass(input_.raw.merge());
      if (first) finish_sums();
      first = false;
    }
    if (is_sampled_) entropies = sampled_entropies(before);
    out_.profile_cv_raw = profile_cv(raw, shape_);
    out_.profile_cv_before = profile_cv(before, shape_);
    out_.profile_cv_after = profile_cv(after, shape_);
    out_.entropy = entropies->values(input_.raw.merge());
    if (before.overall(0).total == 0) return;
    out_.foreground_median.before = before.overall(0).median();
    out_.foreground_median.after = after.overall(0).median();
  }

  /// Rounds as the correction does; the values are clipped.
  static void round_counts(std::span<float> values) {
    constexpr float kWhole = 12582912.0F;  // 1.5 * 2^23: the sum has no places for fractions
    for (float& v : values) v = (v + kWhole) - kWhole;
  }

  /// Of a plane of a box.
  static void count_saturated(BlockView<const float> after, Worker& worker) {
    std::int32_t count = 0;
    for (const float v : after.span()) count += v >= kSaturated ? 1 : 0;
    worker.saturated += count;
  }

  /// Calls visit(box, values, inside) for the planes of a box, one by one: what is done to one of them is done in the
  /// cache.
  template <class Visit>
  static void for_each_plane(const Box3& box, BlockView<float> values, BlockView<std::uint8_t> inside, Visit visit) {
    const Extent3 shape{1, box.shape.y, box.shape.x};
    for (std::int64_t z = 0; z < box.shape.z; ++z) {
      const Box3 plane{{z, 0, 0}, shape};
      visit(Box3{box.origin + plane.origin, shape}, values.sub(plane), inside.sub(plane));
    }
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
    foreground_mean_after_ = all.after.moments().mean;
    if (const double ratio = mask_factor(input_.correction); ratio > 0.0)
      after_.foreground = divided(all.after.moments(), ratio);
  }

  static constexpr float kMost = 65536.0F;
  /// Where nothing is known: bins of a few counts, fine enough for a dim tile. What is brighter takes more passes.
  static constexpr float kMostUnknown = 4096.0F;
  static constexpr float kTypicalMost = 1024.0F;

  const QualityInput& input_;
  const Extent3 shape_;
  const int workers_;
  const bool is_sampled_;  ///< QualityInput::sample_voxels
  ChangedStream before_stream_;
  std::optional<double> bright_;  ///< values above it are foreground; none = all are
  std::vector<Worker> worker_;
  JointVariation before_;
  JointVariation after_;
  double foreground_mean_after_ = 0.0;
  QualityNumbers out_;
};

}  // namespace

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
  return with_mask ? agreement_pass() : LevelPass{{}, 1, {}};
}

std::vector<PlaneRange> sample_planes(const Extent3& shape, std::int64_t most_voxels) {
  constexpr std::int64_t kSlab = 8;
  if (shape.volume() <= most_voxels || shape.z <= kSlab) return {{0, shape.z}};
  const std::int64_t slabs = std::max<std::int64_t>(most_voxels / (kSlab * shape.y * shape.x), 1);
  std::vector<PlaneRange> planes;
  // The middle of each of as many equal parts; parts are longer than a slab.
  for (std::int64_t i = 0; i < slabs; ++i) {
    const std::int64_t first = (2 * i + 1) * shape.z / (2 * slabs) - kSlab / 2;
    planes.push_back({first, first + kSlab});
  }
  return planes;
}

std::int64_t least_quality_bytes(const Extent3& shape, int workers) {
  // Of a search that gets more than its share, and of two that get no less than they need.
  return 4 * AxisPercentiles<numerics::RankCounts>::least_bytes(shape, workers);
}

QualityNumbers measure_quality(const QualityInput& input) {
  if (input.mask && input.mask->shape != input.raw.shape())
    throw Error(ErrorCode::kInternal, "measure_quality: a mask of another shape");
  if (input.raw.shape().empty()) return {};
  QualityNumbers out = Measurement(input).measure();
  measure_correction(input.correction, input.fit, out);
  return out;
}

}  // namespace flatfield::methods
