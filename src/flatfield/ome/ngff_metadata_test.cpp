#include "flatfield/ome/ngff_metadata.h"

#include <gtest/gtest.h>

#include <string>

#include "flatfield/core/error.h"

namespace flatfield::ome {
namespace {

using Numbers = std::vector<double>;

Multiscale read(const std::string& text) {
  return read_multiscale(Json::parse(text, "test"), "/t.zarr");
}

/// The whole message of the error that reading the attributes gives.
std::string refusal(const std::string& text) {
  try {
    (void)read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown for " << text;
  return "";
}

/// Attributes of an NGFF 0.4 image of axes z, y, x whose first dataset has these members besides
/// its path.
std::string image(const std::string& dataset_members, const std::string& image_members = "") {
  return R"({"multiscales": [{"axes": [{"name": "z"}, {"name": "y"}, {"name": "x"}], "datasets": [{"path": "0")" +
         dataset_members + "}]" + image_members + "}]}";
}

std::string transformations(const std::string& list) {
  return R"(, "coordinateTransformations": )" + list;
}

TEST(ReadMultiscale, reads_version_0_4) {
  const Multiscale image = read(R"({"multiscales": [{
    "version": "0.4", "name": "tile",
    "axes": [{"name": "t", "type": "time", "unit": "millisecond"}, {"name": "c", "type": "channel"},
             {"name": "z", "type": "space", "unit": "micrometer"},
             {"name": "y", "type": "space", "unit": "micrometer"},
             {"name": "x", "type": "space", "unit": "micrometer"}],
    "datasets": [
      {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1.0, 0.748, 0.748]}]},
      {"path": "one/1", "coordinateTransformations": [
        {"type": "scale", "scale": [1, 1, 2.0, 1.496, 1.496]},
        {"type": "translation", "translation": [0, 0, 0.5, 0.374, 0.374]}]}]}]})");
  EXPECT_EQ(image.name, "tile");
  ASSERT_EQ(image.axes.size(), 5U);
  EXPECT_EQ(image.axes[2].name, "z");
  EXPECT_EQ(image.axes[2].type, "space");
  EXPECT_EQ(image.axes[2].unit, "micrometer");
  EXPECT_EQ(image.axes[1].unit, "");
  ASSERT_EQ(image.levels.size(), 2U);
  EXPECT_EQ(image.levels[0].scale, (Numbers{1, 1, 1.0, 0.748, 0.748}));
  EXPECT_EQ(image.levels[0].translation, (Numbers{0, 0, 0, 0, 0}));
  EXPECT_TRUE(image.levels[0].has_scale);
  EXPECT_EQ(image.levels[1].path, "one/1");
  EXPECT_EQ(image.levels[1].translation, (Numbers{0, 0, 0.5, 0.374, 0.374}));
}

TEST(ReadMultiscale, reads_version_0_3_with_plain_axes_and_no_scale) {
  const Multiscale image = read(R"({"multiscales": [{"version": "0.3", "axes": ["c", "z", "y", "x"],
                                   "datasets": [{"path": "0"}, {"path": "1"}]}]})");
  ASSERT_EQ(image.axes.size(), 4U);
  EXPECT_EQ(image.axes[0].name, "c");
  EXPECT_EQ(image.levels[1].scale, (Numbers{1, 1, 1, 1}));
  EXPECT_FALSE(image.levels[1].has_scale);
}

TEST(ReadMultiscale, reads_version_0_1_without_axes_as_t_c_z_y_x) {
  const Multiscale image = read(R"({"multiscales": [{"datasets": [{"path": "0"}]}]})");
  ASSERT_EQ(image.axes.size(), 5U);
  std::string names;
  for (const Axis& axis : image.axes) names += axis.name;
  EXPECT_EQ(names, "tczyx");
  EXPECT_FALSE(image.levels[0].has_scale);
}

TEST(ReadMultiscale, takes_the_first_of_several_images) {
  const Multiscale image = read(R"({"multiscales": [{"name": "a", "datasets": [{"path": "0"}]},
                                                    {"name": "b", "datasets": [{"path": "1"}]}]})");
  EXPECT_EQ(image.name, "a");
}

TEST(ReadMultiscale, applies_transformations_in_their_order) {
  const Multiscale m = read(image(transformations(
      R"([{"type": "scale", "scale": [2, 2, 2]}, {"type": "translation", "translation": [1, 2, 3]},
          {"type": "identity"}, {"type": "scale", "scale": [10, 1, 1]}])")));
  EXPECT_EQ(m.levels[0].scale, (Numbers{20, 2, 2}));
  EXPECT_EQ(m.levels[0].translation, (Numbers{10, 2, 3}));
}

TEST(ReadMultiscale, applies_those_of_the_whole_image_after_those_of_the_level) {
  const Multiscale m = read(image(
      transformations(
          R"([{"type": "scale", "scale": [2, 2, 2]}, {"type": "translation", "translation": [1, 1, 1]}])"),
      transformations(
          R"([{"type": "scale", "scale": [3, 1, 1]}, {"type": "translation", "translation": [0, 0, 7]}])")));
  EXPECT_EQ(m.levels[0].scale, (Numbers{6, 2, 2}));
  EXPECT_TRUE(m.levels[0].has_scale);
  EXPECT_EQ(m.levels[0].translation, (Numbers{3, 1, 8}));
}

TEST(ReadMultiscale, a_scale_of_the_whole_image_is_none_of_a_level) {
  const Multiscale m = read(image("", transformations(R"([{"type": "scale", "scale": [3, 1, 1]}])")));
  EXPECT_EQ(m.levels[0].scale, (Numbers{3, 1, 1}));
  EXPECT_FALSE(m.levels[0].has_scale) << "it does not tell levels apart";
}

TEST(ReadMultiscale, finds_axes_and_levels_by_name) {
  const Multiscale m = read(image(""));
  EXPECT_EQ(m.axis("y"), 1);
  EXPECT_EQ(m.axis("t"), std::nullopt);
  ASSERT_NE(m.find_level("0"), nullptr);
  EXPECT_EQ(m.find_level("0")->path, "0");
  EXPECT_EQ(m.find_level("1"), nullptr);
}

TEST(ReadMultiscale, says_where_the_metadata_are_wrong) {
  struct Case {
    std::string attributes;
    std::string path;
  };
  const std::vector<Case> cases{
      {"[]", ""},
      {"{}", "multiscales: missing"},
      {R"({"multiscales": 3})", "multiscales: "},
      {R"({"multiscales": []})", "multiscales: the list is empty"},
      {R"({"multiscales": [3]})", "multiscales[0]"},
      {R"({"multiscales": [{}]})", "multiscales[0].datasets"},
      {R"({"multiscales": [{"datasets": []}]})", "multiscales[0].datasets: the list is empty"},
      {R"({"multiscales": [{"datasets": ["0"]}]})", "multiscales[0].datasets[0]"},
      {R"({"multiscales": [{"datasets": [{"path": "0"}, {"path": 1}]}]})",
       "multiscales[0].datasets[1].path"},
      {R"({"multiscales": [{"name": 1, "datasets": [{"path": "0"}]}]})", "multiscales[0].name"},
      {R"({"multiscales": [{"axes": {}, "datasets": [{"path": "0"}]}]})", "multiscales[0].axes"},
      {R"({"multiscales": [{"axes": ["x"], "datasets": [{"path": "0"}]}]})",
       "expected 2 to 5 axes, found 1"},
      {R"({"multiscales": [{"axes": ["x", "x"], "datasets": [{"path": "0"}]}]})",
       R"(multiscales[0].axes: the axis "x" occurs twice)"},
      {R"({"multiscales": [{"axes": ["y", {"name": 3}], "datasets": [{"path": "0"}]}]})",
       "multiscales[0].axes[1].name"},
      {R"({"multiscales": [{"axes": ["y", 3], "datasets": [{"path": "0"}]}]})",
       "multiscales[0].axes[1]"},
      {image(transformations("{}")), "multiscales[0].datasets[0].coordinateTransformations"},
      {image(transformations(R"([{"type": "identity"}, {"scale": [1, 1, 1]}])")),
       "multiscales[0].datasets[0].coordinateTransformations[1].type"},
      {image(transformations(R"([{"type": "affine"}])")), R"(unknown transformation "affine")"},
      {image(transformations(R"([{"type": "scale"}])")), "coordinateTransformations[0].scale"},
      {image(transformations(R"([{"type": "scale", "scale": [1, 1]}])")),
       "expected 3 numbers, found 2"},
      {image(transformations(R"([{"type": "scale", "scale": [1, 1, "1"]}])")),
       "coordinateTransformations[0].scale"},
      {image(transformations(R"([{"type": "scale", "scale": [1, 0, 1]}])")),
       "scales must be positive"},
      {image(transformations(R"([{"type": "scale", "scale": [1, -1, 1]}])")),
       "scales must be positive"},
      {image(transformations(R"([{"type": "translation", "translation": [1, 1, 1, 1]}])")),
       "expected 3 numbers, found 4"},
      {image("", transformations(R"([{"type": "scale", "scale": [1]}])")),
       "multiscales[0].coordinateTransformations[0].scale"},
  };
  for (const Case& c : cases) {
    const std::string message = refusal(c.attributes);
    EXPECT_NE(message.find(c.path), std::string::npos) << c.attributes << "\n  gives " << message;
    EXPECT_NE(message.find("/t.zarr"), std::string::npos) << message;
  }
}

TEST(ReadMultiscale, refuses_level_paths_that_leave_the_image) {
  for (const std::string path : {"../0", "/0", "a/../../b", "0/", "a//b", "."}) {
    const std::string text = R"({"multiscales": [{"datasets": [{"path": ")" + path + R"("}]}]})";
    EXPECT_NE(refusal(text).find("multiscales[0].datasets[0].path"), std::string::npos) << path;
  }
}

Multiscale example() {
  Multiscale multiscale;
  multiscale.name = "tile_1_ch_488";
  multiscale.axes = output_axes();
  multiscale.levels = output_levels({1, 1, 1.0, 0.748, 0.748}, {0, 0, 10.5, 0, -3.25}, 3);
  return multiscale;
}

const Downscaler kDownscaler{"rank", "windowed rank", Json()};

TEST(WriteGroupAttributes, are_read_back) {
  const Multiscale written = example();
  const Json attributes = write_group_attributes(written, kDownscaler, Json(), 1, 65535.0, 2);
  const Multiscale back = read_multiscale(Json::parse(attributes.dump(2), "test"), "test");
  EXPECT_EQ(back.name, written.name);
  ASSERT_EQ(back.axes.size(), written.axes.size());
  for (std::size_t i = 0; i < back.axes.size(); ++i) {
    EXPECT_EQ(back.axes[i].name, written.axes[i].name);
    EXPECT_EQ(back.axes[i].type, written.axes[i].type);
    EXPECT_EQ(back.axes[i].unit, written.axes[i].unit);
  }
  ASSERT_EQ(back.levels.size(), 3U);
  for (std::size_t i = 0; i < back.levels.size(); ++i) {
    EXPECT_EQ(back.levels[i].path, written.levels[i].path);
    EXPECT_EQ(back.levels[i].scale, written.levels[i].scale);
    EXPECT_EQ(back.levels[i].translation, written.levels[i].translation);
  }
}

TEST(WriteGroupAttributes, are_ngff_0_4) {
  const Json attributes = write_group_attributes(example(), kDownscaler, Json(), 1, 65535.0, 2);
  const Json& image = attributes.find("multiscales")->as_array().at(0);
  EXPECT_EQ(*image.find("version"), Json("0.4"));
  EXPECT_EQ(*image.find("type"), Json("rank"));
  EXPECT_EQ(*image.find("metadata")->find("method"), Json("windowed rank"));
  // The channel axis has no unit; an empty one would not be valid.
  EXPECT_EQ(image.find("axes")->as_array().at(1).find("unit"), nullptr);
  // NGFF 0.4 wants exactly one scale, then at most one translation.
  for (const Json& dataset : image.find("datasets")->as_array()) {
    const auto& list = dataset.find("coordinateTransformations")->as_array();
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(*list[0].find("type"), Json("scale"));
    EXPECT_EQ(*list[1].find("type"), Json("translation"));
  }
}

TEST(WriteGroupAttributes, keep_those_of_the_input_but_its_multiscales) {
  const Json inherited = Json::parse(
      R"({"acquisition": {"id": 7}, "multiscales": [{"name": "old"}], "omero": {"channels": [{"label": "GFP"}]}})",
      "test");
  const Json attributes = write_group_attributes(example(), kDownscaler, inherited, 1, 65535.0, 2);
  EXPECT_EQ(*attributes.find("acquisition"), *inherited.find("acquisition"));
  EXPECT_EQ(*attributes.find("omero"), *inherited.find("omero"));
  EXPECT_EQ(*attributes.find("multiscales")->as_array().at(0).find("name"), Json("tile_1_ch_488"));
}

TEST(WriteGroupAttributes, lose_nothing_that_others_wrote) {
  const Json inherited = Json::parse(
      R"({"mine": 1, "ome": {"version": "0.5", "mine": 2, "theirs": 3, "omero": null, "multiscales": []}})", "");
  const Json v3 = write_group_attributes(example(), kDownscaler, inherited, 1, 255.0, 3);
  EXPECT_EQ(v3.find("mine")->as_int64(), 1);
  EXPECT_EQ(v3.find("ome")->find("mine")->as_int64(), 2);
  EXPECT_EQ(v3.find("ome")->find("theirs")->as_int64(), 3);
  EXPECT_TRUE(v3.find("ome")->find("omero")->is_object()) << "null is none";
  const Json v2 = write_group_attributes(example(), kDownscaler, inherited, 1, 255.0, 2);
  EXPECT_EQ(v2.find("mine")->as_int64(), 1) << "what stands there stays";
  EXPECT_EQ(v2.find("theirs")->as_int64(), 3);
  EXPECT_EQ(v2.find("ome"), nullptr);
}

TEST(WriteGroupAttributes, keep_members_that_stand_beside_ome) {
  const Json inherited =
      Json::parse(R"({"omero": {"channels": []}, "series": 4, "ome": {"version": "0.5", "multiscales": []}})", "");
  const Json v3 = write_group_attributes(example(), kDownscaler, inherited, 1, 255.0, 3);
  EXPECT_EQ(*v3.find("ome")->find("omero"), *inherited.find("omero"));
  EXPECT_EQ(v3.find("ome")->find("series")->as_int64(), 4);
}

TEST(WriteGroupAttributes, build_display_settings_where_there_are_none) {
  const Json one = write_group_attributes(example(), kDownscaler, Json(), 1, 255.0, 2);
  const auto& channels = one.find("omero")->find("channels")->as_array();
  ASSERT_EQ(channels.size(), 1U);
  EXPECT_EQ(*channels[0].find("label"), Json("tile_1_ch_488"));
  EXPECT_EQ(*channels[0].find("window")->find("max"), Json(255.0));
  const Json two = write_group_attributes(example(), kDownscaler, Json::object(), 2, 255.0, 2);
  EXPECT_EQ(two.find("omero")->find("channels")->as_array().size(), 2U);
}

TEST(WriteGroupAttributes, of_version_0_5_lie_in_ome_without_versions_of_their_own) {
  const Json inherited = Json::parse(
      R"({"mine": 1, "omero": {"version": "0.4", "channels": []}, "labels": ["a"], "multiscales": []})", "");
  const Json attributes = write_group_attributes(example(), kDownscaler, inherited, 1, 255.0, 3);
  ASSERT_EQ(attributes.as_object().size(), 2U);
  EXPECT_EQ(attributes.find("mine")->as_int64(), 1);
  const Json& ome = *attributes.find("ome");
  EXPECT_EQ(ome.find("version")->as_string(), "0.5");
  EXPECT_EQ(ome.find("omero")->find("version"), nullptr);
  EXPECT_EQ(ome.find("labels")->as_array().size(), 1U);
  EXPECT_EQ(ome.find("multiscales")->as_array()[0].find("version"), nullptr);
  EXPECT_TRUE(has_multiscale(attributes));
  EXPECT_EQ(read_multiscale(attributes, "x").levels.size(), example().levels.size());
  // And back: what was in `ome` lies side by side with the rest again.
  const Json back = write_group_attributes(example(), kDownscaler, attributes, 1, 255.0, 2);
  EXPECT_EQ(back.find("ome"), nullptr);
  EXPECT_EQ(back.find("version"), nullptr);
  EXPECT_EQ(back.find("mine")->as_int64(), 1);
  EXPECT_EQ(back.find("labels")->as_array().size(), 1U);
  EXPECT_EQ(back.find("multiscales")->as_array()[0].find("version")->as_string(), "0.4");
}

TEST(OutputLevels, double_the_scale_and_keep_the_corner_of_the_volume) {
  const std::vector<Level> levels = output_levels({1, 1, 1.0, 0.5, 0.25}, {0, 0, 4.0, 0, -1.0}, 4);
  ASSERT_EQ(levels.size(), 4U);
  EXPECT_EQ(levels[0].scale, (Numbers{1, 1, 1.0, 0.5, 0.25}));
  EXPECT_EQ(levels[0].translation, (Numbers{0, 0, 4.0, 0, -1.0}));
  EXPECT_EQ(levels[1].scale, (Numbers{1, 1, 2.0, 1.0, 0.5}));
  EXPECT_EQ(levels[1].translation, (Numbers{0, 0, 4.5, 0.25, -0.875}));
  EXPECT_EQ(levels[3].path, "3");
  EXPECT_EQ(levels[3].scale, (Numbers{1, 1, 8.0, 4.0, 2.0}));
  EXPECT_EQ(levels[3].translation, (Numbers{0, 0, 7.5, 1.75, -0.125}));
}

}  // namespace
}  // namespace flatfield::ome
