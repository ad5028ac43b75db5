#include "flatfield/pipeline/estimation_level.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "flatfield/core/error.h"
#include "flatfield/methods/axis_percentiles.h"
#include "flatfield/methods/quality.h"
#include "flatfield/numerics/gaussian_block.h"
#include "flatfield/pipeline/background_median.h"
#include "flatfield/pipeline/foreground_weights.h"
#include "flatfield/pipeline/learn_basic.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

/// Whether quality may be measured inside a mask.
bool has_mask(const LearnFacts& facts) {
  const config::RunConfig& config = facts.config;
  return facts.fits || (!config.skip_flat_field && config.method == "basicpy" && !config.mask_dir.empty());
}

/// The passes that hold most: of the background's Gaussian, the fit's, and the quality's.
std::vector<methods::LevelPass> widest_passes(const LearnFacts& facts) {
  std::vector<methods::LevelPass> passes;
  const auto gaussian = [&](double sigma, int spare) {
    passes.push_back({numerics::gaussian_reach({sigma, sigma, sigma}), spare, {}});
  };
  gaussian(facts.config.background_smoothing_sigma, 0);
  if (facts.fits) {
    const bool weighted = facts.config.fitting.enable_gmm_refinement;
    gaussian(facts.config.fitting.gaussian_sigma, weighted ? 1 : 0);
    if (weighted) gaussian(facts.config.fitting.probability_smooth_sigma, 1);
  }
  passes.push_back(methods::quality_pass(has_mask(facts)));
  return passes;
}

StreamRequest request_of(const LearnFacts& facts, const methods::LevelPass& pass) {
  return {facts.shape, facts.chunk, facts.voxel_bytes, pass.halo, 1 + pass.spare_volumes, facts.workers,
          facts.reading_bytes};
}

/// Of the background, the flatfield and the darkfield at the size of the level, where that is another one.
std::int64_t plane_bytes(const LearnFacts& facts) {
  if (facts.is_target()) return 0;
  const bool divides = !facts.config.skip_flat_field && facts.config.method != "fitting";
  return (divides ? 3 : 1) * facts.shape.y * facts.shape.x * static_cast<std::int64_t>(sizeof(float));
}

std::int64_t least_search_bytes(const LearnFacts& facts) {
  const std::int64_t least = methods::least_quality_bytes(facts.shape, facts.workers);
  if (!facts.fits || !facts.config.fitting.enable_gmm_refinement) return least;
  // Weights take more room than counts. Half of what is kept here is that of the workers (worker_bytes).
  return std::max(least, 2 * methods::AxisPercentiles<numerics::RankWeights>::least_bytes(facts.shape, facts.workers));
}

/// Of what searches have, that of their workers.
std::int64_t worker_bytes(const LearnFacts& facts) { return least_search_bytes(facts) / 2; }

/// Beyond this searches are hardly done in fewer passes: 1024 bins for two of quality's three searches, and 4096 for the
/// third, which has four of the six shares.
std::int64_t most_search_bytes(const LearnFacts& facts) {
  constexpr std::int64_t kMost = 512 * kMebibyte;
  constexpr std::int64_t kShares = 6;
  constexpr std::int64_t kLineBytes = 1024 * std::int64_t{sizeof(std::uint32_t)};
  const std::int64_t lines = facts.shape.z + facts.shape.y + facts.shape.x;
  return std::max(least_search_bytes(facts), std::min(kMost, worker_bytes(facts) + kShares * kLineBytes * lines));
}

/// What passes over a level need that is in memory, at their most: it is read before the first visit of its boxes.
std::int64_t resident_pass_bytes(const LearnFacts& facts) {
  std::int64_t most = facts.workers * facts.reading_bytes;
  for (const methods::LevelPass& pass : widest_passes(facts))
    if (const auto geometry = resident_geometry(request_of(facts, pass), std::int64_t{1} << 40))
      most = std::max(most, geometry->bytes);
  return most;
}

/// What each pass needs, by what `needs` says of its request.
std::int64_t most_of_passes(const LearnFacts& facts, std::int64_t (*needs)(const StreamRequest&)) {
  std::int64_t most = 0;
  for (const methods::LevelPass& pass : widest_passes(facts)) most = std::max(most, needs(request_of(facts, pass)));
  return most;
}

/// What is reserved while the level is there, by those who fit something to it.
std::int64_t beside_bytes(const LearnFacts& facts) {
  const config::RunConfig& config = facts.config;
  if (!config.skip_flat_field && config.method == "basicpy")
    return config.mask_dir.empty() ? basic_fit_bytes(facts.shape, config.basic, false)
                                   : BitVolume::bytes_of(facts.shape) +
                                         std::max(facts.mask_file_bytes, basic_fit_bytes(facts.shape, config.basic, true));
  const bool mixes = facts.fits && config.fitting.enable_gmm_refinement &&
                     config.fitting.probability_model == methods::ProbabilityModel::kGaussianMixture;
  return mixes ? facts.earlier_weight_bytes + mixture_bytes(facts.shape, config.fitting, facts.workers) : 0;
}

/// Low-resolution statistics are exact. A level that is corrected itself may be a thousand times larger.
std::int64_t most_sample_voxels(const LearnFacts& facts) {
  return facts.is_target() ? methods::kFullSizeSampleVoxels : std::numeric_limits<std::int64_t>::max();
}

int pass_count(const LearnFacts& facts) {
  const config::RunConfig& config = facts.config;
  if (config.skip_flat_field) return 1;  // the planes of lowest deviation
  int passes = config.skip_bkg_sub || config.use_reference_bkg ? 0 : 1;
  // Quality: counts, medians, and entropies with them where the values lie on a grid; mask agreement of all planes.
  const bool is_sampled = facts.shape.volume() > most_sample_voxels(facts);
  passes += is_sampled ? 1 : facts.is_target() ? 2 : 3;
  if (has_mask(facts) && methods::sample_planes(facts.shape, most_sample_voxels(facts)).front().last == facts.shape.z) ++passes;
  if (!facts.fits) return passes + (has_mask(facts) ? 1 : 0);  // what is 0 leaves the mask of BaSiC
  const bool weighted = config.fitting.enable_gmm_refinement;
  return passes + (weighted ? 5 : 3);  // mask and g (weighted: two), profiles: counts and medians (weighted: three)
}

/// Part of the limit that a coarse level may take for speed.
constexpr std::int64_t kPartOfLimit = 8;

/// Whether reading the level in every pass is hardly more than reading it once.
bool is_coarse(const LearnFacts& facts, int passes) {
  constexpr std::int64_t kMostOfTarget = 50;
  return passes * facts.shape.volume() * kMostOfTarget <= facts.target.volume();
}

}  // namespace

LearnPlan plan_learning(const LearnFacts& facts, std::int64_t free_bytes) {
  LearnPlan plan;
  plan.beside_bytes = beside_bytes(facts);
  plan.passes = pass_count(facts);
  const std::int64_t level_bytes = facts.shape.volume() * facts.voxel_bytes;
  const std::int64_t always = least_search_bytes(facts) + plane_bytes(facts);
  const std::int64_t if_resident = always + level_bytes + resident_pass_bytes(facts);
  const std::int64_t lent = level_bytes + std::max(facts.median_bytes, facts.fits ? facts.mask_file_bytes : 0);
  plan.least_bytes = std::min(always + most_of_passes(facts, least_stream_bytes), std::max(if_resident, lent));

  const std::int64_t free_for_level = free_bytes - plan.beside_bytes;
  std::int64_t room = free_for_level;
  if (!facts.is_remote && is_coarse(facts, plan.passes))
    room = std::min(room, std::max(facts.limit_bytes / kPartOfLimit - plan.beside_bytes,
                                   always + most_of_passes(facts, thrifty_stream_bytes)));
  const std::int64_t more_search = most_search_bytes(facts) - least_search_bytes(facts);
  plan.resident = if_resident <= room && lent <= free_for_level;
  plan.bytes = plan.resident ? std::min(room, if_resident + more_search) : std::max(room, plan.least_bytes);
  return plan;
}

std::int64_t background_median_bytes(const config::RunConfig& config, const zarr::ArrayMetadata& target, int workers,
                                     bool is_remote, double stored_share) {
  if (config.skip_bkg_sub || config.use_reference_bkg) return 0;
  return least_median_bytes(target, workers, is_remote, stored_share);
}

EstimationLevel::EstimationLevel(const ome::Volume& volume, RunContext& context, bool fits, const zarr::ArrayMetadata& target,
                                 const std::string& tile_name, const std::string& location)
    : raw_(volume, context.pool, context.processes, StreamedLevel::Residence::kStreamed, 0) {
  const bool is_remote = storage::is_remote(location);
  const LearnFacts facts{
      .shape = volume.shape(),
      .chunk = volume.chunk_shape(),
      .voxel_bytes = static_cast<std::int64_t>(size_of(volume.dtype())),
      .reading_bytes = chunk_reading_bytes(volume.array().metadata()),
      .workers = context.pool.workers(),
      .config = context.config,
      .fits = fits,
      .target = spatial(target.shape),
      .mask_file_bytes = context.masks ? context.masks->making_bytes(tile_name, volume.shape()) : 0,
      .median_bytes = background_median_bytes(context.config, target, context.pool.workers(), is_remote),
      .earlier_weight_bytes = 0,
      .limit_bytes = context.memory.limit_bytes(),
      .is_remote = is_remote};
  const LearnPlan plan = plan_learning(facts, context.memory.free_bytes());
  held_ = context.memory.reserve("estimation level", plan.bytes);
  all_bytes_ = plan.bytes;
  sample_voxels_ = most_sample_voxels(facts);
  if (plan.resident) {
    kept_bytes_ = facts.shape.volume() * facts.voxel_bytes;
    std::int64_t widest = 0;
    for (const methods::LevelPass& pass : widest_passes(facts)) widest = std::max(widest, pass.halo.y);
    raw_.keep_in_memory(widest);
  }
  const std::int64_t left = plan.bytes - plane_bytes(facts) - kept_bytes_;
  const std::int64_t least = least_search_bytes(facts);
  // Passes come first: what they need, if it can be to decode each chunk once, is not given to searches. With more than
  // that a level that is streamed is read in thicker slabs; one that is kept in memory has no use for it.
  const std::int64_t thrifty_pass = most_of_passes(facts, thrifty_stream_bytes);
  std::int64_t least_pass = thrifty_pass + least <= left ? thrifty_pass : most_of_passes(facts, least_stream_bytes);
  if (plan.resident) least_pass = resident_pass_bytes(facts);
  const std::int64_t share = plan.resident ? left : left * 3 / 8;
  const std::int64_t search = std::clamp(std::min(share, left - least_pass), least, most_search_bytes(facts));
  raw_.set_pass_bytes(left - search);
  search_bytes_ = search - worker_bytes(facts);
  // Processes that search together must do so in the same way.
  context.processes.least(std::span(&search_bytes_, 1));
  context.log.info(plan.resident
                       ? fmt::format("the estimation level is kept in memory ({} MiB)",
                                     facts.shape.volume() * facts.voxel_bytes / kMebibyte)
                       : fmt::format("the estimation level is streamed: about {} passes with {} MiB",
                                     plan.passes, left / kMebibyte));
}

void EstimationLevel::lend(RunContext& context) {
  held_ = {};
  held_ = context.memory.reserve("estimation level", kept_bytes_);
}

void EstimationLevel::take_back(RunContext& context) {
  held_ = {};
  held_ = context.memory.reserve("estimation level", all_bytes_);
}

void EstimationLevel::subtract(const methods::Correction& correction, const ParallelFor& parallel_for) {
  if (correction.background) {
    plane_.emplace(correction.background->view(), shape().y, shape().x, parallel_for);
    background_ = plane_->view();
  }
  v_low_.emplace(raw_, methods::subtraction_of(background_));
}

}  // namespace flatfield::pipeline
