#include "flatfield/pipeline/output_image.h"
#include "flatfield/pipeline/output_place.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
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

const std::string kMine = "0123456789abcdef";
const std::string kTheirs = "00000000fedcba98";

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
    claim_place(store, fingerprint, kMine);
    zarr::write_group(store, "", zarr_format);
    storage::put_text(store, "0/0", "a chunk");
    ASSERT_EQ(resumable_claim(store, fingerprint, false), kMine);
    EXPECT_THROW(clear_place(store), Error);
    EXPECT_THROW((void)resumable_claim(store, fingerprint, false), Error);
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
  claim_place(store, Json::parse(R"({"options": "some"})", ""), kMine);
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
  claim_place(store, Json::parse("{}", ""), kMine);
  EXPECT_NO_THROW(check_unclaimed(store)) << "another part has begun there";
}

TEST(Claims, tell_apart_also_runs_that_begin_the_same) {
  const Json fingerprint = Json::parse(R"({"options": 1, "tile": {"chunks": {"0/0": "a", "0/1": "b"}}})", "");
  storage::MemoryStore store;
  EXPECT_THROW(check_claim(store, kMine), Error) << "nobody's";
  EXPECT_TRUE(own_claim(store, kMine).is_null()) << "finished, or removed";
  claim_place(store, fingerprint, kMine);
  EXPECT_NO_THROW(check_claim(store, kMine));
  EXPECT_FALSE(own_claim(store, kMine).is_null());
  EXPECT_EQ(resumable_claim(store, fingerprint, false), kMine);
  claim_place(store, fingerprint, kTheirs);
  EXPECT_THROW(check_claim(store, kMine), Error);
  EXPECT_TRUE(own_claim(store, kMine).is_null());
  EXPECT_EQ(resumable_claim(store, fingerprint, false), kTheirs) << "who goes on is one of theirs";
  retire_place(store, "some reason");
  EXPECT_TRUE(own_claim(store, kTheirs).is_null());
}

TEST(Claims, have_a_name_that_is_new_or_of_parts_that_begin_together_the_same) {
  const Json some = Json::parse(R"({"options": 1, "tile": {"chunks": {"0/0": "old", "0/1": "old"}}})", "");
  const Json copied = Json::parse(R"({"options": 1, "tile": {"chunks": {"0/0": "new", "0/1": "old"}}})", "");
  EXPECT_NE(new_claim_id(), new_claim_id());
  EXPECT_EQ(shared_claim_id(some), shared_claim_id(Json::parse(some.dump(), "")));
  EXPECT_NE(shared_claim_id(some), shared_claim_id(copied));
  for (const std::string& id : {new_claim_id(), shared_claim_id(some)}) {
    EXPECT_EQ(id.size(), kClaimDigits);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
  }
}

TEST(Claims, with_another_text_for_a_name_are_nobodys) {
  storage::MemoryStore store;
  for (const char* name : {"../../somewhere", "0123456789abcde", "0123456789ABCDEF"}) {
    claim_place(store, Json::parse("{}", ""), name);
    EXPECT_TRUE(own_claim(store, name).is_null()) << name;
    EXPECT_EQ(resumable_claim(store, Json::parse("{}", ""), false), std::string(kClaimDigits, '0')) << name;
  }
}

TEST(Claims, keep_all_chunks_that_could_not_be_read_and_whose_they_are) {
  storage::MemoryStore store;
  const storage::MemoryStore tile;
  claim_place(store, Json::parse(R"({"tile": {"chunks": {"0/0": "a", "0/1": "b", "0/2": "c"}}})", ""), kMine);
  note_unreadable_chunk(store, kMine, tile, tile.describe("0/0"));
  note_unreadable_chunk(store, kMine, tile, tile.describe("0/2"));
  note_unreadable_chunk(store, kMine, tile, tile.describe("0/7"));
  note_unreadable_chunk(store, kTheirs, tile, tile.describe("0/1"));
  const Json mended = Json::parse(R"({"tile": {"chunks": {"0/0": "x", "0/1": "b", "0/2": "y"}}})", "");
  const Json other = Json::parse(R"({"tile": {"chunks": {"0/0": "x", "0/1": "y"}}})", "");
  EXPECT_EQ(resumable_claim(store, mended, false), kMine);
  EXPECT_THROW((void)resumable_claim(store, other, false), Error);
}

TEST(Claims, that_a_crash_of_the_machine_has_left_empty_are_of_no_use_but_can_be_replaced) {
  storage::MemoryStore store;
  for (const char* text : {"", "[]", "{\"retired\": 1}"}) {
    storage::put_text(store, std::string(kScratchName) + "/run.json", text);
    try {
      (void)resumable_claim(store, Json::parse("{}", ""), false);
      ADD_FAILURE() << "no error was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutputExists);
      EXPECT_NE(std::string(error.what()).find("--overwrite"), std::string::npos);
    }
    EXPECT_FALSE(resumable_claim(store, Json::parse("{}", ""), true).has_value());
    note_unreadable_chunk(store, kMine, store, "somewhere");
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

/// An image with items of which each has noted one object, which is there: it has as many bytes as its number, and one more.
class NotedImageTest : public OutputImageTest {
 protected:
  NotedImageTest() {
    claim_place(*store_, Json::parse("{}", ""), kMine);
    image_ = std::make_unique<OutputImage>(store_, noted_plan());
    image_->keep_ledger(true, kMine);
    const PyramidTarget target = image_->target({0, 0}, "corrected");
    pass_ = pyramid_passes(target).front();
    ledger_ = target.ledger;
    for (std::int64_t item = 0; item < pass_.items; ++item) {
      const std::string text = content(item);
      storage::put_text(*store_, key(item), text);
      ledger_->note(pass_.key, item, {{0, item, text.size(), 0}});
    }
  }

  static OutputPlan noted_plan() {
    OutputPlan plan = small_plan();
    plan.volumes = {1, 1};
    plan.shape = {128, 24, 10};  // two items, each of four chunks along z
    plan.level_count = 1;
    plan.write_empty_chunks = false;
    return plan;
  }
  static std::string content(std::int64_t item) { return std::string(static_cast<std::size_t>(item) + 1, 'x'); }
  static std::string key(std::int64_t number) { return object_location(level_metadata(noted_plan()), 0, number); }
  ErrorCode code_of_finishing() {
    try {
      image_->finish(Json(), Json());
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), store_->describe(key(1)));
      return error.code();
    }
    return ErrorCode::kInternal;  // nothing was thrown
  }

  std::unique_ptr<OutputImage> image_;
  PassItems pass_;
  std::shared_ptr<ItemLedger> ledger_;
};

TEST_F(NotedImageTest, is_finished_without_objects_that_nobody_has_noted) {
  ASSERT_EQ(pass_.items, 2);
  storage::put_text(*store_, key(5), "of a run that stood still");
  EXPECT_EQ(code_of_finishing(), ErrorCode::kInternal);
  EXPECT_FALSE(store_->size(key(5)).has_value());
  EXPECT_EQ(storage::get_text(*store_, key(1)), content(1));
  EXPECT_EQ(output_state(*store_), OutputState::kFinished);
}

TEST_F(NotedImageTest, is_not_finished_without_an_object_that_was_noted_and_that_is_no_fault_of_the_input) {
  storage::put_text(*store_, key(1), "");
  EXPECT_EQ(code_of_finishing(), ErrorCode::kWriteFailed);
  EXPECT_EQ(ledger_->done(pass_.key), std::set<std::int64_t>{0});
  EXPECT_EQ(output_state(*store_), OutputState::kUnfinished);
}

TEST_F(NotedImageTest, forgets_items_that_are_lost_before_it_is_gone_on_with) {
  EXPECT_EQ(image_->forget_lost({}).count, 0);
  store_->erase(key(1));
  const LostItems of_others = image_->forget_lost({0, 2});
  EXPECT_EQ(of_others.count, 0) << "the item of another part";
  const LostItems lost = image_->forget_lost({});
  EXPECT_EQ(lost.count, 1);
  EXPECT_EQ(lost.first, store_->describe(key(1)));
  EXPECT_EQ(ledger_->done(pass_.key), std::set<std::int64_t>{0});
}

TEST_F(NotedImageTest, forgets_items_of_which_the_note_is_damaged_or_names_what_the_image_does_not_have) {
  const std::string noted = storage::join_key(storage::join_key(items_key(kMine), pass_.key), "0.json");
  storage::put_text(*store_, noted, "");
  ledger_->note(pass_.key, 1, {{0, 1000, 1, 0}});
  const LostItems lost = image_->forget_lost({});
  EXPECT_EQ(lost.count, 2);
  EXPECT_EQ(lost.first, store_->describe(noted));
  EXPECT_TRUE(ledger_->done(pass_.key).empty());
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
