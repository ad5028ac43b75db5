#include "flatfield/config/basic_config.h"

#include <limits>

#include "flatfield/config/option_rows.h"

namespace flatfield::config {
namespace {

using methods::BasicMode;
using methods::BasicOptions;
using methods::WorkingSize;
using numerics::LinearResize;
using BasicRows = Rows<BasicConfig>;
using Row = OptionRow<BasicConfig>;

constexpr std::int64_t kLargestSize = 65536;
constexpr double kLargestCount = std::numeric_limits<std::int32_t>::max();

Row positive_row(std::string key, double BasicConfig::*member, std::string help) {
  return {std::move(key),
          OptionKind::kNumber,
          "> 0",
          std::move(help),
          [member](BasicConfig& config, const Json& value) {
            if (!value.is_number() || !(value.as_double() > 0.0))
              throw std::invalid_argument("expected a number > 0");
            config.*member = value.as_double();
          },
          [member](const BasicConfig& config) { return Json(config.*member); }};
}

Row count_row(std::string key, std::int64_t BasicConfig::*member, std::int64_t least,
              std::string help) {
  Row row = BasicRows::integer<std::int64_t>(
      std::move(key), member, {static_cast<double>(least), kLargestCount}, std::move(help));
  row.values = fmt::format(">= {}", least);
  return row;
}

/// An integer for square frames, [y, x], or null.
std::optional<WorkingSize> parse_working_size(const Json& value) {
  const auto refuse = [] {
    throw std::invalid_argument(
        fmt::format("expected an integer or [y, x] from 1 to {}, or null", kLargestSize));
  };
  const auto length = [&](const Json& number) {
    if (!number.is_integer() || number.as_double() < 1.0 ||
        number.as_double() > static_cast<double>(kLargestSize))
      refuse();
    return number.as_int64();
  };
  if (value.is_null()) return std::nullopt;
  if (!value.is_array()) return WorkingSize{length(value), length(value)};
  if (value.as_array().size() != 2) refuse();
  return WorkingSize{length(value.as_array()[0]), length(value.as_array()[1])};
}

Row working_size_row() {
  return {
      "working_size",
      OptionKind::kLimits,
      "N, [y, x] or null",
      "Size that frames are resized to for the fit, not keeping their aspect; null = not resized.",
      [](BasicConfig& config, const Json& value) {
        config.working_size = parse_working_size(value);
      },
      [](const BasicConfig& config) {
        const auto& size = config.working_size;
        if (!size) return Json();
        return size->y == size->x ? Json(size->y) : Json(Json::Array{size->y, size->x});
      }};
}

/// A choice whose values have names; the first name of a value is the one that is printed.
template <class Value>
Row named_row(std::string key, Value BasicOptions::*member,
              std::vector<std::pair<std::string, Value>> names, std::string help) {
  std::string listed;
  for (const auto& [name, value] : names) listed += (listed.empty() ? "" : ", ") + name;
  return {std::move(key),
          OptionKind::kText,
          listed,
          std::move(help),
          [member, names, listed](BasicConfig& config, const Json& value) {
            for (const auto& [name, choice] : names)
              if (value.is_string() && value.as_string() == name) {
                config.*member = choice;
                return;
              }
            throw std::invalid_argument("expected one of " + listed);
          },
          [member, names](const BasicConfig& config) {
            for (const auto& [name, choice] : names)
              if (config.*member == choice) return Json(name);
            return Json();
          }};
}

}  // namespace

BasicConfig::BasicConfig() {
  working_size = WorkingSize{512, 512};
  sort_intensity = true;
  get_darkfield = false;
  smoothness_flatfield = 0.1;
  smoothness_darkfield = 0.1;
  resize_mode = LinearResize::kSkimage;
}

const OptionTable<BasicConfig>& basic_table() {
  static const OptionTable<BasicConfig> table{
      named_row<BasicMode>(
          "fitting_mode", &BasicOptions::fitting_mode,
          {{"ladmap", BasicMode::kLadmap}, {"approximate", BasicMode::kApproximate}},
          "Solver: ladmap, or approximate, which is that of the first BaSiC."),
      BasicRows::flag("get_darkfield", &BasicOptions::get_darkfield, "Also estimate a darkfield."),
      BasicRows::number("smoothness_flatfield", &BasicOptions::smoothness_flatfield, {0},
                        "Smoothness of the flatfield; larger is smoother."),
      BasicRows::number("smoothness_darkfield", &BasicOptions::smoothness_darkfield, {0},
                        "Smoothness of the darkfield."),
      BasicRows::number("sparse_cost_darkfield", &BasicOptions::sparse_cost_darkfield, {0},
                        "Sparsity of the darkfield; larger has more zeros."),
      positive_row("epsilon", &BasicOptions::epsilon,
                   "Regularises the weights of the reweighting."),
      count_row("max_iterations", &BasicOptions::max_iterations, 1,
                "Iterations of one solve at most."),
      count_row("max_reweight_iterations", &BasicOptions::max_reweight_iterations, 1,
                "Solves with new weights at most."),
      count_row("max_reweight_iterations_baseline", &BasicOptions::max_reweight_iterations_baseline,
                0, "Solves for the baseline of sorted frames; all are run."),
      BasicRows::number("rho", &BasicOptions::rho, {1}, "Growth of mu per iteration."),
      positive_row("mu_coef", &BasicOptions::mu_coef, "Coefficient of the first mu."),
      BasicRows::number("max_mu_coef", &BasicOptions::max_mu_coef, {1},
                        "Largest mu as a multiple of the first."),
      BasicRows::number("optimization_tol", &BasicOptions::optimization_tol, {0},
                        "A solve stops at this residual, relative to the images."),
      BasicRows::number("optimization_tol_diff", &BasicOptions::optimization_tol_diff, {0},
                        "And at this change per iteration (ladmap only)."),
      BasicRows::number("reweighting_tol", &BasicOptions::reweighting_tol, {0},
                        "The reweighting stops at this relative change of the fields."),
      BasicRows::flag("sort_intensity", &BasicOptions::sort_intensity,
                      "Sort the values of each pixel over the frames before the fit."),
      working_size_row(),
      named_row<LinearResize>(
          "resize_mode", &BasicOptions::resize_mode,
          {{"skimage", LinearResize::kSkimage},
           {"jax", LinearResize::kJax},
           {"skimage_dask", LinearResize::kSkimage}},
          "Resizing as scikit-image or as jax does it; skimage_dask is skimage."),
      BasicRows::flag("autosegment", &BasicOptions::autosegment,
                      "Fit only pixels darker than Otsu's threshold."),
      BasicRows::integer<std::int64_t>("autosegment_margin", &BasicOptions::autosegment_margin,
                                       {0, 32766}, "Erosion of those pixels, in working pixels."),
      BasicRows::flag("autotune", &BasicConfig::autotune,
                      "Choose the smoothness by the cost of the corrected frames before the fit."),
      count_row("max_frames", &BasicConfig::max_frames, 1,
                "Frames that are fitted at most, evenly spaced."),
  };
  return table;
}

BasicConfig read_basic_config(const Json& object, const std::string& where) {
  BasicConfig config;
  read_object(basic_table(), object, where, config);
  return config;
}

}  // namespace flatfield::config
