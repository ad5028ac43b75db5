#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/json.h"
#include "flatfield/pipeline/volume_stage.h"
#include "flatfield/report/volume_portrait.h"

namespace flatfield::pipeline {

/// How a tile ended.
enum class TileStatus : std::uint8_t { kCorrected, kBackgroundOnly, kSkipped, kEstimated, kApplied };
/// As the run report has it.
[[nodiscard]] std::string_view status_name(TileStatus status) noexcept;

/// In the outcome that is kept: the checksum of the mask at the estimation level (mask_checksum); null where there is none.
inline constexpr const char* kLowMaskKey = "mask_low_res";

/// What came of a tile.
struct TileResult {
  TileStatus status = TileStatus::kCorrected;
  std::string reason;  ///< why only the background was subtracted (of some volumes: TileModel::reason), or the tile skipped
  Json finished_as;    ///< of a tile that is skipped: {"status", "reason"} when it was corrected; null if it is not known
  Json quality;        ///< QC block of the run report; null if nothing was measured
  std::string low_mask;  ///< mask_checksum of the mask that it was corrected with; "" where there is none
  ItemCounts items;    ///< what became of the items
  std::vector<report::VolumePictures> pictures;  ///< of each volume, for the report; none where none is written
};

/// What is kept with the corrected tile (kOutcomeKey), so that the report of a run that goes on with a batch speaks of all.
[[nodiscard]] Json outcome_json(const TileResult& result);
/// The result of a tile that was finished with this outcome, which may be null, and is skipped.
void take_outcome(const Json& outcome, TileResult& result);

}  // namespace flatfield::pipeline
