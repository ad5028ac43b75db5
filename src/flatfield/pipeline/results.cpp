#include "flatfield/pipeline/results.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>

#include "flatfield/core/error.h"
#include "flatfield/core/translate_errors.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/npz_file.h"
#include "flatfield/pipeline/tiff_file.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kAxes[] = {"z", "y", "x"};
/// What the files that are saved of a volume are called, behind its label.
constexpr const char* kLearnedFiles[] = {"_bkg.tif",          "_bkg_slice_indices.json", "_flatfield.tif",
                                         "_darkfield.tif",    "_baseline.json",          "_corr_curves.json",
                                         "_corr_xy.png",      "_corr_xz.png",            "_corr_yz.png"};

void write_file(const std::string& path, std::string_view head, std::span<const std::byte> body) {
  const auto fail = [&] {
    throw Error(ErrorCode::kWriteFailed, std::string("cannot write: ") + std::strerror(errno), path,
                "choose a results directory that can be written");
  };
  std::FILE* file = std::fopen(path.c_str(), "wbe");  // e: not for programs that are started meanwhile
  if (file == nullptr) fail();
  const bool written =
      std::fwrite(head.data(), 1, head.size(), file) == head.size() &&
      (body.empty() || std::fwrite(body.data(), 1, body.size(), file) == body.size());
  if (std::fclose(file) != 0 || !written) fail();
}

/// An array as a NumPy file: `descr` is its type string.
template <class T>
void write_npy(const std::string& path, std::string_view descr, const std::vector<std::int64_t>& shape,
               std::span<const T> values) {
  write_file(path, npy_head(descr, shape), std::as_bytes(values));
}

template <class T>
void write_npy(const std::string& path, std::string_view descr, const std::vector<T>& values) {
  write_npy<T>(path, descr, {static_cast<std::int64_t>(values.size())}, std::span<const T>(values));
}

void save_image_flatfield(const std::string& prefix, const methods::ImageFlatfield& image) {
  write_plane_tiff(prefix + "_flatfield.tif", image.flatfield.view());
  // Without a darkfield the one that was subtracted is 0.
  if (image.darkfield)
    write_plane_tiff(prefix + "_darkfield.tif", image.darkfield->view());
  else
    write_plane_tiff(prefix + "_darkfield.tif", Block<float>(image.flatfield.shape(), 0.0F).view());
}

/// TILE_baseline.json: the brightness of each frame that BaSiC was fitted to.
void save_basic(const std::string& prefix, const LearnedBasic& basic) {
  Json out;
  out["planes"] = Json(basic.planes);
  out["baseline"] = Json(basic.baseline);
  out["iterations"] = Json(basic.iterations);
  out["converged"] = basic.converged;
  write_json(prefix + "_baseline.json", out);
}

}  // namespace

std::string volume_label(const std::string& tile_name, ome::VolumeId id, ome::VolumeId counts) {
  if (counts == ome::VolumeId{1, 1}) return tile_name;
  return fmt::format("{}_t{}_c{}", tile_name, id.t, id.c);
}

void write_diagnostic(std::string_view what, report::Log& log, const std::function<void()>& write) {
  try {
    with_errors(write);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    log.warning(fmt::format("{} is not written: {}", what, error.what()));
  }
}

void save_learned(const std::string& results_dir, const std::string& label, const Learned& learned) {
  const std::string prefix = results_dir + "/" + label;
  if (learned.correction.background) {
    write_plane_tiff(prefix + "_bkg.tif", learned.correction.background->view());
    write_json(prefix + "_bkg_slice_indices.json", Json(learned.background_planes.planes));
  }
  if (learned.correction.image) save_image_flatfield(prefix, *learned.correction.image);
  if (learned.basic) save_basic(prefix, *learned.basic);
  if (!learned.correction.curves) return;
  const methods::AxisCurves& curves = *learned.correction.curves;
  Json out;
  out["g"] = learned.fit->g;
  out["ratio"] = static_cast<double>(curves.ratio);
  const std::vector<float>* values[] = {&curves.z, &curves.y, &curves.x};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    out[std::string("profile_") + kAxes[axis]] = learned.fit->axes[axis].profile;
    out[std::string("curve_") + kAxes[axis]] = values[axis]->empty() ? Json() : Json(*values[axis]);
  }
  write_json(prefix + "_corr_curves.json", out);
}

void remove_learned(const std::string& results_dir, const std::string& label) {
  for (const char* name : kLearnedFiles) remove_result_file(results_dir + "/" + label + name);
}

void dump_learned(const std::string& folder, const Learned& learned) {
  std::filesystem::create_directories(folder);
  const auto path = [&](const std::string& name) { return folder + "/" + name + ".npy"; };
  const auto dump_block = [&](const std::string& name, std::string_view descr, const auto& block,
                              bool plane) {
    const Extent3& shape = block.shape();
    write_npy(path(name), descr,
              plane ? std::vector{shape.y, shape.x} : std::vector{shape.z, shape.y, shape.x}, block.span());
  };
  if (!learned.correction.background) return;
  dump_block("background", "<f4", std::as_const(*learned.correction.background), true);
  write_npy(path("initial_planes"), "<i8", learned.background_planes.initial);
  write_npy(path("background_planes"), "<i8", learned.background_planes.planes);
  write_npy(path("target_planes"), "<i8", learned.target_planes);
  if (learned.correction.mask) {
    const Block<std::uint8_t> mask = learned.correction.mask->expanded();
    dump_block("mask_low", "|u1", mask, false);
  }
  if (!learned.fit) return;
  write_npy(path("g"), "<f8", std::vector<double>{learned.fit->g});
  const methods::AxisCurves& curves = *learned.correction.curves;
  const std::vector<float>* values[] = {&curves.z, &curves.y, &curves.x};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    write_npy(path(std::string("profile_") + kAxes[axis]), "<f4", learned.fit->axes[axis].profile);
    if (!values[axis]->empty()) write_npy(path(std::string("curve_") + kAxes[axis]), "<f4", *values[axis]);
  }
}

}  // namespace flatfield::pipeline
