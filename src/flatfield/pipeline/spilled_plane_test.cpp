#include "flatfield/pipeline/spilled_plane.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/shell_command.h"
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
  const auto file = std::make_shared<SpillFile>(folder.path().string());
  const Block<float> other({1, 2, 7}, 9.0F);
  std::vector<SpilledPlane> planes;
  planes.emplace_back(file, some_plane().view());
  planes.emplace_back(file, other.view());
  for (int time = 0; time < 2; ++time) {
    const Block<float> found = planes[0].read();
    EXPECT_EQ(found.shape(), (Extent3{1, 3, 5}));
    EXPECT_TRUE(std::ranges::equal(found.span(), some_plane().span()));
    EXPECT_EQ(planes[1].read().shape(), other.shape());
    EXPECT_TRUE(std::ranges::equal(planes[1].read().span(), other.span()));
  }
}

TEST(SpilledPlane, leaves_nothing_in_its_folder_that_has_a_name) {
  const TemporaryFolder folder;
  const SpilledPlane plane(std::make_shared<SpillFile>(folder.path().string()), some_plane().view());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SpilledPlane, is_not_open_in_programs_that_are_started) {
  const TemporaryFolder folder;
  const SpilledPlane plane(std::make_shared<SpillFile>(folder.path().string()), some_plane().view());
  const std::string open_files = storage::run_shell_command("ls -l /proc/self/fd; true", 60, "a test");
  EXPECT_EQ(open_files.find(kSpillPrefix), std::string::npos) << open_files;
}

TEST(SpilledPlane, says_where_it_cannot_be_written) {
  try {
    const SpillFile file("/nowhere");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    EXPECT_NE(std::string(error.what()).find("/nowhere"), std::string::npos);
  }
}

}  // namespace
}  // namespace flatfield::pipeline
