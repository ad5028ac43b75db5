#include "flatfield/report/html_page.h"

#include <gtest/gtest.h>

#include <string>

#include "flatfield/report/quality_guide.h"
#include "flatfield/report/tile_report.h"

namespace flatfield::report {
namespace {

constexpr PageParts kParts{"<title><!--title--></title><style>/*style*/</style>", "<script>/*data*/</script>"
                           "<script id=\"chart-library\">/*chart library*/</script>[/*common script*/|/*script*/]",
                           "own", "style", "common", "library", "chart-style "};

TEST(HtmlPage, PutsEveryPartInItsPlace) {
  EXPECT_EQ(fill_page(kParts, "a tile", Json("x")),
            "<title>a tile</title><style>chart-style style</style><script>\"x\"</script>"
            "<script id=\"chart-library\">library</script>[common|own]");
}

TEST(HtmlPage, WhatIsPutInIsNotSearchedForMarkers) {
  const std::string page = fill_page(kParts, "/*script*/", Json("/*script*/ <!--title-->"));
  EXPECT_NE(page.find("<title>/*script*/</title>"), std::string::npos);
  EXPECT_NE(page.find("\"/*script*/ \\u003c!--title-->\""), std::string::npos);
}

TEST(HtmlPage, NeitherTitleNorDataCanEndTheElementsThatHoldThem) {
  const std::string page = fill_page(kParts, "</title><b>\"&", Json("</script><script>"));
  EXPECT_NE(page.find("<title>&lt;/title&gt;&lt;b&gt;&quot;&amp;</title>"), std::string::npos);
  EXPECT_EQ(page.find("</script><script>\""), std::string::npos);
}

TEST(HtmlPage, PageOfABuildWithoutTheChartLibraryDiffersOnlyInItsEmptyElement) {
  const PageParts with = tile_page();
  PageParts without = with;
  without.chart_library = "";
  TileReport report;
  report.tile = "tile";
  std::string page = tile_report_html(report, with);
  const std::string begin = "<script id=\"chart-library\">";
  const std::size_t at = page.find(begin) + begin.size();
  page.erase(at, page.find("</script>", at) - at);
  EXPECT_EQ(page, tile_report_html(report, without));
}

TEST(HtmlPage, PagesThatAreCompiledInHoldEveryMarkerOnceAndNameNoServer) {
  for (const PageParts& parts : {tile_page(), batch_page()}) {
    const std::string html = std::string(parts.head) + std::string(parts.page);
    for (const std::string marker : {"<!--title-->", "/*style*/", "/*data*/", "/*common script*/", "/*script*/"}) {
      const std::size_t first = html.find(marker);
      EXPECT_NE(first, std::string::npos) << marker;
      EXPECT_EQ(html.find(marker, first + 1), std::string::npos) << marker;
    }
    for (const std::string_view text : {std::string_view(html), parts.style}) EXPECT_EQ(text.find("://"), std::string_view::npos);
  }
}

TEST(QualityGuide, ExplainsEachNumberOnce) {
  std::vector<std::string> names;
  const Json guide = quality_guide();
  for (const Json& question : guide.as_array())
    for (const Json& number : question.find("numbers")->as_array()) {
      names.push_back(number.find("name")->as_string());
      EXPECT_FALSE(number.find("meaning")->as_string().empty());
    }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_GT(names.size(), 30U);
}

}  // namespace
}  // namespace flatfield::report
