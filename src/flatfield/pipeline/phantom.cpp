#include "flatfield/pipeline/phantom.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::pipeline {
namespace {

/// Voxels between the random values that the texture is interpolated from.
constexpr std::int64_t kTextureSpacing = 16;
constexpr float kTextureDepth = 0.25F;
/// Half axes of the tissue ellipsoid, in shares of the tile: it reaches beyond the sides of the tile, as a brain
/// does, and leaves planes without tissue at both ends of z.
constexpr double kTissueHalfAxis[3] = {0.42, 0.75, 0.80};
/// Where along an axis the light is strongest, in shares of its length.
constexpr double kBrightest[3] = {0.30, 0.55, 0.42};
constexpr double kVignetting = 0.15;

/// SplitMix64 (Steele, Lea and Flood 2014): a well mixed value per counter.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// Nearly normal, mean 0 and deviation 1: the sum of four uniform 16-bit parts (Irwin-Hall).
float normal_from(std::uint64_t bits) {
  const auto sum = static_cast<std::int32_t>((bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) +
                                             ((bits >> 32) & 0xFFFF) + (bits >> 48));
  constexpr float kScale = 1.7320508F / 65536.0F;
  return static_cast<float>(sum - 131070) * kScale;
}

std::vector<float> illumination_curve(std::int64_t length, double brightest, double loss) {
  std::vector<float> curve(static_cast<std::size_t>(length));
  const double reach = std::max(brightest, 1.0 - brightest);
  for (std::int64_t i = 0; i < length; ++i) {
    const double t = (static_cast<double>(i) + 0.5) / static_cast<double>(length);
    const double distance = (t - brightest) / reach;
    curve[static_cast<std::size_t>(i)] = static_cast<float>(1.0 - loss * distance * distance);
  }
  return curve;
}

}  // namespace

Phantom::Phantom(const config::SynthConfig& config)
    : config_(config), background_({1, config.shape.y, config.shape.x}) {
  for (int axis = 0; axis < 3; ++axis)
    illumination_[axis] = illumination_curve(config.shape[axis], kBrightest[axis], config.illumination);
  const Extent3& shape = config.shape;
  for (std::int64_t y = 0; y < shape.y; ++y)
    for (std::int64_t x = 0; x < shape.x; ++x) {
      const double dy = (static_cast<double>(y) + 0.5) / static_cast<double>(shape.y) - 0.5;
      const double dx = (static_cast<double>(x) + 0.5) / static_cast<double>(shape.x) - 0.5;
      background_.at(0, y, x) = static_cast<float>(
          config.background * (1.0 - kVignetting * 2.0 * (dy * dy + dx * dx) + 0.02 * dx));
    }
}

Phantom::RowExtent Phantom::tissue_row(double z, double y) const {
  const Extent3& shape = config_.shape;
  const double dz = (z / static_cast<double>(shape.z) - 0.5) / kTissueHalfAxis[0];
  const double dy = (y / static_cast<double>(shape.y) - 0.5) / kTissueHalfAxis[1];
  const double left = 1.0 - dz * dz - dy * dy;
  if (left <= 0.0) return {0.0, 0.0};
  const double half = std::sqrt(left) * kTissueHalfAxis[2];
  const auto length = static_cast<double>(shape.x);
  return {(0.5 - half) * length, (0.5 + half) * length};
}

void Phantom::texture_row(std::int64_t z, std::int64_t y, const Box3& box,
                          std::vector<float>& out) const {
  const std::int64_t nodes_y = config_.shape.y / kTextureSpacing + 2;
  const std::int64_t nodes_x = config_.shape.x / kTextureSpacing + 2;
  const auto seed = mixed(static_cast<std::uint64_t>(config_.seed));
  const auto node = [&](std::int64_t nz, std::int64_t ny, std::int64_t nx) {
    const auto counter = static_cast<std::uint64_t>((nz * nodes_y + ny) * nodes_x + nx);
    return static_cast<float>(mixed(seed ^ counter) >> 40) * (2.0F / 16777216.0F) - 1.0F;
  };
  const std::int64_t z0 = z / kTextureSpacing;
  const std::int64_t y0 = y / kTextureSpacing;
  const float tz = static_cast<float>(z % kTextureSpacing) / kTextureSpacing;
  const float ty = static_cast<float>(y % kTextureSpacing) / kTextureSpacing;
  const auto node_column = [&](std::int64_t nx) {
    const float low = node(z0, y0, nx) + ty * (node(z0, y0 + 1, nx) - node(z0, y0, nx));
    const float high = node(z0 + 1, y0, nx) + ty * (node(z0 + 1, y0 + 1, nx) - node(z0 + 1, y0, nx));
    return low + tz * (high - low);
  };
  out.resize(static_cast<std::size_t>(box.shape.x));
  std::int64_t current = -1;
  float left = 0.0F;
  float right = 0.0F;
  for (std::int64_t i = 0; i < box.shape.x; ++i) {
    const std::int64_t x = box.origin.x + i;
    if (x / kTextureSpacing != current) {
      current = x / kTextureSpacing;
      left = node_column(current);
      right = node_column(current + 1);
    }
    const float tx = static_cast<float>(x % kTextureSpacing) / kTextureSpacing;
    out[static_cast<std::size_t>(i)] = 1.0F + kTextureDepth * (left + tx * (right - left));
  }
}

void Phantom::read(const Box3& box, BlockView<std::uint16_t> out, int /*worker*/) {
  const StageScope scope(Stage::kArithmetic);
  const auto noise_seed = mixed(static_cast<std::uint64_t>(config_.seed) + 0x5EED);
  const auto noise = static_cast<float>(config_.noise);
  const auto foreground = static_cast<float>(config_.foreground);
  std::vector<float> texture;
  for (std::int64_t z = 0; z < box.shape.z; ++z)
    for (std::int64_t y = 0; y < box.shape.y; ++y) {
      const std::int64_t vz = box.origin.z + z;
      const std::int64_t vy = box.origin.y + y;
      const RowExtent tissue = tissue_row(static_cast<double>(vz) + 0.5, static_cast<double>(vy) + 0.5);
      texture_row(vz, vy, box, texture);
      const float light = foreground * illumination_[0][static_cast<std::size_t>(vz)] *
                          illumination_[1][static_cast<std::size_t>(vy)];
      const float* background = background_.view().row(0, vy) + box.origin.x;
      const float* light_x = illumination_[2].data() + box.origin.x;
      const auto counter =
          static_cast<std::uint64_t>((vz * config_.shape.y + vy) * config_.shape.x + box.origin.x);
      std::uint16_t* row = out.row(z, y);
      for (std::int64_t x = 0; x < box.shape.x; ++x) {
        const double centre = static_cast<double>(box.origin.x + x) + 0.5;
        const bool inside = centre >= tissue.first && centre < tissue.last;
        const float signal =
            inside ? light * light_x[x] * texture[static_cast<std::size_t>(x)] : 0.0F;
        const float mean = background[x] + signal;
        const float value =
            mean + noise * std::sqrt(mean) *
                       normal_from(mixed(noise_seed ^ (counter + static_cast<std::uint64_t>(x))));
        row[x] = static_cast<std::uint16_t>(std::clamp(value + 0.5F, 0.0F, 65535.0F));
      }
    }
}

Block<std::uint8_t> Phantom::tissue_mask(std::int64_t factor) const {
  Block<std::uint8_t> mask(max(floor_div(config_.shape, factor), {1, 1, 1}));
  const auto centre = [&](std::int64_t i) { return (static_cast<double>(i) + 0.5) * static_cast<double>(factor); };
  for (std::int64_t z = 0; z < mask.shape().z; ++z)
    for (std::int64_t y = 0; y < mask.shape().y; ++y) {
      const RowExtent tissue = tissue_row(centre(z), centre(y));
      for (std::int64_t x = 0; x < mask.shape().x; ++x)
        mask.at(z, y, x) =
            static_cast<std::uint8_t>(centre(x) >= tissue.first && centre(x) < tissue.last);
    }
  return mask;
}

namespace {

/// Segmentation programs work on level 4 of an unbinned tile and level 1 of a binned one.
std::int64_t mask_factor(const config::SynthConfig& config) { return config.is_binned ? 2 : 16; }

/// Throws Error(kMemory) unless there is room for the background beside what is made one after the other: tile and mask.
void require_memory(const config::SynthConfig& config, const OutputPlan& plan, const std::string& tile) {
  const std::int64_t mask_bytes = max(floor_div(config.shape, mask_factor(config)), {1, 1, 1}).volume();
  const StreamMemory stream = stream_memory(plan, 0, config.num_workers, 0);
  const std::int64_t background_bytes = config.shape.y * config.shape.x * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t most = std::max(mask_bytes, stream.workers_bytes + stream.item_bytes) + background_bytes;
  const std::int64_t ceiling = execution::default_memory_ceiling();
  if (most > ceiling)
    throw Error(ErrorCode::kMemory,
                fmt::format("the phantom needs {} MiB of memory, but only {} MiB may be used", most >> 20, ceiling >> 20),
                tile, "choose a smaller --shape, smaller --chunks or fewer --num-workers");
}

}  // namespace

void synthesize(const config::SynthConfig& config) {
  namespace fs = std::filesystem;
  if (config.name != location_name(config.name) || config.name.empty() || config.name == "." ||
      config.name == "..")
    throw Error(ErrorCode::kUsage,
                "--name: expected the name of a folder, found \"" + config.name + "\"", "",
                "name it like tile_000000_ch_488.zarr");
  require_local_folder(config.output, "synth: OUTPUT");
  const std::string tile = join_location(config.output, config.name);
  const auto store = storage::open_store(tile);
  check_place(*store, config.overwrite);
  OutputPlan plan;
  plan.name = config.name;
  plan.volumes = {1, 1};
  plan.shape = config.shape;
  plan.chunk_shape = min(config.chunks, config.shape);
  plan.level_count = std::min(config.n_levels, most_levels(config.shape));
  plan.compressors = {zarr::Compressor{"blosc", 1}};
  // Voxel sizes of the microscope: 1.0 x 0.748 x 0.748 micrometers, 8 times larger if binned.
  const double binning = config.is_binned ? 8.0 : 1.0;
  plan.scale = {1.0, 1.0, 1.0 * binning, 0.748 * binning, 0.748 * binning};
  plan.translation = {0.0, 0.0, 0.0, 0.0, 0.0};
  plan.reducer = {numerics::WindowReducer::Kind::kMean, 0};
  // Before what is there is removed.
  require_memory(config, plan, tile);
  Phantom phantom(config);
  clear_place(*store);
  const std::string masks = join_location(config.output, "masks");
  std::error_code error;
  fs::create_directories(masks, error);
  if (error) throw Error(ErrorCode::kWriteFailed, "cannot make the folder: " + error.message(), masks);

  OutputImage image(store, plan);
  execution::ThreadPool pool(config.num_workers);
  write_pyramid<std::uint16_t>(phantom, image.target({}, "phantom"), pool,
                               execution::default_memory_ceiling(), {});

  const Block<std::uint8_t> mask = phantom.tissue_mask(mask_factor(config));
  write_mask_tiff(join_location(masks, "phantom_" + config.name + "_pred.tif"), mask.view());
  write_plane_tiff(tile + ".truth_background.tif", phantom.background().view());
  Json truth;
  truth["options"] = config::to_json(config::synth_table(), config);
  truth["fz"] = phantom.illumination(0);
  truth["fy"] = phantom.illumination(1);
  truth["fx"] = phantom.illumination(2);
  write_json(tile + ".truth.json", truth);
  image.finish(Json(), config::to_json(config::synth_table(), config));
}

}  // namespace flatfield::pipeline
