#include "flatfield/pipeline/output_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/core/fail_point.h"
#include "flatfield/pipeline/object_sizes.h"
#include "flatfield/pipeline/output_checksums.h"
#include "flatfield/pipeline/output_place.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/storage/fan_out.h"
#include "flatfield/storage/write_probe.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

/// How long a look at whose the place is holds while objects are written: where it is a request to a server, and where not.
constexpr std::chrono::seconds kRemotePause{10};
constexpr std::chrono::seconds kLocalPause{1};

/// How the levels were made, in the words of the metadata.
ome::Downscaler describe(const numerics::WindowReducer& reducer) {
  using Kind = numerics::WindowReducer::Kind;
  Json arguments = Json::object();
  arguments["window"] = Json(Json::Array{1, 1, 2, 2, 2});
  if (reducer.kind == Kind::kMean) return {"mean", "windowed mean", arguments};
  if (reducer.kind == Kind::kMode) return {"mode", "windowed mode", arguments};
  arguments["rank"] = reducer.rank;
  return {"rank", "windowed rank", arguments};
}

double largest_value(DType dtype) {
  switch (dtype) {
    case DType::kUint8: return 255.0;
    case DType::kUint16: return 65535.0;
    default: return 1.0;
  }
}

}  // namespace

std::int64_t object_count(const std::vector<zarr::ArrayMetadata>& levels) {
  std::int64_t count = 0;
  for (const zarr::ArrayMetadata& level : levels) count += zarr::object_count(level);
  return count;
}

std::vector<zarr::ArrayMetadata> level_metadata(const OutputPlan& plan) {
  std::vector<zarr::ArrayMetadata> levels;
  for (const Extent3& shape : pyramid_shapes(plan.shape, plan.level_count)) {
    // A level that is smaller than a chunk gets chunks of its own size.
    const Extent3 chunk = min(plan.chunk_shape, shape);
    zarr::ArrayMetadata metadata;
    metadata.zarr_format = plan.zarr_format;
    metadata.shape = {plan.volumes.t, plan.volumes.c, shape.z, shape.y, shape.x};
    metadata.chunk_shape = {1, 1, chunk.z, chunk.y, chunk.x};
    if (plan.shard_shape) {
      // No larger than the volume needs; the chunks of one that is smaller than a chunk are clipped.
      const Extent3 chunks = min(floor_div(*plan.shard_shape, plan.chunk_shape), ceil_div(shape, chunk));
      const Extent3 shard = chunks * chunk;
      metadata.shard_shape = {1, 1, shard.z, shard.y, shard.x};
    }
    if (plan.zarr_format == 3) {
      metadata.key_encoding = zarr::KeyEncoding::kDefault;
      for (const ome::Axis& axis : ome::output_axes()) metadata.dimension_names.emplace_back(axis.name);
    }
    metadata.dtype = plan.dtype;
    metadata.fill_value.assign(size_of(plan.dtype), std::byte{0});
    metadata.codecs.compressors = plan.compressors;
    levels.push_back(std::move(metadata));
  }
  return levels;
}

OutputImage::OutputImage(std::shared_ptr<storage::Store> store, OutputPlan plan)
    : store_(std::move(store)), plan_(std::move(plan)), levels_(level_metadata(plan_)) {
  zarr::write_group(*store_, "", plan_.zarr_format);
  int level = 0;
  for (const zarr::ArrayMetadata& metadata : levels_)
    arrays_.push_back(zarr::Array::create(store_, std::to_string(level++), metadata));
}

PyramidTarget OutputImage::target(ome::VolumeId id, const std::string& message_name) const {
  PyramidTarget target;
  target.name = message_name;
  for (const zarr::Array& array : arrays_)
    target.levels.emplace_back(array, std::vector<std::int64_t>{id.t, id.c});
  target.reducer = plan_.reducer;
  target.chunk_shape = plan_.chunk_shape;
  target.shard_shape = plan_.shard_shape;
  target.write_empty_chunks = plan_.write_empty_chunks;
  target.store = store_;
  target.scratch_path = kScratchName;
  target.volume_key = fmt::format("t{}_c{}", id.t, id.c);
  target.ledger = ledger_;
  target.resumed = resumed_;
  return target;
}

void OutputImage::keep_ledger(bool resumed, const std::string& claim) {
  // What runs with other options have noted is not found there.
  const auto check = [store = store_, claim] { check_claim(*store, claim); };
  ledger_ = std::make_shared<ItemLedger>(store_, items_key(claim), check,
                                         store_->reads_at_once() > 1 ? kRemotePause : kLocalPause);
  resumed_ = resumed;
}

Json OutputImage::attributes(const Json& inherited, const Json& provenance, const Json& outcome) const {
  ome::Multiscale multiscale;
  multiscale.name = plan_.name;
  multiscale.axes = ome::output_axes();
  multiscale.levels = ome::output_levels(plan_.scale, plan_.translation, plan_.level_count);
  Json attributes = ome::write_group_attributes(multiscale, describe(plan_.reducer), inherited,
                                                plan_.volumes.c, largest_value(plan_.dtype), plan_.zarr_format);
  if (!provenance.is_null()) attributes["exaspim_flatfield"] = provenance;
  if (!outcome.is_null()) attributes[kOutcomeKey] = outcome;
  return attributes;
}

void OutputImage::finish(const Json& inherited, const Json& provenance, const Json& outcome) {
  const Json made = attributes(inherited, provenance, outcome);
  if (ledger_) {
    ledger_->check();
    store_->erase_leftovers("");
    storage::erase_probes(*store_);
    write_checksums(zarr::group_attributes_document("", plan_.zarr_format, made));
  }
  fail_point("finish.checksums");
  if (ledger_) ledger_->check();  // again: that took its time
  zarr::write_group_attributes(*store_, "", plan_.zarr_format, made);
  fail_point("finish.attributes");
}

/// Entries come from a server many at once.
template <class Visit>
void OutputImage::for_each_entry(const std::string& pass, const std::vector<std::int64_t>& items, Visit visit) const {
  constexpr std::int64_t kEntriesAtOnce = 256;
  const int threads = std::max(1, store_->reads_at_once());
  std::vector<std::optional<std::vector<WrittenObject>>> entries;
  for (std::int64_t first = 0; first < std::ssize(items); first += kEntriesAtOnce) {
    const std::int64_t count = std::min(kEntriesAtOnce, std::ssize(items) - first);
    const auto item = [&](std::int64_t i) { return items[static_cast<std::size_t>(first + i)]; };
    entries.assign(static_cast<std::size_t>(count), std::nullopt);
    storage::fan_out(count, threads, [&](std::int64_t i) {
      entries[static_cast<std::size_t>(i)] = ledger_->objects(pass, item(i));
    });
    for (std::int64_t i = 0; i < count; ++i) visit(item(i), entries[static_cast<std::size_t>(i)]);
  }
}

/// Where many machines write, a listing may be older than what it lists.
bool OutputImage::is_there(const WrittenObject& object, const ObjectSizes& sizes) const {
  return sizes.knows(object.level, object.number) && (sizes.of(object.level, object.number) == object.bytes ||
                                                      store_->size(location_of(object)) == object.bytes);
}

void OutputImage::forget_lost(const std::string& pass, const std::vector<std::int64_t>& items, const ObjectSizes& sizes,
                              LostItems& lost, const VisitObject& visit) {
  for_each_entry(pass, items, [&](std::int64_t item, const std::optional<std::vector<WrittenObject>>& objects) {
    std::string where = objects ? "" : ledger_->describe(pass, item);
    for (const WrittenObject& object : objects.value_or(std::vector<WrittenObject>())) {
      if (is_there(object, sizes)) {
        visit(object);
        continue;
      }
      const bool is_known = sizes.knows(object.level, object.number);
      where = is_known ? store_->describe(location_of(object)) : ledger_->describe(pass, item);
      break;
    }
    if (where.empty()) return;
    ledger_->forget(pass, item);
    if (lost.count++ == 0) lost.first = where;
  });
}

LostItems OutputImage::forget_lost(const Share& share) {
  // Names before sizes: what another process notes meanwhile is not looked for.
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> noted;
  for (std::int64_t t = 0; t < plan_.volumes.t; ++t)
    for (std::int64_t c = 0; c < plan_.volumes.c; ++c)
      for (const PassItems& pass : pyramid_passes(target({t, c}, plan_.name))) {
        std::vector<std::int64_t> items;
        for (const std::int64_t item : ledger_->done(pass.key))
          if (item >= 0 && item < pass.items && share.has(item)) items.push_back(item);
        if (!items.empty()) noted.emplace_back(pass.key, std::move(items));
        if (share.parts > 1) break;  // a part does items of first passes alone
      }
  LostItems lost;
  if (noted.empty()) return lost;
  const ObjectSizes sizes(*store_, levels_);
  for (const auto& [pass, items] : noted) forget_lost(pass, items, sizes, lost, [](const WrittenObject&) {});
  return lost;
}

void OutputImage::write_checksums(const zarr::Document& group) {
  OutputChecksums checksums(levels_);
  const ObjectSizes sizes(*store_, levels_);
  LostItems lost;
  for (std::int64_t t = 0; t < plan_.volumes.t; ++t)
    for (std::int64_t c = 0; c < plan_.volumes.c; ++c)
      for (const PassItems& pass : pyramid_passes(target({t, c}, plan_.name))) {
        std::vector<std::int64_t> items(static_cast<std::size_t>(pass.items));
        std::iota(items.begin(), items.end(), std::int64_t{0});
        forget_lost(pass.key, items, sizes, lost, [&](const WrittenObject& object) { checksums.set(object); });
      }
  if (lost.count > 0)
    throw Error(ErrorCode::kWriteFailed,
                fmt::format("an object is not there as it was written, and {} items are not whole", lost.count), lost.first,
                "start the same command again: these items are done again");
  for (int level = 0; level < static_cast<int>(levels_.size()); ++level) {
    const std::vector<ObjectSum>& noted = checksums.level(static_cast<std::size_t>(level));
    for (std::int64_t number = 0; number < std::ssize(noted); ++number)
      if (noted[static_cast<std::size_t>(number)].bytes == 0 && sizes.of(level, number) > 0)
        store_->erase(object_location(levels_, level, number));
  }
  for (std::size_t level = 0; level < levels_.size(); ++level)
    for (const std::string& key : zarr::document_keys(std::to_string(level), {plan_.zarr_format, true}))
      checksums.set_document(key, storage::get_text(*store_, key).value_or(""));
  for (const std::string& key : zarr::document_keys("", {plan_.zarr_format, false}))
    checksums.set_document(key, key == group.key ? group.text : storage::get_text(*store_, key).value_or(""));
  checksums.write(*store_);
}

}  // namespace flatfield::pipeline
