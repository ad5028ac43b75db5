#include "flatfield/methods/quality_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

namespace flatfield::methods {
namespace {

/// A correction that made everything better.
QualityNumbers good_numbers() {
  QualityNumbers numbers;
  numbers.mask_source = MaskSource::kGiven;
  numbers.mask_auc = 0.98;
  numbers.mask_edge_agreement = 0.97;
  numbers.background_planes_in_mask = 0.0;
  numbers.foreground_median = {60.0, 100.0};
  numbers.background_median = {0.0, 0.0};
  numbers.profile_cv_before = {20.0, 15.0, 10.0};
  numbers.profile_cv_after = {5.0, 4.0, 3.0};
  numbers.cjv = {0.5, 0.4};
  numbers.entropy = {4.0, 3.9};
  numbers.saturated_fraction = 0.0;
  numbers.axis_at_limits = {0.0, 0.0, 0.0};
  numbers.global_ratio = 1.7;
  return numbers;
}

const JudgedNumber& find(const QualityReport& report, const std::string& name) {
  return *std::find_if(report.numbers.begin(), report.numbers.end(),
                       [&](const JudgedNumber& number) { return number.name == name; });
}

TEST(QualityGate, passes_a_good_correction_without_reasons) {
  const QualityReport report = judge_quality(good_numbers(), false);
  EXPECT_EQ(report.verdict, Verdict::kPass);
  EXPECT_TRUE(report.reasons.empty());
}

TEST(QualityGate, reports_every_number_once_with_its_thresholds) {
  const QualityReport report = judge_quality(good_numbers(), false);
  std::set<std::string> names;
  for (const JudgedNumber& number : report.numbers) names.insert(number.name);
  EXPECT_EQ(names.size(), report.numbers.size());
  const JudgedNumber& cv = find(report, "profile_cv_z_after");
  EXPECT_EQ(cv.verdict, Verdict::kPass);
  EXPECT_EQ(cv.warn, "> 1.1 * profile_cv_z_before + 2");
  EXPECT_EQ(cv.fail, "> 1.5 * profile_cv_z_before + 5");
  EXPECT_EQ(find(report, "flat_std").warn, "< 0.03 or > 0.5");
  EXPECT_EQ(find(report, "entropy_after").warn, "> entropy_before + 0.5");
  EXPECT_EQ(find(report, "foreground_median_before").verdict, Verdict::kContext);
  EXPECT_EQ(find(report, "flat_std").verdict, Verdict::kNotMeasured);
}

TEST(QualityGate, what_cannot_be_measured_never_fails) {
  const QualityReport report = judge_quality(QualityNumbers{}, false);
  EXPECT_EQ(report.verdict, Verdict::kPass);
  for (const JudgedNumber& number : report.numbers)
    EXPECT_EQ(number.verdict, Verdict::kNotMeasured) << number.name;
}

TEST(QualityGate, what_is_not_finite_is_not_measured) {
  QualityNumbers numbers;
  numbers.axis_gain_max = std::numeric_limits<double>::infinity();
  numbers.mask_auc = std::numeric_limits<double>::quiet_NaN();
  const QualityReport report = judge_quality(numbers, false);
  for (const char* name : {"axis_gain_max", "mask_auc"}) {
    EXPECT_FALSE(find(report, name).value) << name;
    EXPECT_EQ(find(report, name).verdict, Verdict::kNotMeasured) << name;
  }
}

struct Case {
  const char* name;
  void (*spoil)(QualityNumbers&);
  Verdict expected;
};

TEST(QualityGate, each_threshold_gives_its_verdict_and_names_its_number) {
  const Case cases[] = {
      {"mask_auc", [](QualityNumbers& n) { n.mask_auc = 0.87; }, Verdict::kWarn},
      {"mask_auc", [](QualityNumbers& n) { n.mask_auc = 0.82; }, Verdict::kFail},
      {"mask_edge_agreement", [](QualityNumbers& n) { n.mask_edge_agreement = 0.89; },
       Verdict::kWarn},
      {"mask_edge_agreement", [](QualityNumbers& n) { n.mask_edge_agreement = 0.5; },
       Verdict::kFail},
      {"background_planes_in_mask", [](QualityNumbers& n) { n.background_planes_in_mask = 0.02; },
       Verdict::kWarn},
      {"background_planes_in_mask", [](QualityNumbers& n) { n.background_planes_in_mask = 0.3; },
       Verdict::kFail},
      {"background_span", [](QualityNumbers& n) { n.background_span = 1.5; }, Verdict::kWarn},
      {"background_median_after", [](QualityNumbers& n) { n.background_median.after = 12.0; },
       Verdict::kWarn},
      {"profile_cv_x_after", [](QualityNumbers& n) { n.profile_cv_after[2] = 14.0; },
       Verdict::kWarn},
      {"profile_cv_y_after", [](QualityNumbers& n) { n.profile_cv_after[1] = 33.0; },
       Verdict::kFail},
      {"cjv_after", [](QualityNumbers& n) { n.cjv.after = 0.7; }, Verdict::kWarn},
      {"cjv_after", [](QualityNumbers& n) { n.cjv.after = 1.1; }, Verdict::kFail},
      {"entropy_after", [](QualityNumbers& n) { n.entropy.after = 4.6; }, Verdict::kWarn},
      {"saturated_fraction", [](QualityNumbers& n) { n.saturated_fraction = 0.01; },
       Verdict::kWarn},
      {"saturated_fraction", [](QualityNumbers& n) { n.saturated_fraction = 0.1; }, Verdict::kFail},
      {"axis_at_limits_y", [](QualityNumbers& n) { n.axis_at_limits[1] = 0.3; }, Verdict::kWarn},
      {"axis_at_limits_z", [](QualityNumbers& n) { n.axis_at_limits[0] = 0.6; }, Verdict::kFail},
      {"flat_std", [](QualityNumbers& n) { n.flat_std = 0.02; }, Verdict::kWarn},
      {"flat_std", [](QualityNumbers& n) { n.flat_std = 0.6; }, Verdict::kWarn},
      {"flat_span", [](QualityNumbers& n) { n.flat_span = 0.05; }, Verdict::kWarn},
      {"flat_min", [](QualityNumbers& n) { n.flat_min = 0.05; }, Verdict::kWarn},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    QualityNumbers numbers = good_numbers();
    c.spoil(numbers);
    const QualityReport report = judge_quality(numbers, false);
    EXPECT_EQ(report.verdict, c.expected);
    EXPECT_EQ(find(report, c.name).verdict, c.expected);
    ASSERT_EQ(report.reasons.size(), 1U);
    EXPECT_EQ(report.reasons[0].rfind(std::string(c.name) + " = ", 0), 0U) << report.reasons[0];
  }
}

TEST(QualityGate, a_reason_holds_number_threshold_reference_and_what_to_do) {
  QualityNumbers numbers = good_numbers();
  numbers.cjv = {0.5, 0.75};
  EXPECT_EQ(judge_quality(numbers, false).reasons.at(0),
            "cjv_after = 0.75 (> 1.25 * cjv_before), cjv_before = 0.5: tissue and background are "
            "harder to tell apart than before: look at the result");
}

TEST(QualityGate, failing_numbers_come_before_warning_ones) {
  QualityNumbers numbers = good_numbers();
  numbers.mask_auc = 0.87;
  numbers.saturated_fraction = 0.1;
  const QualityReport report = judge_quality(numbers, false);
  ASSERT_EQ(report.reasons.size(), 2U);
  EXPECT_EQ(report.reasons[0].rfind("saturated_fraction", 0), 0U);
}

TEST(QualityGate, profiles_and_spreads_of_a_few_counts_are_context) {
  QualityNumbers numbers = good_numbers();
  numbers.foreground_median.before = 9.0;
  numbers.profile_cv_after = {90.0, 90.0, 90.0};
  numbers.cjv.after = 9.0;
  numbers.entropy.after = 9.0;
  const QualityReport report = judge_quality(numbers, false);
  EXPECT_EQ(report.verdict, Verdict::kPass);
  for (const char* name : {"profile_cv_z_after", "cjv_after", "entropy_after"})
    EXPECT_EQ(find(report, name).verdict, Verdict::kContext) << name;
  numbers.foreground_median.before = 10.0;
  EXPECT_EQ(judge_quality(numbers, false).verdict, Verdict::kFail);
}

TEST(QualityGate, a_clamped_ratio_warns) {
  const QualityReport report = judge_quality(good_numbers(), true);
  EXPECT_EQ(report.verdict, Verdict::kWarn);
  EXPECT_EQ(find(report, "global_ratio").warn, "clamped");
  EXPECT_EQ(report.reasons.at(0).rfind("global_ratio = 1.7 (clamped)", 0), 0U);
}

}  // namespace
}  // namespace flatfield::methods
