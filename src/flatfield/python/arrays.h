#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/core/bit_volume.h"
#include "flatfield/core/block.h"
#include "flatfield/core/error.h"
#include "flatfield/execution/thread_pool.h"

namespace flatfield::python {

namespace py = pybind11;

/// A numpy array in C order of elements T; one of another type or order is converted, one that fits is borrowed.
template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

/// What numpy.asarray makes an array of: as an argument it takes lists and numbers too.
struct AnyArray {
  py::array array;
  operator const py::array&() const { return array; }  // NOLINT(google-explicit-constructor)
  const py::array* operator->() const { return &array; }
};

/// Throws Error(kUsage) unless `holds`.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw Error(ErrorCode::kUsage, what);
}

/// Shape of an array of 2 axes (y, x) or 3 (z, y, x) as that of a volume. Throws Error(kUsage) naming `name`.
[[nodiscard]] inline Extent3 volume_shape(const py::array& array, const char* name) {
  require(array.ndim() == 2 || array.ndim() == 3,
          std::string(name) + ": expected 2 axes (y, x) or 3 (z, y, x), found " + std::to_string(array.ndim()));
  const int first = static_cast<int>(array.ndim()) - 3;
  return {first < 0 ? 1 : array.shape(0), array.shape(first + 1), array.shape(first + 2)};
}

/// The voxels of an array, borrowed: the array must outlive the view.
template <class T>
[[nodiscard]] BlockView<const T> view_of(const Array<T>& array, const char* name) {
  return {array.data(), volume_shape(array, name)};
}

/// A new float32 array in C order with the values of `array`, of its shape.
[[nodiscard]] inline Array<float> float_copy(const py::array& array) {
  using namespace pybind11::literals;
  return array.attr("astype")("float32", "order"_a = "C", "copy"_a = true).cast<Array<float>>();
}

/// A mask (any type; not 0 = foreground) as bytes: borrowed where it is bool or uint8.
[[nodiscard]] inline Array<std::uint8_t> mask_bytes(const py::array& mask) {
  if (mask.dtype().kind() == 'b') return mask.attr("view")("uint8").cast<Array<std::uint8_t>>();
  if (py::isinstance<py::array_t<std::uint8_t>>(mask)) return mask.cast<Array<std::uint8_t>>();
  return mask.attr("__ne__")(0).attr("view")("uint8").cast<Array<std::uint8_t>>();
}

/// Shape of a block as an array of `axes` axes: 2 drops z, which must be 1.
[[nodiscard]] inline std::vector<py::ssize_t> array_shape(const Extent3& shape, int axes) {
  std::vector<py::ssize_t> lengths{shape.z, shape.y, shape.x};
  lengths.erase(lengths.begin(), lengths.end() - axes);
  return lengths;
}

/// Hands voxels to Python without copying them.
template <class T>
[[nodiscard]] py::array_t<T> to_array(Block<T> block, int axes = 3) {
  const Extent3 shape = block.shape();
  auto owner = std::make_unique<Block<T>>(std::move(block));
  T* const data = owner->data();
  const py::capsule free(owner.get(), [](void* pointer) { delete static_cast<Block<T>*>(pointer); });
  static_cast<void>(owner.release());  // the capsule has it now
  return py::array_t<T>(array_shape(shape, axes), data, free);
}

template <class T>
[[nodiscard]] py::array_t<T> to_array(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// Voxels that `owner` keeps, as an array that cannot be written to and keeps the owner.
template <class T, class Owner>
[[nodiscard]] py::array_t<T> shared_array(const Block<T>& block, std::shared_ptr<Owner> owner, int axes = 3) {
  auto kept = std::make_unique<std::shared_ptr<Owner>>(std::move(owner));
  const py::capsule free(kept.get(), [](void* pointer) { delete static_cast<std::shared_ptr<Owner>*>(pointer); });
  static_cast<void>(kept.release());
  py::array_t<T> array(array_shape(block.shape(), axes), block.data(), free);
  array.attr("setflags")(py::arg("write") = false);
  return array;
}

/// Runs `work()`, which may wait for a disk or a server, without Python's lock: the server may be a thread of this process. No
/// Python object may be touched in it.
template <class Work>
auto without_lock(Work work) {
  const py::gil_scoped_release unlocked;
  return work();
}

/// Throws a UsageError of Python unless so many threads can be meant.
inline void require_workers(int workers) {
  require(workers >= 1 && workers <= 1024, "workers: expected 1 to 1024, found " + std::to_string(workers));
}

/// Runs `work(parallel_for)` on `workers` threads without Python's lock; no Python object may be touched in it.
template <class Work>
auto without_lock(int workers, Work work) {
  require_workers(workers);
  const py::gil_scoped_release unlocked;
  execution::ThreadPool pool(workers);
  return work(pool.as_parallel_for());
}

}  // namespace flatfield::python

namespace pybind11::detail {
template <>
struct type_caster<flatfield::python::AnyArray> {
  PYBIND11_TYPE_CASTER(flatfield::python::AnyArray, const_name("numpy.ndarray"));
  bool load(handle from, bool /*convert*/) {
    value.array = array::ensure(from);
    return static_cast<bool>(value.array);
  }
};
}  // namespace pybind11::detail
