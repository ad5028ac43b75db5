#pragma once

#include <string>
#include <vector>

#include "flatfield/core/json.h"

namespace flatfield::ome {

/// What OME-NGFF says of the attributes of a group.
struct NgffReport {
  std::string version;                ///< "0.4" or "0.5"; empty: the group holds nothing of NGFF
  std::vector<std::string> problems;  ///< what breaks a MUST, each with its place
  std::vector<std::string> advice;    ///< what leaves out a SHOULD
};

/// Checks images, labels, plates and wells by the rules of OME-NGFF 0.4, or of 0.5 where the
/// attributes have a member `ome` (the schemas of the specifications and what their text adds).
[[nodiscard]] NgffReport check_ngff(const Json& group_attributes);

}  // namespace flatfield::ome
