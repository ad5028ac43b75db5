#include "flatfield/pipeline/model_place.h"

#include <fmt/format.h>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {

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
  if (trimmed_location(model.tile) != target.location)
    context.log.info("the model was learnt from another tile: " + model.tile);
  if (model.shape != target.shape)
    context.log.warning(fmt::format("the model was learnt at {}, the tile has {}: it is resized", to_string(model.shape),
                                    to_string(target.shape)));
  return model;
}

Json model_identity(const ModelPlace& place) {
  Json identity;
  identity["file"] = location_name(place.store->describe(place.key));
  identity["crc32c"] = model_checksum(*place.store, place.key);
  return identity;
}

}  // namespace flatfield::pipeline
