#include "flatfield/pipeline/volume_stage.h"

#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/pyramid_pass.h"

namespace flatfield::pipeline {
namespace {

/// A volume in a store, read box by box: the carries of a pass are the source of the next.
template <class T>
class StoredSource : public VoxelSource<T> {
 public:
  StoredSource(ome::Volume volume, int workers)
      : volume_(std::move(volume)), scratch_(static_cast<std::size_t>(workers)) {}
  void expect(const Box3& box, int worker) override {
    volume_.expect(box, scratch_[static_cast<std::size_t>(worker)]);
  }
  void read(const Box3& box, BlockView<T> out, int worker) override {
    volume_.read<T>(box, out, scratch_[static_cast<std::size_t>(worker)]);
  }

 private:
  ome::Volume volume_;
  std::vector<zarr::ChunkScratch> scratch_;
};

}  // namespace

template <class T>
void write_pyramid(VoxelSource<T>& source, const PyramidTarget& target, execution::ThreadPool& pool,
                   std::int64_t memory_bytes, const execution::ItemFinished& on_finished) {
  std::unique_ptr<VoxelSource<T>> carried;
  const auto step =
      static_cast<std::size_t>(ItemGeometry(target.chunk_shape, target.shard_shape).depth) + 1;
  for (std::size_t level = 0; level < target.levels.size(); level += step) {
    VoxelSource<T>& finest = carried ? *carried : source;
    PyramidPass<T> pass(finest, target, level, pool.workers());
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

}  // namespace flatfield::pipeline
