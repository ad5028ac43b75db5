#pragma once

#include <string>
#include <vector>

#include "flatfield/core/json.h"

namespace flatfield::pipeline {

/// The level that the tiles of a channel are scaled to, instead of the configured global factor: the
/// `mean_of_medians` of each channel of a dataset (docs/methods.md 4.7),
/// {"488": {"mean_of_medians": 43.2, ...}, "561": {...}}.
class MedianSummary {
 public:
  /// Entries without a finite number greater than 0 are left out, each with a line in `warnings`.
  /// Throws Error(kBadInput) naming `where` if it is no object.
  MedianSummary(const Json& object, const std::string& where);

  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  struct Entry {
    std::string channel;
    double value = 0.0;
  };
  /// The entry of a channel; where there is none, that of another channel (the first in sorted order);
  /// nullptr if there are no entries at all.
  [[nodiscard]] const Entry* find(const std::string& channel) const;

 private:
  std::vector<Entry> entries_;  ///< in sorted order of their channels
  std::vector<std::string> warnings_;
};

}  // namespace flatfield::pipeline
