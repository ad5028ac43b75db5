#include "flatfield/pipeline/local_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/storage/store.h"
#include "support/s3_test_server.h"
#include "support/temporary_folder.h"

namespace flatfield::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{32} << 20U;

/// Gives no whole objects, and calls `after_piece` when a range was read.
class PieceStore final : public storage::MemoryStore {
 public:
  bool get(std::string_view key, Buffer& into) const override {
    ADD_FAILURE() << "the whole object is read";
    return MemoryStore::get(key, into);
  }
  bool get_range(std::string_view key, storage::ByteRange range, Buffer& into) const override {
    longest = std::max(longest, range.length);
    const bool found = MemoryStore::get_range(key, range, into);
    if (after_piece) after_piece();
    return found;
  }
  std::optional<storage::ObjectStamp> stamp(std::string_view key) const override {
    const auto bytes = size(key);
    return bytes ? std::optional(storage::ObjectStamp{*bytes, version}) : std::nullopt;
  }

  mutable std::uint64_t longest = 0;
  std::function<void()> after_piece;
  std::string version = "1";
};

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

TEST(CopyInPieces, never_holds_more_than_a_piece) {
  PieceStore from;
  storage::MemoryStore to;
  std::string text(2 * kPiece + 3, 'a');
  text.back() = 'z';
  storage::put_text(from, "mask", text);
  EXPECT_TRUE(copy_in_pieces(from, "mask", to, "copy"));
  EXPECT_TRUE(storage::get_text(to, "copy") == text);
  EXPECT_EQ(from.longest, kPiece);
  EXPECT_FALSE(copy_in_pieces(from, "none", to, "other"));
  EXPECT_FALSE(to.size("other"));
}

TEST(CopyInPieces, copies_one_version_of_what_is_replaced_meanwhile) {
  PieceStore from;
  storage::MemoryStore to;
  storage::put_text(from, "mask", std::string(kPiece + 2, 'a'));
  const std::string shorter(kPiece + 1, 'b');
  from.after_piece = [&] {
    if (from.version == "2") return;
    from.version = "2";
    storage::put_text(from, "mask", shorter);
  };
  EXPECT_TRUE(copy_in_pieces(from, "mask", to, "copy"));
  EXPECT_TRUE(storage::get_text(to, "copy") == shorter);
}

TEST(CopyInPieces, gives_up_on_what_changes_all_the_time) {
  PieceStore from;
  storage::MemoryStore to;
  storage::put_text(from, "mask", "a");
  from.after_piece = [&] { from.version += "+"; };
  try {
    (void)copy_in_pieces(from, "mask", to, "copy");
    FAIL() << "it was copied";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kReadFailed) << error.what();
  }
  EXPECT_FALSE(to.size("copy"));
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
