#include "flatfield/pipeline/item_share.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/tile_paths.h"

namespace flatfield::pipeline {
namespace {

constexpr const char* kRemedy = "give I/N with I from 0 to N - 1, auto, or auto/N";

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// A variable that schedulers set to a number; none where it is not set.
std::optional<std::int64_t> variable(const Environment& environment, const std::string& name) {
  const auto text = non_empty(environment, name);
  if (!text) return std::nullopt;
  const auto value = number(*text);
  if (!value)
    throw Error(ErrorCode::kUsage, fmt::format("--part auto: {} is \"{}\", expected a number", name, *text), "", kRemedy);
  return value;
}

struct Task {
  std::int64_t index = 0;
  std::optional<std::int64_t> count;
};

Task scheduled_task(const Environment& environment) {
  if (const auto id = variable(environment, "SLURM_ARRAY_TASK_ID")) {
    const std::int64_t first = variable(environment, "SLURM_ARRAY_TASK_MIN").value_or(0);
    const std::int64_t step = std::max<std::int64_t>(1, variable(environment, "SLURM_ARRAY_TASK_STEP").value_or(1));
    return {(*id - first) / step, variable(environment, "SLURM_ARRAY_TASK_COUNT")};
  }
  if (const auto index = variable(environment, "AWS_BATCH_JOB_ARRAY_INDEX"))
    return {*index, variable(environment, "AWS_BATCH_JOB_ARRAY_SIZE")};
  throw Error(ErrorCode::kUsage, "--part auto: this is no task of an array job of Slurm or AWS Batch", "", kRemedy);
}

}  // namespace

Share parse_share(const std::string& part, const Environment& environment) {
  if (part.empty()) return {};
  const std::size_t slash = part.find('/');
  const std::string first = part.substr(0, slash);
  const auto given = slash == std::string::npos ? std::nullopt : number(part.substr(slash + 1));
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kUsage, "--part: " + what + ", found \"" + part + "\"", "", kRemedy);
  };
  if (slash != std::string::npos && !given) refuse("expected a number of parts");
  if (first == "auto") {
    const Task task = scheduled_task(environment);
    const auto count = task.count ? task.count : given;
    if (!count) refuse("the scheduler does not say how many tasks there are");
    if (*count < 1 || task.index >= *count) refuse(fmt::format("task {} is none of {}", task.index, *count));
    return {task.index, *count};
  }
  const auto index = number(first);
  if (!index || !given) refuse("expected I/N");
  if (*index >= *given) refuse("I is not less than N");
  return {*index, *given};
}

std::string results_folder(const std::string& results_dir, const Share& share) {
  if (share.parts == 1) return results_dir;
  return join_location(results_dir, fmt::format("part_{}_of_{}", share.part, share.parts));
}

std::string results_root(const std::string& folder, const Share& share) {
  return share.parts == 1 ? folder : location_parent(folder);
}

}  // namespace flatfield::pipeline
