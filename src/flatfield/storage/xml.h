#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flatfield::storage {

/// An element of an XML document, without attributes; names without a prefix.
struct XmlElement {
  std::string name;
  std::string text;  ///< of the element itself, not of its children
  std::vector<XmlElement> children;

  /// The first child of this name; null if there is none.
  [[nodiscard]] const XmlElement* child(std::string_view child_name) const;
  /// The text of the first child of this name; "" if there is none.
  [[nodiscard]] std::string child_text(std::string_view child_name) const;
};

/// Reads a whole document by expat. Throws Error(kReadFailed) that names `where` if it is not well
/// formed, deeper than 32 elements, or has a document type (and so could have entities of its own).
[[nodiscard]] XmlElement parse_xml(std::string_view text, std::string_view where);

/// A text as the content of an element.
[[nodiscard]] std::string escape_xml(std::string_view text);

}  // namespace flatfield::storage
