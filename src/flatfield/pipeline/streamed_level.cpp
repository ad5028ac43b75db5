#include "flatfield/pipeline/streamed_level.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/pipeline/level_reader.h"

namespace flatfield::pipeline {
namespace {

constexpr std::int64_t kRowsAhead = 8;

/// Begins to fetch a row from memory.
template <class T>
void fetch(const T* row, std::int64_t n) {
  constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));
  for (std::int64_t x = 0; x < n; x += kLine) __builtin_prefetch(row + x);
}

}  // namespace

/// One visit of all boxes of a level whose voxels are T.
template <class T>
class StreamedLevel::Pass {
 public:
  using Span = execution::Stretch;

  Pass(StreamedLevel& level, const methods::LevelPass& pass, const StreamGeometry& geometry,
       const Visitor& visitor)
      : level_(level),
        shape_(level.shape()),
        halo_(pass.halo),
        wants_(pass.wants),
        change_(pass.change),
        rows_(execution::stretch_of(level.processes_, shape_.y)),
        ranges_(pass.planes.empty() ? std::vector<methods::PlaneRange>{{0, shape_.z}} : pass.planes),
        sees_(static_cast<std::size_t>(shape_.z)),
        geometry_(geometry),
        visitor_(visitor),
        scratches_(static_cast<std::size_t>(level.pool_.workers())),
        volumes_(static_cast<std::size_t>(level.pool_.workers())),
        volume_count_(static_cast<std::size_t>(1 + pass.spare_volumes)) {
    for (const methods::PlaneRange& range : ranges_)
      for (std::int64_t z = std::max<std::int64_t>(0, range.first - halo_.z); z < std::min(shape_.z, range.last + halo_.z); ++z)
        sees_[static_cast<std::size_t>(z)] = 1;
    if (wants_) reads_ = [this](const Box3& part) { return wants_(grown(part, halo_, shape_)); };
  }

  /// Whether there is a row for this process.
  [[nodiscard]] bool has_rows() const { return rows_.first < rows_.last; }
  /// The rows that this process visits, and those around them that its visitors see.
  [[nodiscard]] Span seen_rows() const {
    return {std::max<std::int64_t>(0, rows_.first - halo_.y), std::min(shape_.y, rows_.last + halo_.y)};
  }

  /// `voxels` are those of the level from row `first_row` on.
  void visit_resident(const Block<T>& voxels, std::int64_t first_row) {
    for (const methods::PlaneRange& range : ranges_)
      visit_boxes({{range.first, rows_.first, 0}, {range.last - range.first, rows_.last - rows_.first, shape_.x}},
                  voxels.view(), {0, first_row, 0});
  }

  /// All ranges of planes together, so that a chunk which holds planes of several is read once for all of them.
  void visit_streamed() {
    const std::int64_t begin = std::max<std::int64_t>(0, ranges_.front().first - halo_.z);
    const std::int64_t end = std::min(shape_.z, ranges_.back().last + halo_.z);
    const execution::Stretch seen = seen_rows();
    if (window_.empty())
      window_ = Block<T>({std::min(shape_.z, geometry_.slab + 2 * halo_.z),
                          std::min(shape_.y, geometry_.band + 2 * halo_.y), shape_.x});
    if (seen.first / geometry_.band < (seen.last - 1) / geometry_.band)
      kept_rows_ = Block<T>({end - begin, std::max<std::int64_t>(2 * halo_.y, 1), shape_.x});
    // A band is read from `first`; its first rows, from `kept` on, are those that the band before has read too.
    std::int64_t done = rows_.first;
    std::int64_t kept = seen.first;
    for (std::int64_t first = seen.first; first < seen.last;) {
      const std::int64_t last = std::min(seen.last, (first / geometry_.band + 1) * geometry_.band);
      const std::int64_t ready = last == seen.last ? rows_.last : std::max(done, last - halo_.y);
      const std::int64_t keep = std::max(seen.first, ready - halo_.y);
      visit_band({first, last}, kept, keep, {done, ready}, {begin, end});
      done = ready;
      kept = keep;
      first = last;
    }
  }

 private:
  /// One band: rows `rows` are read, those from `kept` on before them are known, those from `keep` on are
  /// kept for the next band, and `ready` are visited.
  void visit_band(Span rows, std::int64_t kept, std::int64_t keep, Span ready, Span planes) {
    const std::int64_t end = ranges_.back().last;
    std::int64_t done = ranges_.front().first;
    std::int64_t oldest = planes.first;  // of the planes in the window
    for (std::int64_t first = planes.first; first < planes.last;) {
      const std::int64_t last =
          std::min(planes.last, (first / geometry_.slab + 1) * geometry_.slab);
      const Extent3 seen{last - oldest, rows.last - kept, shape_.x};
      const BlockView<T> window(window_.data(), seen, window_.shape().y * shape_.x, shape_.x);
      read_level<T>(level_.volume_, {{first, rows.first, 0}, {last - first, rows.last - rows.first, shape_.x}},
                    window.sub({{first - oldest, rows.first - kept, 0},
                                {last - first, rows.last - rows.first, shape_.x}}),
                    level_.pool_, scratches_, sees_, reads_);
      level_.pool_.parallel_for(last - first, [&](std::int64_t i) {
        const std::int64_t z = first + i;
        if (!sees(z)) return;
        T* const known = kept_rows_.empty() ? nullptr : kept_rows_.plane(z - planes.first).data;
        T* const plane = window.row(z - oldest, 0);
        std::copy_n(known, (rows.first - kept) * shape_.x, plane);
        if (rows.last < seen_rows().last)
          std::copy_n(plane + (keep - kept) * shape_.x, (rows.last - keep) * shape_.x, known);
      });
      const std::int64_t done_now =
          last == planes.last ? end : std::clamp(last - halo_.z, done, end);
      for (const methods::PlaneRange& range : ranges_) {
        const std::int64_t from = std::max(done, range.first);
        const std::int64_t to = std::min(done_now, range.last);
        if (from < to)
          visit_boxes({{from, ready.first, 0}, {to - from, ready.last - ready.first, shape_.x}}, window,
                      {oldest, kept, 0});
      }
      done = done_now;
      // The planes that the next slab needs move to the front.
      const std::int64_t needed = std::max(planes.first, done - halo_.z);
      for (std::int64_t z = std::max(needed, oldest); z < last; ++z)
        if (sees(z)) std::copy_n(window.row(z - oldest, 0), seen.y * shape_.x, window.row(z - needed, 0));
      oldest = needed;
      first = last;
    }
  }

  /// Whether a visitor sees anything of a plane.
  [[nodiscard]] bool sees(std::int64_t z) const { return sees_[static_cast<std::size_t>(z)] != 0; }

  /// Visits the tiles of a box, whose voxels and halo lie in `voxels`, which begins at `origin`.
  void visit_boxes(const Box3& box, BlockView<const T> voxels, const Extent3& origin) {
    if (box.empty()) return;
    const Extent3 grid = ceil_div(box.shape, geometry_.tile);
    std::atomic<std::int64_t> next{0};
    level_.pool_.run_on_all([&](int worker) {
      try {
        for (std::int64_t i = next++; i < grid.volume(); i = next++) {
          Box3 tile = tile_box(unravel(i, grid), geometry_.tile, box.shape);
          tile.origin = tile.origin + box.origin;
          if (wants_ && !wants_(tile)) continue;
          visit_box(tile, voxels, origin, worker);
        }
      } catch (...) {
        next = grid.volume();
        throw;
      }
    });
  }

  void visit_box(const Box3& tile, BlockView<const T> voxels, const Extent3& origin, int worker) {
    methods::LevelBlock block;
    block.box = tile;
    block.seen = grown(tile, halo_, shape_);
    block.worker = worker;
    std::vector<Block<float>>& mine = volumes_[static_cast<std::size_t>(worker)];
    if (mine.empty())
      for (std::size_t i = 0; i < volume_count_; ++i)
        mine.emplace_back(min(geometry_.tile + halo_ * 2, shape_));
    std::vector<BlockView<float>> views;
    views.reserve(volume_count_);
    for (Block<float>& volume : mine) views.emplace_back(volume.data(), block.seen.shape);
    block.values = views.front();
    block.spare = std::span(views).subspan(1);
    const BlockView<const T> from = voxels.sub({block.seen.origin - origin, block.seen.shape});
    const Extent3 plane{1, from.shape.y, from.shape.x};
    for (std::int64_t z = 0; z < from.shape.z; ++z) {
      for (std::int64_t y = 0; y < from.shape.y; ++y) {
        // Rows of a box lie far apart in the window: the CPU does not foresee them.
        if (y + kRowsAhead < from.shape.y) fetch(from.row(z, y + kRowsAhead), from.shape.x);
        std::copy_n(from.row(z, y), from.shape.x, block.values.row(z, y));
      }
      if (change_) change_({block.seen.origin + Extent3{z, 0, 0}, plane}, block.values.sub({{z, 0, 0}, plane}));
    }
    visitor_(block);
  }

  StreamedLevel& level_;
  const Extent3 shape_;
  const Extent3 halo_;
  const std::function<bool(const Box3&)> wants_;
  const methods::LevelChange change_;
  std::function<bool(const Box3&)> reads_;  ///< the same of what is read for it
  const Span rows_;  ///< that this process visits
  const std::vector<methods::PlaneRange> ranges_;
  std::vector<std::uint8_t> sees_;  ///< of each plane of the level, whether it is in a range or its halo
  const StreamGeometry geometry_;
  const Visitor& visitor_;
  std::vector<zarr::ChunkScratch> scratches_;
  std::vector<std::vector<Block<float>>> volumes_;  ///< of each worker
  std::size_t volume_count_;
  Block<T> window_;
  Block<T> kept_rows_;  ///< of each plane, for the next band
};

StreamedLevel::StreamedLevel(ome::Volume volume, execution::ThreadPool& pool, execution::ProcessGroup& processes,
                             Residence residence, std::int64_t bytes)
    : volume_(std::move(volume)), pool_(pool), processes_(processes), residence_(residence), bytes_(bytes) {
  const DType dtype = volume_.dtype();
  if (dtype != DType::kUint8 && dtype != DType::kUint16) refuse_data_type(volume_.array());
}

StreamRequest StreamedLevel::request_of(const ome::Volume& volume, const methods::LevelPass& pass,
                                        int workers) {
  return {volume.shape(),
          volume.chunk_shape(),
          static_cast<std::int64_t>(size_of(volume.dtype())),
          pass.halo,
          1 + pass.spare_volumes,
          workers,
          chunk_reading_bytes(volume.array().metadata())};
}

void StreamedLevel::visit(const methods::LevelPass& pass, const Visitor& visitor) {
  processes_.together([&] { visit_here(pass, visitor); });
}

/// Reads rows of the level, unless they are there.
template <class T>
void StreamedLevel::keep_rows(const execution::Stretch& rows) {
  if (std::holds_alternative<Block<T>>(level_) && kept_.first <= rows.first && rows.last <= kept_.last) return;
  const execution::Stretch mine = execution::stretch_of(processes_, shape().y);
  kept_ = {std::min(rows.first, std::max<std::int64_t>(0, mine.first - kept_around_)),
           std::max(rows.last, std::min(shape().y, mine.last + kept_around_))};
  level_ = std::monostate();
  Block<T> voxels({shape().z, kept_.last - kept_.first, shape().x});
  std::vector<zarr::ChunkScratch> scratches(static_cast<std::size_t>(workers()));
  read_level<T>(volume_, {{0, kept_.first, 0}, voxels.shape()}, voxels.view(), pool_, scratches);
  level_ = std::move(voxels);
}

void StreamedLevel::visit_here(const methods::LevelPass& pass, const Visitor& visitor) {
  const StreamRequest request = request_of(volume_, pass, workers());
  const bool resident = residence_ == Residence::kInMemory;
  const auto geometry = resident ? resident_geometry(request, bytes_) : choose_geometry(request, bytes_);
  if (!geometry)
    throw Error(ErrorCode::kMemory,
                fmt::format("a pass over the estimation level may hold {} MiB and needs more", bytes_ >> 20),
                volume_.array().describe(), "raise --memory-limit, or use fewer --num-workers");
  const auto run = [&]<class T>(T /*type*/) {
    Pass<T> running(*this, pass, *geometry, visitor);
    if (!running.has_rows()) return;
    if (resident) keep_rows<T>(running.seen_rows());
    resident ? running.visit_resident(std::get<Block<T>>(level_), kept_.first) : running.visit_streamed();
  };
  const StageScope scope(Stage::kArithmetic);
  if (volume_.dtype() == DType::kUint8)
    run(std::uint8_t{});
  else
    run(std::uint16_t{});
}

}  // namespace flatfield::pipeline
