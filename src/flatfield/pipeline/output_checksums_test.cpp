#include "flatfield/pipeline/output_checksums.h"

#include <gtest/gtest.h>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/item_ledger.h"
#include "flatfield/pipeline/object_sizes.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {
namespace {

std::vector<zarr::ArrayMetadata> two_levels() {
  zarr::ArrayMetadata fine;
  fine.shape = {1, 2, 10, 8, 6};
  fine.chunk_shape = {1, 1, 4, 4, 4};
  zarr::ArrayMetadata coarse = fine;
  coarse.shape = {1, 2, 5, 4, 3};
  return {fine, coarse};
}

TEST(OutputChecksums, are_read_as_they_were_written) {
  const auto store = std::make_shared<storage::MemoryStore>();
  OutputChecksums written(two_levels());
  ASSERT_EQ(written.level(0).size(), 2U * 3 * 2 * 2);
  EXPECT_TRUE(written.set({0, 23, 100, 0xffffffff}));
  EXPECT_TRUE(written.set({1, 3, 7, 1}));
  const OutputChecksums before = written;
  for (const WrittenObject& unknown : {WrittenObject{2, 0, 1, 1}, WrittenObject{-1, 0, 1, 1}, WrittenObject{0, 24, 1, 1},
                                       WrittenObject{0, -1, 1, 1}})
    EXPECT_FALSE(written.set(unknown)) << unknown.level << ", " << unknown.number;
  for (std::size_t level = 0; level < 2; ++level) EXPECT_EQ(written.level(level), before.level(level));
  written.set_document("0/.zarray", "text");
  written.write(*store);
  const OutputChecksums read = OutputChecksums::read(store);
  ASSERT_EQ(read.level_count(), 2U);
  for (std::size_t level = 0; level < 2; ++level) {
    EXPECT_EQ(read.level(level), written.level(level));
    EXPECT_EQ(read.grid(level), written.grid(level));
  }
  EXPECT_EQ(read.documents(), written.documents());
  EXPECT_EQ(read.documents().at("0/.zarray").bytes, 4U);
}

TEST(OutputChecksums, that_are_damaged_or_absent_are_errors) {
  const auto store = std::make_shared<storage::MemoryStore>();
  EXPECT_THROW((void)OutputChecksums::read(store), Error);
  OutputChecksums(two_levels()).write(*store);
  std::string text = *storage::get_text(*store, OutputChecksums::kKey);
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
  storage::put_text(*store, OutputChecksums::kKey, text);
  EXPECT_THROW((void)OutputChecksums::read(store), Error);
}

TEST(ItemLedger, knows_the_items_that_were_noted_and_what_they_wrote) {
  const auto store = std::make_shared<storage::MemoryStore>();
  ItemLedger ledger(store, "scratch/items");
  EXPECT_TRUE(ledger.done("t0_c0/level_0").empty());
  const std::vector<WrittenObject> objects{{0, 5, 100, 0xdeadbeef}, {1, 0, std::uint64_t{1} << 40, 0}};
  ledger.note("t0_c0/level_0", 12, objects);
  ledger.note("t0_c0/level_0", 3, {});
  ledger.note("t0_c0/level_3", 1, objects);
  EXPECT_EQ(ledger.done("t0_c0/level_0"), (std::set<std::int64_t>{3, 12}));
  EXPECT_EQ(ItemLedger(store, "scratch/items").objects("t0_c0/level_0", 12), objects);
  ledger.forget("t0_c0/level_0", 12);
  EXPECT_EQ(ledger.done("t0_c0/level_0"), std::set<std::int64_t>{3});
  EXPECT_EQ(ledger.objects("t0_c0/level_0", 12), std::nullopt);
  // An empty one is what a crash of the machine may leave.
  for (const char* text : {"", "{}", "[", "{\"level_number_bytes_crc32c\": [[1, 2, 3]]}",
                           "{\"level_number_bytes_crc32c\": [[0, -1, 2, 3]]}",
                           "{\"level_number_bytes_crc32c\": [[4294967296, 1, 2, 3]]}",
                           "{\"level_number_bytes_crc32c\": [[0, 1, 2, 4294967296]]}"}) {
    storage::put_text(*store, "scratch/items/t0_c0/level_0/3.json", text);
    EXPECT_EQ(ledger.objects("t0_c0/level_0", 3), std::nullopt) << text;
  }
}

TEST(ItemLedger, notes_nothing_that_its_check_refuses) {
  const auto store = std::make_shared<storage::MemoryStore>();
  ItemLedger ledger(store, "items", [] { throw Error(ErrorCode::kOutputExists, "not ours"); });
  EXPECT_THROW(ledger.note("level_0", 1, {}), Error);
  EXPECT_TRUE(ledger.done("level_0").empty());
}

TEST(ObjectSizes, are_those_of_the_objects_of_an_image) {
  storage::MemoryStore store;
  const std::vector<zarr::ArrayMetadata> levels = two_levels();
  for (const char* key : {"0/0/1/2/1/1", "1/0/0/0/0/0", "0/.zarray", ".zattrs", "0/0/1/3/0/0", "0/00/1/2/1/0", "x",
                          ".exaspim_flatfield_scratch/run.json", "2/0/0/0/0/0"})
    storage::put_text(store, key, key);
  const ObjectSizes sizes(store, levels);
  EXPECT_EQ(object_location(levels, 0, 23), "0/0/1/2/1/1");
  EXPECT_EQ(sizes.of(0, 23), 11U);
  EXPECT_EQ(sizes.of(0, 22), 0U);
  EXPECT_EQ(sizes.of(1, 0), 11U);
  std::vector<std::string> others = sizes.others();
  std::sort(others.begin(), others.end());
  EXPECT_EQ(others, (std::vector<std::string>{"0/0/1/3/0/0", "0/00/1/2/1/0", "2/0/0/0/0/0", "x"}));
}

}  // namespace
}  // namespace flatfield::pipeline
