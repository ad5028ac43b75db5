#include "flatfield/pipeline/spilled_plane.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "flatfield/core/error.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

Block<float> some_plane() {
  Block<float> plane({1, 3, 5});
  std::iota(plane.data(), plane.data() + plane.size(), -2.5F);
  return plane;
}

TEST(SpilledPlane, is_read_as_it_was_as_often_as_it_is_asked_for) {
  const TemporaryFolder folder;
  SpilledPlane first(folder.path().string(), some_plane().view());
  const SpilledPlane plane = std::move(first);
  for (int time = 0; time < 2; ++time) {
    const Block<float> found = plane.read();
    EXPECT_EQ(found.shape(), (Extent3{1, 3, 5}));
    EXPECT_TRUE(std::ranges::equal(found.span(), some_plane().span()));
  }
}

TEST(SpilledPlane, leaves_nothing_in_its_folder_that_has_a_name) {
  const TemporaryFolder folder;
  const SpilledPlane plane(folder.path().string(), some_plane().view());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SpilledPlane, says_where_it_cannot_be_written) {
  try {
    const SpilledPlane plane("/nowhere", some_plane().view());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    EXPECT_NE(std::string(error.what()).find("/nowhere"), std::string::npos);
  }
}

}  // namespace
}  // namespace flatfield::pipeline
