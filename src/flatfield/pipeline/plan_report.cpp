#include "flatfield/pipeline/plan_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace flatfield::pipeline {
namespace {

std::string size_text(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e12) return fmt::format("{:.2f} TB", value / 1e12);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  return fmt::format("{:.1f} MB", value / 1e6);
}

/// In the units of --memory-limit.
std::string memory_text(std::int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes >= 10240.0 ? fmt::format("{:.1f} GiB", mebibytes / 1024.0) : fmt::format("{:.0f} MiB", mebibytes);
}

std::string time_text(double seconds) {
  if (seconds >= 5400.0) return fmt::format("{:.1f} h", seconds / 3600.0);
  if (seconds >= 90.0) return fmt::format("{:.1f} min", seconds / 60.0);
  return fmt::format("{:.1f} s", seconds);
}

std::string layout_text(const OutputPlan& plan) {
  std::string text = fmt::format("{} {}, Zarr v{}, {} level{}, chunks {}", to_string(plan.shape), name_of(plan.dtype),
                                 plan.zarr_format, plan.level_count, plan.level_count == 1 ? "" : "s",
                                 to_string(plan.chunk_shape));
  if (plan.shard_shape) text += ", shards " + to_string(*plan.shard_shape);
  for (const zarr::Compressor& compressor : plan.compressors)
    text += fmt::format(", {} {}", compressor.id == "blosc" ? "blosc-" + compressor.blosc_cname : compressor.id,
                        compressor.level);
  return text;
}

Json extent_json(const Extent3& extent) { return Json(Json::Array{extent.z, extent.y, extent.x}); }

Json output_json(const PlannedOutput& output) {
  Json json;
  json["location"] = output.location;
  json["shape"] = extent_json(output.plan.shape);
  json["data_type"] = std::string(name_of(output.plan.dtype));
  json["zarr_format"] = output.plan.zarr_format;
  json["levels"] = output.plan.level_count;
  json["chunks"] = extent_json(output.plan.chunk_shape);
  json["shards"] = output.plan.shard_shape ? extent_json(*output.plan.shard_shape) : Json();
  json["objects"] = output.objects;
  return json;
}

Json stage_json(const TilePlan& plan, const StagePlan& stage) {
  Json json;
  json["name"] = stage.name;
  json["objects_read"] = stage.objects_read;
  json["bytes_read"] = stage.bytes_read;
  json["objects_written"] = stage.objects_written;
  json["bytes_written"] = plan.knows_cost() ? Json(stage.bytes_written) : Json();
  json["requests_read"] = stage.requests_read;
  json["requests_written"] = stage.requests_written;
  json["cpu_seconds"] = plan.knows_cost() ? Json(stage.cpu_seconds) : Json();
  json["wall_seconds"] = plan.knows_cost() ? Json(stage.wall_seconds) : Json();
  return json;
}

std::string stage_text(const TilePlan& plan, const StagePlan& stage) {
  std::string text = fmt::format("  {:<12} reads {:>10} in {} objects, writes ", stage.name, size_text(stage.bytes_read),
                                 stage.objects_read);
  if (plan.is_probed) text += fmt::format("{:>10} in ", size_text(stage.bytes_written));
  text += fmt::format("{} objects", stage.objects_written);
  if (plan.is_probed)
    text += fmt::format(", {} CPU, {}", time_text(stage.cpu_seconds), time_text(stage.wall_seconds));
  return text + "\n";
}

}  // namespace

std::string plan_text(const TilePlan& plan) {
  if (plan.is_finished) return plan.tile + ": the output is finished already: a run skips it\n";
  std::string text = fmt::format("{}: {} worker{}, at most {} of memory\n", plan.tile, plan.workers,
                                 plan.workers == 1 ? "" : "s", memory_text(plan.memory_limit_bytes));
  for (const PlannedOutput& output : plan.outputs)
    text += fmt::format("  to {}\n     {}, {} objects\n", output.location, layout_text(output.plan), output.objects);
  if (plan.items_done)
    text += fmt::format("  an unfinished output is there: a run goes on with it; items that are done already, and not taken off "
                        "below: {}\n", *plan.items_done);
  for (const StagePlan& stage : plan.stages) text += stage_text(plan, stage);
  const StagePlan total = plan.total();
  text += stage_text(plan, total);
  if (total.requests_read > 0 || total.requests_written > 0)
    text += fmt::format("  requests: {} to read, {} to write\n", total.requests_read, total.requests_written);
  if (plan.background_bytes > 0)
    text += fmt::format("  the background image needs {}{:.1f} % of level 0\n", plan.background_is_known ? "" : "at most ",
                        100.0 * static_cast<double>(plan.background_bytes) /
                            static_cast<double>(std::max<std::int64_t>(1, plan.level_0_bytes)));
  text += fmt::format("  peak memory {}; the smallest --memory-limit that works is {}M\n", memory_text(plan.peak_bytes()),
                      plan.smallest_limit_bytes >> 20);
  if (plan.sizes_are_estimates) text += "  sizes are estimated from a part of the objects\n";
  return text;
}

Json plan_json(const TilePlan& plan) {
  Json json;
  json["tile"] = plan.tile;
  json["is_finished"] = plan.is_finished;
  json["items_done"] = plan.items_done ? Json(*plan.items_done) : Json();
  json["workers"] = plan.workers;
  json["is_probed"] = plan.is_probed;
  Json outputs = Json::array();
  for (const PlannedOutput& output : plan.outputs) outputs.push_back(output_json(output));
  json["outputs"] = std::move(outputs);
  Json stages = Json::array();
  for (const StagePlan& stage : plan.stages) stages.push_back(stage_json(plan, stage));
  json["stages"] = std::move(stages);
  json["total"] = stage_json(plan, plan.total());
  json["level_0_bytes"] = plan.level_0_bytes;
  json["sizes_are_estimates"] = plan.sizes_are_estimates;
  json["background_bytes"] = plan.background_bytes;
  json["background_is_known"] = plan.background_is_known;
  json["peak_memory_bytes"] = plan.peak_bytes();
  json["memory_limit_bytes"] = plan.memory_limit_bytes;
  json["smallest_memory_limit_bytes"] = plan.smallest_limit_bytes;
  Json memory = Json::array();
  for (const execution::StageNeeds& stage : plan.memory) {
    Json needs = Json::object();
    for (const execution::MemoryNeed& need : stage.needs) needs[need.consumer] = need.bytes;
    Json entry;
    entry["stage"] = stage.stage;
    entry["bytes"] = stage.total_bytes();
    entry["needs"] = std::move(needs);
    memory.push_back(std::move(entry));
  }
  json["memory"] = std::move(memory);
  return json;
}

Json comparison_json(const TilePlan& plan, const ActualCost& actual) {
  const StagePlan total = plan.total();
  Json planned;
  planned["bytes_read"] = total.bytes_read;
  planned["bytes_written"] = plan.is_probed ? Json(total.bytes_written) : Json();
  planned["peak_memory_bytes"] = plan.peak_bytes();
  planned["cpu_seconds"] = plan.is_probed ? Json(total.cpu_seconds) : Json();
  planned["wall_seconds"] = plan.is_probed ? Json(total.wall_seconds) : Json();
  Json found;
  found["bytes_read"] = actual.bytes_read;
  found["bytes_written"] = actual.bytes_written;
  found["peak_memory_bytes"] = actual.peak_bytes;
  found["cpu_seconds"] = actual.cpu_seconds;
  found["wall_seconds"] = actual.wall_seconds;
  Json json;
  json["planned"] = std::move(planned);
  json["actual"] = std::move(found);
  return json;
}

std::string comparison_text(const TilePlan& plan, const ActualCost& actual) {
  const StagePlan total = plan.total();
  const auto pair = [](const std::string& what, bool is_known, const std::string& planned, const std::string& found) {
    return fmt::format("{} {}{}", what, found, is_known ? fmt::format(" (planned {})", planned) : "");
  };
  return fmt::format(
      "{}, {}, {}, {}, {}",
      pair("read", plan.background_is_known || plan.background_bytes == 0, size_text(total.bytes_read),
           size_text(actual.bytes_read)),
      pair("written", plan.is_probed, size_text(total.bytes_written), size_text(actual.bytes_written)),
      pair("peak memory so far", true, memory_text(plan.peak_bytes()), memory_text(actual.peak_bytes)),
      pair("CPU", plan.is_probed, time_text(total.cpu_seconds), time_text(actual.cpu_seconds)),
      pair("time", plan.is_probed, time_text(total.wall_seconds), time_text(actual.wall_seconds)));
}

}  // namespace flatfield::pipeline
