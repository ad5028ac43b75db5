#pragma once

#include "flatfield/core/json.h"

namespace flatfield::report {

/// The questions that the quality numbers answer, in order, and for each number what it is in a line:
/// [{"question", "look", "numbers": [{"name", "meaning", "unit"}]}]. docs/quality.md says more.
[[nodiscard]] Json quality_guide();

}  // namespace flatfield::report
