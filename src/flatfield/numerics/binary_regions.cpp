#include "flatfield/numerics/binary_regions.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace flatfield::numerics {
namespace {

using Label = std::int64_t;

/// Consecutive voxels of one row, [begin, end), with one value.
struct Run {
  std::int64_t begin;
  std::int64_t end;
  Label label;
};

/// The runs of one plane, row by row.
class PlaneRuns {
 public:
  void clear() {
    runs_.clear();
    row_begin_.assign(1, 0);
  }
  /// Appends the runs of `value` of the next row.
  void add_row(BitRow row, std::int64_t width, bool value) {
    const auto begin_from = [&](std::int64_t x) { return value ? row.find_set(x, width) : row.find_clear(x, width); };
    const auto end_from = [&](std::int64_t x) { return value ? row.find_clear(x, width) : row.find_set(x, width); };
    for (std::int64_t x = begin_from(0); x < width;) {
      const std::int64_t end = end_from(x);
      runs_.push_back({x, end, 0});
      x = begin_from(end);
    }
    row_begin_.push_back(runs_.size());
  }
  [[nodiscard]] std::span<Run> row(std::int64_t y) {
    const auto i = static_cast<std::size_t>(y);
    return std::span(runs_).subspan(row_begin_[i], row_begin_[i + 1] - row_begin_[i]);
  }

 private:
  std::vector<Run> runs_;
  std::vector<std::size_t> row_begin_{0};  ///< first run of each row, and the end
};

/// Calls f(run) for the runs of a row that share a face with `run`. `next` is where the search begins and
/// moves along with the runs, which come in order.
template <class F>
void for_each_touching(const Run& run, std::span<const Run> row, std::size_t& next, F f) {
  while (next < row.size() && row[next].end <= run.begin) ++next;
  for (std::size_t i = next; i < row.size() && row[i].begin < run.end; ++i) f(row[i]);
}

/// Labels the runs of `value` in C order and calls visit(z, y, run) for each; a row may be changed as soon as
/// its runs are visited. A run that touches none of an earlier row gets `labels.fresh()`, another
/// `labels.join(...)` of those that it touches.
template <class Labels, class Visit>
void sweep(BitView mask, bool value, Labels& labels, Visit visit) {
  const Extent3& shape = mask.shape;
  if (shape.empty()) return;
  constexpr Label kNone = -1;
  PlaneRuns above;
  PlaneRuns plane;
  for (std::int64_t z = 0; z < shape.z; ++z) {
    std::swap(above, plane);
    plane.clear();
    for (std::int64_t y = 0; y < shape.y; ++y) {
      plane.add_row(mask.row(z, y), shape.x, value);
      const std::span<const Run> before = y > 0 ? plane.row(y - 1) : std::span<Run>();
      const std::span<const Run> higher = z > 0 ? above.row(y) : std::span<Run>();
      std::size_t next_before = 0;
      std::size_t next_higher = 0;
      for (Run& run : plane.row(y)) {
        Label label = kNone;
        const auto join = [&](const Run& touching) {
          label = label == kNone ? touching.label : labels.join(label, touching.label);
        };
        for_each_touching(run, before, next_before, join);
        for_each_touching(run, higher, next_higher, join);
        run.label = label == kNone ? labels.fresh() : label;
        visit(z, y, run);
      }
    }
  }
}

/// Union-find over the labels of a first sweep. A region is known by its first label, which comes first in C
/// order too; that one holds the region's voxels.
class Regions {
 public:
  Label fresh() {
    if ((size_ & kBlockMask) == 0) blocks_.emplace_back(static_cast<std::size_t>(kBlockMask + 1));
    entry(size_) = -1;
    return size_++;
  }
  Label join(Label a, Label b) {
    if (a == b) return a;
    a = root(a);
    b = root(b);
    if (a == b) return a;
    if (b < a) std::swap(a, b);
    entry(a) += entry(b) + 1;
    entry(b) = a;
    return a;
  }
  void add_voxels(Label label, std::int64_t count) { entry(root(label)) -= count; }

  [[nodiscard]] Label size() const { return size_; }
  [[nodiscard]] bool is_root(Label label) { return entry(label) < 0; }
  [[nodiscard]] std::int64_t voxels(Label a_root) { return -1 - entry(a_root); }
  [[nodiscard]] Label root(Label label) {
    while (!is_root(label)) {
      const Label parent = entry(label);
      if (!is_root(parent)) entry(label) = entry(parent);
      label = parent;
    }
    return label;
  }

 private:
  static constexpr int kBlockBits = 17;
  static constexpr Label kBlockMask = (Label{1} << kBlockBits) - 1;

  /// The parent of a label, or -1 - voxels of a root.
  [[nodiscard]] std::int64_t& entry(Label label) {
    return blocks_[static_cast<std::size_t>(label >> kBlockBits)][static_cast<std::size_t>(label & kBlockMask)];
  }

  /// In blocks of 1 MiB, so that growing copies nothing.
  std::vector<std::vector<std::int64_t>> blocks_;
  Label size_ = 0;
};

/// The labels of a second sweep: the same ones come up fresh in the same order, and are known to the end.
class FinalLabels {
 public:
  FinalLabels(Regions& regions, Label first) : regions_(regions), next_(first) {}
  Label fresh() { return regions_.root(next_++); }
  static Label join(Label a, Label /*b*/) { return a; }

 private:
  Regions& regions_;
  Label next_;
};

/// The `count` largest regions; of equal ones the first.
std::vector<Label> largest(Regions& regions, std::int64_t count) {
  const auto comes_before = [&](Label a, Label b) {
    return regions.voxels(a) != regions.voxels(b) ? regions.voxels(a) > regions.voxels(b) : a < b;
  };
  std::vector<Label> best;  // a heap whose front is the first to go
  for (Label label = 0; count > 0 && label < regions.size(); ++label) {
    if (!regions.is_root(label)) continue;
    best.push_back(label);
    std::push_heap(best.begin(), best.end(), comes_before);
    if (static_cast<std::int64_t>(best.size()) <= count) continue;
    std::pop_heap(best.begin(), best.end(), comes_before);
    best.pop_back();
  }
  return best;
}

}  // namespace

std::int64_t keep_largest_regions(BitVolume& mask, int count) {
  Regions regions;
  sweep(mask.view(), true, regions, [&](std::int64_t, std::int64_t, const Run& run) {
    regions.add_voxels(run.label, run.end - run.begin);
  });
  std::int64_t found = 0;
  for (Label label = 0; label < regions.size(); ++label) found += regions.is_root(label) ? 1 : 0;

  std::vector<Label> kept = largest(regions, count);
  std::sort(kept.begin(), kept.end());
  FinalLabels labels(regions, 0);
  sweep(mask.view(), true, labels, [&](std::int64_t z, std::int64_t y, const Run& run) {
    if (!std::binary_search(kept.begin(), kept.end(), run.label)) mask.fill(z, y, run.begin, run.end, false);
  });
  return found;
}

void fill_holes(BitVolume& mask) {
  const Extent3& shape = mask.shape();
  Regions regions;
  const Label outside = regions.fresh();
  sweep(mask.view(), false, regions, [&](std::int64_t z, std::int64_t y, const Run& run) {
    const bool at_border = z == 0 || z == shape.z - 1 || y == 0 || y == shape.y - 1 ||
                           run.begin == 0 || run.end == shape.x;
    if (at_border) regions.join(outside, run.label);
  });
  FinalLabels labels(regions, outside + 1);
  sweep(mask.view(), false, labels, [&](std::int64_t z, std::int64_t y, const Run& run) {
    if (run.label != outside) mask.fill(z, y, run.begin, run.end, true);
  });
}

}  // namespace flatfield::numerics
