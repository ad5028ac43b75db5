#include <pybind11/stl.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/config/run_config.h"
#include "flatfield/core/interruption.h"
#include "flatfield/pipeline/level_reader.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/bindings.h"
#include "flatfield/python/json_values.h"
#include "flatfield/python/native_work.h"
#include "flatfield/python/requests.h"
#include "flatfield/python/tile_handle.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::python {

TileHandle open_tile(const py::object& location, const py::dict& options) {
  config::RunConfig config;
  store_s3_options(options, config);
  TileHandle handle;
  handle.location = pipeline::trimmed_location(to_location(location, "location"));
  handle.options = options;
  const py::gil_scoped_release unlocked;
  storage::StoreOpener stores(pipeline::s3_options(config));
  handle.tile = std::make_shared<const ome::Tile>(ome::Tile::open(stores.open(handle.location)));
  return handle;
}

void for_each_part(execution::ThreadPool& pool, const Box3& box, const Extent3& tile,
                   const std::function<void(const Box3& part, int worker)>& work) {
  const Extent3 first = floor_div(box.origin, tile);
  const Extent3 grid = ceil_div(box.end(), tile) - first;
  std::atomic<std::int64_t> next{0};
  pool.run_on_all([&](int worker) {
    try {
      for (std::int64_t i = next++; i < grid.volume(); i = next++) {
        stop_if_interrupted();
        work(intersect({(first + unravel(i, grid)) * tile, tile}, box), worker);
      }
    } catch (...) {
      next = grid.volume();  // for the others too
      throw;
    }
  });
}

namespace {

template <class T>
py::array read_voxels(const ome::Volume& volume, const Box3& box, int workers) {
  Block<T> out(box.shape);
  native_work([&] {
    execution::ThreadPool pool(workers);
    std::vector<zarr::ChunkScratch> scratch(static_cast<std::size_t>(workers));
    std::atomic<bool> is_whole{true};
    for_each_part(pool, box, volume.chunk_shape(), [&](const Box3& part, int worker) {
      const BlockView<T> into = out.view().sub({part.origin - box.origin, part.shape});
      if (!volume.read<T>(part, into, scratch[static_cast<std::size_t>(worker)])) is_whole = false;
    });
    if (!is_whole) pipeline::require_level(volume.array(), "bring it back, and read it again");
  });
  return to_array(std::move(out));
}

py::array read(const TileHandle& tile, const py::object& box, const std::string& level, std::int64_t t,
               std::int64_t c, int workers) {
  require(workers >= 1 && workers <= 1024, "workers: expected 1 to 1024, found " + std::to_string(workers));
  const ome::Volume volume = without_lock([&] { return tile.tile->open_volume(level, {t, c}); });
  const Box3 wanted = to_box(box, volume.shape());
  switch (volume.dtype()) {
    case DType::kUint8: return read_voxels<std::uint8_t>(volume, wanted, workers);
    case DType::kUint16: return read_voxels<std::uint16_t>(volume, wanted, workers);
    case DType::kFloat32: return read_voxels<float>(volume, wanted, workers);
    default:
      throw Error(ErrorCode::kUnsupported, "the data type " + std::string(name_of(volume.dtype())) + " cannot be read",
                  volume.array().describe(), "read it with zarr");
  }
}

/// The entries for z, y, x of what NGFF says along t, c, z, y, x.
py::tuple spatial(const std::vector<double>& values) { return py::make_tuple(values[2], values[3], values[4]); }

}  // namespace

void bind_tile(py::module_& module) {
  using namespace pybind11::literals;
  py::class_<TileHandle>(module, "Tile",
                         R"(An OME-Zarr image: a pyramid of levels, finest first. open_tile() opens one. Can be pickled.

Threads may share one. A forked process goes on with those it has, over connections of its own, provided that no other thread
was using one at the moment of the fork: the child could wait for ever for what that thread was doing.)")
      .def_property_readonly(
          "location", [](const TileHandle& self) { return to_text(self.location); }, "Where it is.")
      .def_property_readonly(
          "name", [](const TileHandle& self) { return to_text(pipeline::location_name(self.location)); },
          "Its last component.")
      .def_property_readonly(
          "attributes", [](const TileHandle& self) { return from_json(self.tile->attributes()); },
          "All attributes of the group.")
      .def_property_readonly(
          "levels",
          [](const TileHandle& self) {
            std::vector<std::string> names;
            for (const ome::Level& level : self.tile->multiscale().levels) names.push_back(level.path);
            return names;
          },
          "Names of the levels, finest first.")
      .def(
          "shape",
          [](const TileHandle& self, const std::string& level) {
            return to_tuple(without_lock([&] { return self.tile->spatial_shape(level); }));
          },
          "level"_a = "0", "Voxels (z, y, x) of a level. Raises NotFoundError for a level that is not there.")
      .def(
          "chunks",
          [](const TileHandle& self, const std::string& level) {
            return to_tuple(without_lock([&] { return self.tile->open_volume(level, {0, 0}).chunk_shape(); }));
          },
          "level"_a = "0", "Voxels (z, y, x) of a chunk of a level.")
      .def(
          "dtype",
          [](const TileHandle& self, const std::string& level) {
            const DType type = without_lock([&] { return self.tile->open_array(level).metadata().dtype; });
            return py::dtype(std::string(name_of(type)));
          },
          "level"_a = "0", "Data type of the voxels of a level.")
      .def(
          "scale",
          [](const TileHandle& self, const std::string& level) {
            return spatial(self.tile->output_scale(self.tile->level(level)));
          },
          "level"_a = "0",
          "Size (z, y, x) of a voxel of a level, in micrometers; as in the metadata where the unit is missing or unknown.")
      .def(
          "translation",
          [](const TileHandle& self, const std::string& level) {
            return spatial(self.tile->output_translation(self.tile->level(level)));
          },
          "level"_a = "0", "Position (z, y, x) of the centre of a level's first voxel, in the same units.")
      .def(
          "volumes",
          [](const TileHandle& self, const std::string& level) {
            const ome::VolumeId counts =
                without_lock([&] { return self.tile->volume_counts(self.tile->open_array(level)); });
            return py::make_tuple(counts.t, counts.c);
          },
          "level"_a = "0", "Number of time points and of channels (t, c).")
      .def("read", &read, "box"_a = py::none(), py::kw_only(), "level"_a = "0", "t"_a = 0, "c"_a = 0, "workers"_a = 1,
           R"(Voxels of a box of a level: an array (z, y, x) of its data type (uint8, uint16 or float32).

box: three slices or indices along z, y, x, as numpy.s_[0:64, :, 100] makes them (an index keeps its axis, of length 1);
None = the whole level. Raises UsageError for another box, BadInputError for a damaged chunk, ReadError where the tile
vanishes meanwhile. A chunk that is not there is one of the fill value.)")
      // It may be opened again in another folder.
      .def(py::pickle([](const TileHandle& self) {
                        return py::make_tuple(to_text(pipeline::absolute_location(self.location)), self.options);
                      },
                      [](const py::tuple& state) { return open_tile(state[0], state[1]); }));
  module.def(
      "open_tile", [](const py::object& location, const py::kwargs& options) { return open_tile(location, options); },
      "location"_a,
      R"(Opens an OME-Zarr image (Zarr v2 or v3, NGFF 0.1 to 0.5): a Tile. Nothing but metadata is read.

location: a folder, s3://BUCKET/KEY or http(s)://. options: those of S3, e.g. s3_anonymous=True.
Raises UsageError for what is neither a text nor a path, NotFoundError if there is nothing, BadInputError if it is no OME-Zarr
image, UnsupportedError for other axes.)");
}

}  // namespace flatfield::python
