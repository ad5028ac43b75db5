#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/methods/correction.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/s3_settings.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/python/arrays.h"
#include "flatfield/python/bindings.h"
#include "flatfield/python/json_values.h"
#include "flatfield/python/native_work.h"
#include "flatfield/python/requests.h"
#include "flatfield/python/tile_handle.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/storage/open_store.h"

namespace flatfield::python {
namespace {

constexpr const char* kKey = "model.npz";
/// Parts that voxels of an array are corrected in: some rows, so that threads share a box of few planes too.
constexpr std::int64_t kPartRows = 64;

/// A model ready to correct volumes of one shape.
class ModelHandle {
 public:
  /// `file` holds the model as kKey; `shape` is that of the volumes, none = as it was learnt.
  explicit ModelHandle(std::shared_ptr<storage::MemoryStore> file, const std::optional<Extent3>& shape = std::nullopt)
      : file_(std::move(file)), model_(pipeline::read_model(file_, kKey)) {
    shape_ = shape.value_or(model_.shape);
    for (pipeline::ModelVolume& volume : model_.volumes) {
      pipeline::make_applicable(volume, shape_, serial_for);
      kernels_.emplace_back(volume.learned.correction);
    }
  }

  [[nodiscard]] const pipeline::TileModel& model() const { return model_; }
  [[nodiscard]] const Extent3& shape() const { return shape_; }
  [[nodiscard]] Json document() const { return pipeline::read_model_document(file_, kKey); }
  [[nodiscard]] const std::shared_ptr<storage::MemoryStore>& file() const { return file_; }
  [[nodiscard]] const methods::CorrectionKernel& kernel(std::int64_t t, std::int64_t c) const {
    return kernels_[index_of(t, c)];
  }
  [[nodiscard]] const pipeline::ModelVolume& volume(std::int64_t t, std::int64_t c) const {
    return model_.volumes[index_of(t, c)];
  }

 private:
  [[nodiscard]] std::size_t index_of(std::int64_t t, std::int64_t c) const {
    for (std::size_t i = 0; i < model_.volumes.size(); ++i)
      if (model_.volumes[i].id == ome::VolumeId{t, c}) return i;
    throw Error(ErrorCode::kUsage, "the model has no volume " + pipeline::volume_key({t, c}));
  }

  std::shared_ptr<storage::MemoryStore> file_;
  pipeline::TileModel model_;
  Extent3 shape_;
  std::vector<methods::CorrectionKernel> kernels_;
};

using Model = std::shared_ptr<ModelHandle>;

/// A volume of a model, which keeps it.
struct VolumeHandle {
  Model owner;
  const pipeline::ModelVolume* volume;

  [[nodiscard]] const methods::Correction& correction() const { return volume->learned.correction; }
  [[nodiscard]] py::object plane(const std::optional<Block<float>>& plane) const {
    return plane ? py::object(shared_array(*plane, owner, 2)) : py::none();
  }
  [[nodiscard]] py::object flatfield() const {
    return correction().image ? py::object(shared_array(correction().image->flatfield, owner, 2)) : py::none();
  }
  [[nodiscard]] py::object darkfield() const {
    return correction().image ? plane(correction().image->darkfield) : py::none();
  }
  [[nodiscard]] py::object mask() const {
    return correction().mask ? py::object(to_array(correction().mask->expanded())) : py::none();
  }
  [[nodiscard]] py::object curve(std::vector<float> methods::AxisCurves::*axis) const {
    if (!correction().curves || ((*correction().curves).*axis).empty()) return py::none();
    return to_array((*correction().curves).*axis);
  }
  [[nodiscard]] py::object profile(std::size_t axis) const {
    return volume->learned.fit ? py::object(to_array(volume->learned.fit->axes[axis].profile)) : py::none();
  }
};

Model read_model(const py::object& location, const py::object& shape, const py::kwargs& options) {
  config::RunConfig config;
  store_s3_options(options, config);
  const std::string from = to_location(location, "location");
  const std::optional<Extent3> wanted = shape.is_none() ? std::nullopt : std::optional(to_extent(shape, "shape"));
  const py::gil_scoped_release unlocked;
  const auto [store, key] = storage::StoreOpener(pipeline::s3_options(config)).open_object(from);
  Buffer bytes;
  if (!store->get(key, bytes)) throw Error(ErrorCode::kNotFound, "there is no model", from, "estimate first");
  auto file = std::make_shared<storage::MemoryStore>();
  file->put(kKey, bytes.span());
  try {
    return std::make_shared<ModelHandle>(std::move(file), wanted);
  } catch (const Error& error) {  // names the copy in memory
    throw Error(error.code(), error.message(), from, error.remedy());
  }
}

py::bytes bytes_of(const Model& model) {
  Buffer bytes;
  static_cast<void>(model->file()->get(kKey, bytes));
  return {reinterpret_cast<const char*>(bytes.span().data()), bytes.span().size()};
}

Model model_from_bytes(const std::string& bytes, const py::object& shape) {
  auto file = std::make_shared<storage::MemoryStore>();
  file->put(kKey, std::as_bytes(std::span(bytes)));
  return std::make_shared<ModelHandle>(std::move(file), to_extent(shape, "shape"));
}

/// Where corrected voxels go: `out` if it fits, else a new array.
py::array_t<std::uint16_t> output_array(const py::object& out, const Extent3& shape) {
  if (out.is_none()) return to_array(Block<std::uint16_t>(shape));
  require(py::isinstance<py::array_t<std::uint16_t>>(out), "out: expected an array of uint16");
  const auto array = out.cast<py::array_t<std::uint16_t>>();
  require(array.ndim() == 3 && volume_shape(array, "out") == shape && array.writeable() &&
              (array.flags() & py::array::c_style) != 0,
          "out: expected a writable array in C order of shape " + to_string(shape));
  return array;
}

/// Voxels of an array without a copy, where rows along x are contiguous; else of a contiguous copy that `keep` holds.
template <class T>
BlockView<const T> raw_view(const py::array& raw, py::array& keep) {
  constexpr auto kSize = static_cast<py::ssize_t>(sizeof(T));
  keep = raw;
  if (raw.strides(2) != kSize || raw.strides(1) < 0 || raw.strides(0) < 0 || raw.strides(1) % kSize != 0 ||
      raw.strides(0) % kSize != 0)
    keep = py::array_t<T, py::array::c_style>::ensure(raw);
  return {static_cast<const T*>(keep.data()), volume_shape(keep, "raw"), keep.strides(0) / kSize, keep.strides(1) / kSize};
}

template <class T>
void correct_array(const methods::CorrectionKernel& kernel, const Box3& box, const py::array& raw,
                   BlockView<std::uint16_t> out, int workers) {
  py::array keep;
  const BlockView<const T> from = raw_view<T>(raw, keep);
  native_work([&] {
    execution::ThreadPool pool(workers);
    std::vector<methods::CorrectionKernel::Scratch> scratch(static_cast<std::size_t>(workers));
    for_each_part(pool, box, {1, kPartRows, box.end().x}, [&](const Box3& part, int worker) {
      const Box3 inner{part.origin - box.origin, part.shape};
      kernel.apply<T>(part, from.sub(inner), out.sub(inner), scratch[static_cast<std::size_t>(worker)]);
    });
  });
}

py::array_t<std::uint16_t> correct_block(const Model& model, const py::object& box, const py::object& raw,
                                         const py::object& tile, std::int64_t t, std::int64_t c, const py::object& out,
                                         int workers, const py::kwargs& options) {
  require(workers >= 1 && workers <= 1024, "workers: expected 1 to 1024, found " + std::to_string(workers));
  const bool is_open = py::isinstance<TileHandle>(tile);
  config::RunConfig config;
  store_s3_options(options, config);
  require(options.empty() || (!is_open && raw.is_none()), "options of S3: the tile is open already, or is not read");
  const Box3 wanted = to_box(box, model->shape());
  const methods::CorrectionKernel& kernel = model->kernel(t, c);
  if (!raw.is_none()) {
    require(tile.is_none(), "raw, tile: expected one of them");
    const auto voxels = raw.cast<py::array>();
    require(voxels.ndim() == 3 && volume_shape(voxels, "raw") == wanted.shape,
            "raw: expected the shape of the box, " + to_string(wanted.shape));
    const bool is_byte = py::isinstance<py::array_t<std::uint8_t>>(voxels);
    require(is_byte || py::isinstance<py::array_t<std::uint16_t>>(voxels),
            "raw: expected uint8 or uint16, found " + std::string(py::str(voxels.dtype())));
    py::array_t<std::uint16_t> corrected = output_array(out, wanted.shape);
    const BlockView<std::uint16_t> view(corrected.mutable_data(), wanted.shape);
    is_byte ? correct_array<std::uint8_t>(kernel, wanted, voxels, view, workers)
            : correct_array<std::uint16_t>(kernel, wanted, voxels, view, workers);
    return corrected;
  }
  const TileHandle opened = is_open          ? tile.cast<TileHandle>()
                            : tile.is_none() ? open_tile(py::str(model->model().tile), options)
                                             : open_tile(tile, options);
  const ome::Volume volume =
      without_lock([&] { return opened.tile->open_volume(model->model().levels.target, {t, c}); });
  require(volume.shape() == model->shape(), "the tile has the shape " + to_string(volume.shape()) +
                                                ", the model is for " + to_string(model->shape()) +
                                                ": take model.resized(shape)");
  py::array_t<std::uint16_t> corrected = output_array(out, wanted.shape);
  const BlockView<std::uint16_t> view(corrected.mutable_data(), wanted.shape);
  native_work([&] {
    execution::ThreadPool pool(workers);
    const auto source = pipeline::corrected_source(volume, kernel, workers);
    for_each_part(pool, wanted, volume.chunk_shape(), [&](const Box3& part, int worker) {
      const BlockView<std::uint16_t> into = view.sub({part.origin - wanted.origin, part.shape});
      source->read(part, into, worker);
      source->finish(part, into, worker);
    });
  });
  return corrected;
}

}  // namespace

void bind_model(py::module_& module) {
  using namespace pybind11::literals;
  py::class_<VolumeHandle>(module, "ModelVolume",
                           "What a model knows of one time point and channel. background, flatfield and darkfield are "
                           "read-only views of the model; other arrays are copies.")
      .def_property_readonly(
          "background", [](const VolumeHandle& self) { return self.plane(self.correction().background); },
          "Subtracted first: float32 (y, x), counts; None = nothing is.")
      .def_property_readonly("mask", &VolumeHandle::mask,
                             "Foreground at the estimation level: uint8 (z, y, x), 0 or 1; None without one.")
      .def_property_readonly(
          "curve_z", [](const VolumeHandle& self) { return self.curve(&methods::AxisCurves::z); },
          "What voxels inside the mask are divided by along z: float32; None = the axis is not corrected.")
      .def_property_readonly(
          "curve_y", [](const VolumeHandle& self) { return self.curve(&methods::AxisCurves::y); }, "See curve_z.")
      .def_property_readonly(
          "curve_x", [](const VolumeHandle& self) { return self.curve(&methods::AxisCurves::x); }, "See curve_z.")
      .def_property_readonly(
          "profile_z", [](const VolumeHandle& self) { return self.profile(0); },
          "What curve_z follows, one value per plane of the estimation level; None where no curves were fitted.")
      .def_property_readonly(
          "profile_y", [](const VolumeHandle& self) { return self.profile(1); }, "See profile_z.")
      .def_property_readonly(
          "profile_x", [](const VolumeHandle& self) { return self.profile(2); }, "See profile_z.")
      .def_property_readonly(
          "ratio",
          [](const VolumeHandle& self) {
            return self.correction().curves ? py::object(py::float_(self.correction().curves->ratio)) : py::none();
          },
          "What voxels inside the mask are multiplied by; None for other methods, and where only the background is "
          "subtracted.")
      .def_property_readonly("flatfield", &VolumeHandle::flatfield,
                             "What every plane is divided by: float32 (y, x); None for method fitting, and where only the "
                             "background is subtracted.")
      .def_property_readonly("darkfield", &VolumeHandle::darkfield,
                             "Subtracted before that: float32 (y, x), counts; None = 0.")
      .def_property_readonly(
          "background_planes", [](const VolumeHandle& self) { return self.volume->learned.background_planes.planes; },
          "z indices of the planes of the estimation level that the background is of.")
      .def_property_readonly(
          "quality", [](const VolumeHandle& self) { return from_json(self.volume->quality); },
          "Quality numbers with their verdicts (docs/quality.md); None if nothing was measured.")
      .def_property_readonly(
          "reason",
          [](const VolumeHandle& self) {
            return self.volume->reason.empty() ? py::object(py::none()) : py::object(py::str(self.volume->reason));
          },
          "Why only the background is subtracted; None where more is.");
  py::class_<ModelHandle, Model>(module, "Model",
                                 R"(The correction of a tile, as estimate() leaves it. Can be pickled.

As a file it is an .npz (docs/formats.md).)")
      .def_property_readonly(
          "tile", [](const ModelHandle& self) { return self.model().tile; }, "Location that it was learnt from.")
      .def_property_readonly(
          "shape", [](const ModelHandle& self) { return to_tuple(self.shape()); }, "Voxels (z, y, x) of the volumes it corrects.")
      .def_property_readonly(
          "level", [](const ModelHandle& self) { return self.model().levels.target; }, "Level of the tile that it corrects.")
      .def_property_readonly(
          "estimation_level", [](const ModelHandle& self) { return self.model().levels.estimation; },
          "Level of the tile that it was learnt from.")
      .def_property_readonly(
          "volumes",
          [](const ModelHandle& self) {
            py::list ids;
            for (const pipeline::ModelVolume& volume : self.model().volumes)
              ids.append(py::make_tuple(volume.id.t, volume.id.c));
            return ids;
          },
          "(t, c) of each of its volumes.")
      .def_property_readonly(
          "document", [](const ModelHandle& self) { return from_json(self.document()); },
          "How it describes itself: the options it was learnt with, what was chosen, quality (docs/formats.md).")
      .def(
          "volume",
          [](const Model& self, std::int64_t t, std::int64_t c) { return VolumeHandle{self, &self->volume(t, c)}; },
          "t"_a = 0, "c"_a = 0, "What it knows of a time point and channel: a ModelVolume.")
      .def(
          "resized",
          [](const Model& self, const py::object& shape) {
            const Extent3 wanted = to_extent(shape, "shape");
            const py::gil_scoped_release unlocked;
            return std::make_shared<ModelHandle>(self->file(), wanted);
          },
          "shape"_a,
          "The same for volumes of another shape (z, y, x): planes by cubic splines, curves linearly.")
      .def("to_bytes", &bytes_of, "The file of the model.")
      .def(py::pickle([](const Model& self) { return py::make_tuple(bytes_of(self), to_tuple(self->shape())); },
                      [](const py::tuple& state) { return model_from_bytes(state[0].cast<std::string>(), state[1]); }));
  module.def("read_model", &read_model, "location"_a, "shape"_a = py::none(),
             R"(Reads a model that estimate() has written: a Model.

location: an .npz file, local or s3://. shape: (z, y, x) of the volumes that it is to correct; default: those that it was
learnt for. options: those of S3, e.g. s3_anonymous=True. Raises NotFoundError if there is none, BadInputError if it is damaged or another file.)");
  module.def("correct_block", &correct_block, "model"_a, "box"_a = py::none(), "raw"_a = py::none(), py::kw_only(),
             "tile"_a = py::none(), "t"_a = 0, "c"_a = 0, "out"_a = py::none(), "workers"_a = 1,
             R"(Corrected voxels of a box: uint16 (z, y, x), the values that apply() writes to level 0.

box: three slices or indices along z, y, x of model.shape, as numpy.s_[0:64, :, :] makes them; None = everything.
raw: the voxels of the box before correction, uint8 or uint16 (z, y, x); not copied where rows along x are contiguous. Without
it they are read from `tile` (a Tile or its location; default: model.tile) chunk by chunk, so that no second array of the
size of the box is needed. t, c: which volume. out: array of uint16 in C order that is written to and returned; may be `raw`
itself. options: those of S3, for a tile that is not open. Raises UsageError for what does not fit together.)");
}

}  // namespace flatfield::python
