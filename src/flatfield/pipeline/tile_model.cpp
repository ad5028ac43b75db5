#include "flatfield/pipeline/tile_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "flatfield/core/crc32c.h"
#include "flatfield/core/error.h"
#include "flatfield/core/object_reader.h"
#include "flatfield/numerics/spline_resize.h"
#include "flatfield/pipeline/npz_file.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kFormat = "exaspim-flatfield model";
constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20U;
constexpr const char* kDocument = "model.json";
constexpr std::array<const char*, 3> kAxes{"z", "y", "x"};

Json extent_json(const Extent3& extent) { return Json(Json::Array{extent.z, extent.y, extent.x}); }

Extent3 extent_of(const ObjectReader& reader, std::string_view key) {
  const std::vector<std::int64_t> values = reader.get_ints(key, 1, std::int64_t{1} << 40);
  if (values.size() != 3) reader.fail(key, "expected three integers");
  return {values[0], values[1], values[2]};
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

std::string optional_text(const ObjectReader& reader, std::string_view key) {
  const Json* value = reader.optional(key);
  return value == nullptr ? std::string() : reader.get_string(key);
}

std::array<std::vector<float>*, 3> curves_of(methods::AxisCurves& curves) {
  return {&curves.z, &curves.y, &curves.x};
}
std::array<const std::vector<float>*, 3> curves_of(const methods::AxisCurves& curves) {
  return {&curves.z, &curves.y, &curves.x};
}

// A mask is stored with eight voxels of a row in a byte, the first in its lowest bit. It may take half of a run's memory, so
// there is never a second one.

std::vector<std::int64_t> stored_shape(const Extent3& shape) { return {shape.z, shape.y, ceil_div(shape.x, 8)}; }

void add_mask(NpzWriter& file, const std::string& name, const BitVolume& mask) {
  const Extent3& shape = mask.shape();
  file.begin<std::uint8_t>(name, stored_shape(shape));
  std::vector<std::uint8_t> plane;
  for (std::int64_t z = 0; z < shape.z; ++z) {
    plane.clear();
    for (std::int64_t y = 0; y < shape.y; ++y)
      for (std::int64_t x = 0; x < shape.x; x += 8)
        plane.push_back(static_cast<std::uint8_t>(mask.row(z, y).bits(x, std::min<std::int64_t>(8, shape.x - x))));
    file.append<std::uint8_t>(plane);
  }
}

BitVolume read_mask(const NpzReader& file, const std::string& name, const Extent3& shape) {
  static_assert(std::endian::native == std::endian::little);
  file.expect<std::uint8_t>(name, stored_shape(shape));
  BitVolume mask(shape);
  const std::span<std::byte> bytes = std::as_writable_bytes(mask.words());
  const auto rows = static_cast<std::size_t>(shape.z * shape.y);
  const auto stored = static_cast<std::size_t>(ceil_div(shape.x, 8));
  const std::size_t held = rows > 0 ? bytes.size() / rows : 0;
  file.read_bytes(name, stored_shape(shape), bytes.first(rows * stored));
  // Rows are no longer than the room for them: they go there one by one, the last one first.
  for (std::size_t row = rows; row-- > 0;) {
    std::byte* const to = bytes.data() + row * held;
    std::memmove(to, bytes.data() + row * stored, stored);
    std::memset(to + stored, 0, held - stored);
    if (shape.x % 8 != 0) to[stored - 1] &= static_cast<std::byte>(low_bits(shape.x % 8));
  }
  return mask;
}

Json fit_json(const Learned& learned) {
  Json out;
  out["g"] = learned.fit->g;
  out["ratio"] = learned.correction.curves ? Json(static_cast<double>(learned.correction.curves->ratio)) : Json();
  out["ratio_clamped"] = learned.ratio_clamped;
  out["global_factor"] = learned.global_factor;
  Json limits = Json::object();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto& bounds = learned.fit->axes[axis].limits;
    limits[kAxes[axis]] = bounds ? Json(Json::Array{bounds->lo, bounds->hi}) : Json();
  }
  out["limits"] = limits;
  return out;
}

void read_fit(const ObjectReader& reader, Learned& learned) {
  learned.fit.emplace();
  learned.fit->g = reader.get_double("g");
  learned.ratio_clamped = reader.get_bool("ratio_clamped");
  learned.global_factor = reader.get_double("global_factor");
  const ObjectReader limits = reader.get_object("limits");
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (limits.optional(kAxes[axis]) != nullptr) {
      const std::vector<double> bounds = limits.get_doubles(kAxes[axis]);
      if (bounds.size() != 2) limits.fail(kAxes[axis], "expected two numbers");
      learned.fit->axes[axis].limits = methods::Limits{bounds[0], bounds[1]};
    }
}

Json basic_json(const LearnedBasic& basic) {
  Json out;
  out["planes"] = Json(basic.planes);
  out["iterations"] = Json(basic.iterations);
  out["converged"] = basic.converged;
  out["baselines"] = basic.baseline.size();
  return out;
}

Json volume_json(const ModelVolume& volume) {
  const Learned& learned = volume.learned;
  const methods::Correction& correction = learned.correction;
  Json out;
  out["key"] = volume_key(volume.id);
  out["t"] = volume.id.t;
  out["c"] = volume.id.c;
  out["status"] = volume.reason.empty() ? "corrected" : "background_only";
  out["reason"] = text_or_null(volume.reason);
  out["gated"] = volume.gated;
  out["probability"] = volume.has_probability;
  out["background"] = correction.background.has_value();
  Json planes;
  planes["initial"] = Json(learned.background_planes.initial);
  planes["kept"] = Json(learned.background_planes.planes);
  planes["rounds"] = learned.background_planes.rounds;
  planes["all_rejected"] = learned.background_planes.all_rejected;
  planes["target"] = Json(learned.target_planes);
  out["background_planes"] = std::move(planes);
  out["mask_shape"] = correction.mask ? extent_json(correction.mask->shape()) : Json();
  out["fit"] = learned.fit ? fit_json(learned) : Json();
  out["flatfield"] = correction.image.has_value();
  out["darkfield"] = correction.image && correction.image->darkfield;
  out["basic"] = learned.basic ? basic_json(*learned.basic) : Json();
  out["quality"] = volume.quality;
  out["warnings"] = Json(learned.warnings);
  return out;
}

Json model_json(const TileModel& model) {
  Json out;
  out["format"] = kFormat;
  out["version"] = kVersion;
  out["program"] = std::string("exaspim-flatfield ") + FLATFIELD_VERSION;
  out["created"] = model.created;
  out["tile"] = model.tile;
  out["shape"] = extent_json(model.shape);
  Json levels;
  levels["target"] = model.levels.target;
  levels["estimation"] = model.levels.estimation;
  levels["binned"] = model.levels.binned;
  out["levels"] = std::move(levels);
  Json volumes = Json::array();
  for (const ModelVolume& volume : model.volumes) volumes.push_back(volume_json(volume));
  out["volumes"] = std::move(volumes);
  out["configuration"] = model.configuration;
  out["input"] = model.input;
  return out;
}

void add_plane(NpzWriter& file, const std::string& name, const Block<float>& plane) {
  file.add<float>(name, {plane.shape().y, plane.shape().x}, plane.span());
}

void add_values(NpzWriter& file, const std::string& name, const std::vector<float>& values) {
  file.add<float>(name, {static_cast<std::int64_t>(values.size())}, values);
}

void add_arrays(NpzWriter& file, const ModelVolume& volume) {
  const std::string prefix = volume_key(volume.id) + "/";
  const Learned& learned = volume.learned;
  const methods::Correction& correction = learned.correction;
  if (correction.background) add_plane(file, prefix + "background", *correction.background);
  if (correction.mask) add_mask(file, prefix + "mask", *correction.mask);
  if (correction.image) {
    add_plane(file, prefix + "flatfield", correction.image->flatfield);
    if (correction.image->darkfield) add_plane(file, prefix + "darkfield", *correction.image->darkfield);
  }
  if (learned.basic) add_values(file, prefix + "baseline", learned.basic->baseline);
  if (!learned.fit) return;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    add_values(file, prefix + "profile_" + kAxes[axis], learned.fit->axes[axis].profile);
    if (correction.curves) add_values(file, prefix + "curve_" + kAxes[axis], *curves_of(*correction.curves)[axis]);
  }
}

ModelVolume read_volume(const NpzReader& file, const Json& json, const std::string& path, const Extent3& shape) {
  const ObjectReader reader(json, file.describe(), path);
  ModelVolume volume;
  volume.id = {reader.get_int("t", 0), reader.get_int("c", 0)};
  volume.reason = optional_text(reader, "reason");
  volume.gated = reader.get_bool("gated");
  volume.has_probability = reader.get_bool("probability");
  volume.quality = reader.require("quality");
  Learned& learned = volume.learned;
  methods::Correction& correction = learned.correction;
  const std::string prefix = volume_key(volume.id) + "/";
  correction.shape = shape;
  // Models of earlier versions have none.
  if (reader.optional("warnings") != nullptr)
    for (const Json& warning : reader.get_array("warnings")) {
      if (!warning.is_string()) reader.fail("warnings", "expected texts");
      learned.warnings.push_back(warning.as_string());
    }
  if (reader.get_bool("background")) correction.background = file.read_plane(prefix + "background", shape);
  const ObjectReader planes = reader.get_object("background_planes");
  learned.background_planes = {planes.get_ints("initial", 0), planes.get_ints("kept", 0),
                               static_cast<int>(planes.get_int("rounds", 0, 1 << 20)),
                               planes.get_bool("all_rejected")};
  learned.target_planes = planes.get_ints("target", 0);
  if (reader.optional("mask_shape") != nullptr)
    correction.mask = read_mask(file, prefix + "mask", extent_of(reader, "mask_shape"));
  if (reader.get_bool("flatfield")) {
    correction.image.emplace();
    correction.image->flatfield = file.read_plane(prefix + "flatfield", shape);
    if (reader.get_bool("darkfield")) correction.image->darkfield = file.read_plane(prefix + "darkfield", shape);
  }
  if (reader.optional("basic") != nullptr) {
    const ObjectReader basic = reader.get_object("basic");
    learned.basic = {basic.get_ints("planes", 0), file.read_vector(prefix + "baseline"),
                     basic.get_ints("iterations", 0), basic.get_bool("converged")};
  }
  if (reader.optional("fit") == nullptr) return volume;
  const ObjectReader fit = reader.get_object("fit");
  read_fit(fit, learned);
  const bool has_curves = fit.optional("ratio") != nullptr;
  if (has_curves) {
    correction.curves.emplace();
    correction.curves->ratio = static_cast<float>(fit.get_double("ratio"));
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    learned.fit->axes[axis].profile = file.read_vector(prefix + "profile_" + kAxes[axis]);
    if (!has_curves) continue;
    std::vector<float>& curve = *curves_of(*correction.curves)[axis];
    curve = file.read_vector(prefix + "curve_" + kAxes[axis]);
    if (!curve.empty() && static_cast<std::int64_t>(curve.size()) != shape[static_cast<int>(axis)])
      fit.fail("ratio", fmt::format("the curve along {} does not have the length of the volume", kAxes[axis]));
  }
  return volume;
}

Json checked_document(const NpzReader& file) {
  Json document = Json::parse(file.read_text(kDocument), file.describe());
  const ObjectReader reader(document, file.describe());
  if (reader.get_string("format") != kFormat) reader.fail("format", fmt::format("expected \"{}\"", kFormat));
  const std::int64_t version = reader.get_int("version", 1);
  if (version != kVersion)
    throw Error(ErrorCode::kUnsupported, fmt::format("version {} of the model is not known", version),
                file.describe(), "use the program that wrote it, or estimate again");
  return document;
}

/// A curve over another number of voxels, from its first to its last.
std::vector<float> resized_curve(const std::vector<float>& curve, std::int64_t length) {
  if (curve.empty()) return {};
  std::vector<float> out(static_cast<std::size_t>(length));
  const double step = length > 1 ? static_cast<double>(curve.size() - 1) / static_cast<double>(length - 1) : 0.0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double place = static_cast<double>(i) * step;
    const auto below = std::min(static_cast<std::size_t>(place), curve.size() - 1);
    const std::size_t above = std::min(below + 1, curve.size() - 1);
    const double share = place - static_cast<double>(below);
    out[i] = static_cast<float>((1.0 - share) * double{curve[below]} + share * double{curve[above]});
  }
  return out;
}

void resize_curves(methods::AxisCurves& curves, const Extent3& shape) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::vector<float>& curve = *curves_of(curves)[axis];
    curve = resized_curve(curve, shape[static_cast<int>(axis)]);
  }
}

}  // namespace

std::string volume_key(ome::VolumeId id) { return fmt::format("t{}_c{}", id.t, id.c); }

std::string model_location(const std::string& model, const std::string& tile_name) {
  return model.ends_with(".npz") ? model : join_location(model, tile_name + ".npz");
}

std::uint32_t model_checksum(const storage::Store& store, const std::string& key) {
  Buffer piece;
  std::uint32_t sum = 0;
  const std::uint64_t size = store.size(key).value_or(0);
  for (std::uint64_t at = 0; at < size; at += kPieceBytes)
    if (store.get_range(key, {at, std::min(kPieceBytes, size - at)}, piece)) sum = crc32c(piece.span(), sum);
  return sum;
}

void write_model(storage::Store& store, const std::string& key, const TileModel& model) {
  NpzWriter file(store.create(key));
  file.add_text(kDocument, model_json(model).dump(2) + "\n");
  for (const ModelVolume& volume : model.volumes) add_arrays(file, volume);
  file.finish();
}

Json read_model_document(std::shared_ptr<const storage::Store> store, const std::string& key) {
  return checked_document(NpzReader(std::move(store), key));
}

TileModel read_model(std::shared_ptr<const storage::Store> store, const std::string& key) {
  const NpzReader file(std::move(store), key);
  const Json document = checked_document(file);
  const ObjectReader reader(document, file.describe());
  TileModel model;
  model.tile = reader.get_string("tile");
  model.created = reader.get_string("created");
  model.shape = extent_of(reader, "shape");
  model.configuration = reader.require("configuration");
  model.input = reader.require("input");
  const ObjectReader levels = reader.get_object("levels");
  model.levels = {levels.get_string("target"), levels.get_string("estimation"), levels.get_bool("binned")};
  const Json::Array& volumes = reader.get_array("volumes");
  for (std::size_t i = 0; i < volumes.size(); ++i)
    model.volumes.push_back(read_volume(file, volumes[i], fmt::format("volumes[{}]", i), model.shape));
  if (model.volumes.size() > 1)
    for (ModelVolume& volume : model.volumes) volume.learned.label = volume_key(volume.id);
  return model;
}

void make_applicable(ModelVolume& volume, const Extent3& shape, const ParallelFor& parallel_for) {
  methods::Correction& correction = volume.learned.correction;
  if (volume.gated) {
    correction.curves.reset();
    correction.image.reset();
  }
  if (correction.shape == shape) return;
  const auto resize = [&](Block<float>& plane) {
    plane = numerics::resize_plane(plane.view(), shape.y, shape.x, parallel_for);
  };
  correction.shape = shape;
  if (correction.background) resize(*correction.background);
  if (correction.image) resize(correction.image->flatfield);
  if (correction.image && correction.image->darkfield) resize(*correction.image->darkfield);
  if (correction.curves) resize_curves(*correction.curves, shape);
}

bool TileModel::has_mask() const {
  return std::any_of(volumes.begin(), volumes.end(),
                     [](const ModelVolume& volume) { return volume.learned.correction.mask.has_value(); });
}

const ModelVolume* TileModel::masked() const {
  const ModelVolume* first = nullptr;
  for (const ModelVolume& volume : volumes) {
    const std::optional<BitVolume>& mask = volume.learned.correction.mask;
    if (mask && mask->view().any()) return &volume;
    if (mask && first == nullptr) first = &volume;
  }
  return first;
}

bool TileModel::has_probability() const {
  return std::any_of(volumes.begin(), volumes.end(), [](const ModelVolume& volume) { return volume.has_probability; });
}

bool TileModel::is_background_only() const {
  return !volumes.empty() && std::none_of(volumes.begin(), volumes.end(),
                                          [](const ModelVolume& volume) { return volume.reason.empty(); });
}

std::string TileModel::reason() const {
  std::string reasons;
  for (const ModelVolume& volume : volumes) {
    if (volume.reason.empty()) continue;
    if (!reasons.empty()) reasons += "; ";
    reasons += (volumes.size() > 1 ? volume_key(volume.id) + ": " : "") + volume.reason;
  }
  return reasons;
}

methods::Correction resized_correction(const methods::Correction& correction, const Extent3& shape,
                                       const ParallelFor& parallel_for) {
  const auto resized = [&](const Block<float>& plane) {
    return numerics::resize_plane(plane.view(), shape.y, shape.x, parallel_for);
  };
  methods::Correction out;
  out.shape = shape;
  if (correction.background) out.background = resized(*correction.background);
  if (correction.image) out.image.emplace(resized(correction.image->flatfield), std::nullopt);
  if (correction.image && correction.image->darkfield) out.image->darkfield = resized(*correction.image->darkfield);
  if (correction.curves) {
    out.curves = correction.curves;
    if (correction.shape != shape) resize_curves(*out.curves, shape);
  }
  return out;
}

}  // namespace flatfield::pipeline
