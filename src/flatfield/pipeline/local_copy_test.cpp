#include "flatfield/pipeline/local_copy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "flatfield/storage/store.h"
#include "support/s3_test_server.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

TEST(LocalCopy, of_what_is_elsewhere_is_hidden_from_other_users_and_removed_at_the_end) {
  storage::StoreOpener stores(test::S3TestServer::fresh().options());
  storage::put_text(*stores.open("s3://copies/masks"), "mask.tif", "private");
  fs::path folder;
  {
    const LocalCopy copy("s3://copies/masks/mask.tif", stores);
    folder = copy.path().parent_path();
    EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all);
    EXPECT_EQ(storage::get_text(*storage::open_store(folder.string()), copy.path().filename().string()), "private");
  }
  EXPECT_FALSE(fs::exists(folder));
}

TEST(LocalCopy, of_what_is_on_this_machine_is_the_file_itself_and_stays) {
  const TemporaryFolder folder;
  const std::string file = folder.write("mask.tif", "own");
  storage::StoreOpener stores;
  { EXPECT_EQ(LocalCopy(file, stores).path().string(), file); }
  EXPECT_TRUE(fs::exists(file));
}

}  // namespace
}  // namespace flatfield::pipeline
