#include "flatfield/pipeline/volume_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <set>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/pyramid_pass.h"

namespace flatfield::pipeline {
namespace {

/// Items that a message lists.
constexpr std::size_t kNamedItems = 8;

/// A volume in a store, read box by box: the carries of a pass are the source of the next.
template <class T>
class StoredSource : public VoxelSource<T> {
 public:
  /// `lose` is told of a box that cannot be read, and throws.
  StoredSource(ome::Volume volume, int workers, std::function<void(const Box3&)> lose)
      : volume_(std::move(volume)), scratch_(static_cast<std::size_t>(workers)), lose_(std::move(lose)) {}
  void expect(const Box3& box, int worker) override {
    try {
      volume_.expect(box, scratch_[static_cast<std::size_t>(worker)]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadInput) throw;
      lose_(box);
    }
  }
  void read(const Box3& box, BlockView<T> out, int worker) override {
    bool is_whole = false;
    try {
      is_whole = volume_.read<T>(box, out, scratch_[static_cast<std::size_t>(worker)]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadInput) throw;
    }
    // Every carry is written, so one that is missing was removed, and must not pass for voxels that are 0.
    if (!is_whole) lose_(box);
  }

 private:
  ome::Volume volume_;
  std::vector<zarr::ChunkScratch> scratch_;
  std::function<void(const Box3&)> lose_;
};

ItemGeometry geometry_of(const PyramidTarget& target) { return ItemGeometry(target.chunk_shape, target.shard_shape); }

/// The items that are done, as the first process finds them: while others begin, the ledger grows.
std::vector<std::int64_t> done_items(const PyramidTarget& target, const std::string& pass,
                                     execution::ProcessGroup& processes) {
  std::vector<std::int64_t> done;
  processes.first_only([&] {
    if (!target.ledger || !target.resumed) return;
    const std::set<std::int64_t> found = target.ledger->done(pass);
    done.assign(found.begin(), found.end());
  });
  processes.broadcast(done);
  return done;
}

/// Those of some items that this process does: each goes to the process that has least to do so far.
execution::WorkItems dealt(execution::WorkItems items, const execution::ProcessGroup& processes) {
  std::vector<std::int64_t> loads(static_cast<std::size_t>(processes.size()));
  execution::WorkItems mine;
  for (auto& item : items) {
    const auto least = std::min_element(loads.begin(), loads.end());
    *least += item->voxel_bytes();
    if (least - loads.begin() == processes.rank()) mine.push_back(std::move(item));
  }
  return mine;
}

/// Another run that removes the output makes reads and writes of this one fail: what is said then is that.
void run_while_owned(const PyramidTarget& target, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& failure) {
    if (!target.ledger || (failure.code() != ErrorCode::kReadFailed && failure.code() != ErrorCode::kWriteFailed)) throw;
    try {
      target.ledger->check();
    } catch (const Error& why) {
      if (why.code() == ErrorCode::kOutputExists) throw;
    }
    throw;
  }
}

/// Of the exception that is being handled: whether it says only that the process was asked to stop.
bool is_interruption() {
  try {
    throw;
  } catch (const Error& error) {
    return error.code() == ErrorCode::kInterrupted;
  } catch (...) {
    return false;
  }
}

/// Runs items, and waits until what they have written is there and noted, also of those before one that fails, for whatever
/// reason.
void run_noted(const PyramidTarget& target, const std::function<void()>& run_items) {
  try {
    run_items();
  } catch (...) {
    const bool was_stopped = is_interruption();
    try {
      // Where another run has taken the place, nothing more is to be written there.
      if (target.ledger) target.ledger->check();
      target.store->flush();
    } catch (...) {
      // What went wrong first is what the pass ends with; that it was asked to stop is nothing that went wrong.
      if (was_stopped) throw;
    }
    throw;
  }
  target.store->flush();
}

/// Runs the items of a pass that belong to the share and are not done.
template <class T>
void run_pass(PyramidPass<T>& pass, const PyramidTarget& target, const Share& share, const PassRun& run) {
  const std::vector<std::int64_t> done = done_items(target, pass.ledger_key(), run.processes);
  std::vector<std::int64_t> open;
  std::int64_t total = 0;
  for (std::int64_t item = 0; item < pass.item_count(); ++item) {
    if (!share.has(item)) continue;
    ++total;
    if (!std::binary_search(done.begin(), done.end(), item)) open.push_back(item);
  }
  if (run.processes.is_first()) {
    run.counts.total += total;
    run.counts.found += total - std::ssize(open);
  }
  const execution::WorkItems items = dealt(pass.make_items(open), run.processes);
  std::int64_t bytes = 0;
  for (const auto& item : items) bytes += item->voxel_bytes();
  if (run.on_begin) run.on_begin(bytes);
  const std::int64_t before = run.counts.repeated;
  const auto on_finished = [&](const execution::WorkItem& item) {
    ++run.counts.done;
    run.counts.repeated = before + pass.repeated();
    if (run.on_finished) run.on_finished(item);
    if (run.processes.another_failed())
      throw Error(ErrorCode::kInterrupted, "another process of the run has failed");
  };
  run.processes.together([&] {
    run_while_owned(target, [&] {
      if (items.empty()) return;
      pass.begin();
      run_noted(target, [&] { execution::run_items(run.pool, items, run.memory_bytes, on_finished); });
    });
  });
}

void require_done(const PyramidTarget& target) {
  const std::vector<std::int64_t> open = open_items(target);
  if (open.empty()) return;
  std::string named;
  for (std::size_t i = 0; i < std::min(open.size(), kNamedItems); ++i) named += (i == 0 ? "" : ", ") + std::to_string(open[i]);
  throw Error(ErrorCode::kNotFound,
              fmt::format("{} of {} items of {} are not done ({}{})", open.size(), pyramid_passes(target).front().items,
                          target.name, named, open.size() > kNamedItems ? ", ..." : ""),
              target.store->describe(""),
              target.is_learnt ? "estimate again with the same options, which does them"
                               : "apply the parts that they belong to first: item i belongs to part i % N");
}

/// A box of what the pass before has left for `level` is damaged or gone, as by a crash of the machine: its items are to be
/// done again.
[[noreturn]] void lose_carry(const PyramidTarget& target, std::size_t level, const Box3& box) {
  const std::string where = target.store->describe(carry_path(target, level));
  const std::string what = "what an earlier pass of the pyramid has left is damaged, or gone";
  if (!target.ledger) throw Error(ErrorCode::kReadFailed, what, where, "start afresh with --overwrite");
  const ItemGeometry geometry = geometry_of(target);
  const std::size_t before = level - geometry.levels_per_pass();
  const Extent3 grid = ceil_div(target.levels[before].shape(), geometry.item);
  const std::int64_t factor = std::int64_t{1} << geometry.levels_per_pass();
  const Extent3 first = floor_div(box.origin * factor, geometry.item);
  const Extent3 last = min(ceil_div(box.end() * factor, geometry.item), grid);
  for (std::int64_t z = first.z; z < last.z; ++z)
    for (std::int64_t y = first.y; y < last.y; ++y)
      for (std::int64_t x = first.x; x < last.x; ++x)
        target.ledger->forget(pass_key(target, before), (z * grid.y + y) * grid.x + x);
  const std::string step = target.is_learnt ? "estimate" : "apply";
  throw Error(ErrorCode::kReadFailed, what, where,
              "start again: the items that it was made of are done again (by " + step +
                  ", where the steps are taken one by one)");
}

}  // namespace

std::string carry_path(const PyramidTarget& target, std::size_t level) {
  return storage::join_key(target.scratch_path, target.volume_key + "_carry_" + std::to_string(level));
}

std::string pass_key(const PyramidTarget& target, std::size_t level) {
  return storage::join_key(target.volume_key, "level_" + std::to_string(level));
}

std::vector<PassItems> pyramid_passes(const PyramidTarget& target) {
  const ItemGeometry geometry = geometry_of(target);
  std::vector<PassItems> passes;
  for (std::size_t level = 0; level < target.levels.size(); level += geometry.levels_per_pass())
    passes.push_back({pass_key(target, level), ceil_div(target.levels[level].shape(), geometry.item).volume()});
  return passes;
}

std::vector<std::int64_t> open_items(const PyramidTarget& target) {
  std::vector<std::int64_t> open;
  if (!target.ledger) return open;
  const PassItems pass = pyramid_passes(target).front();
  const std::set<std::int64_t> done = target.ledger->done(pass.key);
  for (std::int64_t item = 0; item < pass.items; ++item)
    if (!done.contains(item)) open.push_back(item);
  return open;
}

template <class T>
void write_first_pass(VoxelSource<T>& source, const PyramidTarget& target, const Share& share, const PassRun& run) {
  PyramidPass<T> pass(source, target, 0, run.pool.workers());
  run_pass(pass, target, share, run);
}

template <class T>
void write_later_passes(const PyramidTarget& target, const PassRun& run) {
  run.processes.first_only([&] { require_done(target); });
  const std::size_t step = geometry_of(target).levels_per_pass();
  for (std::size_t level = step; level < target.levels.size(); level += step) {
    StoredSource<T> carried(ome::Volume(zarr::Array::open(target.store, carry_path(target, level)), {}), run.pool.workers(),
                            [&target, level](const Box3& box) { lose_carry(target, level, box); });
    PyramidPass<T> pass(carried, target, level, run.pool.workers());
    run_pass(pass, target, {}, run);
  }
}

template <class T>
void write_pyramid(VoxelSource<T>& source, const PyramidTarget& target, execution::ThreadPool& pool,
                   std::int64_t memory_bytes, const execution::ItemFinished& on_finished) {
  ItemCounts counts;
  execution::ProcessGroup alone;
  write_first_pass(source, target, {}, {pool, alone, memory_bytes, counts, {}, on_finished});
  write_later_passes<T>(target, {pool, alone, memory_bytes, counts, {}, {}});
  target.store->erase_prefix(target.scratch_path);
}

template void write_first_pass(VoxelSource<std::uint8_t>&, const PyramidTarget&, const Share&, const PassRun&);
template void write_later_passes<std::uint8_t>(const PyramidTarget&, const PassRun&);
template void write_pyramid(VoxelSource<std::uint8_t>&, const PyramidTarget&, execution::ThreadPool&, std::int64_t,
                            const execution::ItemFinished&);
template void write_first_pass(VoxelSource<std::uint16_t>&, const PyramidTarget&, const Share&, const PassRun&);
template void write_later_passes<std::uint16_t>(const PyramidTarget&, const PassRun&);
template void write_pyramid(VoxelSource<std::uint16_t>&, const PyramidTarget&, execution::ThreadPool&, std::int64_t,
                            const execution::ItemFinished&);
template void write_first_pass(VoxelSource<float>&, const PyramidTarget&, const Share&, const PassRun&);
template void write_later_passes<float>(const PyramidTarget&, const PassRun&);
template void write_pyramid(VoxelSource<float>&, const PyramidTarget&, execution::ThreadPool&, std::int64_t,
                            const execution::ItemFinished&);

}  // namespace flatfield::pipeline
