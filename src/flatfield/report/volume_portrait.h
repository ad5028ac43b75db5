#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flatfield/core/block.h"
#include "flatfield/core/json.h"

namespace flatfield::report {

/// A cut through the middle of a volume, in counts: (1, rows, columns), the axes in the order z, y, x.
struct MiddleCut {
  std::int64_t index = 0;  ///< along the axis that it is perpendicular to
  Block<std::uint16_t> input, less_background, corrected;
};

/// How many voxels have each count: 65536 numbers, inside the mask and outside. Without a mask all are outside.
struct CountHistogram {
  std::vector<std::uint64_t> inside = std::vector<std::uint64_t>(65536);
  std::vector<std::uint64_t> outside = std::vector<std::uint64_t>(65536);
};

/// Means of planes along an axis in counts; NaN where a plane has no voxels that count.
struct PlaneMeans {
  std::vector<double> before, after;
};

/// A correction curve along an axis, and the profile that it follows.
struct CurvePortrait {
  std::vector<float> curve;    ///< one value per voxel of the corrected level; empty = this axis is not corrected
  std::vector<float> profile;  ///< one value per plane of the estimation level
  std::optional<std::pair<double, double>> limits;
};

inline constexpr const char* kBackgroundId = "background";

/// A plane of the correction as it is shown.
struct PlanePortrait {
  std::string id;      ///< kBackgroundId, "flatfield", "darkfield"
  std::string unit;
  Extent3 shape;       ///< of the plane itself
  Block<float> small;  ///< the plane with pixels that are means of its own
};

/// What a report shows of a volume beside the numbers of the run report: before and after its correction, on the level
/// `level`. "Before" is the level less its background, "after" the correction of that, each as it is written: whole counts.
struct VolumePortrait {
  std::string label;
  std::string level;
  Extent3 shape;                                      ///< of the level
  std::array<double, 3> scale_micrometers{1, 1, 1};   ///< of its voxels
  std::array<double, 3> target_scale_micrometers{1, 1, 1};  ///< of the voxels of the corrected level
  bool has_mask = false;
  double ratio = 1.0;                                 ///< global ratio: after is brighter by it everywhere in the mask
  std::array<MiddleCut, 3> cuts;                      ///< perpendicular to z, y, x
  CountHistogram input, corrected;
  std::vector<double> input_mean, input_deviation, corrected_mean;  ///< of each plane along z, all its voxels
  std::array<PlaneMeans, 3> inside;                   ///< along z, y, x, voxels inside the mask (of all without one)
  std::vector<std::int64_t> background_planes;        ///< of the level
  std::vector<PlanePortrait> planes;
  std::array<CurvePortrait, 3> curves;                ///< along z, y, x
};

/// A portrait as the pages take it: pictures as base64 of PNG files, charts as their series.
struct VolumePictures {
  Json portrait;  ///< for the page of the tile
  Json before;    ///< a small picture for the page of the batch
  Json after;     ///< the same
};

/// Draws a portrait. Charts have at most about a thousand points a series, pictures at most 560 pixels a side. Throws
/// Error(kInternal) where the drawing library fails.
[[nodiscard]] VolumePictures draw_pictures(const VolumePortrait& portrait);

/// The count that a share of the voxels of a histogram lie at or below; 0 of no voxels.
[[nodiscard]] std::int64_t count_percentile(const CountHistogram& histogram, double share);

}  // namespace flatfield::report
