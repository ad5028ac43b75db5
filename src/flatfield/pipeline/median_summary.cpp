#include "flatfield/pipeline/median_summary.h"

#include <algorithm>
#include <cmath>

#include "flatfield/core/object_reader.h"

namespace flatfield::pipeline {

MedianSummary::MedianSummary(const Json& object, const std::string& where) {
  const ObjectReader reader(object, where);  // refuses what is no object
  for (const auto& [channel, entry] : object.as_object()) {
    const Json* value = entry.is_object() ? entry.find("mean_of_medians") : nullptr;
    if (value != nullptr && value->is_number() && std::isfinite(value->as_double()) &&
        value->as_double() > 0.0)
      entries_.push_back({channel, value->as_double()});
    else
      warnings_.push_back(reader.where() + ": channel " + channel +
                          " has no mean_of_medians greater than 0: it is skipped");
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.channel < b.channel; });
}

const MedianSummary::Entry* MedianSummary::find(const std::string& channel) const {
  const auto match = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.channel == channel; });
  if (match != entries_.end()) return &*match;
  return entries_.empty() ? nullptr : &entries_.front();
}

}  // namespace flatfield::pipeline
