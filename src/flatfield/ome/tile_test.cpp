#include "flatfield/ome/tile.h"

#include <gtest/gtest.h>

#include <string>

#include "flatfield/core/error.h"
#include "flatfield/storage/memory_store.h"
#include "flatfield/zarr/group.h"

namespace flatfield::ome {
namespace {

using Numbers = std::vector<double>;

template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return {ErrorCode::kInternal, ""};
}

/// As a web server, it does not say what it has.
class UnlistedStore : public storage::MemoryStore {
 public:
  std::vector<std::string> list(std::string_view prefix) const override {
    throw Error(ErrorCode::kUnsupported, "this store cannot list", describe(prefix));
  }
};

class TileTest : public testing::Test {
 protected:
  /// Writes a group whose image has these axes ("czyx") and levels.
  void write_image(const std::string& axes, const std::vector<std::string>& levels) {
    Json image;
    image["axes"] = Json::array();
    for (const char name : axes) image["axes"].push_back(std::string(1, name));
    image["datasets"] = Json::array();
    Numbers scale;
    Numbers translation;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      scale.push_back(static_cast<double>(i) + 2.0);
      translation.push_back(static_cast<double>(i) + 0.5);
    }
    for (const std::string& level : levels) {
      Json scaling;
      scaling["type"] = "scale";
      scaling["scale"] = scale;
      Json shift;
      shift["type"] = "translation";
      shift["translation"] = translation;
      Json dataset;
      dataset["path"] = level;
      dataset["coordinateTransformations"] = Json(Json::Array{scaling, shift});
      image["datasets"].push_back(dataset);
    }
    Json attributes;
    attributes["multiscales"] = Json(Json::Array{image});
    attributes["other"] = 5;
    zarr::write_group(*store_, "", 2);
    zarr::write_group_attributes(*store_, "", 2, attributes);
  }

  void write_array(const std::string& path, const std::vector<std::int64_t>& shape) {
    zarr::ArrayMetadata metadata;
    metadata.shape = shape;
    metadata.chunk_shape.assign(shape.size(), 2);
    (void)zarr::Array::create(store_, path, metadata);
  }

  std::shared_ptr<storage::Store> store_ = std::make_shared<storage::MemoryStore>();
};

TEST_F(TileTest, opens_images_of_three_to_five_axes) {
  struct Case {
    std::string axes;
    std::vector<std::int64_t> shape;
    VolumeId counts;
    Numbers scale;
    Numbers translation;
  };
  const std::vector<Case> cases{
      {"zyx", {4, 5, 6}, {1, 1}, {1, 1, 2, 3, 4}, {0, 0, 0.5, 1.5, 2.5}},
      {"czyx", {3, 4, 5, 6}, {1, 3}, {1, 2, 3, 4, 5}, {0, 0.5, 1.5, 2.5, 3.5}},
      {"tzyx", {3, 4, 5, 6}, {3, 1}, {2, 1, 3, 4, 5}, {0.5, 0, 1.5, 2.5, 3.5}},
      {"tczyx", {2, 3, 4, 5, 6}, {2, 3}, {2, 3, 4, 5, 6}, {0.5, 1.5, 2.5, 3.5, 4.5}},
      {"ctzyx", {3, 2, 4, 5, 6}, {2, 3}, {3, 2, 4, 5, 6}, {1.5, 0.5, 2.5, 3.5, 4.5}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.axes);
    store_ = std::make_shared<storage::MemoryStore>();
    write_image(c.axes, {"0"});
    write_array("0", c.shape);
    const Tile tile = Tile::open(store_);
    EXPECT_EQ(tile.volume_counts(tile.open_array("0")), c.counts);
    EXPECT_EQ(tile.spatial_shape("0"), (Extent3{4, 5, 6}));
    EXPECT_EQ(tile.output_scale(tile.level("0")), c.scale);
    EXPECT_EQ(tile.output_translation(tile.level("0")), c.translation);
    EXPECT_EQ(*tile.attributes().find("other"), Json(5));
  }
}

TEST_F(TileTest, gives_each_volume_by_its_time_and_channel) {
  write_image("ctzyx", {"0"});
  write_array("0", {3, 5, 2, 2, 2});
  const Volume volume = Tile::open(store_).open_volume("0", {4, 1});
  EXPECT_EQ(volume.chunk_index({0, 0, 0}), (std::vector<std::int64_t>{0, 2, 0, 0, 0}));
}

TEST_F(TileTest, gives_sizes_in_the_units_of_an_output) {
  Json attributes = Json::parse(R"({"multiscales": [{"axes": [
      {"name": "t", "type": "time", "unit": "second"}, {"name": "z", "type": "space", "unit": "millimeter"},
      {"name": "y", "type": "space", "unit": "nanometer"}, {"name": "x", "type": "space", "unit": "pixel"}],
    "datasets": [{"path": "0", "coordinateTransformations": [
      {"type": "scale", "scale": [0.5, 0.001, 748, 3]}, {"type": "translation", "translation": [2, 0.25, 1000, 7]}]}]}]})", "");
  zarr::write_group(*store_, "", 2);
  zarr::write_group_attributes(*store_, "", 2, attributes);
  const Tile tile = Tile::open(store_);
  EXPECT_EQ(tile.output_scale(tile.level("0")), (Numbers{500, 1, 1, 0.748, 3}));
  EXPECT_EQ(tile.output_translation(tile.level("0")), (Numbers{2000, 0, 250, 1, 7}));
  ASSERT_EQ(tile.axes_of_unknown_unit().size(), 1U);
  EXPECT_EQ(tile.axes_of_unknown_unit()[0].name, "x");
  EXPECT_EQ(tile.axes_of_unknown_unit()[0].unit, "pixel");
}

TEST_F(TileTest, refuses_times_and_channels_that_it_does_not_have) {
  write_image("ctzyx", {"0"});
  write_array("0", {3, 5, 2, 2, 2});
  const Tile tile = Tile::open(store_);
  for (const VolumeId id : {VolumeId{-1, 0}, VolumeId{5, 0}, VolumeId{0, -1}, VolumeId{0, 3}}) {
    try {
      static_cast<void>(tile.open_volume("0", id));
      ADD_FAILURE() << "no error for " << id.t << " " << id.c;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
    }
  }
}

TEST_F(TileTest, refuses_other_axes) {
  for (const std::string axes : {"yx", "cyx", "zxy", "xyz", "qzyx", "zcyx", "tczxy"}) {
    store_ = std::make_shared<storage::MemoryStore>();
    write_image(axes, {"0"});
    const Error error = error_of([&] { (void)Tile::open(store_); });
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << axes;
    EXPECT_NE(std::string(error.what()).find("multiscales[0].axes"), std::string::npos);
  }
}

TEST_F(TileTest, lists_its_levels_when_one_is_missing) {
  write_image("zyx", {"0", "1", "s2"});
  const Error error = error_of([&] { (void)Tile::open(store_).level("7"); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_NE(error.remedy().find("0, 1, s2"), std::string::npos);
}

TEST_F(TileTest, refuses_a_level_whose_array_is_missing_or_of_other_dimension) {
  write_image("zyx", {"0", "1"});
  write_array("1", {2, 2, 2, 2});
  const Tile tile = Tile::open(store_);
  EXPECT_EQ(error_of([&] { (void)tile.open_array("0"); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { (void)tile.open_array("1"); }).code(), ErrorCode::kBadInput);
}

TEST_F(TileTest, says_what_is_there_instead_of_a_tile) {
  EXPECT_EQ(error_of([&] { (void)Tile::open(store_); }).code(), ErrorCode::kNotFound);
  storage::put_text(*store_, "file.txt", "x");
  EXPECT_EQ(error_of([&] { (void)Tile::open(store_); }).code(), ErrorCode::kBadInput);
  zarr::write_group(*store_, "", 2);
  const Error unfinished = error_of([&] { (void)Tile::open(store_); });
  EXPECT_EQ(unfinished.code(), ErrorCode::kBadInput);
  EXPECT_NE(std::string(unfinished.what()).find("unfinished"), std::string::npos);
  store_ = std::make_shared<storage::MemoryStore>();
  write_array("", {2, 2, 2});
  const Error array = error_of([&] { (void)Tile::open(store_); });
  EXPECT_EQ(array.code(), ErrorCode::kBadInput);
  EXPECT_NE(std::string(array.what()).find("array"), std::string::npos);
}

TEST_F(TileTest, is_opened_without_its_group_document_even_where_nothing_can_be_listed) {
  for (const bool is_listed : {true, false}) {
    SCOPED_TRACE(is_listed);
    store_ = is_listed ? std::make_shared<storage::MemoryStore>() : std::make_shared<UnlistedStore>();
    write_image("zyx", {"0"});
    store_->erase(".zgroup");
    write_array("0", {4, 5, 6});
    EXPECT_EQ(Tile::open(store_).spatial_shape("0"), (Extent3{4, 5, 6}));
  }
}

TEST_F(TileTest, is_opened_where_something_has_left_a_bare_group_of_the_other_format) {
  for (const bool is_listed : {true, false}) {
    SCOPED_TRACE(is_listed);
    store_ = is_listed ? std::make_shared<storage::MemoryStore>() : std::make_shared<UnlistedStore>();
    write_image("zyx", {"0"});
    write_array("0", {4, 5, 6});
    zarr::write_group(*store_, "", 3);
    const Tile tile = Tile::open(store_);
    EXPECT_EQ(tile.spatial_shape("0"), (Extent3{4, 5, 6}));
    EXPECT_EQ(*tile.attributes().find("other"), Json(5));
    store_->erase(".zattrs");
    store_->erase(".zgroup");
    EXPECT_EQ(error_of([&] { (void)Tile::open(store_); }).code(), ErrorCode::kBadInput) << "there is a group";
  }
}

TEST_F(TileTest, is_not_found_where_nothing_can_be_listed_and_nothing_is) {
  store_ = std::make_shared<UnlistedStore>();
  const Error error = error_of([&] { (void)Tile::open(store_); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_NE(std::string(error.what()).find("there is no tile here"), std::string::npos);
}

}  // namespace
}  // namespace flatfield::ome
