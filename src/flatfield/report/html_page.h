#pragma once

#include <string>
#include <string_view>

#include "flatfield/core/json.h"

namespace flatfield::report {

/// What a page is made of besides its data. All of it goes into the page, which needs nothing else.
struct PageParts {
  std::string_view head;           ///< the HTML that all pages begin with, with its markers
  std::string_view page;           ///< that of this kind of page
  std::string_view script;         ///< of this kind of page
  std::string_view style;
  std::string_view common_script;  ///< of all pages
  std::string_view chart_library;  ///< "" = charts are drawn as still SVG
  std::string_view chart_style;
};

/// The page of a tile, or of a batch, as it was compiled in.
[[nodiscard]] PageParts tile_page();
[[nodiscard]] PageParts batch_page();

/// The HTML of a page that shows `data`. `title` is plain text.
[[nodiscard]] std::string fill_page(const PageParts& parts, std::string_view title, const Json& data);

/// A text inside an HTML element or attribute.
[[nodiscard]] std::string html_text(std::string_view text);

}  // namespace flatfield::report
