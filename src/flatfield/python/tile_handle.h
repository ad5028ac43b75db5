#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "flatfield/core/extent.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/ome/tile.h"

namespace flatfield::python {

/// A tile as Python holds it.
struct TileHandle {
  std::string location;
  pybind11::dict options;  ///< of S3, to open it again elsewhere
  std::shared_ptr<const ome::Tile> tile;
};

/// Opens an OME-Zarr image; `options` are those of S3. Throws Error.
[[nodiscard]] TileHandle open_tile(const pybind11::object& location, const pybind11::dict& options);

/// Calls `work(part, worker)` for parts that together are `box`, on all workers of a pool. Parts are those of tiles of
/// shape `tile` from the origin of the volume on.
void for_each_part(execution::ThreadPool& pool, const Box3& box, const Extent3& tile,
                   const std::function<void(const Box3& part, int worker)>& work);

}  // namespace flatfield::python
