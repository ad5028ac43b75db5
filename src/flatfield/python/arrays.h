#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/error.h"
#include "flatfield/execution/thread_pool.h"

namespace flatfield::python {

namespace py = pybind11;

/// A numpy array in C order of elements T; one of another type or order is converted, one that fits is borrowed.
template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

/// Shape of an array of 2 axes (y, x) or 3 (z, y, x) as that of a volume. Throws Error(kUsage) naming `name`.
[[nodiscard]] inline Extent3 volume_shape(const py::array& array, const char* name) {
  if (array.ndim() != 2 && array.ndim() != 3)
    throw Error(ErrorCode::kUsage,
                std::string(name) + ": expected 2 axes (y, x) or 3 (z, y, x), found " +
                    std::to_string(array.ndim()));
  const int first = static_cast<int>(array.ndim()) - 3;
  return {first < 0 ? 1 : array.shape(0), array.shape(first + 1), array.shape(first + 2)};
}

/// The voxels of an array, borrowed: the array must outlive the view.
template <class T>
[[nodiscard]] BlockView<const T> view_of(const Array<T>& array, const char* name) {
  return {array.data(), volume_shape(array, name)};
}

/// Hands voxels to Python without copying them; `axes` 2 drops z, which must be 1.
template <class T>
[[nodiscard]] py::array_t<T> to_array(Block<T> block, int axes = 3) {
  const Extent3 shape = block.shape();
  auto owner = std::make_unique<Block<T>>(std::move(block));
  T* const data = owner->data();
  const py::capsule free(owner.get(), [](void* pointer) { delete static_cast<Block<T>*>(pointer); });
  static_cast<void>(owner.release());  // the capsule has it now
  std::vector<py::ssize_t> lengths{shape.z, shape.y, shape.x};
  lengths.erase(lengths.begin(), lengths.end() - axes);
  return py::array_t<T>(lengths, data, free);
}

template <class T>
[[nodiscard]] py::array_t<T> to_array(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// A writable copy of an array's voxels.
template <class T>
[[nodiscard]] Block<T> copy_of(const Array<T>& array, const char* name) {
  const BlockView<const T> view = view_of(array, name);
  Block<T> block(view.shape);
  copy_block<T>(view, block.view());
  return block;
}

/// Runs `work(parallel_for)` on `workers` threads without Python's lock; no Python object may be touched in it.
template <class Work>
auto without_lock(int workers, Work work) {
  if (workers < 1) throw Error(ErrorCode::kUsage, "workers: expected at least 1, found " + std::to_string(workers));
  const py::gil_scoped_release unlocked;
  execution::ThreadPool pool(workers);
  return work(pool.as_parallel_for());
}

}  // namespace flatfield::python
