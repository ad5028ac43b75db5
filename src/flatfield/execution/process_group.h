#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/merge.h"

namespace flatfield::execution {

/// The processes that do a run together, each in this place of its own program. This one is for a process that is alone;
/// join_processes() gives that of `mpirun`.
///
/// All of them make the same calls in the same order, from one thread at a time. Waiting for the others costs next to no
/// CPU time. If one fails, all throw its error, at the call that they are at: none waits for ever.
class ProcessGroup : public Merge {
 public:
  /// Number of this process, 0 .. size() - 1.
  [[nodiscard]] virtual int rank() const { return 0; }
  [[nodiscard]] virtual int size() const { return 1; }
  /// Whether this is the process that speaks for all: logs, results, what is done once.
  [[nodiscard]] bool is_first() const { return rank() == 0; }
  [[nodiscard]] bool is_shared() const override { return size() > 1; }

  /// Runs `work` in every process and returns when all have ended theirs. Throws the same Error in all of them if one
  /// fails. May be nested.
  virtual void together(const std::function<void()>& work) { work(); }
  /// together(), of which only the first process has anything to do.
  void first_only(const std::function<void()>& work);
  /// What the first process answers.
  [[nodiscard]] bool ask_first(const std::function<bool()>& question);
  /// Makes what all processes hold that of the first. Bytes are equally many in all of them.
  virtual void broadcast(std::span<std::byte> /*bytes*/) {}
  template <class T>
  void broadcast(std::vector<T>& values);
  template <class T>
  void broadcast(Block<T>& block);
  /// Whether another process has failed in the work that is done together, so that this one may leave it. May be asked
  /// by any thread that does this work, one at a time.
  [[nodiscard]] virtual bool another_failed() { return false; }
};

template <class T>
void ProcessGroup::broadcast(std::vector<T>& values) {
  std::array<std::uint64_t, 1> size{is_first() ? values.size() : 0};
  sum(size);
  values.resize(size[0]);
  broadcast(std::as_writable_bytes(std::span(values)));
}

template <class T>
void ProcessGroup::broadcast(Block<T>& block) {
  std::array<std::int64_t, 3> shape{block.shape().z, block.shape().y, block.shape().x};
  broadcast(std::as_writable_bytes(std::span(shape)));
  if (!is_first()) block = Block<T>({shape[0], shape[1], shape[2]});
  broadcast(std::as_writable_bytes(block.span()));
}

/// Consecutive numbers [first, last).
struct Stretch {
  std::int64_t first = 0;
  std::int64_t last = 0;
};
/// This process's share of `count` consecutive things; the shares of all are as equal as can be.
[[nodiscard]] Stretch stretch_of(const ProcessGroup& processes, std::int64_t count);

/// Whether this program can do a run in several processes.
[[nodiscard]] bool can_join_processes();

/// The processes that `mpirun` (or srun, mpiexec) has started together; one that is alone where it was started otherwise, or
/// where the environment variable FLATFIELD_ALONE is set. To be called once. Throws Error(kUsage) in a program that was
/// built without MPI, as all processes would do the same; for the same reason together() does where they were started for
/// another MPI than that of this program.
[[nodiscard]] std::unique_ptr<ProcessGroup> join_processes();

}  // namespace flatfield::execution
