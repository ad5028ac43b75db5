#include "flatfield/ome/units.h"

#include <gtest/gtest.h>

namespace flatfield::ome {
namespace {

TEST(UnitFactor, says_how_many_of_one_unit_another_is) {
  EXPECT_EQ(unit_factor("micrometer", "micrometer"), 1.0);
  EXPECT_EQ(unit_factor("nanometer", "micrometer"), 0.001);
  EXPECT_EQ(unit_factor("millimeter", "micrometer"), 1000.0);
  EXPECT_EQ(unit_factor("meter", "micrometer"), 1e6);
  EXPECT_EQ(unit_factor("angstrom", "micrometer"), 1e-4);
  EXPECT_EQ(unit_factor("inch", "micrometer"), 25400.0);
  EXPECT_EQ(unit_factor("mile", "kilometer"), 1.609344);
  EXPECT_EQ(unit_factor("second", "millisecond"), 1000.0);
  EXPECT_EQ(unit_factor("minute", "millisecond"), 60000.0);
  EXPECT_EQ(unit_factor("yottasecond", "yoctosecond"), 1e48);
}

TEST(UnitFactor, knows_no_relation_between_what_cannot_be_compared) {
  EXPECT_EQ(unit_factor("second", "micrometer"), std::nullopt);
  EXPECT_EQ(unit_factor("pixel", "micrometer"), std::nullopt);
  EXPECT_EQ(unit_factor("", "micrometer"), std::nullopt);
  EXPECT_EQ(unit_factor("kilomile", "micrometer"), std::nullopt);
  EXPECT_EQ(unit_factor("furmeter", "micrometer"), std::nullopt);
  EXPECT_EQ(unit_factor("pixel", "pixel"), 1.0);
}

}  // namespace
}  // namespace flatfield::ome
