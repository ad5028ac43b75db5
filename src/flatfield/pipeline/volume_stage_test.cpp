#include "flatfield/pipeline/volume_stage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cctype>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/item_geometry.h"
#include "flatfield/pipeline/volume_stage_case.h"

namespace flatfield::pipeline {
namespace {

using namespace testing_support;

template <class T>
class WritePyramid : public testing::Test {};
using VoxelTypes = testing::Types<std::uint8_t, std::uint16_t, float>;
TYPED_TEST_SUITE(WritePyramid, VoxelTypes);

TYPED_TEST(WritePyramid, equals_a_naive_pyramid_for_any_workers_and_memory) {
  using T = TypeParam;
  for (unsigned seed = 0; seed < 80; ++seed) {
    const Case c = random_case<T>(seed);
    SCOPED_TRACE(describe(c));
    const std::vector<Block<T>> expected = naive_pyramid<T>(c);
    std::map<std::string, std::string> contents;
    for (int workers = 1; workers <= 3; ++workers)
      for (const std::int64_t memory : {least_memory<T>(c, workers), kPlenty})
        check<T>(c, expected, workers, memory, contents);
    if (testing::Test::HasFatalFailure() || testing::Test::HasNonfatalFailure()) return;
  }
}

TEST(WritePyramidDeep, writes_nine_levels_in_three_passes) {
  Case c;
  c.shape = {256, 259, 290};
  c.chunk_shape = {32, 15, 64};
  c.level_count = 9;
  c.most = 255;
  const std::vector<Block<std::uint8_t>> expected = naive_pyramid<std::uint8_t>(c);
  std::map<std::string, std::string> contents;
  check<std::uint8_t>(c, expected, 3, kPlenty, contents);
}

TEST(WritePyramidDeep, writes_nine_levels_of_shards_in_five_passes) {
  Case c;
  c.shape = {256, 259, 290};
  c.chunk_shape = {32, 15, 64};
  c.shard_chunks = Extent3{2, 3, 2};
  c.level_count = 9;
  c.most = 255;
  const std::vector<Block<std::uint8_t>> expected = naive_pyramid<std::uint8_t>(c);
  std::map<std::string, std::string> contents;
  for (const int workers : {1, 3}) check<std::uint8_t>(c, expected, workers, kPlenty, contents);
}

TEST(WritePyramidDeep, reduces_chunks_that_are_finished_a_few_planes_at_a_time) {
  // A plane of a chunk has 32 KiB, so that a chunk is finished in five parts, and odd planes are in the last.
  Case c;
  c.shape = {75, 130, 129};
  c.chunk_shape = {37, 128, 128};
  c.level_count = 3;
  const std::vector<Block<std::uint16_t>> expected = naive_pyramid<std::uint16_t>(c);
  std::map<std::string, std::string> contents;
  for (const int workers : {1, 2}) check(c, expected, workers, kPlenty, contents);
}

TEST(WritePyramidShards, a_shard_that_cannot_be_written_stops_all_workers) {
  Case c;
  c.shape = {64, 64, 64};
  c.chunk_shape = {8, 8, 8};
  c.shard_chunks = Extent3{4, 4, 4};
  c.level_count = 3;
  execution::ThreadPool pool(4);
  Output<std::uint16_t> output(c);
  output.store->refused_key = "0/0/1/0/0/1";
  HashedSource<std::uint16_t> source(c);
  EXPECT_THROW(write_pyramid<std::uint16_t>(source, output.target, pool, kPlenty, {}), Error);
}

ErrorCode code_of_a_refused_write(const std::function<void()>& check) {
  Case c;
  c.shape = {16, 16, 16};
  c.chunk_shape = {8, 8, 8};
  c.level_count = 2;
  execution::ThreadPool pool(2);
  Output<std::uint16_t> output(c);
  output.store->refused_key = "0/0/1/1/0/1";
  output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items", check);
  HashedSource<std::uint16_t> source(c);
  try {
    write_pyramid<std::uint16_t>(source, output.target, pool, kPlenty, {});
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "the write was not refused";
  return ErrorCode::kUsage;
}

TEST(WritePyramidOwner, a_write_that_fails_where_another_run_has_taken_the_place_is_said_to_fail_for_that) {
  // It takes the place while the only item is under way: the first check is before it.
  const auto taken = [](ErrorCode code) {
    return [code, calls = std::make_shared<std::atomic<int>>(0)] {
      if ((*calls)++ > 0) throw Error(code, "another run has begun the output anew");
    };
  };
  EXPECT_EQ(code_of_a_refused_write([] {}), ErrorCode::kWriteFailed);
  EXPECT_EQ(code_of_a_refused_write(taken(ErrorCode::kOutputExists)), ErrorCode::kOutputExists);
  EXPECT_EQ(code_of_a_refused_write(taken(ErrorCode::kReadFailed)), ErrorCode::kWriteFailed);
}

TEST(WritePyramidOwner, an_item_in_the_middle_of_which_another_run_takes_the_place_writes_no_more_objects) {
  for (const bool is_sharded : {false, true}) {
    SCOPED_TRACE(is_sharded);
    Case c;
    c.shape = {64, 64, 64};
    c.chunk_shape = {8, 8, 8};
    c.level_count = 2;
    if (is_sharded) c.shard_chunks = Extent3{4, 4, 4};
    execution::ThreadPool pool(1);
    execution::ProcessGroup alone;
    Output<std::uint16_t> output(c);
    // Looked at before the item, and before each object: two are written.
    const auto check = [calls = 0]() mutable {
      if (++calls > 3) throw Error(ErrorCode::kOutputExists, "another run has begun the output anew");
    };
    output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items", check, std::chrono::seconds(0));
    HashedSource<std::uint16_t> source(c);
    ItemCounts counts;
    const PassRun run{pool, alone, kPlenty, counts, {}, {}};
    EXPECT_THROW(write_first_pass<std::uint16_t>(source, output.target, {}, run), Error);
    int written = 0;
    for (const std::string& key : output.chunk_keys()) written += output.store->size(key) ? 1 : 0;
    EXPECT_EQ(written, 2);
  }
}

TEST(WritePyramidOwner, a_carry_is_not_written_where_another_run_has_taken_the_place) {
  Case c;
  c.shape = {16, 16, 16};
  c.chunk_shape = {8, 8, 8};
  c.level_count = 5;
  execution::ThreadPool pool(1);
  execution::ProcessGroup alone;
  Output<std::uint16_t> output(c);
  // The item has eight chunks of level 0, and one of each of the next two.
  const auto check = [calls = 0]() mutable {
    if (++calls > 11) throw Error(ErrorCode::kOutputExists, "another run has begun the output anew");
  };
  output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items", check, std::chrono::seconds(0));
  HashedSource<std::uint16_t> source(c);
  ItemCounts counts;
  const PassRun run{pool, alone, kPlenty, counts, {}, {}};
  EXPECT_THROW(write_first_pass<std::uint16_t>(source, output.target, {}, run), Error);
  EXPECT_TRUE(output.store->writes.contains("2/0/1/0/0/0"));
  // Of the array of the carries there are only the documents.
  for (const auto& [key, count] : output.store->writes)
    EXPECT_FALSE(key.starts_with("scratch/") && std::isdigit(static_cast<unsigned char>(key.back())) != 0) << key;
}

TEST(WritePyramidDeep, writes_every_number_of_levels) {
  for (int levels = 1; levels <= 7; ++levels) {
    Case c;
    c.shape = {64, 67, 70};
    c.chunk_shape = {8, 5, 16};
    c.level_count = levels;
    SCOPED_TRACE(describe(c));
    const std::vector<Block<std::uint16_t>> expected = naive_pyramid<std::uint16_t>(c);
    std::map<std::string, std::string> contents;
    check<std::uint16_t>(c, expected, 2, least_memory<std::uint16_t>(c, 1), contents);
  }
}

TEST(WritePyramidDeep, writes_thousands_of_chunks_of_one_voxel) {
  Case c;
  c.shape = {17, 18, 19};
  c.chunk_shape = {1, 1, 1};
  c.level_count = 5;
  const std::vector<Block<std::uint16_t>> expected = naive_pyramid<std::uint16_t>(c);
  std::map<std::string, std::string> contents;
  check<std::uint16_t>(c, expected, 3, kPlenty, contents);
}

TEST(WritePyramidDeep, pads_chunks_at_the_border_with_zeros) {
  Case c;
  c.shape = {5, 6, 7};
  c.chunk_shape = {4, 4, 4};
  c.level_count = 2;
  execution::ThreadPool pool(1);
  Output<std::uint16_t> output(c);
  HashedSource<std::uint16_t> source(c);
  write_pyramid<std::uint16_t>(source, output.target, pool, kPlenty, {});
  zarr::ChunkScratch scratch;
  const ome::Volume& volume = output.target.levels[0];
  Block<std::uint16_t> chunk({4, 4, 4});
  volume.array().read_chunk(volume.chunk_index({1, 1, 1}), std::as_writable_bytes(chunk.span()),
                            scratch);
  for (std::int64_t i = 0; i < chunk.size(); ++i) {
    const Extent3 p = unravel(i, {4, 4, 4});
    const bool inside = p.z < 1 && p.y < 2 && p.x < 3;
    EXPECT_EQ(chunk.data()[i], inside ? source.value(p + Extent3{4, 4, 4}) : 0) << to_string(p);
  }
}

TEST(WritePyramidItems, own_the_same_objects_for_any_memory) {
  Case c;
  c.shape = {40, 33, 37};
  c.chunk_shape = {4, 3, 5};
  c.level_count = 3;
  // With one worker, items follow each other: what is written between two ends is one item's.
  const auto objects_by_item = [&](std::int64_t memory) {
    execution::ThreadPool pool(1);
    Output<std::uint16_t> output(c);
    HashedSource<std::uint16_t> source(c);
    std::map<std::string, std::set<std::string>> objects;
    std::set<std::string> seen;
    write_pyramid<std::uint16_t>(source, output.target, pool, memory,
                                 [&](const execution::WorkItem& item) {
                                   for (const auto& [key, count] : output.store->writes)
                                     if (seen.insert(key).second) objects[item.id()].insert(key);
                                 });
    return objects;
  };
  const auto objects = objects_by_item(least_memory<std::uint16_t>(c, 1));
  EXPECT_EQ(objects, objects_by_item(kPlenty));
  // Cells are 4 x 6 x 10 voxels and items 16 x 24 x 40: 3 x 2 x 1 of them.
  ASSERT_EQ(objects.size(), 6U);
  // The first item owns 4 x 8 x 8 chunks of level 0, 2 x 4 x 4 of level 1 and 1 x 2 x 2 of level 2.
  const std::set<std::string>& first = objects.at("test level 0 item 0");
  EXPECT_TRUE(first.contains("0/0/1/3/7/7"));
  EXPECT_FALSE(first.contains("0/0/1/4/7/7"));
  EXPECT_FALSE(first.contains("0/0/1/3/8/7"));
  EXPECT_TRUE(first.contains("1/0/1/1/3/3"));
  EXPECT_FALSE(first.contains("1/0/1/2/3/3"));
  EXPECT_TRUE(first.contains("2/0/1/0/1/1"));
  EXPECT_FALSE(first.contains("2/0/1/1/1/1"));
}

TEST(WritePyramidItems, that_are_done_are_noted_in_a_store_that_writes_later_also_where_another_one_fails) {
  Case c;
  c.shape = {64, 32, 32};
  c.chunk_shape = {8, 8, 8};
  for (const bool fails : {false, true}) {
    execution::ThreadPool pool(1);
    execution::ProcessGroup alone;
    Output<std::uint16_t> output(c);
    output.store->writes_late = true;
    output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items");
    HashedSource<std::uint16_t> source(c);
    ItemCounts counts;
    const PassRun run{pool, alone, kPlenty, counts, {}, [&](const execution::WorkItem&) {
                        if (fails) throw Error(ErrorCode::kReadFailed, "the tile cannot be read any more");
                      }};
    if (fails)
      EXPECT_THROW(write_first_pass<std::uint16_t>(source, output.target, {}, run), Error);
    else
      write_first_pass<std::uint16_t>(source, output.target, {}, run);
    const PassItems pass = pyramid_passes(output.target).front();
    ASSERT_EQ(pass.items, 2);
    EXPECT_EQ(std::ssize(output.target.ledger->done(pass.key)), fails ? 1 : 2);
  }
}

TEST(WritePyramidItems, that_are_done_are_noted_also_where_the_memory_of_the_machine_runs_out_after_them) {
  Case c;
  c.shape = {64, 32, 32};
  c.chunk_shape = {8, 8, 8};
  for (const bool is_refused : {false, true}) {
    execution::ThreadPool pool(1);
    execution::ProcessGroup alone;
    Output<std::uint16_t> output(c);
    output.store->writes_late = true;
    if (is_refused) output.store->refused_key = "0/0/1/0/1/1";
    output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items");
    HashedSource<std::uint16_t> source(c);
    ItemCounts counts;
    const PassRun run{pool, alone, kPlenty, counts, {}, [](const execution::WorkItem&) { throw std::bad_alloc(); }};
    // Also where something cannot be written then: it is what went wrong first.
    EXPECT_THROW(write_first_pass<std::uint16_t>(source, output.target, {}, run), std::bad_alloc);
    EXPECT_EQ(std::ssize(output.target.ledger->done(pyramid_passes(output.target).front().key)), is_refused ? 0 : 1);
  }
}

/// What writing a pyramid ends with whose first item is the last that it does, for this reason, in a store that writes later.
ErrorCode code_after_an_item(Output<std::uint16_t>& output, const Case& c, ErrorCode reason) {
  execution::ThreadPool pool(1);
  execution::ProcessGroup alone;
  HashedSource<std::uint16_t> source(c);
  ItemCounts counts;
  output.store->writes_late = true;
  try {
    write_first_pass<std::uint16_t>(source, output.target, {},
                                    {pool, alone, kPlenty, counts, {}, [&](const execution::WorkItem&) {
                                       throw Error(reason, "nothing more is done");
                                     }});
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorCode::kUsage;
}

TEST(WritePyramidItems, an_object_that_cannot_be_written_is_what_a_pass_ends_with_that_was_asked_to_stop) {
  Case c;
  c.shape = {64, 32, 32};
  c.chunk_shape = {8, 8, 8};
  for (const ErrorCode reason : {ErrorCode::kInterrupted, ErrorCode::kReadFailed}) {
    Output<std::uint16_t> output(c);
    output.store->refused_key = "0/0/1/0/1/1";
    EXPECT_EQ(code_after_an_item(output, c, reason),
              reason == ErrorCode::kInterrupted ? ErrorCode::kWriteFailed : ErrorCode::kReadFailed);
  }
}

TEST(WritePyramidItems, nothing_more_is_written_where_another_run_has_taken_the_place) {
  Case c;
  c.shape = {64, 32, 32};
  c.chunk_shape = {8, 8, 8};
  Output<std::uint16_t> output(c);
  output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items", [calls = 0]() mutable {
    if (++calls > 2) throw Error(ErrorCode::kOutputExists, "another run has begun the output anew");  // one item is noted
  });
  EXPECT_EQ(code_after_an_item(output, c, ErrorCode::kOutputExists), ErrorCode::kOutputExists);
  EXPECT_TRUE(output.target.store->list("items").empty());
}

TEST(WritePyramidItems, that_are_not_done_are_told_with_the_step_that_does_them) {
  Case c;
  c.shape = {64, 32, 32};
  c.chunk_shape = {8, 8, 8};
  for (const bool is_learnt : {false, true}) {
    execution::ThreadPool pool(1);
    execution::ProcessGroup alone;
    Output<std::uint16_t> output(c);
    EXPECT_TRUE(open_items(output.target).empty()) << "no ledger is kept";
    output.target.ledger = std::make_shared<ItemLedger>(output.target.store, "items");
    output.target.is_learnt = is_learnt;
    output.target.ledger->note(pyramid_passes(output.target).front().key, 0, {});
    EXPECT_EQ(open_items(output.target), std::vector<std::int64_t>{1});
    ItemCounts counts;
    try {
      write_later_passes<std::uint16_t>(output.target, {pool, alone, kPlenty, counts, {}, {}});
      ADD_FAILURE() << "no error was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kNotFound);
      EXPECT_NE(error.message().find("1 of 2 items"), std::string::npos) << error.message();
      EXPECT_NE(error.remedy().find(is_learnt ? "estimate again" : "apply the parts"), std::string::npos) << error.remedy();
    }
  }
}

TEST(WritePyramidItems, that_can_never_fit_are_refused_before_anything_is_read) {
  Case c;
  c.shape = {16, 16, 16};
  c.chunk_shape = {4, 4, 4};
  c.level_count = 3;
  execution::ThreadPool pool(2);
  Output<std::uint16_t> output(c);
  HashedSource<std::uint16_t> source(c);
  try {
    write_pyramid<std::uint16_t>(source, output.target, pool, least_memory<std::uint16_t>(c, 1) - 1,
                                 {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
  }
  EXPECT_TRUE(output.store->writes.empty());
}

TEST(WritePyramidErrors, a_carry_that_is_gone_does_not_pass_for_zeros) {
  Case c;
  c.shape = {33, 32, 32};
  c.chunk_shape = {2, 2, 2};
  c.level_count = 5;
  execution::ThreadPool pool(2);
  execution::ProcessGroup alone;
  Output<std::uint16_t> output(c);
  HashedSource<std::uint16_t> source(c);
  ItemCounts counts;
  const PassRun run{pool, alone, kPlenty, counts, {}, {}};
  write_first_pass<std::uint16_t>(source, output.target, {}, run);
  const auto is_chunk = [](const auto& written) {
    return written.first.starts_with("scratch/") && std::isdigit(static_cast<unsigned char>(written.first.back())) != 0;
  };
  const auto carry = std::ranges::find_if(output.store->writes, is_chunk);
  ASSERT_NE(carry, output.store->writes.end());
  output.store->erase(carry->first);
  try {
    write_later_passes<std::uint16_t>(output.target, run);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kReadFailed);
    EXPECT_NE(std::string(error.what()).find("scratch"), std::string::npos) << error.what();
  }
}

TEST(WritePyramidErrors, of_the_source_and_of_the_store_are_thrown) {
  class BrokenSource : public VoxelSource<std::uint16_t> {
   public:
    void read(const Box3&, BlockView<std::uint16_t>, int) override {
      throw Error(ErrorCode::kReadFailed, "broken source");
    }
  };
  Case c;
  c.shape = {16, 16, 16};
  c.chunk_shape = {2, 2, 2};
  c.level_count = 4;
  for (int workers = 1; workers <= 3; ++workers) {
    execution::ThreadPool pool(workers);
    Output<std::uint16_t> output(c);
    BrokenSource broken;
    EXPECT_THROW(write_pyramid<std::uint16_t>(broken, output.target, pool, kPlenty, {}), Error);
    HashedSource<std::uint16_t> source(c);
    output.store->refused_key = "1/0/1/2/2/2";
    try {
      write_pyramid<std::uint16_t>(source, output.target, pool, kPlenty, {});
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kWriteFailed);
    }
  }
}

}  // namespace
}  // namespace flatfield::pipeline
