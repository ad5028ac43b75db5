#include "flatfield/pipeline/preview.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <memory>

#include "flatfield/core/error.h"
#include "flatfield/core/translate_errors.h"
#include "flatfield/execution/process_group.h"
#include "flatfield/execution/memory_ceiling.h"
#include "flatfield/pipeline/correct_stage.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/learn_tile.h"
#include "flatfield/pipeline/local_folders.h"
#include "flatfield/pipeline/model_place.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/report_pages.h"
#include "flatfield/pipeline/run_setup.h"
#include "flatfield/pipeline/tile_memory.h"
#include "flatfield/pipeline/tile_model.h"
#include "flatfield/pipeline/tile_outputs.h"
#include "flatfield/pipeline/tile_paths.h"
#include "flatfield/pipeline/tile_portrait.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kRegionExample = "write it like 0:256,1000:2000,1000:2000 (z, y, x in voxels of level 0)";

/// The voxels of another source that lie in a region of it.
class RegionSource : public VoxelSource<std::uint16_t> {
 public:
  RegionSource(std::unique_ptr<VoxelSource<std::uint16_t>> whole, const Extent3& origin)
      : whole_(std::move(whole)), origin_(origin) {}
  void expect(const Box3& box, int worker) override { whole_->expect({box.origin + origin_, box.shape}, worker); }
  void read(const Box3& box, BlockView<std::uint16_t> out, int worker) override {
    whole_->read({box.origin + origin_, box.shape}, out, worker);
  }
  void finish(const Box3& slab, BlockView<std::uint16_t> out, int worker) override {
    whole_->finish({slab.origin + origin_, slab.shape}, out, worker);
  }

 private:
  std::unique_ptr<VoxelSource<std::uint16_t>> whole_;
  Extent3 origin_;
};

constexpr std::string_view kEnding = "_preview.zarr";

std::string stem(const std::string& tile) {
  const std::string name = tile.substr(0, tile.find(".ome.zarr"));
  return name.ends_with(".zarr") ? name.substr(0, name.size() - 5) : name;
}

std::string page_name(const std::string& tile) { return stem(tile) + "_preview.html"; }

/// Unless it is said not to be wanted.
bool writes_page(const config::RunConfig& config) { return config.report.value_or(true); }

/// Two channels for each of the tile, before and after, at the contrast of the page.
Json display(std::int64_t channels, const std::vector<Json>& contrasts) {
  Json all = Json::array();
  for (std::int64_t c = 0; c < channels; ++c)
    for (const char* what : {"before", "after"}) {
      const bool is_before = std::string_view(what) == "before";
      const Json::Array& contrast = contrasts[static_cast<std::size_t>(c)].find(is_before ? "input" : "after")->as_array();
      Json channel;
      channel["label"] = channels == 1 ? std::string(what) : fmt::format("{} {}", what, c);
      channel["color"] = "FFFFFF";
      channel["active"] = true;
      channel["window"]["min"] = 0;
      channel["window"]["max"] = 65535;
      channel["window"]["start"] = contrast[0];
      channel["window"]["end"] = contrast[1];
      all.push_back(std::move(channel));
    }
  Json attributes;
  attributes["omero"]["channels"] = std::move(all);
  return attributes;
}

/// The preview of one tile.
class Preview {
 public:
  Preview(RunContext& context, const std::string& location, const PreviewOptions& options)
      : context_(context),
        config_(context.config),
        location_(location),
        name_(location_name(location)),
        options_(options),
        tile_(ome::Tile::open(context.stores.open(location))),
        levels_(choose_levels(tile_, name_, config_, context.log)) {}

  void run() {
    const auto start = std::chrono::steady_clock::now();
    choose_region();
    const std::string place = join_location(config_.output, preview_name(name_));
    if (lies_within(place, location_) || lies_within(location_, place))
      throw Error(ErrorCode::kUsage, "the preview would lie in the tile", place, "choose another --output");
    const auto store = context_.stores.open(place);
    check_place(*store, config_.overwrite);
    TileModel model = config_.model.empty() ? learn_all() : read_given_model();
    const std::vector<report::VolumePictures> pictures = draw(model);
    clear_place(*store);
    write(store, model, pictures);
    context_.log.info("written: " + place);
    if (writes_page(config_))
      write_page(model, pictures, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }

 private:
  void choose_region() {
    const std::string finest = tile_.multiscale().levels.front().path;
    level_ = !options_.level.empty() ? options_.level : options_.roi.empty() ? levels_.estimation : levels_.target;
    static_cast<void>(tile_.level(level_));
    region_ = region_at_level(parse_region(options_.roi), tile_.spatial_shape(finest), tile_.spatial_shape(level_));
    context_.log.info(fmt::format("preview of level {}: {} voxels from {}", level_, to_string(region_.shape), to_string(region_.origin)));
  }

  [[nodiscard]] ome::VolumeId volume_counts() const { return tile_.volume_counts(tile_.open_array(level_)); }

  /// What is learnt from the estimation level for the estimation level, judged as that of a run.
  TileModel learn_all() {
    TileLevels levels = levels_;
    levels.target = levels.estimation;
    const LearnRequest request{tile_, location_, name_, levels, volume_counts()};
    TileModel model;
    model.volumes = learn_tile(request, context_, [](ModelVolume& volume) { volume.learned.weights.reset(); });
    return model;
  }

  TileModel read_given_model() {
    const ModelTarget target{location_, name_, config_.output, tile_.spatial_shape(levels_.target), volume_counts()};
    TileModel model = load_model(given_model_place(context_, name_), target, context_);
    check_options(model, config::resolved_config(config_), context_);
    judge_model(model, context_);
    return model;
  }

  [[nodiscard]] std::vector<report::VolumePictures> draw(TileModel& model) {
    const Extent3 shape = tile_.spatial_shape(level_);
    std::vector<report::VolumePictures> pictures;
    for (ModelVolume& volume : model.volumes) {
      // Up to three planes, and what the resizing of one holds.
      const Extent3& learnt = volume.learned.correction.shape;
      held_.push_back(context_.memory.reserve("correction", 3 * shape.y * shape.x * static_cast<std::int64_t>(sizeof(float)) +
                                                                learnt.y * learnt.x * static_cast<std::int64_t>(sizeof(double))));
      make_applicable(volume, shape, context_.pool.as_parallel_for());
      report::VolumePortrait portrait =
          take_portrait({tile_, level_, level_, volume.id, volume_key(volume.id), region_}, volume.learned, context_);
      if (level_ != levels_.estimation) portrait.background_planes.clear();  // they are planes of that level
      pictures.push_back(report::draw_pictures(portrait));
    }
    return pictures;
  }

  void write(const std::shared_ptr<storage::Store>& store, const TileModel& model,
             const std::vector<report::VolumePictures>& pictures) {
    const zarr::Array input = tile_.open_array(level_);
    TileLevels levels = levels_;
    levels.target = level_;
    OutputPlan plan = plan_tile_outputs(tile_, name_, levels, input, config_, context_.log).corrected;
    plan.name = preview_name(name_);
    plan.volumes.c *= 2;
    plan.shape = region_.shape;
    plan.chunk_shape = min(plan.chunk_shape, plan.shape);
    plan.shard_shape.reset();
    plan.level_count = std::min(plan.level_count, most_levels(plan.shape));
    for (int axis = 0; axis < 3; ++axis) {
      const auto k = static_cast<std::size_t>(axis) + 2;
      plan.translation[k] += static_cast<double>(region_.origin[axis]) * plan.scale[k];
    }
    OutputImage image(store, plan);
    Extent3 mask_shape;
    for (const ModelVolume& volume : model.volumes)
      if (volume.learned.correction.mask) mask_shape = volume.learned.correction.mask->shape();
    const StreamMemory memory = stream_memory(
        plan, corrected_source_bytes(input.metadata(), plan, mask_shape, storage::is_remote(location_)),
        context_.pool.workers(), 0);
    const auto workers = context_.memory.reserve("workers", memory.workers_bytes);
    const auto items = context_.memory.reserve("items", memory.items_bytes(context_.memory.free_bytes()));
    methods::Correction nothing;
    nothing.shape = tile_.spatial_shape(level_);
    std::vector<Json> contrasts;
    for (std::size_t i = 0; i < model.volumes.size(); ++i) {
      const ModelVolume& volume = model.volumes[i];
      contrasts.push_back(*pictures[i].portrait.find("contrast"));
      std::int64_t channel = 2 * volume.id.c;
      for (const methods::Correction* correction : std::initializer_list<const methods::Correction*>{&nothing, &volume.learned.correction}) {
        const methods::CorrectionKernel kernel(*correction);
        RegionSource source(corrected_source(tile_.open_volume(level_, volume.id), kernel, context_.pool.workers()), region_.origin);
        write_pyramid(source, image.target({volume.id.t, channel++}, "preview"), context_.pool, items.bytes(), {});
      }
    }
    image.finish(display(volume_counts().c, contrasts), Json());
  }

  void write_page(const TileModel& model, const std::vector<report::VolumePictures>& pictures, double seconds) {
    Json record;
    record["tile"] = name_;
    record["status"] = "previewed";
    record["reason"] = Json();
    Json& quality = record["qc"];
    quality = Json::object();
    for (const ModelVolume& volume : model.volumes) {
      if (!volume.quality.is_null()) quality[volume_key(volume.id)] = volume.quality;
    }
    if (model.is_background_only()) record["status"] = "background_only";
    if (const std::string reason = model.reason(); !reason.empty()) record["reason"] = reason;
    record["seconds"] = seconds;
    record["peak_memory_bytes"] = execution::peak_resident_bytes();
    record["warnings"] = Json(context_.log.take_warnings());
    Json facts;
    facts["region"] = options_.roi.empty() ? "the whole level" : options_.roi + " (z, y, x; voxels of level 0)";
    facts["correction"] = config_.model.empty() ? "learnt from level " + levels_.estimation + " alone" : config_.model;
    write_tile_page({"Preview", name_, page_name(name_), record,
                     config::resolved_config(config_), facts, pictures},
                    config_, context_.log);
  }

  RunContext& context_;
  const config::RunConfig& config_;
  std::string location_;
  std::string name_;
  const PreviewOptions& options_;
  ome::Tile tile_;
  TileLevels levels_;
  std::string level_;
  Box3 region_;
  std::vector<execution::MemoryBudget::Reservation> held_;
};

void preview_all(config::RunConfig& config, const PreviewOptions& options, report::Log& log) {
  static_cast<void>(parse_region(options.roi));
  execution::ProcessGroup alone;  // a preview is the work of one process
  RunSetup setup(config, log, alone);
  if (writes_page(config)) make_results_dir(config.results_dir);
  setup.read_shared();
  for (const std::string& tile : setup.tiles()) Preview(setup.context(), tile, options).run();
}

}  // namespace

std::string preview_name(const std::string& tile_name) { return stem(tile_name) + std::string(kEnding); }

bool is_preview(const std::string& location) { return location.ends_with(kEnding); }

std::array<AxisPart, 3> parse_region(const std::string& roi) {
  std::array<AxisPart, 3> region;
  if (roi.empty()) return region;
  const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::kUsage, "--roi " + roi + ": " + what, "", kRegionExample); };
  const auto number = [&](std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) refuse(fmt::format("\"{}\" is no place", text));
    return value;
  };
  std::string_view rest = roi;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t comma = rest.find(',');
    if ((comma == std::string_view::npos) != (axis == 2)) refuse("expected three parts");
    const std::string_view part = rest.substr(0, comma);
    rest.remove_prefix(axis == 2 ? rest.size() : comma + 1);
    const std::size_t colon = part.find(':');
    if (colon == std::string_view::npos) refuse(fmt::format("\"{}\" is no part of an axis", part));
    if (colon > 0) region[axis].first = number(part.substr(0, colon));
    if (colon + 1 < part.size()) region[axis].last = number(part.substr(colon + 1));
    if (region[axis].last && *region[axis].last <= region[axis].first) refuse(fmt::format("\"{}\" holds no voxels", part));
  }
  return region;
}

Box3 region_at_level(const std::array<AxisPart, 3>& region, const Extent3& finest, const Extent3& shape) {
  Box3 box;
  for (int axis = 0; axis < 3; ++axis) {
    const AxisPart& part = region[static_cast<std::size_t>(axis)];
    if (part.first >= finest[axis])
      throw Error(ErrorCode::kUsage, fmt::format("--roi begins at {} along {}, where the tile has {} voxels", part.first, "zyx"[axis], finest[axis]),
                  "", kRegionExample);
    // Levels are halved by floor: so many voxels of level 0 are one of this level.
    const std::int64_t factor = std::max<std::int64_t>(1, finest[axis] / std::max<std::int64_t>(1, shape[axis]));
    const std::int64_t last = std::min(part.last.value_or(finest[axis]), finest[axis]);
    box.origin[axis] = std::min(part.first / factor, shape[axis] - 1);
    box.shape[axis] = std::clamp<std::int64_t>(ceil_div(last, factor), box.origin[axis] + 1, shape[axis]) - box.origin[axis];
  }
  return box;
}

int preview(config::RunConfig config, const PreviewOptions& options, report::Log& log) {
  try {
    with_errors([&] { preview_all(config, options, log); });
    return 0;
  } catch (const Error& error) {
    log.failure("preview_failed", error);
    return exit_code(error.code());
  }
}

}  // namespace flatfield::pipeline
