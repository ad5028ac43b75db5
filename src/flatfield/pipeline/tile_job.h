#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/run_context.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/report/volume_portrait.h"

namespace flatfield::pipeline {

/// How a tile ended.
enum class TileStatus : std::uint8_t { kCorrected, kBackgroundOnly, kSkipped, kEstimated, kApplied };
/// As the run report has it.
[[nodiscard]] constexpr std::string_view status_name(TileStatus status) noexcept {
  switch (status) {
    case TileStatus::kCorrected: return "corrected";
    case TileStatus::kBackgroundOnly: return "background_only";
    case TileStatus::kSkipped: return "skipped";
    case TileStatus::kEstimated: return "estimated";
    case TileStatus::kApplied: return "applied";
  }
  return "corrected";
}

struct TileResult {
  TileStatus status = TileStatus::kCorrected;
  std::string reason;  ///< why only the background was subtracted, or the tile skipped
  Json finished_as;  ///< of a tile that is skipped: {"status", "reason"} when it was corrected; null if it is not known
  Json quality;        ///< QC block of the run report; null if nothing was measured
  ItemCounts items;    ///< what became of the items
  std::vector<report::VolumePictures> pictures;  ///< of each volume, for the report; none where none is written
};

/// Corrects one tile, or does one step of that: learns and judges first, then streams, and writes the metadata last.
/// `parameters` is the resolved configuration, for the provenance; with a model those of learning become its own. Throws Error; an output that was begun is then
/// unfinished and recognised as such, and `result` holds what was measured until then. Called again, it goes on where it
/// was.
void correct_tile(RunContext& context, const std::string& tile_location, Json& parameters, TileResult& result);

}  // namespace flatfield::pipeline
