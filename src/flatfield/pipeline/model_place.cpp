#include "flatfield/pipeline/model_place.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "flatfield/config/run_config.h"
#include "flatfield/core/error.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

/// Options that say how a tile is learnt from.
constexpr std::array kLearningOptions{"method", "fitting", "basic", "flatfield_path", "median_summary_path", "use_reference_bkg",
                                      "pedestal", "background_smoothing_sigma", "background_final_smoothing_sigma",
                                      "estimation_res"};

}  // namespace

ModelPlace given_model_place(RunContext& context, const std::string& tile_name) {
  const auto [store, key] = context.stores.open_object(model_location(context.config.model, tile_name));
  return {store, key};
}

bool holds_model(const ModelPlace& place, RunContext& context) {
  return context.processes.ask_first([&] { return place.store->size(place.key).has_value(); });
}

TileModel load_model(const ModelPlace& from, const ModelTarget& target, RunContext& context) {
  const std::string& given = context.config.model;
  TileModel model = read_model(from.store, from.key);
  if (const std::int64_t count = target.volumes.t * target.volumes.c;
      model.volumes.size() != static_cast<std::size_t>(count))
    throw Error(ErrorCode::kUsage,
                fmt::format("the model is for {} volumes, the tile has {}", model.volumes.size(), count),
                from.store->describe(from.key), "choose another --model");
  context.log.info("model: " + (given.empty() ? "that of an earlier run beside " + target.output
                                              : model_location(given, target.name)));
  if (absolute_location(model.tile) != absolute_location(target.location))
    context.log.info("the model was learnt from another tile: " + model.tile);
  if (model.shape != target.shape)
    context.log.warning(fmt::format("the model was learnt at {}, the tile has {}: it is resized", to_string(model.shape),
                                    to_string(target.shape)));
  return model;
}

void check_options(const TileModel& model, const Json& options, RunContext& context) {
  const config::RunConfig& config = context.config;
  // A pedestal, too, is a background of the model.
  const Json* skipped = model.configuration.is_object() ? model.configuration.find("skip_bkg_sub") : nullptr;
  const bool has_image = skipped == nullptr || !skipped->is_bool() || !skipped->as_bool();
  for (const ModelVolume& volume : model.volumes) {
    const methods::Correction& correction = volume.learned.correction;
    const char* contradiction = nullptr;
    if (config.skip_flat_field && !volume.gated && (correction.image || correction.curves))
      contradiction = "--skip-flat-field: the model corrects the illumination";
    if (config.skip_bkg_sub && has_image && correction.background)
      contradiction = "--skip-bkg-sub: the model subtracts a background";
    if (contradiction != nullptr)
      throw Error(ErrorCode::kUsage, fmt::format("{}, and a model is applied whole", contradiction), config.model,
                  "leave the option out, or estimate a model with it");
  }
  const config::RunConfig unchanged;
  const Json defaults = config::resolved_config(unchanged);
  std::string without_effect;
  for (const char* key : kLearningOptions) {
    const Json* given = options.find(key);
    const Json* learnt = model.configuration.is_object() ? model.configuration.find(key) : nullptr;
    if (given == nullptr || learnt == nullptr || *given == *learnt || *given == *defaults.find(key)) continue;
    without_effect += (without_effect.empty() ? "" : ", ") + std::string(key);
  }
  if (!without_effect.empty())
    context.log.warning("the model was learnt with other options, and these have no effect: " + without_effect);
}

void take_learning_options(const TileModel& model, Json& options) {
  const auto take = [&](const char* key) {
    const Json* learnt = model.configuration.is_object() ? model.configuration.find(key) : nullptr;
    if (learnt != nullptr) options[key] = *learnt;
  };
  for (const char* key : kLearningOptions) take(key);
  for (const char* key : {"skip_flat_field", "skip_bkg_sub"}) take(key);
}

Json model_identity(const ModelPlace& place) {
  Json identity;
  identity["file"] = location_name(place.store->describe(place.key));
  identity["crc32c"] = model_checksum(*place.store, place.key);
  return identity;
}

}  // namespace flatfield::pipeline
