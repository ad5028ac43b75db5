#include "flatfield/pipeline/show_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/curve_plots.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/printable_text.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/report/line_plot.h"
#include "flatfield/report/plane_picture.h"

namespace flatfield::pipeline {
namespace {

constexpr std::array<const char*, 3> kAxes{"z", "y", "x"};

template <class Values>
std::string range_text(const Values& values) {
  const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.6g} .. {:.6g}", *lo, *hi);
}

std::string plane_text(const Block<float>& plane) {
  return fmt::format("{} x {} pixels, {}", plane.shape().y, plane.shape().x, range_text(plane.span()));
}

const std::vector<float>& curve_of(const methods::AxisCurves& curves, std::size_t axis) {
  return axis == 0 ? curves.z : axis == 1 ? curves.y : curves.x;
}

std::string volume_text(const ModelVolume& volume) {
  std::string text = fmt::format("volume {}\n", volume_key(volume.id));
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("    {:<12} {}\n", name, printable(value));
  };
  const methods::Correction& correction = volume.learned.correction;
  line("status", volume.reason.empty() ? "corrected" : "background subtraction only: " + volume.reason);
  line("background", correction.background ? plane_text(*correction.background) : "none");
  if (correction.image) {
    line("flatfield", plane_text(correction.image->flatfield));
    line("darkfield", correction.image->darkfield ? plane_text(*correction.image->darkfield) : "0");
  }
  if (correction.mask) {
    const auto inside = static_cast<double>(correction.mask->count());
    line("mask", fmt::format("{}, {:.1f} % foreground", to_string(correction.mask->shape()),
                             100.0 * inside / static_cast<double>(std::max<std::int64_t>(1, correction.mask->size()))));
  }
  if (correction.curves) {
    line("g", fmt::format("{:.6g}", volume.learned.fit->g));
    line("ratio", fmt::format("{:.6g}{}", correction.curves->ratio, volume.learned.ratio_clamped ? " (clamped)" : ""));
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::vector<float>& curve = curve_of(*correction.curves, axis);
      line(fmt::format("curve {}", kAxes[axis]),
           curve.empty() ? "not corrected" : fmt::format("{} voxels, {}", curve.size(), range_text(curve)));
    }
  }
  if (const Json* verdict = volume.quality.find("verdict")) line("quality", verdict->as_string());
  return text;
}

/// Draws the volume that the titles name `title_name`.
void draw(const ModelVolume& volume, const std::string& folder, const std::string& title_name) {
  const std::string key = volume_key(volume.id);
  const auto save = [&](const std::string& name, const std::vector<std::byte>& png) {
    write_result_file(fmt::format("{}/{}_{}.png", folder, key, name), png);
  };
  const auto plane = [&](const std::string& name, const Block<float>& from, const std::string& unit) {
    save(name, report::draw_plane_png(from.view(), fmt::format("{}: {}", title_name, name), unit));
  };
  const methods::Correction& correction = volume.learned.correction;
  if (correction.background) plane("background", *correction.background, "counts");
  if (correction.image) {
    plane("flatfield", correction.image->flatfield, "relative");
    if (correction.image->darkfield) plane("darkfield", *correction.image->darkfield, "counts");
  }
  if (!correction.curves) return;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::vector<float>& curve = curve_of(*correction.curves, axis);
    if (curve.empty()) continue;
    save(fmt::format("curve_{}", kAxes[axis]),
         report::draw_png(curve_plot(kAxes[axis], title_name, curve, volume.learned.fit->axes[axis])));
  }
}

}  // namespace

std::string show_model(const std::string& location, const std::string& plots, storage::StoreOpener& stores) {
  require_local_folder(plots, "--plots");
  const auto [store, key] = stores.open_object(location);
  const TileModel model = read_model(store, key);
  std::string text = fmt::format("{}\n    {:<12} {}\n    {:<12} {}\n    {:<12} {}, learnt at level {}{}\n",
                                 printable(store->describe(key)), "tile", printable(model.tile), "created",
                                 printable(model.created), "for", to_string(model.shape),
                                 printable(model.levels.estimation), model.levels.binned ? ", binned" : "");
  for (const ModelVolume& volume : model.volumes) text += volume_text(volume);
  if (plots.empty()) return text;
  std::error_code error;
  std::filesystem::create_directories(plots, error);
  if (error) throw Error(ErrorCode::kWriteFailed, "cannot make the folder: " + error.message(), plots, "choose another");
  const std::string name = location_name(model.tile);
  for (const ModelVolume& volume : model.volumes)
    draw(volume, plots, model.volumes.size() > 1 ? fmt::format("{}_{}", name, volume_key(volume.id)) : name);
  return text;
}

std::string show_model_json(const std::string& location, storage::StoreOpener& stores) {
  const auto [store, key] = stores.open_object(location);
  return read_model_document(store, key).dump(2) + "\n";
}

}  // namespace flatfield::pipeline
