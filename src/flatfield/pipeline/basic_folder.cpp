#include "flatfield/pipeline/basic_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/execution/thread_pool.h"
#include "flatfield/methods/basic.h"
#include "flatfield/methods/basic_autotune.h"
#include "flatfield/methods/basic_transform.h"
#include "flatfield/methods/correction_numbers.h"
#include "flatfield/pipeline/json_file.h"
#include "flatfield/pipeline/learn_basic.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/tiff_file.h"
#include "flatfield/storage/file_error.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFlatfieldName = "flatfield.tif";
constexpr const char* kDarkfieldName = "darkfield.tif";
constexpr const char* kReportName = "basic_report.json";

/// Names of the TIFF files of a folder, sorted.
std::vector<std::string> image_names(const std::string& folder) {
  std::error_code error;
  const fs::file_type type = fs::status(folder, error).type();
  if (type == fs::file_type::none) storage::throw_file_error(ErrorCode::kReadFailed, "read", folder, error.value());
  if (type != fs::file_type::directory)
    throw Error(ErrorCode::kNotFound, "there is no such folder of images", folder, "check the name");
  std::vector<std::string> names;
  error.clear();
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!has_tiff_name(entry->path())) continue;
    std::error_code failure;
    const fs::file_type kind = entry->status(failure).type();
    if (kind == fs::file_type::none)
      storage::throw_file_error(ErrorCode::kReadFailed, "read", entry->path().string(), failure.value());
    if (kind == fs::file_type::regular) names.push_back(entry->path().filename().string());
  }
  if (error) storage::throw_file_error(ErrorCode::kReadFailed, "read", folder, error.value());
  if (names.empty())
    throw Error(ErrorCode::kBadInput, "the folder holds no .tif or .tiff file", folder, "check the name");
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    if (name == kFlatfieldName || name == kDarkfieldName)
      throw Error(ErrorCode::kUsage, "an image has the name of a result", folder + "/" + name, "rename it");
  return names;
}

std::string path_of(const std::string& folder, const std::string& name) { return folder + "/" + name; }

/// The shape that all images of a folder have; nothing but their headers is read.
Extent3 common_shape(const std::string& folder, const std::vector<std::string>& names) {
  Extent3 common;
  for (const std::string& name : names) {
    const Extent3 shape = plane_tiff_shape(path_of(folder, name));
    if (common.empty()) common = shape;
    if (shape != common)
      throw Error(ErrorCode::kBadInput,
                  fmt::format("expected {} x {} pixels as in {}, found {} x {}", common.y, common.x, names.front(),
                              shape.y, shape.x),
                  path_of(folder, name), "put images of one shape into a folder");
  }
  return common;
}

/// Some images of a folder, one after the other. Throws Error(kBadInput) where one is not of that shape.
Block<float> read_images(const std::string& folder, const std::vector<std::string>& names,
                         const std::vector<std::int64_t>& chosen, const Extent3& shape) {
  Block<float> images({static_cast<std::int64_t>(chosen.size()), shape.y, shape.x});
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::string path = path_of(folder, names[static_cast<std::size_t>(chosen[i])]);
    const Block<float> image = read_plane_tiff(path);
    if (image.shape() != shape)
      throw Error(ErrorCode::kBadInput, "the image changed while it was read", path, "run it again");
    std::copy(image.span().begin(), image.span().end(), images.plane(static_cast<std::int64_t>(i)).data);
  }
  return images;
}

/// The report is the first: it says that the others are there.
std::vector<std::string> result_names(const std::vector<std::string>& names) {
  std::vector<std::string> results{kReportName, kFlatfieldName, kDarkfieldName};
  results.insert(results.end(), names.begin(), names.end());
  return results;
}

/// The file or folder that a path leads to, the same by whichever name; none where nothing is there.
using FileIdentity = std::pair<dev_t, ino_t>;
std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) return FileIdentity(found.st_dev, found.st_ino);
  if (errno != ENOENT) storage::throw_file_error(ErrorCode::kReadFailed, "look at", path, errno);
  return std::nullopt;
}

/// Makes the output folder. Throws Error where something there must not be replaced; nothing is removed yet.
void check_output(const config::BasicFolderConfig& config, const std::vector<std::string>& names) {
  std::error_code error;
  fs::create_directories(config.output, error);
  if (error || !fs::is_directory(config.output))
    throw Error(ErrorCode::kWriteFailed, "cannot make the output folder: " + error.message(), config.output,
                "choose another --output");
  const std::optional<FileIdentity> output = identity_of(config.output);
  if (output == identity_of(config.input))
    throw Error(ErrorCode::kUsage, "the output folder is the input folder", config.output,
                "choose another --output");
  if (!config.weights_dir.empty() && output == identity_of(config.weights_dir))
    throw Error(ErrorCode::kUsage, "the output folder is the folder of the weights", config.output,
                "choose another --output");
  // What is read may be a link to what would be replaced.
  std::set<std::optional<FileIdentity>> sources;
  for (const std::string& folder : {config.input, config.weights_dir})
    for (std::size_t i = 0; !folder.empty() && i < names.size(); ++i)
      sources.insert(identity_of(path_of(folder, names[i])));
  for (const std::string& name : result_names(names)) {
    const std::string path = path_of(config.output, name);
    const std::optional<FileIdentity> old = identity_of(path);
    if (!old) continue;
    if (sources.contains(old))
      throw Error(ErrorCode::kUsage, "a result would replace an image that is read, through a link", path,
                  "choose another --output");
    std::error_code ignored;
    if (fs::is_directory(path, ignored))
      throw Error(ErrorCode::kOutputExists, "a folder has the name of a result", path, "choose another --output");
    if (!config.overwrite)
      throw Error(ErrorCode::kOutputExists, "a file is there already", path, "give --overwrite to replace it");
  }
}

/// What is replaced must not be taken for a result of this run if it ends early.
void remove_old_results(const config::BasicFolderConfig& config, const std::vector<std::string>& names) {
  for (const std::string& name : result_names(names)) {
    const std::string path = path_of(config.output, name);
    std::error_code error;
    fs::remove(path, error);
    if (error) storage::throw_file_error(ErrorCode::kWriteFailed, "remove", path, error.value());
  }
}

/// The images are divided by it.
void require_positive(const Block<float>& flatfield, const std::string& folder) {
  if (const std::int64_t bad = count_not_positive(flatfield); bad > 0)
    throw Error(ErrorCode::kBadInput,
                fmt::format("{} of {} pixels of the flatfield that was found are not greater than 0", bad,
                            flatfield.size()),
                folder,
                "leave out images with parts that no light reaches, cut such parts off, or raise "
                "smoothness_flatfield in --basic-config");
}

methods::Timelapse timelapse_of(const std::string& name) {
  if (name == "multiplicative") return methods::Timelapse::kMultiplicative;
  if (name == "additive") return methods::Timelapse::kAdditive;
  return methods::Timelapse::kNone;
}

Json solves_json(const std::vector<methods::BasicSolve>& solves) {
  Json out = Json::array();
  for (const methods::BasicSolve& solve : solves) {
    Json one;
    one["iterations"] = solve.iterations;
    one["residual"] = solve.residual;
    one["change"] = solve.change;
    one["converged"] = solve.converged;
    out.push_back(std::move(one));
  }
  return out;
}

methods::BasicFit fit(const Block<float>& images, const std::optional<Block<float>>& weights,
                      config::BasicConfig& options, const ParallelFor& parallel_for, report::Log& log) {
  const methods::FrameStack frames(images.view());
  std::optional<methods::FrameStack> weight_frames;
  if (weights) weight_frames.emplace(weights->view());
  if (options.autotune) {
    const methods::BasicAutotune tuned =
        methods::autotune_basic(frames, weight_frames, options, {}, parallel_for);
    options.smoothness_flatfield = tuned.best.flatfield;
    options.smoothness_darkfield = tuned.best.darkfield;
    options.sparse_cost_darkfield = tuned.best.sparse_cost_darkfield;
    log.info(fmt::format("autotune: smoothness_flatfield {}", options.smoothness_flatfield));
  }
  return methods::fit_basic(frames, weight_frames, options, methods::BasicOutput::kFieldsAndBaseline, parallel_for);
}

void write_rounded(const std::string& path, BlockView<const float> image) {
  Block<std::uint16_t> rounded(image.shape);
  std::transform(image.data, image.data + image.shape.volume(), rounded.data(),
                 [](float v) { return static_cast<std::uint16_t>(std::nearbyint(v)); });
  write_plane_tiff(path, std::as_const(rounded).view());
}

/// Reads, corrects and writes the images of the folder, each worker one at a time. With a time lapse image i is
/// frame i of the fit.
void write_corrected(const config::BasicFolderConfig& config, const std::vector<std::string>& names,
                     const methods::BasicFit& fit, const ParallelFor& parallel_for) {
  const bool rounds = config.output_type == "uint16";
  parallel_for(static_cast<std::int64_t>(names.size()), [&](std::int64_t i) {
    const std::string& name = names[static_cast<std::size_t>(i)];
    Block<float> image = read_images(config.input, names, {i}, fit.flatfield.shape());
    methods::transform_basic(methods::FrameStack(std::as_const(image).view()), fit, timelapse_of(config.timelapse),
                             std::array{i}, rounds ? methods::Clipping::kToUint16 : methods::Clipping::kNone,
                             image.span(), serial_for);
    const std::string path = path_of(config.output, name);
    if (rounds)
      write_rounded(path, std::as_const(image).view());
    else
      write_plane_tiff(path, std::as_const(image).view());
  });
}

}  // namespace

void correct_folder(const config::BasicFolderConfig& config, report::Log& log) {
  require_local_folder(config.input, "basic: INPUT");
  require_local_folder(config.output, "--output");
  require_local_folder(config.weights_dir, "--weights-dir");
  const std::vector<std::string> names = image_names(config.input);
  execution::ThreadPool pool(config.num_workers);
  const ParallelFor parallel_for = pool.as_parallel_for();
  config::BasicConfig options = config.basic;
  const Extent3 shape = common_shape(config.input, names);
  const std::vector<std::int64_t> fitted =
      evenly_spaced_planes(static_cast<std::int64_t>(names.size()), options.max_frames);
  if (config.timelapse != "none" && fitted.size() < names.size())
    throw Error(ErrorCode::kUsage,
                fmt::format("--timelapse needs the brightness of all {} images, but max_frames is {}",
                            names.size(), options.max_frames),
                config.input, "raise max_frames in --basic-config");
  if (!config.weights_dir.empty() && common_shape(config.weights_dir, names) != shape)
    throw Error(ErrorCode::kBadInput, "the weights do not have the shape of the images", config.weights_dir);
  const MadeFolders made(config.output);
  check_output(config, names);
  log.info(fmt::format("{} images of {} x {} pixels, {} in the fit", names.size(), shape.y, shape.x, fitted.size()));
  // Only the images of the fit are held in memory, and only until it is done.
  const methods::BasicFit found = [&] {
    const Block<float> images = read_images(config.input, names, fitted, shape);
    std::optional<Block<float>> weights;
    if (!config.weights_dir.empty()) weights = read_images(config.weights_dir, names, fitted, shape);
    return fit(images, weights, options, parallel_for, log);
  }();
  for (const std::string& warning : found.warnings) log.warning(warning);
  require_positive(found.flatfield, config.input);
  const methods::FlatNumbers flat = methods::flat_numbers(found.flatfield);
  log.info(fmt::format("flatfield: std {:.4f}, span {:.4f}, min {:.4f}; {}", flat.deviation, flat.span, flat.least,
                       found.reweight_converged ? "converged" : "not converged"));
  remove_old_results(config, names);
  write_corrected(config, names, found, parallel_for);
  write_plane_tiff(config.output + "/" + kFlatfieldName, found.flatfield.view());
  write_plane_tiff(config.output + "/" + kDarkfieldName, found.darkfield.view());

  Json out;
  out["program"] = "exaspim-flatfield";
  out["version"] = FLATFIELD_VERSION;
  out["options"] = config::to_json(config::basic_folder_table(), config);
  out["basic"] = config::to_json(config::basic_table(), options);
  out["flat_std"] = flat.deviation;
  out["flat_span"] = flat.span;
  out["flat_min"] = flat.least;
  out["converged"] = found.reweight_converged;
  out["reweight_score"] = found.reweight_score;
  out["solves"] = solves_json(found.solves);
  out["baseline_solves"] = solves_json(found.baseline_solves);
  out["warnings"] = Json(found.warnings);
  Json baseline = Json::object();
  for (std::size_t i = 0; i < fitted.size(); ++i)
    baseline[names[static_cast<std::size_t>(fitted[i])]] = static_cast<double>(found.baseline[i]);
  out["baseline"] = std::move(baseline);
  write_json(config.output + "/" + kReportName, out);
  log.info("written: " + config.output);
}

}  // namespace flatfield::pipeline
