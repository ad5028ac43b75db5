#pragma once

#include <optional>
#include <string>
#include <vector>

#include "flatfield/core/json.h"

namespace flatfield::ome {

struct Axis {
  std::string name;  ///< "t", "c", "z", "y", "x" or another
  std::string type;  ///< "time", "channel", "space"; may be empty
  std::string unit;  ///< may be empty
};

/// One resolution of an image. Scale and translation have one entry per axis, the transformations of
/// the whole multiscale already applied.
struct Level {
  std::string path;
  std::vector<double> scale;
  std::vector<double> translation;  ///< zeros where the metadata give none
  bool has_scale = false;           ///< the metadata gave a scale of its own
};

/// An image pyramid as NGFF metadata describe it.
struct Multiscale {
  std::string name;
  std::vector<Axis> axes;
  std::vector<Level> levels;  ///< finest first, as listed

  /// Index of an axis by name; none if there is no such axis.
  [[nodiscard]] std::optional<int> axis(std::string_view name) const;
  [[nodiscard]] const Level* find_level(std::string_view path) const;
};

/// True if a group with these attributes is an image: they have `multiscales`, which NGFF 0.5 keeps
/// in `ome`.
[[nodiscard]] bool has_multiscale(const Json& group_attributes);

/// Reads the first `multiscales` entry of NGFF 0.1-0.5 group attributes. Versions before 0.4, which have no
/// transformations, give levels without scale. Throws Error(kBadInput) naming `where` and the member.
[[nodiscard]] Multiscale read_multiscale(const Json& group_attributes, const std::string& where);

/// What the writer says about how levels were made: `type` and `metadata` of NGFF.
struct Downscaler {
  std::string type;    ///< e.g. "rank -2 of 2x2x2"
  std::string method;  ///< function name
  Json arguments;      ///< object
};

/// Attributes of an output group, in NGFF 0.4 for Zarr format 2 and NGFF 0.5 for format 3: those of the input
/// (`inherited`, of either version, may be null) with `multiscales` replaced, and `omero` built where there is
/// none. Attributes that are not NGFF's stay as they are.
[[nodiscard]] Json write_group_attributes(const Multiscale& multiscale, const Downscaler& downscaler,
                                          const Json& inherited, std::int64_t channels,
                                          double display_maximum, int zarr_format);

/// The axes of every output: t, c, z, y, x.
[[nodiscard]] std::vector<Axis> output_axes();

/// Levels "0" .. "count-1" of an output: scale = base * 2^level,
/// translation = base + (2^level - 1)/2 * base scale on the spatial axes (the last three).
[[nodiscard]] std::vector<Level> output_levels(const std::vector<double>& base_scale,
                                               const std::vector<double>& base_translation,
                                               int count);

}  // namespace flatfield::ome
