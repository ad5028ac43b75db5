#pragma once

#include <string>

namespace flatfield::pipeline {

/// A text of others as part of a line for people: control characters, which would begin another line or tell the terminal
/// what to do, are spaces. Bytes beyond ASCII stay as they are.
[[nodiscard]] inline std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

}  // namespace flatfield::pipeline
