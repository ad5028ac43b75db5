#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flatfield/methods/quality.h"

namespace flatfield::methods {

/// What a number says about a correction.
enum class Verdict : std::uint8_t {
  kNotMeasured,  ///< it has no value, and is held against nothing
  kContext,      ///< it describes the input, and has no thresholds
  kPass,
  kWarn,  ///< somebody should look
  kFail,  ///< the result is not to be used without looking
};

/// "not measured", "context", "pass", "warn" or "fail".
[[nodiscard]] std::string_view verdict_name(Verdict verdict) noexcept;

/// A number with its thresholds beside it.
struct JudgedNumber {
  std::string name;
  std::optional<double> value;
  Verdict verdict = Verdict::kNotMeasured;
  std::string warn;  ///< when it warns, like "> 0.01"; "" = never
  std::string fail;  ///< when it fails
};

/// Every number, in one order for all methods, and what follows from them.
struct QualityReport {
  Verdict verdict = Verdict::kPass;  ///< the worst of the numbers: pass, warn or fail
  /// One line for each number that warns or fails, the failing ones first: number, value,
  /// threshold, what it means and what to check.
  std::vector<std::string> reasons;
  std::string mask;  ///< what "inside the mask" means, in words
  std::vector<JudgedNumber> numbers;
};

/// Holds the numbers against their thresholds (docs/quality.md, where they are explained).
/// `ratio_clamped`: the global ratio was cut to the configured limits, which warns.
[[nodiscard]] QualityReport judge_quality(const QualityNumbers& numbers, bool ratio_clamped);

}  // namespace flatfield::methods
