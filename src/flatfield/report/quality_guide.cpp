#include "flatfield/report/quality_guide.h"

#include <array>
#include <span>

namespace flatfield::report {
namespace {

struct Number {
  const char* name;
  const char* meaning;
  const char* unit = "";
};

constexpr const char* kShare = "share";
constexpr const char* kCounts = "counts";
constexpr const char* kPercent = "%";

constexpr Number kMask[] = {
    {"mask_fraction", "share of the level that lies inside the mask", kShare},
    {"mask_auc", "probability that a voxel inside the mask is brighter than one outside; 0.5 is chance", ""},
    {"mask_edge_agreement", "share of the mask's border at which the inside is brighter than the outside", kShare},
};
constexpr Number kBackground[] = {
    {"background_planes_in_mask", "share of the background planes' area that lies in the mask; tissue there is subtracted",
     kShare},
    {"background_span", "spread of the background image, (P99 - P1) / median; tissue in it varies", ""},
    {"background_zeroed_fraction", "share of the background planes' voxels that are 0 after subtraction; about half is usual",
     kShare},
    {"background_median_before", "median of the background planes after subtraction", kCounts},
    {"background_median_after", "median of the background planes in the corrected level; should be near 0", kCounts},
    {"foreground_median_before", "median inside the mask after subtraction", kCounts},
    {"foreground_median_after", "median inside the mask in the corrected level", kCounts},
};
constexpr Number kBetter[] = {
    {"profile_cv_z_raw", "variation along z of the tissue's median per plane, in the input", kPercent},
    {"profile_cv_y_raw", "variation along y, in the input", kPercent},
    {"profile_cv_x_raw", "variation along x, in the input", kPercent},
    {"profile_cv_z_before", "variation along z, less the background", kPercent},
    {"profile_cv_y_before", "variation along y, less the background", kPercent},
    {"profile_cv_x_before", "variation along x, less the background", kPercent},
    {"profile_cv_z_after", "variation along z, corrected; should be lower than before", kPercent},
    {"profile_cv_y_after", "variation along y, corrected", kPercent},
    {"profile_cv_x_after", "variation along x, corrected", kPercent},
    {"cjv_before", "overlap of tissue and background, (std + std) / |mean - mean|; lower is better", ""},
    {"cjv_after", "the same, corrected", ""},
    {"entropy_before", "spread of the tissue's brightness (differential entropy)", "nats"},
    {"entropy_after", "the same, corrected", "nats"},
};
constexpr Number kCorrection[] = {
    {"saturated_fraction", "share of the voxels cut off at 65535 counts", kShare},
    {"axis_gain_min", "smallest factor of any curve", "×"},
    {"axis_gain_max", "largest factor of any curve", "×"},
    {"axis_at_limits_z", "share of the curve along z that is cut off at its limits", kShare},
    {"axis_at_limits_y", "share of the curve along y that is cut off at its limits", kShare},
    {"axis_at_limits_x", "share of the curve along x that is cut off at its limits", kShare},
    {"global_ratio", "brightness of the whole tile after, over before", "×"},
    {"flat_std", "standard deviation of the flatfield over its mean; 0.08 to 0.11 is usual", ""},
    {"flat_span", "largest less smallest value of the flatfield over its mean; 0.37 to 0.48 is usual", ""},
    {"flat_min", "smallest value of the flatfield over its mean; its inverse amplifies noise", ""},
};

struct Question {
  const char* text;
  const char* look;
  std::span<const Number> numbers;
};
constexpr std::array<Question, 4> kQuestions{{
    {"Does the mask belong to the tile?", "A wrong, shifted or flipped mask fails here.", kMask},
    {"Is the background a background?", "Tissue in the background planes would be subtracted from every plane.", kBackground},
    {"Did it get better?", "Compare before and after: they should fall, or stay.", kBetter},
    {"What is the correction like?", "Extreme factors, clipped curves and saturation.", kCorrection},
}};

}  // namespace

Json quality_guide() {
  Json guide = Json::array();
  for (const Question& question : kQuestions) {
    Json numbers = Json::array();
    for (const Number& number : question.numbers) {
      Json json;
      json["name"] = number.name;
      json["meaning"] = number.meaning;
      json["unit"] = number.unit;
      numbers.push_back(std::move(json));
    }
    Json json;
    json["question"] = question.text;
    json["look"] = question.look;
    json["numbers"] = std::move(numbers);
    guide.push_back(std::move(json));
  }
  return guide;
}

}  // namespace flatfield::report
