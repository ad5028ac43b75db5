#include "flatfield/pipeline/pyramid_item.h"

#include <algorithm>
#include <cstring>
#include <exception>

namespace flatfield::pipeline {

template <class T>
PyramidItem<T>::PyramidItem(PyramidPass<T>& pass, std::int64_t number, const Extent3& index)
    : pass_(pass), number_(number), index_(index), parts_(parts_in_volume()) {}

/// Cells of part_level() that hold voxels of the volume.
template <class T>
Extent3 PyramidItem<T>::parts_in_volume() const {
  const Extent3 rest = pass_.shape() - index_ * geometry().item;
  return min(geometry().cells(part_level()),
             ceil_div(rest, geometry().cell * (std::int64_t{1} << part_level())));
}

template <class T>
std::string PyramidItem<T>::id() const {
  return pass_.name() + " item " + std::to_string(number_);
}

template <class T>
ItemShape PyramidItem<T>::item_shape() const {
  return {pass_.top() + 1,  pass_.has_carry(),  pass_.is_sharded(),
          pass_.workers(), static_cast<std::int64_t>(sizeof(T)), part_count()};
}

template <class T>
std::int64_t PyramidItem<T>::voxel_bytes() const {
  return tile_box(index_, geometry().item, pass_.shape()).shape.volume() *
         static_cast<std::int64_t>(sizeof(T));
}

template <class T>
void PyramidItem<T>::open() {
  part_order_ = morton_order(parts_);
  if (pass_.gathers_a_level()) {
    gathered_ = pass_.take_block();
    // Chunks are stored whole: what lies beyond the volume must be defined.
    if (!is_inside()) std::memset(gathered_.data(), 0, gathered_.span().size_bytes());
  } else if (gathers_carry()) {
    carry_chunks_ = std::vector<CarryChunk>(static_cast<std::size_t>(geometry().carry_chunks().volume()));
    for (std::int64_t part = 0; part < part_count(); ++part) ++carry_chunk_of(part).parts_left;
  }
  if (!pass_.is_sharded()) return;
  shards_ = std::make_unique<ItemShards>(static_cast<std::size_t>(reorder_bytes(geometry(), item_shape())),
                                         [&pass = pass_] { pass.check_own(); });
  for (std::int64_t part = 0; part < part_count(); ++part)
    pass_.announce_cell(part_level(), cell_of(part), *shards_);
  shards_->open();
}

template <class T>
void PyramidItem<T>::run_part(std::int64_t part, int worker) {
  const int level = part_level();
  try {
    if (part == 0) pass_.note_begin(level, cell_of(part));
    const Block<T>& made = pass_.make_cell(level, cell_of(part), {shards_.get(), written_}, worker);
    if (pass_.gathers_a_level()) pass_.reduce_into(level, cell_of(part), made, place_of(part), gathered_);
    if (gathers_carry()) add_to_carry(part, made, worker);
  } catch (...) {
    if (shards_) shards_->abandon(std::current_exception());
    throw;
  }
}

template <class T>
void PyramidItem<T>::close(int worker) {
  if (shards_) shards_->finish(written_);
  shards_.reset();
  if (pass_.gathers_a_level()) {
    pass_.write_cell(ItemGeometry::kDeepest, index_, gathered_, written_, worker);
    if (pass_.has_carry()) leave_carry(worker);
    pass_.give_back(std::move(gathered_));
  }
  part_order_.clear();
  carry_chunks_.clear();
  pass_.note_done(number_, written_);
}

template <class T>
typename PyramidItem<T>::CarryChunk& PyramidItem<T>::carry_chunk_of(std::int64_t part) {
  return carry_chunks_[static_cast<std::size_t>(ravel(carry_place_of(part), geometry().carry_chunks()))];
}

/// Parts of a chunk may be reduced into it at the same time: each has voxels of its own there.
template <class T>
void PyramidItem<T>::add_to_carry(std::int64_t part, const Block<T>& cell, int worker) {
  const Extent3 place = carry_place_of(part);
  const Extent3 index = index_ * geometry().carry_chunks() + place;
  CarryChunk& chunk = carry_chunk_of(part);
  {
    const std::scoped_lock lock(carry_mutex_);
    if (chunk.block.empty()) chunk.block = pass_.take_carry_chunk(index);
  }
  pass_.reduce_into(part_level(), cell_of(part), cell, place_of(part) - place * geometry().cells_of_carry_chunk(), chunk.block);
  {
    const std::scoped_lock lock(carry_mutex_);
    if (--chunk.parts_left > 0) return;
  }
  pass_.write_carry_chunk(index, chunk.block, worker);
  pass_.give_back(std::move(chunk.block));
}

/// The carry of an item that gathers a level is reduced from that, and is one chunk.
template <class T>
void PyramidItem<T>::leave_carry(int worker) {
  Block<T>& carry = pass_.carry_room(index_, worker);
  pass_.reduce_into(ItemGeometry::kDeepest, index_, gathered_, {0, 0, 0}, carry);
  pass_.write_carry_chunk(index_, carry, worker);
}

template class PyramidItem<std::uint8_t>;
template class PyramidItem<std::uint16_t>;
template class PyramidItem<float>;

}  // namespace flatfield::pipeline
