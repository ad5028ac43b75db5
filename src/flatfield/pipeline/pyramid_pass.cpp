#include "flatfield/pipeline/pyramid_pass.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "flatfield/core/fail_point.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/pipeline/pass_memory.h"
#include "flatfield/pipeline/pyramid_item.h"

namespace flatfield::pipeline {

template <class T>
PyramidPass<T>::PyramidPass(VoxelSource<T>& source, const PyramidTarget& target, std::size_t first_level,
                            int workers)
    : source_(source),
      name_(target.name),
      geometry_(target.chunk_shape, target.shard_shape),
      reducer_(target.reducer),
      first_level_(first_level),
      ledger_key_(pass_key(target, first_level)),
      is_sharded_(target.shard_shape.has_value()),
      ledger_(target.ledger),
      resumed_(target.resumed),
      stage_(first_level == 0 ? "item" : "carry"),
      memory_(static_cast<std::size_t>(workers)) {
  const std::size_t end = std::min(first_level + geometry_.levels_per_pass(), target.levels.size());
  for (std::size_t i = first_level; i < end; ++i)
    levels_.push_back(
        std::make_unique<LevelWriter<T>>(static_cast<int>(i), target.levels[i], geometry_.cell,
                                         target.write_empty_chunks, [this] { check_own(); }, stage_ + ".object"));
  make_carry(target);
}

template <class T>
void PyramidPass<T>::make_carry(const PyramidTarget& target) {
  const std::size_t next = first_level_ + levels_.size();
  if (next >= target.levels.size()) return;
  zarr::ArrayMetadata metadata = carry_metadata(levels_.front()->volume().array().metadata(), geometry_);
  const Extent3 shape = target.levels[next].shape();
  metadata.shape = {shape.z, shape.y, shape.x};
  carry_.emplace(zarr::Array::create(target.store, carry_path(target, next), metadata),
                 std::vector<std::int64_t>{});
}

template <class T>
execution::WorkItems PyramidPass<T>::make_items(const std::vector<std::int64_t>& numbers) {
  const Extent3 grid = ceil_div(shape(), geometry_.item);
  execution::WorkItems items;
  items.reserve(numbers.size());
  for (const std::int64_t i : numbers)
    items.push_back(std::make_unique<PyramidItem<T>>(*this, i, unravel(i, grid)));
  return items;
}

template <class T>
std::string PyramidPass<T>::name() const {
  return name_ + " level " + std::to_string(first_level_);
}

template <class T>
void PyramidPass<T>::announce_cell(int level, const Extent3& index, ItemShards& shards) const {
  if (!holds_voxels(level, index)) return;
  if (level > 0)
    for (std::int64_t i = 0; i < 8; ++i) announce_cell(level - 1, index * 2 + unravel(i, {2, 2, 2}), shards);
  const LevelWriter<T>& of_level = writer(level);
  of_level.for_each_chunk(of_level.cell_box(index), [&](const Extent3& chunk) {
    shards.announce(of_level.level(), of_level.volume().array(), of_level.volume().chunk_index(chunk));
  });
}

template <class T>
void PyramidPass<T>::note_begin(int level, const Extent3& index) {
  if (ledger_) ledger_->check();
  if (!resumed_) return;
  const LevelWriter<T>& finest = writer(0);
  bool asked = false;
  finest.for_each_chunk(finest.cell_box(index * (std::int64_t{1} << level)), [&](const Extent3& chunk) {
    if (std::exchange(asked, true)) return;
    const zarr::Array& array = finest.volume().array();
    if (array.shared_store()->size(array.chunk_object_key(finest.volume().chunk_index(chunk)))) ++repeated_;
  });
}

template <class T>
void PyramidPass<T>::note_done(std::int64_t item, WrittenObjects& written) {
  fail_point(stage_ + ".written");
  if (ledger_) ledger_->note(ledger_key_, item, written.take());
  fail_point(stage_ + ".noted");
}

template <class T>
const Block<T>& PyramidPass<T>::make_cell(int level, const Extent3& index, const ChunkSink& sink, int worker) {
  Block<T>& cell = memory(worker).cells[static_cast<std::size_t>(level)];
  source_.expect(tile_box(index, geometry_.cell * (std::int64_t{1} << level), shape()), worker);
  make_cell_into(level, index, cell, {}, sink, worker);
  return cell;
}

template <class T>
void PyramidPass<T>::make_cell_into(int level, const Extent3& index, Block<T>& out, const Above& above,
                                    const ChunkSink& sink, int worker) {
  if (!holds_voxels(level, index)) return;
  if (out.empty()) out = Block<T>(geometry_.cell);
  LevelWriter<T>& of_level = writer(level);
  const Box3 box = of_level.cell_box(index);
  // Chunks are stored whole: what a cell at the edge of the volume leaves unfilled must be defined.
  if (box.shape != geometry_.cell) std::memset(out.data(), 0, out.span().size_bytes());
  if (level == 0) {
    read_cell_into(box, out, above, worker);
  } else {
    Block<T>& child = memory(worker).cells[static_cast<std::size_t>(level - 1)];
    for (std::int64_t i = 0; i < 8; ++i) {  // Morton order: few cells are open at once
      const Extent3 octant = unravel(i, {2, 2, 2});
      make_cell_into(level - 1, index * 2 + octant, child, {&out, octant}, sink, worker);
    }
    if (above.cell != nullptr) reduce_into(level, index, out, above.place, *above.cell);
  }
  of_level.write(box, out, sink, memory(worker).chunks);
}

/// A cell of level 0. Each few planes are finished and reduced while they are in the cache.
template <class T>
void PyramidPass<T>::read_cell_into(const Box3& box, Block<T>& out, const Above& above, int worker) {
  const BlockView<T> voxels = out.view().sub({{0, 0, 0}, box.shape});
  source_.read(box, voxels, worker);
  const std::int64_t plane_bytes = voxels.stride_z * static_cast<std::int64_t>(sizeof(T));
  const std::int64_t planes = slab_planes(plane_bytes);
  for (std::int64_t z = 0; z < box.shape.z; z += planes) {
    const Extent3 shape{std::min(planes, box.shape.z - z), box.shape.y, box.shape.x};
    const BlockView<T> slab = voxels.sub({{z, 0, 0}, shape});
    source_.finish({box.origin + Extent3{z, 0, 0}, shape}, slab, worker);
    if (above.cell != nullptr)
      reduce(slab, above.place * floor_div(geometry_.cell, 2) + Extent3{z / 2, 0, 0}, *above.cell);
  }
}

template <class T>
void PyramidPass<T>::reduce_into(int level, const Extent3& index, const Block<T>& cell, const Extent3& place,
                                 Block<T>& above) const {
  reduce(cell.view().sub({{0, 0, 0}, writer(level).cell_box(index).shape}),
         place * floor_div(geometry_.cell, 2), above);
}

template <class T>
void PyramidPass<T>::reduce(BlockView<const T> voxels, const Extent3& origin, Block<T>& above) const {
  const Extent3 reduced = floor_div(voxels.shape, 2);
  if (reduced.empty()) return;
  const StageScope scope(Stage::kArithmetic);
  numerics::reduce_windows<T>(voxels, above.view().sub({origin, reduced}), reducer_);
}

template <class T>
void PyramidPass<T>::write_cell(int level, const Extent3& index, const Block<T>& cell, WrittenObjects& written,
                                int worker) {
  writer(level).write(writer(level).cell_box(index), cell, {nullptr, written}, memory(worker).chunks);
}

/// Chunks are stored whole: what lies beyond the volume must be defined.
template <class T>
void PyramidPass<T>::clear_beyond(const Extent3& index, Block<T>& chunk) const {
  if (tile_box(index, chunk.shape(), carry_->shape()).shape != chunk.shape())
    std::memset(chunk.data(), 0, chunk.span().size_bytes());
}

template <class T>
Block<T>& PyramidPass<T>::carry_room(const Extent3& index, int worker) {
  Block<T>& carry = memory(worker).carry;
  if (carry.empty()) carry = Block<T>(geometry_.carry_chunk());
  clear_beyond(index, carry);
  return carry;
}

template <class T>
void PyramidPass<T>::write_carry_chunk(const Extent3& index, const Block<T>& chunk, int worker) {
  if (tile_box(index, chunk.shape(), carry_->shape()).empty()) return;
  check_own();
  carry_->array().write_chunk(carry_->chunk_index(index), std::as_bytes(chunk.span()), memory(worker).chunks.scratch);
}

template <class T>
Block<T> PyramidPass<T>::take_block() {
  const std::scoped_lock lock(spare_mutex_);
  if (spare_.empty()) return Block<T>(gathers_a_level() ? geometry_.cell : geometry_.carry_chunk());
  Block<T> block = std::move(spare_.back());
  spare_.pop_back();
  return block;
}

template <class T>
Block<T> PyramidPass<T>::take_carry_chunk(const Extent3& index) {
  Block<T> chunk = take_block();
  clear_beyond(index, chunk);
  return chunk;
}

template <class T>
void PyramidPass<T>::give_back(Block<T> block) {
  const std::scoped_lock lock(spare_mutex_);
  spare_.push_back(std::move(block));
}

template class PyramidPass<std::uint8_t>;
template class PyramidPass<std::uint16_t>;
template class PyramidPass<float>;

}  // namespace flatfield::pipeline
