#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/output_place.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/array.h"
#include "flatfield/zarr/group.h"

namespace flatfield::pipeline {
namespace {

OutputPlan small_plan() {
  OutputPlan plan;
  plan.name = "tile_000001_ch_488.zarr";
  plan.volumes = {2, 3};
  plan.shape = {40, 24, 10};
  plan.chunk_shape = {16, 16, 8};
  plan.level_count = 3;
  plan.compressors = {zarr::Compressor{"blosc", 1}};
  plan.scale = {1, 1, 1.0, 0.748, 0.748};
  plan.translation = {0, 0, 5.0, 0, 0};
  return plan;
}

class OutputImageTest : public testing::Test {
 protected:
  std::shared_ptr<storage::Store> store_ = std::make_shared<storage::MemoryStore>();
};

TEST_F(OutputImageTest, has_five_axes_and_chunks_no_larger_than_the_level) {
  const OutputImage image(store_, small_plan());
  const auto level_0 = zarr::Array::open(store_, "0").metadata();
  EXPECT_EQ(level_0.shape, (std::vector<std::int64_t>{2, 3, 40, 24, 10}));
  EXPECT_EQ(level_0.chunk_shape, (std::vector<std::int64_t>{1, 1, 16, 16, 8}));
  EXPECT_EQ(level_0.dtype, DType::kUint16);
  EXPECT_EQ(level_0.separator, '/');
  const auto level_2 = zarr::Array::open(store_, "2").metadata();
  EXPECT_EQ(level_2.shape, (std::vector<std::int64_t>{2, 3, 10, 6, 2}));
  EXPECT_EQ(level_2.chunk_shape, (std::vector<std::int64_t>{1, 1, 10, 6, 2}));
  EXPECT_EQ(level_2.codecs.compressors, small_plan().compressors);
  EXPECT_FALSE(zarr::is_array(*store_, "3"));
}

TEST_F(OutputImageTest, gives_a_pyramid_for_each_volume) {
  const OutputImage image(store_, small_plan());
  const PyramidTarget target = image.target({1, 2}, "corrected");
  EXPECT_EQ(target.name, "corrected");
  ASSERT_EQ(target.levels.size(), 3U);
  EXPECT_EQ(target.levels[0].shape(), (Extent3{40, 24, 10}));
  EXPECT_EQ(target.levels[0].chunk_index({2, 1, 1}), (std::vector<std::int64_t>{1, 2, 2, 1, 1}));
  EXPECT_EQ(target.chunk_shape, (Extent3{16, 16, 8}));
}

TEST(ClearPlace, that_is_interrupted_leaves_nothing_that_could_be_gone_on_with) {
  /// Is stopped when the scratch area is to be removed.
  class InterruptedStore : public storage::MemoryStore {
   public:
    void erase_prefix(std::string_view) override { throw Error(ErrorCode::kWriteFailed, "interrupted"); }
  };
  for (const int zarr_format : {2, 3}) {
    InterruptedStore store;
    const Json fingerprint = Json::parse(R"({"options": "some"})", "");
    claim_place(store, fingerprint);
    zarr::write_group(store, "", zarr_format);
    storage::put_text(store, "0/0", "a chunk");
    ASSERT_TRUE(is_resumable(store, fingerprint, false));
    EXPECT_THROW(clear_place(store), Error);
    EXPECT_THROW((void)is_resumable(store, fingerprint, false), Error);
    // It can be replaced, and is not taken for something of others.
    EXPECT_EQ(output_state(store), OutputState::kUnfinished);
    EXPECT_NO_THROW(check_place(store, true));
  }
}

TEST(ClearPlace, removes_what_is_noted_before_what_says_whose_it_is) {
  /// Is stopped when all that is left is to be removed.
  class InterruptedStore : public storage::MemoryStore {
   public:
    void erase_prefix(std::string_view prefix) override {
      if (prefix.empty()) throw Error(ErrorCode::kWriteFailed, "interrupted");
      storage::MemoryStore::erase_prefix(prefix);
    }
  };
  InterruptedStore store;
  const std::string scratch = kScratchName;
  claim_place(store, Json::parse(R"({"options": "some"})", ""));
  storage::put_text(store, scratch + "/items/01234567/t0_c0/level_0/0.json", "{}");
  storage::put_text(store, scratch + "/model.npz", "a model");
  storage::put_text(store, "0/0", "a chunk");
  EXPECT_THROW(clear_place(store), Error);
  EXPECT_EQ(store.list(scratch), std::vector<std::string>{"run.json"});
  EXPECT_EQ(store.list(""), std::vector<std::string>{scratch + "/"});
}

TEST(Claims, without_clearing_want_a_place_where_no_items_are_noted) {
  storage::MemoryStore store;
  EXPECT_NO_THROW(check_unclaimed(store));
  storage::put_text(store, std::string(kScratchName) + "/items/01234567/t0_c0/level_0/0.json", "{}");
  try {
    check_unclaimed(store);
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutputExists);
    EXPECT_EQ(error.where(), store.describe(kScratchName));
  }
  claim_place(store, Json::parse("{}", ""));
  EXPECT_NO_THROW(check_unclaimed(store)) << "another part has begun there";
}

TEST(Claims, tell_runs_apart_but_not_by_the_chunks_that_they_saw) {
  const Json some = Json::parse(R"({"options": 1, "tile": {"documents": 2, "chunks": {"0/0": "old", "0/1": "old"}}})", "");
  const Json mended = Json::parse(R"({"options": 1, "tile": {"documents": 2, "chunks": {"0/0": "unreadable"}}})", "");
  const Json other = Json::parse(R"({"options": 2, "tile": {"documents": 2, "chunks": {"0/0": "old", "0/1": "old"}}})", "");
  EXPECT_EQ(claim_id(some), claim_id(mended));
  EXPECT_NE(claim_id(some), claim_id(other));
  storage::MemoryStore store;
  EXPECT_THROW(check_claim(store, claim_id(some)), Error) << "nobody's";
  claim_place(store, some);
  EXPECT_NO_THROW(check_claim(store, claim_id(mended)));
  claim_place(store, other);
  EXPECT_THROW(check_claim(store, claim_id(some)), Error);
}

TEST(Claims, are_own_only_of_the_same_tile_but_for_what_could_not_be_read) {
  storage::MemoryStore store;
  const Json mine = Json::parse(R"({"options": 1, "tile": {"chunks": {"0/0": "a", "0/1": "b"}}})", "");
  EXPECT_TRUE(own_claim(store, mine).is_null()) << "finished, or removed";
  claim_place(store, Json::parse(R"({"options": 1, "tile": {"chunks": {"0/0": "unreadable", "0/1": "b"}}})", ""));
  EXPECT_FALSE(own_claim(store, mine).is_null());
  claim_place(store, Json::parse(R"({"options": 1, "tile": {"chunks": {"0/0": "a", "0/1": "copied again"}}})", ""));
  EXPECT_TRUE(own_claim(store, mine).is_null());
  retire_place(store, "some reason");
  EXPECT_TRUE(own_claim(store, mine).is_null());
}

TEST(Claims, keep_all_chunks_that_could_not_be_read) {
  storage::MemoryStore store;
  const storage::MemoryStore tile;
  claim_place(store, Json::parse(R"({"tile": {"chunks": {"0/0": "a", "0/1": "b", "0/2": "c"}}})", ""));
  note_unreadable_chunk(store, tile, tile.describe("0/0"));
  note_unreadable_chunk(store, tile, tile.describe("0/2"));
  note_unreadable_chunk(store, tile, tile.describe("0/7"));
  EXPECT_TRUE(is_resumable(store, Json::parse(R"({"tile": {"chunks": {"0/0": "x", "0/1": "b", "0/2": "y"}}})", ""), false));
  EXPECT_THROW((void)is_resumable(store, Json::parse(R"({"tile": {"chunks": {"0/0": "x", "0/1": "y"}}})", ""), false), Error);
}

TEST(Claims, that_a_crash_of_the_machine_has_left_empty_are_of_no_use_but_can_be_replaced) {
  storage::MemoryStore store;
  for (const char* text : {"", "[]", "{\"retired\": 1}"}) {
    storage::put_text(store, std::string(kScratchName) + "/run.json", text);
    try {
      (void)is_resumable(store, Json::parse("{}", ""), false);
      ADD_FAILURE() << "no error was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutputExists);
      EXPECT_NE(std::string(error.what()).find("--overwrite"), std::string::npos);
    }
    EXPECT_FALSE(is_resumable(store, Json::parse("{}", ""), true));
    note_unreadable_chunk(store, store, "somewhere");
    EXPECT_EQ(storage::get_text(store, std::string(kScratchName) + "/run.json"), text);
  }
}

TEST(OutputState, of_metadata_without_content_is_that_of_something_unfinished) {
  for (const char* name : {"zarr.json", ".zattrs"}) {
    storage::MemoryStore store;
    if (std::string(name) == ".zattrs") zarr::write_group(store, "", 2);
    storage::put_text(store, name, "");
    EXPECT_EQ(output_state(store), OutputState::kUnfinished) << name;
  }
}

TEST_F(OutputImageTest, is_finished_only_when_its_attributes_are_written) {
  EXPECT_EQ(output_state(*store_), OutputState::kAbsent);
  OutputImage image(store_, small_plan());
  EXPECT_EQ(output_state(*store_), OutputState::kUnfinished);
  image.finish(Json(), Json());
  EXPECT_EQ(output_state(*store_), OutputState::kFinished);
}

TEST_F(OutputImageTest, describes_itself_when_finished) {
  OutputPlan plan = small_plan();
  plan.reducer = {numerics::WindowReducer::Kind::kRank, -2};
  OutputImage image(store_, plan);
  Json inherited;
  inherited["kept"] = "yes";
  Json provenance;
  provenance["name"] = "process";
  image.finish(inherited, provenance);
  const Json attributes = zarr::read_group_attributes(*store_, "");
  EXPECT_EQ(*attributes.find("kept"), Json("yes"));
  EXPECT_EQ(*attributes.find("exaspim_flatfield"), provenance);
  const ome::Multiscale multiscale = ome::read_multiscale(attributes, "test");
  EXPECT_EQ(multiscale.name, plan.name);
  ASSERT_EQ(multiscale.levels.size(), 3U);
  EXPECT_EQ(multiscale.levels[0].scale, plan.scale);
  EXPECT_EQ(multiscale.levels[0].translation, plan.translation);
  EXPECT_EQ(multiscale.levels[2].scale, (std::vector<double>{1, 1, 4.0, 4 * 0.748, 4 * 0.748}));
  EXPECT_EQ(multiscale.levels[2].translation,
            (std::vector<double>{0, 0, 6.5, 1.5 * 0.748, 1.5 * 0.748}));
  const Json& written = attributes.find("multiscales")->as_array().front();
  EXPECT_EQ(*written.find("metadata")->find("kwargs")->find("rank"), Json(-2));
  EXPECT_EQ(
      *attributes.find("omero")->find("channels")->as_array().front().find("window")->find("max"),
      Json(65535.0));
}

TEST_F(OutputImageTest, display_range_follows_the_data_type) {
  for (const auto& [dtype, largest] :
       std::vector<std::pair<DType, double>>{{DType::kUint8, 255.0}, {DType::kFloat32, 1.0}}) {
    OutputPlan plan = small_plan();
    plan.dtype = dtype;
    store_ = std::make_shared<storage::MemoryStore>();
    OutputImage(store_, plan).finish(Json(), Json());
    const Json attributes = zarr::read_group_attributes(*store_, "");
    EXPECT_EQ(
        *attributes.find("omero")->find("channels")->as_array().front().find("window")->find("max"),
        Json(largest));
    EXPECT_EQ(zarr::Array::open(store_, "0").metadata().dtype, dtype);
  }
}

TEST_F(OutputImageTest, the_state_tells_foreign_files_from_outputs) {
  storage::put_text(*store_, "notes.txt", "x");
  EXPECT_EQ(output_state(*store_), OutputState::kSomethingElse);
  store_ = std::make_shared<storage::MemoryStore>();
  zarr::write_group(*store_, "", 2);
  EXPECT_EQ(output_state(*store_), OutputState::kUnfinished);
}

TEST_F(OutputImageTest, the_place_must_be_free_or_hold_what_may_be_replaced) {
  const auto code = [&](bool overwrite) {
    try {
      check_place(*store_, overwrite);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;  // nothing was thrown
  };
  EXPECT_EQ(code(false), ErrorCode::kInternal);
  OutputImage image(store_, small_plan());
  EXPECT_EQ(code(false), ErrorCode::kOutputExists);
  EXPECT_EQ(code(true), ErrorCode::kInternal);
  image.finish(Json(), Json());
  EXPECT_EQ(code(false), ErrorCode::kOutputExists);
  EXPECT_EQ(code(true), ErrorCode::kInternal);
  clear_place(*store_);
  EXPECT_EQ(output_state(*store_), OutputState::kAbsent);
  storage::put_text(*store_, "notes.txt", "x");
  EXPECT_EQ(code(true), ErrorCode::kOutputExists) << "what is no Zarr is never removed";
}

}  // namespace
}  // namespace flatfield::pipeline
