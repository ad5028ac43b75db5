#include "flatfield/methods/level_stream.h"

#include <algorithm>

namespace flatfield::methods {

std::vector<PlaneRange> plane_ranges(std::span<const std::int64_t> planes) {
  std::vector<PlaneRange> ranges;
  for (const std::int64_t z : planes) {
    if (ranges.empty() || ranges.back().last != z) ranges.push_back({z, z});
    ranges.back().last = z + 1;
  }
  return ranges;
}

void ChangedStream::visit(const LevelPass& pass, const Visitor& visitor) {
  LevelPass changed = pass;
  if (change_ && pass.change)
    changed.change = [&](const Box3& box, BlockView<float> values) {
      change_(box, values);
      pass.change(box, values);
    };
  else if (change_)
    changed.change = change_;
  level_.visit(changed, visitor);
}

void BlockStream::visit(const LevelPass& pass, const Visitor& visitor) {
  const std::vector<PlaneRange> whole{{0, level_.shape.z}};
  for (const PlaneRange& range : pass.planes.empty() ? whole : pass.planes) {
    const Extent3 part{range.last - range.first, level_.shape.y, level_.shape.x};
    const Extent3 grid = ceil_div(part, tile_);
    for (std::int64_t i = 0; i < grid.volume(); ++i) {
      LevelBlock block;
      block.box = tile_box(unravel(i, grid), tile_, part);
      block.box.origin.z += range.first;
      block.seen = grown(block.box, pass.halo, level_.shape);
      std::vector<Block<float>> memory;
      for (int k = 0; k <= pass.spare_volumes; ++k) memory.emplace_back(block.seen.shape, -1.0F);
      copy_block<float>(level_.sub(block.seen), memory.front().view());
      if (pass.change) pass.change(block.seen, memory.front().view());
      std::vector<BlockView<float>> views;
      for (Block<float>& volume : memory) views.push_back(volume.view());
      block.values = views.front();
      block.spare = std::span(views).subspan(1);
      visitor(block);
    }
  }
}

}  // namespace flatfield::methods
