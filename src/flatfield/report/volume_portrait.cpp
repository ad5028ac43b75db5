#include "flatfield/report/volume_portrait.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "flatfield/report/grey_picture.h"
#include "flatfield/storage/digest.h"

namespace flatfield::report {
namespace {

constexpr std::int64_t kLongestSide = 560;   ///< of a picture, in pixels
constexpr std::int64_t kThumbnailSide = 128;
constexpr std::size_t kMostPoints = 1024;    ///< of a series
constexpr std::int64_t kBins = 240;          ///< of a histogram, about
constexpr double kBrightShare = 0.998;       ///< of the voxels, beyond which they may be shown white
constexpr double kLastShare = 0.9995;        ///< of the voxels that a histogram shows
constexpr double kDifferenceShare = 0.995;   ///< of the pixels whose difference is told apart
constexpr std::array<const char*, 3> kAxes{"z", "y", "x"};

/// A number of as many digits as anybody reads off.
Json number(double value) {
  if (!std::isfinite(value)) return {};
  // Not std::stod, which expects a comma in a Python program that has asked for a German locale.
  const std::string text = fmt::format("{:.6g}", value);
  double rounded = value;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return Json(rounded);
}

Json numbers(const std::vector<double>& values) {
  Json out = Json::array();
  for (const double value : values) out.push_back(number(value));
  return out;
}

Json series(const std::string& name, const std::string& style, const std::vector<double>& x, const std::vector<double>& y) {
  Json out;
  out["name"] = name;
  out["style"] = style;
  out["x"] = numbers(x);
  out["y"] = numbers(y);
  return out;
}

Json chart(const std::string& id, const std::string& x_label, const std::string& y_label, Json all_series) {
  Json out;
  out["id"] = id;
  out["x_label"] = x_label;
  out["y_label"] = y_label;
  out["series"] = std::move(all_series);
  return out;
}

/// Places of the centres of planes, in micrometers from the first.
std::vector<double> places(std::size_t count, double scale) {
  std::vector<double> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<double>(i) * scale;
  return out;
}

/// Every n-th of some values, and the last, so that few enough are left.
template <class T>
std::vector<double> thinned(const std::vector<T>& values) {
  const std::size_t step = std::max<std::size_t>(1, (values.size() + kMostPoints - 1) / kMostPoints);
  std::vector<double> out;
  for (std::size_t i = 0; i < values.size(); i += step) out.push_back(static_cast<double>(values[i]));
  if (!values.empty() && (values.size() - 1) % step != 0) out.push_back(static_cast<double>(values.back()));
  return out;
}

/// Mean of the finite values; 0 of none.
double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  std::size_t count = 0;
  for (const double value : values)
    if (std::isfinite(value)) {
      sum += value;
      ++count;
    }
  return count == 0 ? 0.0 : sum / static_cast<double>(count);
}

// ---------------------------------------------------------------------------------------------
// Pictures

Json picture_json(const std::string& png, const Extent3& shape) {
  Json out;
  out["png"] = png;
  out["rows"] = shape.y;
  out["columns"] = shape.x;
  return out;
}

std::string picture(const Block<float>& plane, ValueRange range) { return storage::to_base64(grey_png(plane.view(), range)); }

/// The pictures of a cut, small enough to be shown.
struct SmallCut {
  Block<float> input, less_background, corrected, difference;
};

/// Corrected counts on the scale of the input, less those before: what the correction has changed but for brightness as
/// a whole.
Block<float> difference(const Block<float>& before, const Block<float>& after, double ratio) {
  Block<float> out(before.shape());
  for (std::int64_t i = 0; i < out.size(); ++i)
    out.data()[i] = static_cast<float>(double{after.data()[i]} / ratio - double{before.data()[i]});
  return out;
}

SmallCut small_cut(const MiddleCut& cut, double ratio) {
  const std::int64_t step = reduction_step(cut.input.shape(), kLongestSide);
  const auto reduced = [&](const Block<std::uint16_t>& plane) { return reduced_plane<std::uint16_t>(plane.view(), step); };
  SmallCut small{reduced(cut.input), reduced(cut.less_background), reduced(cut.corrected), {}};
  small.difference = difference(small.less_background, small.corrected, ratio);
  return small;
}

/// The largest difference that is told apart, of either sign; at least one count.
double difference_range(const std::array<SmallCut, 3>& cuts) {
  std::vector<float> sizes;
  for (const SmallCut& cut : cuts)
    for (const float value : cut.difference.span()) sizes.push_back(std::abs(value));
  if (sizes.empty()) return 1.0;
  const auto place = static_cast<std::ptrdiff_t>(kDifferenceShare * static_cast<double>(sizes.size() - 1));
  std::nth_element(sizes.begin(), sizes.begin() + place, sizes.end());
  return std::max(1.0, static_cast<double>(sizes[static_cast<std::size_t>(place)]));
}

/// What black and white mean in the pictures of the cuts. A step of grey is the same brightness of tissue in all of them:
/// so many counts in the input and less its background, and the global ratio times as many in what is corrected.
struct Contrast {
  ValueRange input, before, after;
};

Contrast contrast(const VolumePortrait& portrait) {
  const double white = std::max<double>(1.0, static_cast<double>(count_percentile(portrait.corrected, kBrightShare)));
  double background = 0.0;
  for (const PlanePortrait& plane : portrait.planes)
    if (plane.id == kBackgroundId)
      background = mean_of({plane.small.span().begin(), plane.small.span().end()});
  const double step = white / portrait.ratio;
  return {{background, background + step}, {0.0, step}, {0.0, white}};
}

Json range_json(double lo, double hi) { return Json(Json::Array{number(lo), number(hi)}); }

Json cuts_json(const VolumePortrait& portrait, Json& out) {
  std::array<SmallCut, 3> cuts;
  for (std::size_t axis = 0; axis < 3; ++axis) cuts[axis] = small_cut(portrait.cuts[axis], portrait.ratio);
  const Contrast shown = contrast(portrait);
  const double changed = difference_range(cuts);
  Json& ranges = out["contrast"];
  ranges["input"] = range_json(shown.input.lo, shown.input.hi);
  ranges["before"] = range_json(shown.before.lo, shown.before.hi);
  ranges["after"] = range_json(shown.after.lo, shown.after.hi);
  out["difference_range"] = range_json(-changed, changed);
  Json all = Json::array();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const SmallCut& cut = cuts[axis];
    const std::size_t rows = axis == 0 ? 1 : 0;
    const std::size_t columns = axis == 2 ? 1 : 2;
    Json json;
    json["normal"] = kAxes[axis];
    json["axes"] = std::string(kAxes[columns]) + kAxes[rows];
    json["index"] = portrait.cuts[axis].index;
    json["position"] = number(static_cast<double>(portrait.cuts[axis].index) * portrait.scale_micrometers[axis]);
    json["width"] = number(static_cast<double>(portrait.shape[static_cast<int>(columns)]) * portrait.scale_micrometers[columns]);
    json["height"] = number(static_cast<double>(portrait.shape[static_cast<int>(rows)]) * portrait.scale_micrometers[rows]);
    json["input"] = picture_json(picture(cut.input, shown.input), cut.input.shape());
    json["less_background"] = picture_json(picture(cut.less_background, shown.before), cut.input.shape());
    json["corrected"] = picture_json(picture(cut.corrected, shown.after), cut.input.shape());
    json["difference"] = picture_json(picture(cut.difference, {-changed, changed}), cut.input.shape());
    all.push_back(std::move(json));
  }
  return all;
}

Json thumbnail(const Block<std::uint16_t>& plane, ValueRange range) {
  const std::int64_t step = reduction_step(plane.shape(), kThumbnailSide);
  return Json(picture(reduced_plane<std::uint16_t>(plane.view(), step), range));
}

Json planes_json(const VolumePortrait& portrait) {
  Json all = Json::array();
  for (const PlanePortrait& plane : portrait.planes) {
    const ValueRange range = shown_range(plane.small);
    Json json = picture_json(picture(plane.small, range), plane.small.shape());
    json["id"] = plane.id;
    json["unit"] = plane.unit;
    json["range"] = range_json(range.lo, range.hi);
    json["width"] = number(static_cast<double>(plane.shape.x) * portrait.target_scale_micrometers[2]);
    json["height"] = number(static_cast<double>(plane.shape.y) * portrait.target_scale_micrometers[1]);
    all.push_back(std::move(json));
  }
  return all;
}

// ---------------------------------------------------------------------------------------------
// Charts

/// Means of planes as multiples of their own mean.
std::vector<double> relative(const std::vector<double>& values) {
  const double mean = mean_of(values);
  std::vector<double> out(values.size(), std::numeric_limits<double>::quiet_NaN());
  if (mean > 0.0) std::transform(values.begin(), values.end(), out.begin(), [&](double value) { return value / mean; });
  return out;
}

std::string place_label(std::size_t axis) { return fmt::format("{} (µm from the first voxel)", kAxes[axis]); }

Json evenness_json(const VolumePortrait& portrait) {
  Json all = Json::array();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const PlaneMeans& means = portrait.inside[axis];
    const std::vector<double> x = thinned(places(means.before.size(), portrait.scale_micrometers[axis]));
    all.push_back(chart(std::string("evenness_") + kAxes[axis], place_label(axis), "plane mean ÷ overall mean",
                        Json(Json::Array{series("before", "dashed", x, thinned(relative(means.before))),
                                         series("after", "line", x, thinned(relative(means.after)))})));
  }
  return all;
}

Json curves_json(const VolumePortrait& portrait) {
  Json all = Json::array();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const CurvePortrait& curve = portrait.curves[axis];
    if (curve.curve.empty()) continue;
    const double last = static_cast<double>(curve.curve.size() - 1) * portrait.target_scale_micrometers[axis];
    Json all_series = Json::array();
    if (!curve.profile.empty()) {
      // The samples of the profile lie evenly from the first voxel to the last.
      const auto gaps = static_cast<double>(std::max<std::size_t>(1, curve.profile.size() - 1));
      all_series.push_back(
          series("profile", "points", thinned(places(curve.profile.size(), last / gaps)), thinned(curve.profile)));
    }
    all_series.push_back(series("curve", "line", thinned(places(curve.curve.size(), portrait.target_scale_micrometers[axis])),
                                thinned(curve.curve)));
    if (curve.limits) {
      all_series.push_back(series("limits", "dotted", {0.0, last}, {curve.limits->first, curve.limits->first}));
      all_series.push_back(series("", "dotted", {0.0, last}, {curve.limits->second, curve.limits->second}));
    }
    all.push_back(chart(std::string("curve_") + kAxes[axis], place_label(axis), "brightness ÷ global level",
                        std::move(all_series)));
  }
  return all;
}

/// Voxels per count in bins of `width` counts, as shares of `all`; NaN for none, which a logarithm cannot show.
std::vector<double> densities(const std::vector<std::uint64_t>& histogram, std::int64_t width, std::int64_t bins,
                              double all) {
  std::vector<double> out(static_cast<std::size_t>(bins), std::numeric_limits<double>::quiet_NaN());
  for (std::int64_t bin = 0; bin < bins; ++bin) {
    std::uint64_t sum = 0;
    for (std::int64_t count = bin * width; count < std::min<std::int64_t>(65536, (bin + 1) * width); ++count)
      sum += histogram[static_cast<std::size_t>(count)];
    if (sum > 0) out[static_cast<std::size_t>(bin)] = static_cast<double>(sum) / all / static_cast<double>(width);
  }
  return out;
}

Json histogram_json(const std::string& id, const CountHistogram& histogram, bool has_mask, std::int64_t last) {
  const auto total = [](const std::vector<std::uint64_t>& counts) {
    return static_cast<double>(std::max<std::uint64_t>(1, std::accumulate(counts.begin(), counts.end(), std::uint64_t{0})));
  };
  const std::int64_t width = std::max<std::int64_t>(1, ceil_div(last + 1, kBins));
  const std::int64_t bins = ceil_div(last + 1, width);
  std::vector<double> x(static_cast<std::size_t>(bins));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = (static_cast<double>(i) + 0.5) * static_cast<double>(width) - 0.5;
  Json all_series = Json::array();
  all_series.push_back(series(has_mask ? "outside the mask" : "all voxels", has_mask ? "dashed" : "line", x,
                              densities(histogram.outside, width, bins, total(histogram.outside))));
  if (has_mask)
    all_series.push_back(series("inside the mask", "line", x, densities(histogram.inside, width, bins, total(histogram.inside))));
  Json out = chart(id, "counts", "share of the voxels per count", std::move(all_series));
  out["y_scale"] = "log";
  return out;
}

Json histograms_json(const VolumePortrait& portrait) {
  const auto last = [](const CountHistogram& histogram) { return count_percentile(histogram, kLastShare); };
  return Json(Json::Array{histogram_json("histogram_input", portrait.input, portrait.has_mask, last(portrait.input)),
                          histogram_json("histogram_corrected", portrait.corrected, portrait.has_mask, last(portrait.corrected))});
}

Json plane_statistics_json(const VolumePortrait& portrait) {
  const double scale = portrait.scale_micrometers[0];
  const std::vector<double> x = thinned(places(portrait.input_mean.size(), scale));
  std::vector<double> chosen;
  std::vector<double> chosen_deviation;
  std::vector<double> chosen_mean;
  for (const std::int64_t plane : portrait.background_planes) {
    if (plane < 0 || plane >= static_cast<std::int64_t>(portrait.input_deviation.size())) continue;
    const auto i = static_cast<std::size_t>(plane);
    chosen.push_back(static_cast<double>(plane) * scale);
    chosen_deviation.push_back(portrait.input_deviation[i]);
    chosen_mean.push_back(portrait.input_mean[i]);
  }
  Json deviations = Json::array();
  deviations.push_back(series("input", "dashed", x, thinned(portrait.input_deviation)));
  if (!chosen.empty()) deviations.push_back(series("background planes", "points", chosen, chosen_deviation));
  Json means = Json::array();
  means.push_back(series("input", "dashed", x, thinned(portrait.input_mean)));
  if (!chosen.empty()) means.push_back(series("background planes", "points", chosen, chosen_mean));
  return Json(Json::Array{chart("plane_deviation", place_label(0), "standard deviation (counts)", std::move(deviations)),
                          chart("plane_mean", place_label(0), "mean (counts)", std::move(means)),
                          chart("corrected_mean", place_label(0), "mean (counts)",
                                Json(Json::Array{series("corrected", "line", x, thinned(portrait.corrected_mean))}))});
}

}  // namespace

std::int64_t count_percentile(const CountHistogram& histogram, double share) {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < histogram.inside.size(); ++i) all += histogram.inside[i] + histogram.outside[i];
  const double wanted = share * static_cast<double>(all);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < histogram.inside.size(); ++i) {
    below += histogram.inside[i] + histogram.outside[i];
    if (below > 0 && static_cast<double>(below) >= wanted) return static_cast<std::int64_t>(i);
  }
  return 0;
}

VolumePictures draw_pictures(const VolumePortrait& portrait) {
  Json out;
  out["label"] = portrait.label;
  out["level"] = portrait.level;
  out["shape"] = Json(Json::Array{portrait.shape.z, portrait.shape.y, portrait.shape.x});
  out["scale"] = numbers({portrait.scale_micrometers.begin(), portrait.scale_micrometers.end()});
  out["has_mask"] = portrait.has_mask;
  out["ratio"] = number(portrait.ratio);
  Json cuts = cuts_json(portrait, out);
  out["cuts"] = std::move(cuts);
  out["planes"] = planes_json(portrait);
  Json charts;
  charts["evenness"] = evenness_json(portrait);
  charts["curves"] = curves_json(portrait);
  charts["histograms"] = histograms_json(portrait);
  charts["plane_statistics"] = plane_statistics_json(portrait);
  out["charts"] = std::move(charts);
  const Contrast shown = contrast(portrait);
  return {std::move(out), thumbnail(portrait.cuts[0].less_background, shown.before),
          thumbnail(portrait.cuts[0].corrected, shown.after)};
}

}  // namespace flatfield::report
