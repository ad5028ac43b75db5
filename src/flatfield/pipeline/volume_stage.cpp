#include "flatfield/pipeline/volume_stage.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <optional>

#include "flatfield/core/error.h"
#include "flatfield/core/stage_clock.h"
#include "flatfield/pipeline/item_shards.h"

namespace flatfield::pipeline {
namespace {

using execution::WorkItem;
using execution::WorkItems;

/// Most levels below the finest that an item completes.
constexpr int kDeepest = 2;
/// Items are shared by workers in parts of one cell of this level.
constexpr int kPartLevel = 1;
/// Parts by which a worker may be ahead of one that is slow, before it waits: chunks that came too early are kept.
constexpr std::int64_t kMostPartsAhead = 8;

/// True if all elements have the value of the first.
template <class T>
bool is_constant(std::span<const T> values) {
  return std::memcmp(values.data(), values.data() + 1, (values.size() - 1) * sizeof(T)) == 0;
}

/// Indices of a grid in Morton order: neighbours in all directions are near each other in it.
std::vector<Extent3> morton_order(const Extent3& grid) {
  const auto code = [](const Extent3& index) {
    std::uint64_t bits = 0;
    for (int bit = 0; bit < 16; ++bit)
      for (int axis = 0; axis < 3; ++axis)
        bits |= static_cast<std::uint64_t>((index[axis] >> bit) & 1) << (3 * bit + 2 - axis);
    return bits;
  };
  std::vector<Extent3> order;
  for (std::int64_t i = 0; i < grid.volume(); ++i) order.push_back(unravel(i, grid));
  std::sort(order.begin(), order.end(),
            [&](const Extent3& a, const Extent3& b) { return code(a) < code(b); });
  return order;
}

/// Memory of one worker, reused from item to item.
template <class T>
struct WorkerMemory {
  zarr::ChunkScratch scratch;
  std::array<Block<T>, kPartLevel + 1> cells;  ///< the cell being made, per level
  Block<T> chunk;                              ///< a chunk that is not a whole cell
  /// Encoded chunks of all zeros and all ones per level of the pass: masks are made of them.
  std::array<std::array<std::vector<std::byte>, 2>, kDeepest + 1> constant_chunks;
  ItemShards* shards = nullptr;  ///< of the item that the worker is at; null without shards
};

/// Up to three levels of a pyramid, written in one sweep over the finest of them.
template <class T>
class Pass {
 public:
  Pass(VoxelSource<T>& source, const PyramidTarget& target, std::size_t first_level, int workers)
      : source_(source),
        name_(target.name),
        geometry_(target.chunk_shape, target.shard_shape),
        reducer_(target.reducer),
        write_empty_(target.write_empty_chunks),
        first_level_(first_level) {
    const std::size_t last = std::min(first_level + static_cast<std::size_t>(geometry_.depth),
                                      target.levels.size() - 1);
    levels_.assign(target.levels.begin() + static_cast<std::ptrdiff_t>(first_level),
                   target.levels.begin() + static_cast<std::ptrdiff_t>(last) + 1);
    memory_.resize(static_cast<std::size_t>(workers));
  }

  /// Makes an array for the carries if there are levels after this pass, and opens it.
  std::optional<ome::Volume> make_carry(const PyramidTarget& target) {
    const std::size_t next = first_level_ + levels_.size();
    if (next >= target.levels.size()) return std::nullopt;
    zarr::ArrayMetadata metadata = levels_.front().array().metadata();
    const Extent3 shape = target.levels[next].shape();
    metadata.shape = {shape.z, shape.y, shape.x};
    metadata.shard_shape.clear();
    metadata.dimension_names.clear();
    const Extent3 chunk = carry_chunk();
    metadata.chunk_shape = {chunk.z, chunk.y, chunk.x};
    const std::string path = storage::join_key(target.scratch_path, "carry_" + std::to_string(next));
    carry_.emplace(zarr::Array::create(target.store, path, metadata), std::vector<std::int64_t>{});
    return carry_;
  }

  WorkItems make_items() {
    const Extent3 grid = ceil_div(levels_.front().shape(), geometry_.item);
    WorkItems items;
    items.reserve(static_cast<std::size_t>(grid.volume()));
    for (std::int64_t i = 0; i < grid.volume(); ++i)
      items.push_back(std::make_unique<Item>(*this, i, unravel(i, grid)));
    return items;
  }

 private:
  class Item;

  [[nodiscard]] int top() const { return static_cast<int>(levels_.size()) - 1; }
  [[nodiscard]] bool is_sharded() const { return levels_.front().array().metadata().is_sharded(); }
  [[nodiscard]] std::int64_t cell_bytes() const {
    return geometry_.cell.volume() * static_cast<std::int64_t>(sizeof(T));
  }
  /// Cells of `level` in an item.
  [[nodiscard]] Extent3 parts(int level) const {
    return floor_div(geometry_.item, geometry_.cell * (std::int64_t{1} << level));
  }
  /// A carry is read cell by cell.
  [[nodiscard]] Extent3 carry_chunk() const {
    return map_axes(geometry_.carry, geometry_.cell,
                    [](auto carry, auto cell) { return carry % cell == 0 ? cell : carry; });
  }
  [[nodiscard]] Box3 cell_box(int level, const Extent3& index) const {
    return tile_box(index, geometry_.cell, levels_[static_cast<std::size_t>(level)].shape());
  }

  /// Zeroes what a cell at the edge of the volume leaves unfilled: chunks are stored whole.
  void clear_padding(Block<T>& cell, const Box3& box) const {
    if (box.shape != geometry_.cell) std::memset(cell.data(), 0, cell.span().size_bytes());
  }

  /// Fills `out` with the cell `index` of `level`, writes its chunks and those of all cells below it.
  void make_cell(int level, const Extent3& index, Block<T>& out, int worker) {
    // A cell may hold no voxel of its own level (an odd last plane is dropped) and yet some below it.
    if (cell_box(0, index * (std::int64_t{1} << level)).empty()) return;
    if (out.empty()) out = Block<T>(geometry_.cell);
    const Box3 box = cell_box(level, index);
    clear_padding(out, box);
    if (level == 0) {
      source_.read(box, out.view().sub({{0, 0, 0}, box.shape}), worker);
    } else {
      Block<T>& child = memory(worker).cells[static_cast<std::size_t>(level - 1)];
      for (std::int64_t i = 0; i < 8; ++i) {  // Morton order: few cells are open at once
        const Extent3 octant = unravel(i, {2, 2, 2});
        make_cell(level - 1, index * 2 + octant, child, worker);
        reduce_into(level - 1, index * 2 + octant, child, octant, out);
      }
    }
    write_chunks(level, box, out, worker);
  }

  /// Reduces the finished cell `index` of `level` into `above`; `place` counts cells from the beginning of that.
  void reduce_into(int level, const Extent3& index, const Block<T>& cell, const Extent3& place,
                   Block<T>& above) const {
    const Extent3 shape = cell_box(level, index).shape;
    const Extent3 reduced = floor_div(shape, 2);
    if (reduced.empty()) return;
    const StageScope scope(Stage::kArithmetic);
    const Extent3 origin = place * floor_div(geometry_.cell, 2);
    numerics::reduce_windows<T>(cell.view().sub({{0, 0, 0}, shape}), above.view().sub({origin, reduced}),
                                reducer_);
  }

  /// Calls `visit` for the chunks of a cell of `level` whose place in the volume is `box`.
  template <class Visit>
  void for_each_chunk(int level, const Box3& box, Visit visit) const {
    if (box.empty()) return;
    const Extent3 chunk_shape = levels_[static_cast<std::size_t>(level)].chunk_shape();
    const Extent3 first = floor_div(box.origin, chunk_shape);
    const Extent3 count = ceil_div(box.end(), chunk_shape) - first;
    for (std::int64_t i = 0; i < count.volume(); ++i) visit(first + unravel(i, count));
  }

  /// Calls `visit(level, chunk)` for all chunks that make_cell writes, in the same order.
  template <class Visit>
  void for_each_chunk_below(int level, const Extent3& index, const Visit& visit) const {
    if (cell_box(0, index * (std::int64_t{1} << level)).empty()) return;
    if (level > 0)
      for (std::int64_t i = 0; i < 8; ++i)
        for_each_chunk_below(level - 1, index * 2 + unravel(i, {2, 2, 2}), visit);
    for_each_chunk(level, cell_box(level, index), [&](const Extent3& chunk) { visit(level, chunk); });
  }

  /// Writes the chunks of a cell; `box` is its place in the volume of `level`.
  void write_chunks(int level, const Box3& box, const Block<T>& cell, int worker) {
    const ome::Volume& volume = levels_[static_cast<std::size_t>(level)];
    const Extent3 chunk_shape = volume.chunk_shape();
    Block<T>& chunk = memory(worker).chunk;
    for_each_chunk(level, box, [&](const Extent3& index) {
      if (chunk_shape == geometry_.cell) return write_chunk(level, index, cell, worker);
      if (chunk.shape() != chunk_shape) chunk = Block<T>(chunk_shape);
      const Box3 part = tile_box(index, chunk_shape, volume.shape());
      if (part.shape != chunk_shape) std::memset(chunk.data(), 0, chunk.span().size_bytes());
      copy_block<T>(cell.view().sub({part.origin - box.origin, part.shape}),
                    chunk.view().sub({{0, 0, 0}, part.shape}));
      write_chunk(level, index, chunk, worker);
    });
  }

  void write_chunk(int level, const Extent3& index, const Block<T>& chunk, int worker) {
    const ome::Volume& volume = levels_[static_cast<std::size_t>(level)];
    const zarr::Array& array = volume.array();
    WorkerMemory<T>& mine = memory(worker);
    const std::span<const std::byte> bytes = std::as_bytes(chunk.span());
    const T first = *chunk.data();
    if ((first == T{0} || first == T{1}) && is_constant<T>(chunk.span())) {
      if (first == T{0} && !write_empty_) {
        if (mine.shards != nullptr) mine.shards->skip(array, volume.chunk_index(index));
        return;
      }
      std::vector<std::byte>& encoded =
          mine.constant_chunks[static_cast<std::size_t>(level)][first == T{0} ? 0 : 1];
      if (encoded.empty()) {
        const auto made = array.encode_chunk(bytes, mine.scratch);
        encoded.assign(made.begin(), made.end());
      }
      store_chunk(array, volume.chunk_index(index), encoded, mine);
      return;
    }
    store_chunk(array, volume.chunk_index(index), array.encode_chunk(bytes, mine.scratch), mine);
  }

  static void store_chunk(const zarr::Array& array, const zarr::Shape& index,
                          std::span<const std::byte> encoded, WorkerMemory<T>& memory) {
    if (memory.shards != nullptr)
      memory.shards->put(array, index, encoded);
    else
      array.write_encoded_chunk(index, encoded);
  }

  /// Leaves the level after the last for the next pass: `carry` has the voxels of item `index`, zeros behind them.
  void write_carry(const Extent3& index, const Block<T>& carry, int worker) {
    const Extent3 chunk_shape = carry_chunk();
    const Box3 box = tile_box(index, geometry_.carry, carry_->shape());
    if (box.empty()) return;
    Block<T> chunk(chunk_shape);
    const Extent3 first = index * floor_div(geometry_.carry, chunk_shape);
    const Extent3 count = ceil_div(box.shape, chunk_shape);
    for (std::int64_t i = 0; i < count.volume(); ++i) {
      const Extent3 place = unravel(i, count);
      copy_block<T>(carry.view().sub({place * chunk_shape, chunk_shape}), chunk.view());
      carry_->array().write_chunk(carry_->chunk_index(first + place), std::as_bytes(chunk.span()),
                                  memory(worker).scratch);
    }
  }

  [[nodiscard]] WorkerMemory<T>& memory(int worker) { return memory_[static_cast<std::size_t>(worker)]; }

  VoxelSource<T>& source_;
  std::string name_;
  ItemGeometry geometry_;
  numerics::WindowReducer reducer_;
  bool write_empty_;
  std::size_t first_level_;
  std::vector<ome::Volume> levels_;
  std::optional<ome::Volume> carry_;
  std::vector<WorkerMemory<T>> memory_;
};

/// The parts of an item make the levels up to kPartLevel. What is above is gathered in one block that they share:
/// the item's only cell of the level after, or already its carry.
template <class T>
class Pass<T>::Item : public WorkItem {
 public:
  Item(Pass& pass, std::int64_t number, const Extent3& index)
      : pass_(pass), number_(number), index_(index), parts_(parts_in_volume()) {}

  [[nodiscard]] std::string id() const override {
    return pass_.name_ + " level " + std::to_string(pass_.first_level_) + " item " +
           std::to_string(number_);
  }
  [[nodiscard]] std::int64_t peak_bytes() const override {
    constexpr std::int64_t kBytesPerPart = 512;  // what is known of its chunks: about 9 of 48 bytes
    std::int64_t bytes = 0;
    if (gathers()) bytes += 9 * gathered_shape().volume() * static_cast<std::int64_t>(sizeof(T)) / 8;
    if (pass_.is_sharded())
      bytes += reorder_bytes() + kBytesPerPart * part_count();
    return bytes;
  }
  [[nodiscard]] std::int64_t voxel_bytes() const override {
    return tile_box(index_, pass_.geometry_.item, pass_.levels_.front().shape()).shape.volume() *
           static_cast<std::int64_t>(sizeof(T));
  }
  [[nodiscard]] std::int64_t part_count() const override { return parts_.volume(); }

  void open() override {
    part_order_ = morton_order(parts_);
    if (gathers()) {
      gathered_ = Block<T>(gathered_shape());
      // Chunks and carries are stored whole: what lies beyond the volume must be defined.
      if (!is_inside()) std::memset(gathered_.data(), 0, gathered_.span().size_bytes());
    }
    if (!pass_.is_sharded()) return;
    shards_ = std::make_unique<ItemShards>(static_cast<std::size_t>(reorder_bytes()));
    for (std::int64_t part = 0; part < part_count(); ++part)
      pass_.for_each_chunk_below(part_level(), cell_of(part), [&](int level, const Extent3& chunk) {
        const ome::Volume& volume = pass_.levels_[static_cast<std::size_t>(level)];
        shards_->announce(volume.array(), volume.chunk_index(chunk));
      });
    shards_->open();
  }

  void run_part(std::int64_t part, int worker) override {
    const int level = part_level();
    Block<T>& made = pass_.memory(worker).cells[static_cast<std::size_t>(level)];
    pass_.memory(worker).shards = shards_.get();
    try {
      pass_.make_cell(level, cell_of(part), made, worker);
    } catch (...) {
      if (shards_) shards_->abandon();
      throw;
    }
    if (gathers()) pass_.reduce_into(level, cell_of(part), made, place_of(part), gathered_);
  }

  void close(int worker) override {
    pass_.memory(worker).shards = nullptr;
    if (shards_) shards_->finish();
    shards_.reset();
    if (gathers_a_level()) {
      pass_.write_chunks(kDeepest, pass_.cell_box(kDeepest, index_), gathered_, worker);
      if (pass_.carry_) pass_.write_carry(index_, reduced(), worker);
    } else if (gathers()) {
      pass_.write_carry(index_, gathered_, worker);
    }
    gathered_ = Block<T>();
    part_order_.clear();
  }

 private:
  /// Cells of part_level() that hold voxels of the volume.
  [[nodiscard]] Extent3 parts_in_volume() const {
    const Extent3 rest = pass_.levels_.front().shape() - index_ * pass_.geometry_.item;
    return min(pass_.parts(part_level()),
               ceil_div(rest, pass_.geometry_.cell * (std::int64_t{1} << part_level())));
  }
  [[nodiscard]] int part_level() const { return std::min(kPartLevel, pass_.top()); }
  [[nodiscard]] bool gathers_a_level() const { return pass_.top() == kDeepest; }
  [[nodiscard]] bool gathers() const {
    return gathers_a_level() || (pass_.carry_ && pass_.geometry_.depth == kPartLevel);
  }
  [[nodiscard]] Extent3 gathered_shape() const {
    return gathers_a_level() ? pass_.geometry_.cell : pass_.geometry_.carry;
  }
  [[nodiscard]] bool is_inside() const {
    return tile_box(index_, pass_.geometry_.item, pass_.levels_.front().shape()).shape ==
           pass_.geometry_.item;
  }
  /// Chunks of the parts that other workers are ahead by; with one worker none comes too early.
  [[nodiscard]] std::int64_t reorder_bytes() const {
    const auto workers = static_cast<std::int64_t>(pass_.memory_.size());
    return 8 * pass_.cell_bytes() * std::min(workers - 1, kMostPartsAhead);
  }
  /// Cell of part_level() that a part makes, counted from the beginning of the item.
  [[nodiscard]] Extent3 place_of(std::int64_t part) const {
    return part_order_[static_cast<std::size_t>(part)];
  }
  [[nodiscard]] Extent3 cell_of(std::int64_t part) const {
    return index_ * pass_.parts(part_level()) + place_of(part);
  }

  /// The item's block of the level after the last.
  [[nodiscard]] Block<T> reduced() const {
    Block<T> carry(pass_.geometry_.carry);
    if (!is_inside()) std::memset(carry.data(), 0, carry.span().size_bytes());
    pass_.reduce_into(kDeepest, index_, gathered_, {0, 0, 0}, carry);
    return carry;
  }

  Pass& pass_;
  std::int64_t number_;
  Extent3 index_;
  Extent3 parts_;  ///< along each axis
  std::vector<Extent3> part_order_;
  Block<T> gathered_;
  std::unique_ptr<ItemShards> shards_;  ///< null without shards, and while the item is not open
};

/// A volume in a store, read box by box: the carries of a pass are the source of the next.
template <class T>
class StoredSource : public VoxelSource<T> {
 public:
  StoredSource(ome::Volume volume, int workers)
      : volume_(std::move(volume)), scratch_(static_cast<std::size_t>(workers)) {}
  void read(const Box3& box, BlockView<T> out, int worker) override {
    volume_.read<T>(box, out, scratch_[static_cast<std::size_t>(worker)]);
  }

 private:
  ome::Volume volume_;
  std::vector<zarr::ChunkScratch> scratch_;
};

}  // namespace

ItemGeometry::ItemGeometry(const Extent3& chunk_shape, const std::optional<Extent3>& shard_shape)
    : depth(shard_shape ? kPartLevel : kDeepest),
      cell(map_axes(chunk_shape, [](std::int64_t c) { return c % 2 == 0 ? c : 2 * c; })),
      item(cell * (std::int64_t{1} << depth)),
      carry() {
  if (shard_shape)
    item = map_axes(item, *shard_shape * (std::int64_t{1} << depth),
                    [](std::int64_t a, std::int64_t b) { return std::lcm(a, b); });
  carry = floor_div(item, std::int64_t{1} << (depth + 1));
}

template <class T>
void write_pyramid(VoxelSource<T>& source, const PyramidTarget& target, execution::ThreadPool& pool,
                   std::int64_t memory_bytes, const execution::ItemFinished& on_finished) {
  std::unique_ptr<VoxelSource<T>> carried;
  const auto step =
      static_cast<std::size_t>(ItemGeometry(target.chunk_shape, target.shard_shape).depth) + 1;
  for (std::size_t level = 0; level < target.levels.size(); level += step) {
    VoxelSource<T>& finest = carried ? *carried : source;
    Pass<T> pass(finest, target, level, pool.workers());
    const std::optional<ome::Volume> carry = pass.make_carry(target);
    execution::run_items(pool, pass.make_items(), memory_bytes,
                         level == 0 ? on_finished : execution::ItemFinished());
    carried = carry ? std::make_unique<StoredSource<T>>(*carry, pool.workers()) : nullptr;
  }
  target.store->erase_prefix(target.scratch_path);
}

template void write_pyramid(VoxelSource<std::uint8_t>&, const PyramidTarget&, execution::ThreadPool&,
                            std::int64_t, const execution::ItemFinished&);
template void write_pyramid(VoxelSource<std::uint16_t>&, const PyramidTarget&, execution::ThreadPool&,
                            std::int64_t, const execution::ItemFinished&);
template void write_pyramid(VoxelSource<float>&, const PyramidTarget&, execution::ThreadPool&,
                            std::int64_t, const execution::ItemFinished&);

std::vector<Extent3> pyramid_shapes(const Extent3& finest, int count) {
  std::vector<Extent3> shapes{finest};
  while (static_cast<int>(shapes.size()) < count) shapes.push_back(floor_div(shapes.back(), 2));
  return shapes;
}

int most_levels(const Extent3& finest) {
  const std::int64_t smallest = std::min({finest.z, finest.y, finest.x});
  int levels = 0;
  while ((std::int64_t{2} << levels) <= smallest) ++levels;
  return std::max(1, levels);
}

}  // namespace flatfield::pipeline
