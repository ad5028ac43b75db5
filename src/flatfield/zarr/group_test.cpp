#include "flatfield/zarr/group.h"

#include <gtest/gtest.h>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/array.h"

namespace flatfield::zarr {
namespace {

using storage::put_text;
using Names = std::vector<std::string>;

class GroupTest : public testing::Test {
 protected:
  void make_array(const std::string& path, int zarr_format) {
    ArrayMetadata metadata;
    metadata.zarr_format = zarr_format;
    metadata.shape = {4};
    metadata.chunk_shape = {2};
    (void)Array::create(store_, path, metadata);
  }
  template <class Action>
  static ErrorCode code_of(Action action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "no error was thrown";
    return ErrorCode::kInternal;
  }

  std::shared_ptr<storage::Store> store_ = std::make_shared<storage::MemoryStore>();
};

TEST_F(GroupTest, keeps_attributes_in_both_formats) {
  const Json attributes = Json::parse(R"({"z": 1, "a": [1.5, null], "ü": "µm"})", "");
  for (const int format : {2, 3}) {
    const std::string path = "g" + std::to_string(format);
    write_group(*store_, path, format);
    EXPECT_EQ(find_node(*store_, path), (Node{format, false}));
    EXPECT_TRUE(is_group(*store_, path));
    EXPECT_FALSE(is_array(*store_, path));
    EXPECT_EQ(read_group_attributes(*store_, path), Json::object());
    write_group_attributes(*store_, path, format, nullptr);
    EXPECT_EQ(store_->list(path), Names{format == 2 ? ".zgroup" : "zarr.json"});
    write_group_attributes(*store_, path, format, attributes);
    EXPECT_EQ(read_group_attributes(*store_, path), attributes);
    EXPECT_EQ(code_of([&] { write_group_attributes(*store_, path, format, 3); }),
              ErrorCode::kUsage);
    erase_group_attributes(*store_, path);
    EXPECT_EQ(store_->list(path), format == 2 ? Names{".zgroup"} : Names{});
  }
  EXPECT_EQ(code_of([&] { write_group(*store_, "h", 4); }), ErrorCode::kUnsupported);
}

TEST_F(GroupTest, may_have_attributes_only_or_no_file_of_its_own) {
  EXPECT_EQ(code_of([&] { (void)read_group_attributes(*store_, "t"); }), ErrorCode::kNotFound);
  for (const int format : {2, 3}) {
    const std::string path = "t" + std::to_string(format);
    make_array(path + "/0", format);
    EXPECT_EQ(find_node(*store_, path), std::nullopt);
    EXPECT_EQ(read_group_attributes(*store_, path), Json::object());
    EXPECT_EQ(read_group_attributes(*store_, path + "/0"), Json::object());
    EXPECT_EQ(find_node(*store_, path + "/0"), (Node{format, true}));
    EXPECT_TRUE(is_array(*store_, path + "/0"));
  }
  put_text(*store_, "u/.zattrs", R"({"a": 1})");
  EXPECT_EQ(read_group_attributes(*store_, "u").find("a")->as_int64(), 1);
}

TEST_F(GroupTest, format_3_counts_where_there_are_both_unless_told_otherwise) {
  write_group(*store_, "g", 3);
  make_array("g", 2);
  EXPECT_EQ(find_node(*store_, "g"), (Node{3, false}));
  EXPECT_EQ(find_node(*store_, "g", 2), (Node{2, true}));
  EXPECT_EQ(find_node(*store_, "g", 3), (Node{3, false}));
}

TEST_F(GroupTest, consolidated_metadata_tell_what_is_below) {
  EXPECT_EQ(consolidated_children(*store_, "none"), Names{});
  put_text(*store_, "g2/.zmetadata", R"({"zarr_consolidated_format": 1, "metadata": {".zgroup": {},
      "b/.zgroup": {}, "b/.zattrs": {}, "b/c/.zarray": {}, "a/.zarray": {}}})");
  put_text(*store_, "g3/zarr.json", R"({"zarr_format": 3, "node_type": "group",
      "consolidated_metadata": {"kind": "inline", "must_understand": false,
                                "metadata": {"b": {}, "b/c": {}, "a": {}}}})");
  put_text(*store_, "g3/b/zarr.json", R"({"zarr_format": 3, "node_type": "group"})");
  for (const std::string group : {"g2", "g3"}) {
    EXPECT_EQ(consolidated_children(*store_, group), (Names{"a", "b"}));
    EXPECT_EQ(consolidated_children(*store_, group + "/b"), Names{"c"});
    EXPECT_EQ(consolidated_children(*store_, group + "/b/c"), Names{});
  }
  EXPECT_EQ(consolidated_children(*store_, "g2", 3), Names{});
  EXPECT_EQ(consolidated_children(*store_, "g3", 2), Names{});
}

TEST_F(GroupTest, consolidated_metadata_that_are_damaged_tell_nothing) {
  for (const char* text : {"", "{", R"({"metadata": )", "[]"}) {
    put_text(*store_, "g/.zmetadata", text);
    EXPECT_EQ(consolidated_children(*store_, "g"), Names{}) << text;
  }
}

TEST_F(GroupTest, a_file_that_describes_no_node_is_refused) {
  put_text(*store_, "v/zarr.json", "{}");
  EXPECT_EQ(code_of([&] { (void)read_group_attributes(*store_, "v"); }), ErrorCode::kBadInput);
  EXPECT_EQ(code_of([&] { (void)find_node(*store_, "v"); }), ErrorCode::kBadInput);
}

}  // namespace
}  // namespace flatfield::zarr
