#include "flatfield/pipeline/tile_model.h"

#include <gtest/gtest.h>

#include <random>

#include "flatfield/core/error.h"
#include "flatfield/pipeline/npz_file.h"
#include "flatfield/storage/memory_store.h"

namespace flatfield::pipeline {
namespace {

class TileModelTest : public testing::Test {
 protected:
  std::mt19937 random_{5};  // the seed of every run
  std::shared_ptr<storage::MemoryStore> store_ = std::make_shared<storage::MemoryStore>();

  std::vector<float> values(std::size_t count) {
    std::vector<float> out(count);
    for (float& v : out) v = std::uniform_real_distribution<float>(0.5F, 2.0F)(random_);
    return out;
  }
  Block<float> plane(const Extent3& shape) {
    Block<float> out({1, shape.y, shape.x});
    const std::vector<float> v = values(static_cast<std::size_t>(out.size()));
    std::copy(v.begin(), v.end(), out.data());
    return out;
  }
  BitVolume mask(const Extent3& shape) {
    BitVolume out(shape);
    for (std::int64_t z = 0; z < shape.z; ++z)
      for (std::int64_t y = 0; y < shape.y; ++y)
        for (std::int64_t x = 0; x < shape.x; ++x) out.set(z, y, x, random_() % 2 == 0);
    return out;
  }

  /// A volume of fitting (c = 0) and one of BaSiC (c = 1).
  TileModel model() {
    TileModel model;
    model.tile = "s3://bucket/tile_000001_ch_488.zarr";
    model.created = "2026-01-01T00:00:00Z";
    model.shape = {7, 9, 11};
    model.levels = {"0", "3", true};
    model.configuration["n_levels"] = 3;
    ModelVolume fitted;
    Learned& learned = fitted.learned;
    learned.correction.shape = model.shape;
    learned.correction.background = plane(model.shape);
    learned.correction.mask = mask({3, 4, 13});
    learned.correction.curves = methods::AxisCurves{values(7), {}, values(11), 1.25F};
    learned.background_planes = {{1, 2, 5}, {1, 5}, 3, false};
    learned.target_planes = {8, 9};
    learned.fit.emplace();
    learned.fit->g = 0.1 + 0.2;
    for (methods::AxisProfile& axis : learned.fit->axes) axis.profile = values(4);
    learned.fit->axes[0].limits = methods::Limits{0.25, 1.2};
    learned.global_factor = 100.0;
    learned.ratio_clamped = true;
    fitted.quality["verdict"] = "pass";
    fitted.has_probability = true;
    learned.warnings = {"t0_c0: the median summary has no channel \"488\"", "t0_c0: \xC2\xB5"};
    model.volumes.push_back(std::move(fitted));
    ModelVolume basic;
    basic.id = {0, 1};
    basic.learned.correction.shape = model.shape;
    basic.learned.correction.image.emplace();
    basic.learned.correction.image->flatfield = plane(model.shape);
    basic.learned.correction.image->darkfield = plane(model.shape);
    basic.learned.basic = {{0, 3}, values(2), {12, 9}, true};
    basic.gated = true;
    basic.reason = "quality: x";
    model.volumes.push_back(std::move(basic));
    return model;
  }

  static void expect_equal(const std::optional<Block<float>>& a, const std::optional<Block<float>>& b) {
    ASSERT_EQ(a.has_value(), b.has_value());
    if (!a) return;
    ASSERT_EQ(a->shape(), b->shape());
    EXPECT_TRUE(std::equal(a->span().begin(), a->span().end(), b->span().begin()));
  }
};

TEST_F(TileModelTest, has_the_mask_of_the_first_volume_in_which_it_holds_anything) {
  TileModel model;
  model.volumes.resize(4);
  EXPECT_FALSE(model.has_mask());
  EXPECT_EQ(model.masked(), nullptr);
  model.volumes[1].learned.correction.mask = BitVolume({2, 3, 4});
  EXPECT_TRUE(model.has_mask());
  EXPECT_EQ(model.masked(), &model.volumes[1]) << "all are blank";
  model.volumes[2].learned.correction.mask = BitVolume({2, 3, 4}, true);
  model.volumes[3].learned.correction.mask = BitVolume({2, 3, 4}, true);
  EXPECT_EQ(model.masked(), &model.volumes[2]);
}

TEST_F(TileModelTest, has_a_probability_where_a_volume_has_one) {
  TileModel model;
  model.volumes.resize(2);
  EXPECT_FALSE(model.has_probability());
  model.volumes[1].has_probability = true;
  EXPECT_TRUE(model.has_probability());
}

TEST_F(TileModelTest, says_of_which_volumes_only_the_background_is_subtracted) {
  TileModel model;
  EXPECT_FALSE(model.is_background_only());
  model.volumes.resize(1);
  EXPECT_FALSE(model.is_background_only());
  EXPECT_EQ(model.reason(), "");
  model.volumes[0].reason = "there is no mask";
  EXPECT_TRUE(model.is_background_only());
  EXPECT_EQ(model.reason(), "there is no mask");
  model.volumes.resize(3);
  model.volumes[1].id = {0, 1};
  model.volumes[2].id = {1, 0};
  EXPECT_FALSE(model.is_background_only()) << "the others are corrected";
  EXPECT_EQ(model.reason(), "t0_c0: there is no mask");
  model.volumes[2].reason = "g is 0";
  EXPECT_EQ(model.reason(), "t0_c0: there is no mask; t1_c0: g is 0");
  model.volumes[1].reason = "quality";
  EXPECT_TRUE(model.is_background_only());
}

TEST_F(TileModelTest, without_warnings_is_one_of_an_earlier_version_and_what_is_no_text_is_bad_input) {
  TileModel one = model();
  one.volumes.erase(one.volumes.begin());  // what is left needs no arrays but these
  write_model(*store_, "m.npz", one);
  Json document = read_model_document(store_, "m.npz");
  const auto read = [&] {
    NpzWriter crafted(store_->create("crafted.npz"));
    crafted.add_text("model.json", document.dump());
    const methods::ImageFlatfield& image = *one.volumes[0].learned.correction.image;
    const auto add = [&](const std::string& name, const Block<float>& plane_of) {
      crafted.add<float>("t0_c1/" + name, {plane_of.shape().y, plane_of.shape().x}, plane_of.span());
    };
    add("flatfield", image.flatfield);
    add("darkfield", *image.darkfield);
    const std::vector<float>& baseline = one.volumes[0].learned.basic->baseline;
    crafted.add<float>("t0_c1/baseline", {static_cast<std::int64_t>(baseline.size())}, baseline);
    crafted.finish();
    return read_model(store_, "crafted.npz");
  };
  Json& volume = document["volumes"].as_array()[0];
  volume.erase("warnings");
  EXPECT_TRUE(read().volumes[0].learned.warnings.empty());
  EXPECT_EQ(read().volumes[0].learned.label, "") << "its tile has no other volume";
  volume["warnings"] = Json(Json::Array{7});
  EXPECT_THROW(static_cast<void>(read()), Error);
}

TEST_F(TileModelTest, is_read_as_it_was_written) {
  const TileModel written = model();
  write_model(*store_, "m.npz", written);
  const TileModel read = read_model(store_, "m.npz");
  EXPECT_EQ(read.tile, written.tile);
  EXPECT_EQ(read.created, written.created);
  EXPECT_EQ(read.shape, written.shape);
  EXPECT_EQ(read.configuration, written.configuration);
  EXPECT_EQ(read.levels.estimation, "3");
  EXPECT_TRUE(read.levels.binned);
  ASSERT_EQ(read.volumes.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const ModelVolume& a = written.volumes[i];
    const ModelVolume& b = read.volumes[i];
    EXPECT_EQ(b.id, a.id);
    EXPECT_EQ(b.quality, a.quality);
    EXPECT_EQ(b.gated, a.gated);
    EXPECT_EQ(b.reason, a.reason);
    EXPECT_EQ(b.has_probability, a.has_probability);
    EXPECT_EQ(b.learned.warnings, a.learned.warnings);
    EXPECT_EQ(b.learned.label, volume_key(a.id));
    EXPECT_EQ(b.learned.correction.shape, written.shape);
    expect_equal(b.learned.correction.background, a.learned.correction.background);
    EXPECT_EQ(b.learned.correction.mask, a.learned.correction.mask);
    EXPECT_EQ(b.learned.background_planes.initial, a.learned.background_planes.initial);
    EXPECT_EQ(b.learned.background_planes.planes, a.learned.background_planes.planes);
    EXPECT_EQ(b.learned.target_planes, a.learned.target_planes);
    ASSERT_EQ(b.learned.fit.has_value(), a.learned.fit.has_value());
    ASSERT_EQ(b.learned.correction.image.has_value(), a.learned.correction.image.has_value());
  }
  const Learned& fitted = read.volumes[0].learned;
  const Learned& expected = written.volumes[0].learned;
  EXPECT_EQ(fitted.fit->g, expected.fit->g);
  EXPECT_EQ(fitted.global_factor, 100.0);
  EXPECT_TRUE(fitted.ratio_clamped);
  EXPECT_EQ(fitted.correction.curves->z, expected.correction.curves->z);
  EXPECT_TRUE(fitted.correction.curves->y.empty());
  EXPECT_EQ(fitted.correction.curves->x, expected.correction.curves->x);
  EXPECT_EQ(fitted.correction.curves->ratio, 1.25F);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    EXPECT_EQ(fitted.fit->axes[axis].profile, expected.fit->axes[axis].profile);
    EXPECT_EQ(fitted.fit->axes[axis].limits, expected.fit->axes[axis].limits);
  }
  EXPECT_EQ(read.volumes[1].learned.basic->baseline, written.volumes[1].learned.basic->baseline);
  EXPECT_EQ(read.volumes[1].learned.basic->iterations, written.volumes[1].learned.basic->iterations);
  expect_equal(read.volumes[1].learned.correction.image->darkfield,
               written.volumes[1].learned.correction.image->darkfield);
}

TEST_F(TileModelTest, holds_masks_of_any_width) {
  for (const std::int64_t width : {1, 7, 8, 63, 64, 65, 128, 130}) {
    TileModel written = model();
    methods::Correction& correction = written.volumes[0].learned.correction;
    correction.mask = mask({5, 3, width});
    write_model(*store_, "wide.npz", written);
    const TileModel read = read_model(store_, "wide.npz");
    EXPECT_EQ(read.volumes[0].learned.correction.mask, correction.mask) << width;
  }
}

TEST_F(TileModelTest, that_claims_a_mask_larger_than_it_holds_is_bad_input) {
  const TileModel written = model();
  write_model(*store_, "m.npz", written);
  Json document = read_model_document(store_, "m.npz");
  constexpr std::int64_t kLarge = std::int64_t{1} << 22;
  // Of the second 2^64 bytes would be stored, of which the low 64 bits are none.
  for (const Extent3& claimed : {Extent3{kLarge, 64, 64}, Extent3{kLarge, kLarge, (std::int64_t{1} << 23) - 1}}) {
    document["volumes"].as_array()[0]["mask_shape"] = Json(Json::Array{claimed.z, claimed.y, claimed.x});
    NpzWriter crafted(store_->create("crafted.npz"));
    crafted.add_text("model.json", document.dump());
    const Block<float>& background = *written.volumes[0].learned.correction.background;
    crafted.add<float>("t0_c0/background", {background.shape().y, background.shape().x}, background.span());
    crafted.add<std::uint8_t>("t0_c0/mask", {claimed.z, claimed.y, ceil_div(claimed.x, 8)}, {});
    crafted.finish();
    try {
      static_cast<void>(read_model(store_, "crafted.npz"));
      ADD_FAILURE() << "read";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(error.what()).find("t0_c0/mask"), std::string::npos) << error.what();
    }
  }
}

TEST_F(TileModelTest, of_no_voxels_is_bad_input) {
  write_model(*store_, "m.npz", model());
  for (const bool of_mask : {false, true}) {
    Json document = read_model_document(store_, "m.npz");
    (of_mask ? document["volumes"].as_array()[0]["mask_shape"] : document["shape"]) = Json(Json::Array{1, 0, 0});
    NpzWriter crafted(store_->create("crafted.npz"));
    crafted.add_text("model.json", document.dump());
    crafted.add<float>("t0_c0/background", {0, 0}, {});
    crafted.finish();
    EXPECT_THROW(static_cast<void>(read_model(store_, "crafted.npz")), Error);
  }
}

TEST_F(TileModelTest, equal_models_have_equal_bytes) {
  const TileModel one = model();
  write_model(*store_, "a.npz", one);
  write_model(*store_, "b.npz", read_model(store_, "a.npz"));
  EXPECT_EQ(storage::get_text(*store_, "a.npz"), storage::get_text(*store_, "b.npz"));
  EXPECT_EQ(model_checksum(*store_, "a.npz"), model_checksum(*store_, "b.npz"));
}

TEST_F(TileModelTest, is_made_to_fit_another_shape) {
  TileModel changed = model();
  const std::vector<float> curve = changed.volumes[0].learned.correction.curves->x;
  for (ModelVolume& volume : changed.volumes) make_applicable(volume, {7, 5, 21}, serial_for);
  const methods::Correction& fitted = changed.volumes[0].learned.correction;
  EXPECT_EQ(fitted.shape, (Extent3{7, 5, 21}));
  EXPECT_EQ(fitted.background->shape(), (Extent3{1, 5, 21}));
  ASSERT_EQ(fitted.curves->x.size(), 21U);
  EXPECT_TRUE(fitted.curves->y.empty());
  for (std::size_t i = 0; i < curve.size(); ++i) EXPECT_EQ(fitted.curves->x[2 * i], curve[i]);
  EXPECT_FLOAT_EQ(fitted.curves->x[1], 0.5F * (curve[0] + curve[1]));
  // What the quality numbers forbid is not applied.
  EXPECT_FALSE(changed.volumes[1].learned.correction.image.has_value());
  static_cast<void>(methods::CorrectionKernel(fitted));
}

TEST_F(TileModelTest, that_is_not_there_is_said_and_a_folder_holds_one_for_each_tile) {
  try {
    static_cast<void>(read_model(store_, "none.npz"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
  EXPECT_EQ(model_location("models", "t.zarr"), "models/t.zarr.npz");
  EXPECT_EQ(model_location("m.npz", "t.zarr"), "m.npz");
}

}  // namespace
}  // namespace flatfield::pipeline
