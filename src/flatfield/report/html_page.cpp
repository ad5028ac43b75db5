#include "flatfield/report/html_page.h"

#include <utility>
#include <vector>

#include "flatfield/report/page_assets.h"

namespace flatfield::report {
namespace {

/// JSON that cannot end the script element that holds it.
std::string script_json(const Json& data) {
  std::string out;
  for (const char c : data.dump()) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

PageParts tile_page() {
  return {assets::kPageHead,     assets::kTileReportPage, assets::kTileReportScript, assets::kStyle,
          assets::kCommonScript, assets::kChartLibrary,   assets::kChartStyle};
}

PageParts batch_page() {
  return {assets::kPageHead, assets::kBatchIndexPage, assets::kBatchIndexScript, assets::kStyle, assets::kCommonScript, "", ""};
}

std::string fill_page(const PageParts& parts, std::string_view title, const Json& data) {
  const std::vector<std::pair<std::string_view, std::string>> content{
      {"<!--title-->", html_text(title)},
      {"/*style*/", std::string(parts.chart_style) + std::string(parts.style)},
      {"/*data*/", script_json(data)},
      {"/*chart library*/", std::string(parts.chart_library)},
      {"/*common script*/", std::string(parts.common_script)},
      {"/*script*/", std::string(parts.script)}};
  std::string out;
  const std::string page = std::string(parts.head) + std::string(parts.page);
  std::string_view rest = page;
  // What is put in is not looked at again: it may hold the text of a marker.
  while (!rest.empty()) {
    std::size_t next = std::string_view::npos;
    const std::pair<std::string_view, std::string>* found = nullptr;
    for (const auto& entry : content)
      if (const std::size_t at = rest.find(entry.first); at < next) {
        next = at;
        found = &entry;
      }
    out += rest.substr(0, next);
    if (found == nullptr) break;
    out += found->second;
    rest.remove_prefix(next + found->first.size());
  }
  return out;
}

}  // namespace flatfield::report
