#include "flatfield/pipeline/background_median.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "flatfield/core/stage_clock.h"
#include "flatfield/numerics/plane_median.h"
#include "flatfield/pipeline/level_reader.h"
#include "flatfield/zarr/codec_memory.h"

namespace flatfield::pipeline {
namespace {

/// Chunks to read per worker before all medians of a batch are taken, so that no worker waits long for another.
constexpr std::int64_t kReadsPerWorker = 8;
/// Chunks of a column that a worker announces together, so that those of a shard or of a server come at once.
constexpr std::int64_t kChunksAhead = 8;
/// Pixels below which strips do not get narrower, as a chunk is read again for each, and of which they are a multiple.
constexpr std::int64_t kNarrowestStrip = 256;
/// Pixels of one task of the medians.
constexpr std::int64_t kPixelsPerTask = 1024;
/// What a thread needs per plane to take medians (numerics/plane_median.h), and at least.
constexpr std::int64_t kMedianBytesPerPlane = 256;
constexpr std::int64_t kMedianBytes = 64 * 1024;

/// Planes that lie in the same chunks.
struct PlaneGroup {
  std::int64_t chunk_z = 0;
  std::int64_t first = 0;  ///< in the list of planes
  std::int64_t count = 0;
};

std::vector<PlaneGroup> groups_of(std::span<const std::int64_t> planes, std::int64_t chunk_length) {
  std::vector<PlaneGroup> groups;
  for (std::int64_t i = 0; i < std::ssize(planes); ++i) {
    const std::int64_t chunk_z = planes[static_cast<std::size_t>(i)] / chunk_length;
    if (groups.empty() || groups.back().chunk_z != chunk_z) groups.push_back({chunk_z, i, 0});
    ++groups.back().count;
  }
  return groups;
}

/// What workers hold beside the stack of planes, which lie in so many layers of chunks.
std::int64_t median_workers_bytes(const zarr::ArrayMetadata& metadata, std::int64_t planes, std::int64_t layers,
                                  int workers, bool is_remote, double stored_share) {
  // A chunk, encoded and, where its codec knows no parts, decoded, and those that were announced: where that has an effect.
  std::int64_t bytes = zarr::decoder_bytes(metadata, stored_share) + static_cast<std::int64_t>(metadata.chunk_bytes()) +
                       kMedianBytes + kMedianBytesPerPlane * planes;
  if (is_remote || metadata.is_sharded())
    bytes += zarr::expected_bytes(metadata, std::min(kChunksAhead, layers), stored_share);
  return workers * bytes;
}

/// Of the stack, without which nothing can be done.
std::int64_t least_stack_bytes(std::int64_t pixels, std::int64_t pixel_bytes) {
  return std::min(pixels, kNarrowestStrip) * pixel_bytes;
}

/// Chunks of a volume along y and x.
Extent3 column_grid(const ome::Volume& volume) {
  Extent3 grid = ceil_div(volume.shape(), volume.chunk_shape());
  grid.z = 1;
  return grid;
}

/// Columns of chunks, some at a time: first all planes of a batch are read, then its medians are taken, both by all
/// workers. So one column after the other can be worked on where memory holds only one.
template <class T>
class PlaneMedians {
 public:
  PlaneMedians(const ome::Volume& volume, std::span<const std::int64_t> planes, const MedianPlan& plan,
               const ParallelFor& parallel_for, execution::ProcessGroup& processes)
      : volume_(volume),
        planes_(planes),
        plan_(plan),
        parallel_for_(parallel_for),
        processes_(processes),
        groups_(groups_of(planes, volume.chunk_shape().z)),
        grid_(column_grid(volume)),
        stack_({plan.columns_at_once, std::ssize(planes), plan.strip_pixels}),
        image_({1, volume.shape().y, volume.shape().x}, 0.0F) {}

  Block<float> run() {
    processes_.together([&] { take_columns(execution::stretch_of(processes_, grid_.volume())); });
    processes_.unite(std::as_writable_bytes(image_.span()));
    return std::move(image_);
  }

 private:
  void take_columns(const execution::Stretch& mine) {
    const Extent3& chunk = volume_.chunk_shape();
    for (std::int64_t column = mine.first; column < mine.last; column += plan_.columns_at_once) {
      const std::int64_t columns = std::min(plan_.columns_at_once, mine.last - column);
      for (std::int64_t pixel = 0; pixel < chunk.y * chunk.x; pixel += plan_.strip_pixels) {
        read(column, columns, pixel);
        take_medians(column, columns, pixel);
      }
    }
  }

  /// Pixels of a column's strip that lie in rows of the volume; in the last rows of chunks there are fewer.
  [[nodiscard]] std::int64_t strip_length(std::int64_t column, std::int64_t pixel) const {
    const Extent3& chunk = volume_.chunk_shape();
    const std::int64_t rows = std::min(chunk.y, volume_.shape().y - unravel(column, grid_).y * chunk.y);
    return std::clamp<std::int64_t>(rows * chunk.x - pixel, 0, plan_.strip_pixels);
  }

  void read(std::int64_t first_column, std::int64_t columns, std::int64_t pixel) {
    const std::int64_t tasks = ceil_div(std::ssize(groups_), kChunksAhead);
    parallel_for_(columns * tasks, [&](std::int64_t task) {
      const std::int64_t i = task / tasks;
      const auto length = static_cast<std::size_t>(strip_length(first_column + i, pixel));
      if (length == 0) return;
      const Extent3 place = unravel(first_column + i, grid_);
      const std::int64_t first = task % tasks * kChunksAhead;
      const std::span groups = std::span(groups_).subspan(
          static_cast<std::size_t>(first),
          static_cast<std::size_t>(std::min(kChunksAhead, std::ssize(groups_) - first)));
      std::vector<Extent3> chunks;
      for (const PlaneGroup& group : groups) chunks.push_back({group.chunk_z, place.y, place.x});
      std::unique_ptr<zarr::ChunkScratch> scratch = idle_scratch();
      volume_.expect_chunks(chunks, *scratch);
      for (std::size_t g = 0; g < chunks.size(); ++g)
        volume_.read_plane_parts<T>(chunks[g], parts_of(groups[g], i, pixel, length), *scratch);
      const std::scoped_lock lock(mutex_);
      idle_.push_back(std::move(scratch));
    });
  }

  /// Where the pixels of a chunk's planes go in column `i` of the stack.
  std::vector<ome::Volume::PlanePart<T>> parts_of(const PlaneGroup& group, std::int64_t i, std::int64_t pixel,
                                                  std::size_t length) {
    std::vector<ome::Volume::PlanePart<T>> parts;
    for (std::int64_t p = group.first; p < group.first + group.count; ++p)
      parts.push_back({planes_[static_cast<std::size_t>(p)] - group.chunk_z * volume_.chunk_shape().z, pixel,
                       {stack_.view().row(i, p), length}});
    return parts;
  }

  /// One that no thread uses at the moment.
  std::unique_ptr<zarr::ChunkScratch> idle_scratch() {
    const std::scoped_lock lock(mutex_);
    if (idle_.empty()) return std::make_unique<zarr::ChunkScratch>();
    std::unique_ptr<zarr::ChunkScratch> scratch = std::move(idle_.back());
    idle_.pop_back();
    return scratch;
  }

  void take_medians(std::int64_t first_column, std::int64_t columns, std::int64_t pixel) {
    const std::int64_t tasks = ceil_div(plan_.strip_pixels, kPixelsPerTask);
    parallel_for_(columns * tasks, [&](std::int64_t task) {
      const StageScope arithmetic(Stage::kArithmetic);
      const std::int64_t i = task / tasks;
      const std::int64_t first = task % tasks * kPixelsPerTask;
      const std::int64_t length = std::min(kPixelsPerTask, strip_length(first_column + i, pixel) - first);
      if (length <= 0) return;
      std::vector<float> medians(static_cast<std::size_t>(length));
      numerics::plane_median<T>(stack_.view().row(i, 0) + first, plan_.strip_pixels, std::ssize(planes_), medians);
      write(first_column + i, pixel + first, medians);
    });
  }

  /// Copies pixels of a column to their rows, without what lies beyond the volume.
  void write(std::int64_t column, std::int64_t pixel, std::span<const float> medians) {
    const Extent3& chunk = volume_.chunk_shape();
    const Extent3 place = unravel(column, grid_);
    const std::int64_t width = std::min(chunk.x, volume_.shape().x - place.x * chunk.x);
    for (std::int64_t i = 0; i < std::ssize(medians);) {
      const std::int64_t y = (pixel + i) / chunk.x;
      const std::int64_t x = (pixel + i) % chunk.x;
      const std::int64_t run = std::min(std::ssize(medians) - i, chunk.x - x);
      if (x < width)
        std::copy_n(medians.data() + i, std::min(run, width - x),
                    image_.view().row(0, place.y * chunk.y + y) + place.x * chunk.x + x);
      i += run;
    }
  }

  const ome::Volume& volume_;
  std::span<const std::int64_t> planes_;
  const MedianPlan& plan_;
  const ParallelFor& parallel_for_;
  execution::ProcessGroup& processes_;
  std::vector<PlaneGroup> groups_;
  Extent3 grid_;
  Block<T> stack_;  ///< (column, plane, pixel)
  std::mutex mutex_;
  std::vector<std::unique_ptr<zarr::ChunkScratch>> idle_;
  Block<float> image_;
};

}  // namespace

MedianPlan plan_median(const ome::Volume& volume, std::span<const std::int64_t> planes, int workers,
                       std::int64_t budget_bytes) {
  const Extent3& chunk = volume.chunk_shape();
  const zarr::ArrayMetadata& metadata = volume.array().metadata();
  const Extent3 grid = column_grid(volume);
  const std::int64_t groups = std::ssize(groups_of(planes, chunk.z));
  const std::int64_t pixels = chunk.y * chunk.x;
  const std::int64_t pixel_bytes = std::ssize(planes) * static_cast<std::int64_t>(size_of(metadata.dtype));
  const bool is_remote = volume.array().shared_store()->reads_at_once() > 1;
  const std::int64_t workers_bytes =
      median_workers_bytes(metadata, std::ssize(planes), groups, workers, is_remote, 1.0);

  MedianPlan plan;
  plan.chunks = grid.volume() * groups;
  plan.share = static_cast<double>(groups) / static_cast<double>(ceil_div(volume.shape().z, chunk.z));
  plan.single_read_bytes = workers_bytes + pixels * pixel_bytes;
  plan.least_bytes = workers_bytes + least_stack_bytes(pixels, pixel_bytes);

  const std::int64_t free_bytes = std::max(budget_bytes, plan.least_bytes) - workers_bytes;
  plan.strip_pixels = std::min(pixels, free_bytes / pixel_bytes);
  if (plan.strip_pixels == pixels)
    plan.columns_at_once =
        std::min({free_bytes / (pixels * pixel_bytes), ceil_div(workers * kReadsPerWorker, groups), grid.volume()});
  else
    plan.strip_pixels = std::max<std::int64_t>(1, plan.strip_pixels / kNarrowestStrip) * kNarrowestStrip;
  const std::int64_t last_pixels = (volume.shape().y - (grid.y - 1) * chunk.y) * chunk.x;
  plan.chunk_reads = groups * grid.x *
                     ((grid.y - 1) * ceil_div(pixels, plan.strip_pixels) + ceil_div(last_pixels, plan.strip_pixels));
  plan.bytes = workers_bytes + plan.columns_at_once * plan.strip_pixels * pixel_bytes;
  return plan;
}

std::int64_t least_median_bytes(const zarr::ArrayMetadata& metadata, int workers, bool is_remote, double stored_share) {
  const std::size_t n = metadata.shape.size();
  const std::int64_t planes = metadata.shape[n - 3];
  const std::int64_t layers = ceil_div(planes, metadata.chunk_shape[n - 3]);
  const std::int64_t pixels = metadata.chunk_shape[n - 2] * metadata.chunk_shape[n - 1];
  return median_workers_bytes(metadata, planes, layers, workers, is_remote, stored_share) +
         least_stack_bytes(pixels, planes * static_cast<std::int64_t>(size_of(metadata.dtype)));
}

Block<float> median_of_planes(const ome::Volume& volume, std::span<const std::int64_t> planes, const MedianPlan& plan,
                              const ParallelFor& parallel_for, execution::ProcessGroup& processes) {
  switch (volume.dtype()) {
    case DType::kUint8: return PlaneMedians<std::uint8_t>(volume, planes, plan, parallel_for, processes).run();
    case DType::kUint16: return PlaneMedians<std::uint16_t>(volume, planes, plan, parallel_for, processes).run();
    default: break;
  }
  refuse_data_type(volume.array());
}

}  // namespace flatfield::pipeline
