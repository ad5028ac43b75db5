#include "flatfield/pipeline/tile_portrait.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/interruption.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/report/grey_picture.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kLongestSide = 560;  ///< of the pictures of planes, in pixels
constexpr std::int64_t kHistogramBytes = 65536 * 8;
constexpr std::int64_t kHistograms = 4;
constexpr std::int64_t kCutKinds = 3;

/// Sums of counts of voxels.
struct Sums {
  std::uint64_t voxels = 0;
  std::uint64_t before = 0;
  std::uint64_t after = 0;

  void add(const Sums& other) {
    voxels += other.voxels;
    before += other.before;
    after += other.after;
  }
};

/// The same of the input, with squares.
struct InputSums {
  std::uint64_t voxels = 0;
  std::uint64_t sum = 0;
  std::uint64_t squares = 0;  ///< of a plane of 4e9 voxels at most
  std::uint64_t corrected = 0;

  void add(const InputSums& other) {
    voxels += other.voxels;
    sum += other.sum;
    squares += other.squares;
    corrected += other.corrected;
  }
};

/// What a worker has counted.
struct Tally {
  report::CountHistogram input, corrected;
  std::vector<InputSums> planes;
  std::array<std::vector<Sums>, 3> inside;

  explicit Tally(const Extent3& shape) : planes(static_cast<std::size_t>(shape.z)) {
    for (std::size_t axis = 0; axis < 3; ++axis) inside[axis].resize(static_cast<std::size_t>(shape[static_cast<int>(axis)]));
  }

  void add(const Tally& other) {
    const auto add_counts = [](std::vector<std::uint64_t>& to, const std::vector<std::uint64_t>& from) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    };
    add_counts(input.inside, other.input.inside);
    add_counts(input.outside, other.input.outside);
    add_counts(corrected.inside, other.corrected.inside);
    add_counts(corrected.outside, other.corrected.outside);
    for (std::size_t i = 0; i < planes.size(); ++i) planes[i].add(other.planes[i]);
    for (std::size_t axis = 0; axis < 3; ++axis)
      for (std::size_t i = 0; i < inside[axis].size(); ++i) inside[axis][i].add(other.inside[axis][i]);
  }
};

/// One pass over a level.
template <class T>
class PortraitPass {
 public:
  PortraitPass(const ome::Volume& volume, const Box3& region, const methods::Correction& correction,
               const methods::Correction& background, report::VolumePortrait& portrait, RunContext& context)
      : volume_(volume),
        origin_(region.origin),
        kernel_(correction),
        background_(background),
        has_mask_(correction.mask.has_value()),
        portrait_(portrait) {
    const Extent3& shape = region.shape;
    for (int axis = 0; axis < 3; ++axis) {
      report::MiddleCut& cut = portrait_.cuts[static_cast<std::size_t>(axis)];
      cut.index = shape[axis] / 2;
      const Extent3 plane{1, axis == 0 ? shape.y : shape.z, axis == 2 ? shape.y : shape.x};
      for (Block<std::uint16_t>* block : {&cut.input, &cut.less_background, &cut.corrected})
        *block = Block<std::uint16_t>(plane);
    }
    const auto workers = static_cast<std::size_t>(context.pool.workers());
    for (std::size_t i = 0; i < workers; ++i) tallies_.emplace_back(shape);
    const Extent3 grid = ceil_div(shape, volume_.chunk_shape());
    std::atomic<std::int64_t> next{0};
    context.pool.run_on_all([&](int worker) {
      Memory memory;
      for (std::int64_t i = next++; i < grid.volume(); i = next++) {
        stop_if_interrupted();
        visit(tile_box(unravel(i, grid), volume_.chunk_shape(), shape), memory,
              tallies_[static_cast<std::size_t>(worker)]);
      }
    });
    for (std::size_t i = 1; i < workers; ++i) tallies_[0].add(tallies_[i]);
    hand_over();
  }

 private:
  struct Memory {
    Block<T> raw;
    Block<std::uint16_t> before, after;
    Block<std::uint8_t> mask;
    zarr::ChunkScratch chunk;
    methods::CorrectionKernel::Scratch kernel;
  };

  /// `box` is one of the region.
  void visit(const Box3& box, Memory& memory, Tally& tally) {
    const Box3 there{box.origin + origin_, box.shape};
    if (memory.raw.shape() != box.shape) {
      memory.raw = Block<T>(box.shape);
      memory.before = Block<std::uint16_t>(box.shape);
      memory.after = Block<std::uint16_t>(box.shape);
      memory.mask = Block<std::uint8_t>(box.shape, 0);
    }
    volume_.read<T>(there, memory.raw.view(), memory.chunk);
    background_.template apply<T>(there, std::as_const(memory.raw).view(), memory.before.view(), memory.kernel);
    kernel_.template apply<T>(there, std::as_const(memory.raw).view(), memory.after.view(), memory.kernel);
    if (has_mask_) kernel_.upscale_mask(there, memory.mask.view());
    count(box, memory, tally);
    keep_cuts(box, memory);
  }

  void count(const Box3& box, const Memory& memory, Tally& tally) const {
    for (std::int64_t z = 0; z < box.shape.z; ++z) {
      InputSums& plane = tally.planes[static_cast<std::size_t>(box.origin.z + z)];
      for (std::int64_t y = 0; y < box.shape.y; ++y) {
        Sums row;
        for (std::int64_t x = 0; x < box.shape.x; ++x) {
          const std::uint64_t raw = memory.raw.at(z, y, x);
          const std::uint64_t before = memory.before.at(z, y, x);
          const std::uint64_t after = memory.after.at(z, y, x);
          const bool inside = memory.mask.at(z, y, x) != 0;
          ++(inside ? tally.input.inside : tally.input.outside)[raw];
          ++(inside ? tally.corrected.inside : tally.corrected.outside)[after];
          plane.sum += raw;
          plane.squares += raw * raw;
          plane.corrected += after;
          if (has_mask_ && !inside) continue;
          const Sums voxel{1, before, after};
          row.add(voxel);
          tally.inside[2][static_cast<std::size_t>(box.origin.x + x)].add(voxel);
        }
        tally.inside[1][static_cast<std::size_t>(box.origin.y + y)].add(row);
        tally.inside[0][static_cast<std::size_t>(box.origin.z + z)].add(row);
      }
      plane.voxels += static_cast<std::uint64_t>(box.shape.y * box.shape.x);
    }
  }

  /// The part of the cuts that lies in a box. Boxes hold different pixels, so workers do not meet.
  void keep_cuts(const Box3& box, const Memory& memory) {
    for (int axis = 0; axis < 3; ++axis) {
      report::MiddleCut& cut = portrait_.cuts[static_cast<std::size_t>(axis)];
      if (cut.index < box.origin[axis] || cut.index >= box.end()[axis]) continue;
      Box3 part{{0, 0, 0}, box.shape};
      part.origin[axis] = cut.index - box.origin[axis];
      part.shape[axis] = 1;
      keep(axis, part, box.origin, memory.raw, cut.input);
      keep(axis, part, box.origin, memory.before, cut.less_background);
      keep(axis, part, box.origin, memory.after, cut.corrected);
    }
  }

  template <class Voxel>
  static void keep(int axis, const Box3& part, const Extent3& origin, const Block<Voxel>& from, Block<std::uint16_t>& to) {
    for (std::int64_t z = part.origin.z; z < part.end().z; ++z)
      for (std::int64_t y = part.origin.y; y < part.end().y; ++y)
        for (std::int64_t x = part.origin.x; x < part.end().x; ++x) {
          const Extent3 place = origin + Extent3{z, y, x};
          to.at(0, axis == 0 ? place.y : place.z, axis == 2 ? place.y : place.x) = from.at(z, y, x);
        }
  }

  void hand_over() {
    Tally& all = tallies_[0];
    portrait_.input = std::move(all.input);
    portrait_.corrected = std::move(all.corrected);
    for (const InputSums& plane : all.planes) {
      const auto voxels = static_cast<double>(plane.voxels);
      const double mean = static_cast<double>(plane.sum) / voxels;
      portrait_.input_mean.push_back(mean);
      portrait_.input_deviation.push_back(
          std::sqrt(std::max(0.0, static_cast<double>(plane.squares) / voxels - mean * mean)));
      portrait_.corrected_mean.push_back(static_cast<double>(plane.corrected) / voxels);
    }
    for (std::size_t axis = 0; axis < 3; ++axis)
      for (const Sums& sums : all.inside[axis]) {
        const auto mean = [&](std::uint64_t sum) {
          return sums.voxels == 0 ? std::numeric_limits<double>::quiet_NaN()
                                  : static_cast<double>(sum) / static_cast<double>(sums.voxels);
        };
        portrait_.inside[axis].before.push_back(mean(sums.before));
        portrait_.inside[axis].after.push_back(mean(sums.after));
      }
  }

  ome::Volume volume_;
  Extent3 origin_;  ///< of the region
  methods::CorrectionKernel kernel_;
  methods::CorrectionKernel background_;
  bool has_mask_;
  report::VolumePortrait& portrait_;
  std::vector<Tally> tallies_;
};

report::PlanePortrait plane_portrait(const std::string& id, const std::string& unit, const Block<float>& plane) {
  return {id, unit, plane.shape(),
          report::reduced_plane<float>(plane.view(), report::reduction_step(plane.shape(), kLongestSide))};
}

/// What was learnt, as it is shown.
void show_correction(const Learned& learned, report::VolumePortrait& portrait) {
  const methods::Correction& correction = learned.correction;
  if (correction.background) portrait.planes.push_back(plane_portrait("background", "counts", *correction.background));
  if (correction.image) {
    portrait.planes.push_back(plane_portrait("flatfield", "relative", correction.image->flatfield));
    if (correction.image->darkfield)
      portrait.planes.push_back(plane_portrait("darkfield", "counts", *correction.image->darkfield));
  }
  portrait.background_planes = learned.background_planes.planes;
  if (!correction.curves) return;
  portrait.ratio = double{correction.curves->ratio};
  const std::vector<float>* curves[] = {&correction.curves->z, &correction.curves->y, &correction.curves->x};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    report::CurvePortrait& curve = portrait.curves[axis];
    curve.curve = *curves[axis];
    if (!learned.fit) continue;
    curve.profile = learned.fit->axes[axis].profile;
    if (const auto& limits = learned.fit->axes[axis].limits) curve.limits = {limits->lo, limits->hi};
  }
}

/// Memory that a portrait of a region of a level takes beside what was learnt for a volume of shape `target`.
std::int64_t portrait_bytes(const Extent3& region, const Extent3& level, const Extent3& chunk,
                            const Extent3& target, int workers) {
  const std::int64_t box = min(chunk, region).volume() * 4 * static_cast<std::int64_t>(sizeof(std::uint16_t));
  const std::int64_t lines = (region.z + region.y + region.x) * static_cast<std::int64_t>(sizeof(InputSums));
  const std::int64_t cuts = (region.y * region.x + region.z * region.x + region.z * region.y) * kCutKinds *
                            static_cast<std::int64_t>(sizeof(std::uint16_t));
  // The correction at the level's size (its background twice), and what the resizing of a plane holds.
  const std::int64_t planes = 4 * level.y * level.x * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t resizing = level == target ? 0 : numerics::resize_bytes(target) + BitVolume::bytes_of(level);
  return workers * (box + lines + kHistograms * kHistogramBytes) + cuts + planes + resizing;
}

}  // namespace

report::VolumePortrait take_portrait(const PortraitRequest& request, const Learned& learned, RunContext& context) {
  const ome::Volume volume = request.tile.open_volume(request.level, request.id);
  const Box3 region = request.region.value_or(Box3{{0, 0, 0}, volume.shape()});
  const auto memory = context.memory.reserve(
      "report", portrait_bytes(region.shape, volume.shape(), volume.chunk_shape(), learned.correction.shape,
                               context.pool.workers()));
  report::VolumePortrait portrait;
  portrait.label = request.label;
  portrait.level = request.level;
  portrait.shape = region.shape;
  const std::vector<double> scale = request.tile.output_scale(request.tile.level(request.level));
  const std::vector<double> target_scale = request.tile.output_scale(request.tile.level(request.target));
  for (std::size_t axis = 0; axis < 3; ++axis) {
    portrait.scale_micrometers[axis] = scale[axis + 2];
    portrait.target_scale_micrometers[axis] = target_scale[axis + 2];
  }
  show_correction(learned, portrait);
  // Planes are counted in the region; those outside are left out where they are drawn.
  for (std::int64_t& plane : portrait.background_planes) plane -= region.origin.z;

  std::optional<methods::Correction> resized;
  if (learned.correction.shape != volume.shape()) {
    resized = resized_correction(learned.correction, volume.shape(), context.pool.as_parallel_for());
    if (learned.correction.mask) resized->mask = learned.correction.mask->clone();
  }
  const methods::Correction& correction = resized ? *resized : learned.correction;
  methods::Correction background;
  background.shape = volume.shape();
  if (correction.background) background.background = correction.background->clone();
  portrait.has_mask = correction.mask.has_value();
  if (volume.dtype() == DType::kUint8)
    PortraitPass<std::uint8_t>(volume, region, correction, background, portrait, context);
  else
    PortraitPass<std::uint16_t>(volume, region, correction, background, portrait, context);
  return portrait;
}

std::optional<report::VolumePictures> try_pictures(const PortraitRequest& request, const Learned& learned,
                                                   RunContext& context) {
  try {
    return report::draw_pictures(take_portrait(request, learned, context));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    context.log.warning(std::string("the report has no pictures: ") + error.what());
  } catch (const std::exception& error) {
    context.log.warning(std::string("the report has no pictures: ") + error.what());
  }
  return std::nullopt;
}

}  // namespace flatfield::pipeline
