#include "flatfield/ome/units.h"

#include <gtest/gtest.h>

namespace flatfield::ome {
namespace {

TEST(ConvertUnit, gives_values_in_other_units) {
  EXPECT_EQ(convert_unit(1.0, "micrometer", "micrometer"), 1.0);
  EXPECT_EQ(convert_unit(1.0, "nanometer", "micrometer"), 0.001);
  EXPECT_EQ(convert_unit(1.0, "millimeter", "micrometer"), 1000.0);
  EXPECT_EQ(convert_unit(1.0, "meter", "micrometer"), 1e6);
  EXPECT_EQ(convert_unit(1.0, "angstrom", "micrometer"), 1e-4);
  EXPECT_EQ(convert_unit(1.0, "inch", "micrometer"), 25400.0);
  EXPECT_EQ(convert_unit(1.0, "mile", "kilometer"), 1.609344);
  EXPECT_EQ(convert_unit(1.0, "second", "millisecond"), 1000.0);
  EXPECT_EQ(convert_unit(1.0, "minute", "millisecond"), 60000.0);
  EXPECT_EQ(convert_unit(748.0, "nanometer", "micrometer"), 0.748);
  EXPECT_EQ(convert_unit(-2.5, "millimeter", "micrometer"), -2500.0);
  EXPECT_EQ(convert_unit(1.0, "yottasecond", "yoctosecond"), 1e48);
}

TEST(ConvertUnit, knows_no_relation_between_what_cannot_be_compared) {
  EXPECT_EQ(convert_unit(1.0, "second", "micrometer"), std::nullopt);
  EXPECT_EQ(convert_unit(1.0, "pixel", "micrometer"), std::nullopt);
  EXPECT_EQ(convert_unit(1.0, "", "micrometer"), std::nullopt);
  EXPECT_EQ(convert_unit(1.0, "kilomile", "micrometer"), std::nullopt);
  EXPECT_EQ(convert_unit(1.0, "furmeter", "micrometer"), std::nullopt);
  EXPECT_EQ(convert_unit(1.0, "pixel", "pixel"), 1.0);
}

}  // namespace
}  // namespace flatfield::ome
