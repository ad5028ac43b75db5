#include "flatfield/config/s3_reading.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace flatfield::config {

const OptionTable<RunConfig>& s3_reading_table() {
  static const OptionTable<RunConfig> table = [] {
    constexpr std::array<std::string_view, 6> kKeys{"s3_endpoint",      "s3_region",      "s3_anonymous",
                                                    "s3_request_payer", "s3_concurrency", "s3_max_attempts"};
    OptionTable<RunConfig> rows;
    for (const OptionRow<RunConfig>& row : run_table())
      if (std::find(kKeys.begin(), kKeys.end(), row.key) != kKeys.end()) rows.push_back(row);
    return rows;
  }();
  return table;
}

}  // namespace flatfield::config
