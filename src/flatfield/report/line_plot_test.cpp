#include "flatfield/report/line_plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace flatfield::report {
namespace {

/// Big-endian 32-bit number at an offset.
std::uint32_t number_at(const std::vector<std::byte>& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(bytes.at(offset + i));
  return value;
}

LinePlot plot_of(double slope) {
  Series line{"a line", SeriesStyle::kLine, {}};
  for (int i = 0; i < 100; ++i) line.points.emplace_back(i, 1.0 + slope * i);
  return {"title", "x", "y", {line}};
}

TEST(LinePlot, is_a_png_of_the_expected_size) {
  const std::vector<std::byte> png = draw_png(plot_of(0.1));
  ASSERT_GT(png.size(), 1000U);
  EXPECT_EQ(std::memcmp(png.data(), "\x89PNG\r\n\x1a\n", 8), 0);
  EXPECT_EQ(number_at(png, 16), static_cast<std::uint32_t>(kPlotWidth));
  EXPECT_EQ(number_at(png, 20), static_cast<std::uint32_t>(kPlotHeight));
}

TEST(LinePlot, differs_with_what_is_drawn_and_with_nothing_else) {
  const LinePlot plot = plot_of(0.1);
  const std::vector<std::byte> png = draw_png(plot);
  EXPECT_EQ(draw_png(plot), png);
  LinePlot other = plot;
  other.title = "another title";
  EXPECT_NE(draw_png(other), png) << "the title is drawn";
  other = plot;
  other.x_label = "voxels";
  EXPECT_NE(draw_png(other), png) << "the label of x is drawn";
  other = plot;
  other.y_label = "brightness";
  EXPECT_NE(draw_png(other), png) << "the label of y is drawn";
  other = plot;
  other.series[0].label.clear();
  EXPECT_NE(draw_png(other), png) << "the legend is drawn";
  other = plot;
  other.series[0].points[50].second += 3.0;
  EXPECT_NE(draw_png(other), png) << "the values are drawn";
  for (const SeriesStyle style : {SeriesStyle::kPoints, SeriesStyle::kDashed}) {
    other = plot;
    other.series[0].style = style;
    EXPECT_NE(draw_png(other), png) << "the styles are told apart";
  }
}

TEST(LinePlot, leaves_out_values_that_are_not_finite) {
  LinePlot plot = plot_of(0.1);
  plot.series[0].points[50].second = std::numeric_limits<double>::quiet_NaN();
  plot.series[0].points[60].second = std::numeric_limits<double>::infinity();
  const std::vector<std::byte> png = draw_png(plot);
  plot.series[0].points[60].second = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(draw_png(plot), png);
  EXPECT_NE(draw_png(plot_of(0.1)), png);
}

TEST(LinePlot, of_no_series_one_point_or_even_values_is_drawn) {
  EXPECT_GT(draw_png({}).size(), 1000U);
  EXPECT_GT(draw_png({"t", "x", "y", {{"p", SeriesStyle::kPoints, {{3.0, 7.0}}}}}).size(), 1000U);
  EXPECT_GT(draw_png(plot_of(0.0)).size(), 1000U);
}

TEST(LinePlot, of_two_numbers_without_another_between_them_is_drawn) {
  const double next = std::nextafter(1e16, 2e16);
  EXPECT_GT(draw_png({"t", "x", "y", {{"l", SeriesStyle::kLine, {{0.0, 1e16}, {1.0, next}}}}}).size(), 1000U);
}

TEST(LinePlot, cuts_a_title_that_is_too_long_in_its_middle) {
  LinePlot plot = plot_of(0.1);
  plot.title = std::string(300, 'm') + "1" + std::string(300, 'm');
  const std::vector<std::byte> png = draw_png(plot);
  plot.title = std::string(300, 'm') + "2" + std::string(300, 'm');
  EXPECT_EQ(draw_png(plot), png);
}

TEST(TickPositions, are_round_numbers_within_the_range) {
  EXPECT_EQ(tick_positions(0.0, 100.0, 10),
            (std::vector<double>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100}));
  EXPECT_EQ(tick_positions(-3.0, 4.1, 4), (std::vector<double>{-2, 0, 2, 4}));
  const std::vector<double> fine = tick_positions(0.21, 1.22, 8);
  ASSERT_EQ(fine.size(), 5U);
  EXPECT_NEAR(fine.front(), 0.4, 1e-12);
  EXPECT_NEAR(fine.back(), 1.2, 1e-12);
  EXPECT_EQ(tick_positions(14192.0, 14192.0, 8).size(), 1U);
}

TEST(TickPositions, are_few_and_different_also_where_numbers_are_further_apart_than_ticks) {
  for (const double lo : {1e16, -1e16, 1e300, 1.0, 0.3, -14192.0})
    for (const double hi : {lo, std::nextafter(lo, std::numeric_limits<double>::infinity())}) {
      const std::vector<double> ticks = tick_positions(lo, hi, 8);
      ASSERT_GE(ticks.size(), 1U) << lo;
      ASSERT_LE(ticks.size(), 9U) << lo;
      for (std::size_t i = 1; i < ticks.size(); ++i) EXPECT_LT(ticks[i - 1], ticks[i]) << lo;
    }
}

}  // namespace
}  // namespace flatfield::report
