#include "flatfield/pipeline/learn_basic.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "flatfield/core/error.h"
#include "flatfield/methods/basic.h"
#include "flatfield/methods/basic_autotune.h"
#include "flatfield/methods/working_stack.h"
#include "flatfield/numerics/spline_resize.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kMaskedFrames = 100;

/// Calls copy(z, y, out) for the rows of some planes.
template <class CopyRow>
Block<float> gather(const Extent3& shape, const std::vector<std::int64_t>& planes, CopyRow copy) {
  Block<float> out({static_cast<std::int64_t>(planes.size()), shape.y, shape.x});
  for (std::size_t i = 0; i < planes.size(); ++i)
    for (std::int64_t y = 0; y < shape.y; ++y)
      copy(planes[i], y, out.view().row(static_cast<std::int64_t>(i), y));
  return out;
}

/// The tile's mask at the estimation level; none if it has no mask with anything in it.
std::optional<BitVolume> mask_at(const VolumeRequest& request, const Extent3& shape, RunContext& context, Learned& learned) {
  if (!context.masks) return std::nullopt;
  std::optional<BitVolume> mask = context.masks->raw_mask(request.name, shape);
  if (!mask) {
    note_warning(learned, "there is no mask for " + request.name + ": BaSiC is fitted without weights", context.log);
    return std::nullopt;
  }
  if (mask->view().any()) return mask;
  note_warning(learned, "the mask of " + request.name + " is empty: BaSiC is fitted without weights", context.log);
  return std::nullopt;
}

/// Hands the mask, which the first process has, to all, and clears it where v_low is 0, as that of the fitting method.
void complete_mask(std::optional<BitVolume>& mask, EstimationLevel& level, execution::ProcessGroup& processes) {
  if (!processes.ask_first([&] { return mask.has_value(); })) return;
  if (!mask) mask.emplace(level.shape());
  processes.broadcast(std::as_writable_bytes(mask->words()));
  const BitView seen = mask->view();
  const auto wants = [&](const Box3& box) { return seen.sub(box).any(); };
  // Boxes begin at words of the mask, so no two visits write to the same one.
  level.v_low().visit({{}, 0, {}, wants}, [&](const methods::LevelBlock& block) {
    mask->clear_where_zero(block.box.origin, block.values);
  });
  level.v_low().merge().common(mask->words());
}

}  // namespace

std::int64_t count_not_positive(const Block<float>& plane) {
  return std::count_if(plane.span().begin(), plane.span().end(), [](float v) { return !(v > 0.0F); });
}

Block<float> gather_planes(methods::LevelStream& level, const std::vector<std::int64_t>& planes) {
  Block<float> out({static_cast<std::int64_t>(planes.size()), level.shape().y, level.shape().x}, 0.0F);
  level.visit({{}, 0, methods::plane_ranges(planes)}, [&](const methods::LevelBlock& block) {
    for (std::int64_t z = 0; z < block.box.shape.z; ++z) {
      const auto place = std::lower_bound(planes.begin(), planes.end(), block.box.origin.z + z) - planes.begin();
      const Box3 to{{place, block.box.origin.y, block.box.origin.x}, {1, block.box.shape.y, block.box.shape.x}};
      copy_block<float>(block.values.sub({{z, 0, 0}, to.shape}), out.view().sub(to));
    }
  });
  level.merge().unite(std::as_writable_bytes(out.span()));
  return out;
}

Block<float> gather_planes(BitView mask, const std::vector<std::int64_t>& planes) {
  return gather(mask.shape, planes, [&](std::int64_t z, std::int64_t y, float* out) {
    const BitRow row = mask.row(z, y);
    for (std::int64_t x = 0; x < mask.shape.x; ++x) out[x] = row[x] ? 1.0F : 0.0F;
  });
}

std::vector<std::int64_t> evenly_spaced_planes(std::int64_t planes, std::int64_t max_frames) {
  const std::int64_t count = std::min(planes, max_frames);
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(count));
  // The middles of `count` equal parts.
  for (std::int64_t i = 0; i < count; ++i)
    chosen[static_cast<std::size_t>(i)] = (2 * i + 1) * planes / (2 * count);
  return chosen;
}

std::vector<std::int64_t> planes_of_largest_mask(BitView mask) {
  std::vector<std::int64_t> area(static_cast<std::size_t>(mask.shape.z));
  for (std::int64_t z = 0; z < mask.shape.z; ++z)
    area[static_cast<std::size_t>(z)] = mask.sub({{z, 0, 0}, {1, mask.shape.y, mask.shape.x}}).count();
  std::vector<std::int64_t> planes(area.size());
  std::iota(planes.begin(), planes.end(), 0);
  std::stable_sort(planes.begin(), planes.end(), [&](std::int64_t a, std::int64_t b) {
    return area[static_cast<std::size_t>(a)] > area[static_cast<std::size_t>(b)];
  });
  planes.resize(std::min<std::size_t>(planes.size(), kMaskedFrames));
  std::sort(planes.begin(), planes.end());
  return planes;
}

std::int64_t basic_fit_bytes(const Extent3& level, const config::BasicConfig& options, bool masked) {
  constexpr std::int64_t kFloat = sizeof(float);
  constexpr std::int64_t kPixelBytes = 20 * static_cast<std::int64_t>(sizeof(double));
  const std::int64_t frames = std::min(level.z, masked ? kMaskedFrames : options.max_frames);
  const Extent3 working = methods::working_shape({1, level.y, level.x}, options);
  // Images, and with a mask weights, at the level's size; four stacks to work on, and one of weights.
  return frames * kFloat * ((masked ? 2 : 1) * level.y * level.x + (masked || options.autosegment ? 5 : 4) * working.volume()) +
         kPixelBytes * working.volume();
}

namespace {

/// The fit, with the mask as its weights where the first process has one.
void fit_level(const std::optional<BitVolume>& mask, EstimationLevel& level, RunContext& context, Learned& learned) {
  const ParallelFor parallel_for = context.pool.as_parallel_for();
  config::BasicConfig options = context.config.basic;
  // Of processes that do a run together the first does the fit; all read the frames.
  execution::ProcessGroup& processes = context.processes;
  LearnedBasic basic;
  processes.first_only([&] {
    basic.planes = mask ? planes_of_largest_mask(mask->view())
                        : evenly_spaced_planes(level.shape().z, options.max_frames);
  });
  processes.broadcast(basic.planes);
  context.log.info(fmt::format("BaSiC frames: {} of {} planes{}", basic.planes.size(), level.shape().z,
                               mask ? ", weighted by the mask" : ""));
  const auto held =
      context.memory.reserve("BaSiC", basic_fit_bytes(level.shape(), options, mask.has_value()));
  const Block<float> images = gather_planes(level.v_low(), basic.planes);
  const methods::FrameStack frames(images.view());
  std::optional<Block<float>> weights;
  if (mask) weights = gather_planes(mask->view(), basic.planes);
  const auto weight_frames = weights ? std::optional(methods::FrameStack(std::as_const(*weights).view())) : std::nullopt;

  const auto fall_back = [&](const std::string& reason) {
    note_warning(learned, reason + ": background subtraction only", context.log);
    learned.fallback = reason;
  };
  methods::BasicFit fit;
  const auto fit_frames = [&] {
    if (options.autotune) {
      // Unweighted, as the program that this one takes over from does it.
      const methods::BasicAutotune tuned =
          methods::autotune_basic(frames, std::nullopt, options, {}, parallel_for);
      options.smoothness_flatfield = tuned.best.flatfield;
      options.smoothness_darkfield = tuned.best.darkfield;
      options.sparse_cost_darkfield = tuned.best.sparse_cost_darkfield;
      context.log.info(fmt::format("BaSiC autotune: smoothness_flatfield {}", options.smoothness_flatfield));
    }
    const auto output = context.config.save_outputs ? methods::BasicOutput::kFieldsAndBaseline
                                                    : methods::BasicOutput::kFields;
    fit = methods::fit_basic(frames, weight_frames, options, output, parallel_for);
  };
  try {
    processes.first_only(fit_frames);
  } catch (const Error& error) {
    // What the data do not hold is no failure of the run; what was asked wrongly is.
    if (error.code() != ErrorCode::kBadInput) throw;
    return fall_back(error.message());
  }
  processes.broadcast(fit.flatfield);
  processes.broadcast(fit.darkfield);
  for (const std::string& warning : fit.warnings) note_warning(learned, warning, context.log);

  const Extent3& shape = learned.correction.shape;
  methods::ImageFlatfield image;
  image.flatfield = numerics::resize_plane(fit.flatfield.view(), shape.y, shape.x, parallel_for);
  if (options.get_darkfield)
    image.darkfield = numerics::resize_plane(fit.darkfield.view(), shape.y, shape.x, parallel_for);
  if (const std::int64_t bad = count_not_positive(image.flatfield); bad > 0)
    return fall_back(fmt::format("{} of {} pixels of the BaSiC flatfield are not greater than 0", bad,
                                 image.flatfield.size()));
  const auto [least, most] = std::minmax_element(image.flatfield.span().begin(), image.flatfield.span().end());
  context.log.info(fmt::format("BaSiC flatfield: {:.4f}..{:.4f}, {} solves, {}", *least, *most, fit.solves.size(),
                               fit.reweight_converged ? "converged" : "not converged"));
  basic.converged = fit.reweight_converged;
  for (const methods::BasicSolve& solve : fit.solves) basic.iterations.push_back(solve.iterations);
  basic.baseline = std::move(fit.baseline);
  learned.basic = std::move(basic);
  learned.correction.image = std::move(image);
}

}  // namespace

BasicMask learn_basic(const VolumeRequest& request, EstimationLevel& level, RunContext& context, Learned& learned) {
  BasicMask mask;
  if (context.masks) mask.held = context.memory.reserve("mask", BitVolume::bytes_of(level.shape()));
  context.processes.first_only([&] { mask.bits = mask_at(request, level.shape(), context, learned); });
  fit_level(mask.bits, level, context, learned);
  complete_mask(mask.bits, level, context.processes);
  return mask;
}

}  // namespace flatfield::pipeline
