#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "flatfield/config/run_config.h"
#include "flatfield/core/extent.h"
#include "flatfield/report/log.h"

namespace flatfield::pipeline {

/// What is previewed of each tile, beside the options of `run`.
struct PreviewOptions {
  std::string roi;    ///< "z0:z1,y0:y1,x0:x1" in voxels of level 0; "" = everything
  std::string level;  ///< of the tile; "" = with a region that of --res, else the level that is learnt from
};

/// Part of an axis, [first, last) in voxels of level 0; none = to the end.
struct AxisPart {
  std::int64_t first = 0;
  std::optional<std::int64_t> last;
};

/// Name of the preview of a tile, and whether an image is one by its name.
[[nodiscard]] std::string preview_name(const std::string& tile_name);
[[nodiscard]] bool is_preview(const std::string& location);

/// Reads "z0:z1,y0:y1,x0:x1"; either end of a part may be left out. Throws Error(kUsage).
[[nodiscard]] std::array<AxisPart, 3> parse_region(const std::string& roi);

/// The voxels of a level of `shape` that a region of level 0 of shape `finest` covers, also in part. Throws Error(kUsage)
/// for a region that holds no voxel of level 0.
[[nodiscard]] Box3 region_at_level(const std::array<AxisPart, 3>& region, const Extent3& finest, const Extent3& shape);

/// Corrects a region or a level of each tile into OUTPUT/NAME, NAME that of `preview_name`, channels "before" (as stored) and
/// "after", and writes a page about it (.html for .zarr) to the results directory, unless --no-report says not
/// to. With --model it is corrected exactly as `run` would; else the correction is learnt from the estimation level alone,
/// the background image too, which takes little time. Where its quality numbers fail, --on-qc-fail does with it what it does
/// in a run: only the background is subtracted, or nothing is written. Failures are logged. Returns the exit code of the
/// program.
[[nodiscard]] int preview(config::RunConfig config, const PreviewOptions& options, report::Log& log);

}  // namespace flatfield::pipeline
