"""Methods, backgrounds and levels other than the usual ones, through the command line, against their formulas."""
import json

import numpy as np
import pytest
import tifffile
import zarr
from skimage.transform import resize

from support.program import (BAD_INPUT, NOT_FOUND, UNSUPPORTED, attempt, call, correct, files_below, looks_finished, read_json,
                             read_levels, read_volume)
from support.tiles import phantom, phantom_tile, write_mask, write_tile

SHAPE, CHUNKS = (48, 70, 90), (16, 32, 32)
NAME = "tile_000001_ch_488.zarr"


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("asset") / "denoised" / "SPIM.ome.zarr", SHAPE, CHUNKS, n_levels=4)


def smooth_flatfield(height, width):
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    return 900 * (1 - 0.4 * y ** 2) * (1 - 0.3 * (x - 0.2) ** 2)


def normalized(image, shape):
    image = image.astype(np.float32)
    if image.shape != shape:
        image = resize(image, shape, order=3, mode="reflect", anti_aliasing=False, preserve_range=True)
    image = image.astype(np.float32)
    return image / image.max()


def rounded(values):
    return np.rint(np.clip(values, 0, 65535)).astype(np.uint16)


def assert_nearly_equal(found, expected):
    """All voxels equal but for those that one ulp of the resized flatfield moves across a half."""
    difference = np.abs(found.astype(np.int64) - expected)
    assert difference.max() <= 1 and np.count_nonzero(difference) < 1e-3 * difference.size


# ---------------------------------------------------------------------------------------------
# Reference


@pytest.mark.parametrize("dtype, options", [
    (np.uint8, {}), (np.uint16, {"compression": "zlib"}), (np.float32, {"tile": (32, 32)}),
    (np.float64, {"tile": (16, 32), "compression": "zlib"})])
@pytest.mark.parametrize("shape", [SHAPE[1:], (35, 45)])
def test_reference_divides_by_the_normalized_image(tile, tmp_path, dtype, options, shape):
    image = smooth_flatfield(*shape) / (900 / 250 if dtype == np.uint8 else 1)
    image = (np.rint(image) if np.dtype(dtype).kind == "u" else image).astype(dtype)
    tifffile.imwrite(tmp_path / "flatfield.tif", image, **options)
    made = correct(tile, tmp_path, "--method", "reference", "--flatfield-path", "flatfield.tif",
                   "--save-outputs", masks=False)
    background = tifffile.imread(made.results / f"{NAME}_bkg.tif")
    v = np.maximum(read_volume(tile).astype(np.float32) - background, 0)
    assert_nearly_equal(read_volume(made.corrected), rounded(v / normalized(image, SHAPE[1:])))
    assert made.report["status"] == "corrected"
    assert not made.mask.exists()


def test_reference_does_not_look_for_a_mask(tmp_path):
    """A name without a channel or a number is none that a mask is found by, and none is needed."""
    tile = phantom_tile(tmp_path / "in", SHAPE, CHUNKS, n_levels=4, name="sample.zarr")
    tifffile.imwrite(tmp_path / "flatfield.tif", smooth_flatfield(*SHAPE[1:]).astype(np.float32))
    made = correct(tile, tmp_path, "--method", "reference", "--flatfield-path", "flatfield.tif")
    assert any("--mask-dir has no effect with --method reference" in warning for warning in made.result.warnings)
    plain = correct(tile, tmp_path / "plain", "--method", "reference", "--flatfield-path", tmp_path / "flatfield.tif",
                    masks=False)
    np.testing.assert_array_equal(read_volume(made.corrected), read_volume(plain.corrected))


def test_reference_takes_the_first_of_several_pages(tile, tmp_path):
    first = smooth_flatfield(*SHAPE[1:]).astype(np.float32)
    tifffile.imwrite(tmp_path / "one.tif", first)
    tifffile.imwrite(tmp_path / "two.tif", np.stack([first, first[::-1]]), photometric="minisblack")
    one, two = (correct(tile, tmp_path / name, "--method", "reference", "--flatfield-path",
                        tmp_path / f"{name}.tif", masks=False) for name in ("one", "two"))
    np.testing.assert_array_equal(read_volume(one.corrected), read_volume(two.corrected))


@pytest.mark.parametrize("spoil, message", [
    (lambda image: image.__setitem__((3, 4), 0), "1 of 6300 pixels of the flatfield are not greater than 0"),
    (lambda image: image.__setitem__((slice(2), 4), -1), "2 of 6300 pixels"),
    (lambda image: image.__setitem__((3, 4), np.nan), "1 of 6300 pixels of the flatfield are not finite"),
    (lambda image: image.__setitem__((3, slice(5)), np.inf), "5 of 6300 pixels of the flatfield are not finite"),
    (lambda image: image.fill(0), "6300 of 6300 pixels")])
def test_flatfield_with_unusable_pixels_is_refused_before_anything_is_written(tile, tmp_path, spoil, message):
    image = smooth_flatfield(*SHAPE[1:]).astype(np.float32)
    spoil(image)
    tifffile.imwrite(tmp_path / "flatfield.tif", image)
    made = attempt(tile, tmp_path, "--method", "reference", "--flatfield-path", "flatfield.tif", masks=False)
    assert made.result.code == BAD_INPUT
    assert len(made.result.error_lines) == 1 and message in made.result.error_lines[0]
    assert "flatfield.tif" in made.result.error_lines[0]
    assert not made.corrected.exists()


def test_flatfield_that_is_missing_or_no_image_is_one_clear_error(tile, tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    tifffile.imwrite(tmp_path / "signed.tif", np.ones((8, 8), np.int16))
    tifffile.imwrite(tmp_path / "color.tif", np.ones((8, 8, 3), np.uint8), photometric="rgb")
    for name, code in [("missing.tif", NOT_FOUND), ("text.tif", BAD_INPUT), ("signed.tif", UNSUPPORTED),
                       ("color.tif", UNSUPPORTED)]:
        made = attempt(tile, tmp_path, "--method", "reference", "--flatfield-path", name, masks=False)
        assert (made.result.code, len(made.result.error_lines)) == (code, 1), made.result.err
        assert name in made.result.error_lines[0]


def test_reference_without_background_subtraction_takes_a_pedestal(tile, tmp_path):
    image = smooth_flatfield(*SHAPE[1:]).astype(np.float32)
    tifffile.imwrite(tmp_path / "flatfield.tif", image)
    raw = read_volume(tile).astype(np.float32)
    for pedestal in (0, 90.5):
        made = correct(tile, tmp_path / str(pedestal), "--method", "reference", "--flatfield-path",
                       tmp_path / "flatfield.tif", "--skip-bkg-sub", "--pedestal", pedestal, masks=False)
        expected = rounded(np.maximum(raw - np.float32(pedestal), 0) / normalized(image, SHAPE[1:]))
        np.testing.assert_array_equal(read_volume(made.corrected), expected)


def test_pedestal_is_subtracted_where_nothing_else_is(tile, tmp_path):
    made = correct(tile, tmp_path, "--skip-bkg-sub", "--skip-flat-field", "--pedestal", 100, masks=False)
    np.testing.assert_array_equal(read_volume(made.corrected), np.maximum(read_volume(tile), 100) - 100)


# ---------------------------------------------------------------------------------------------
# Reference background


@pytest.mark.parametrize("shape", [SHAPE[1:], (24, 31)])
def test_reference_background_is_subtracted(tmp_path, shape):
    tile = phantom_tile(tmp_path / "denoised" / "SPIM.ome.zarr", SHAPE, CHUNKS, n_levels=4)
    image = (95 + np.random.default_rng(1).random(shape)).astype(np.float32)
    (tmp_path / "denoised" / "derivatives").mkdir()
    tifffile.imwrite(tmp_path / "denoised" / "derivatives" / "tile_000001_ch_488_background_collection.tiff", image)
    made = correct(tile, tmp_path, "--use-reference-bkg", "--skip-flat-field", "--save-outputs", masks=False)
    if shape != SHAPE[1:]:
        image = resize(image, SHAPE[1:], order=3, mode="reflect", anti_aliasing=False, preserve_range=True)
    np.testing.assert_array_max_ulp(tifffile.imread(made.results / f"{NAME}_bkg.tif"), image.astype(np.float32), 1)
    assert_nearly_equal(read_volume(made.corrected), rounded(read_volume(tile).astype(np.float32) - image))
    fitted = correct(tile, tmp_path, "--use-reference-bkg", "--overwrite")
    assert fitted.report["status"] == "corrected"
    assert "planes kept" not in fitted.result.err


def test_reference_background_that_is_missing_is_an_error_that_lists_the_names(tile, tmp_path):
    made = attempt(tile, tmp_path, "--use-reference-bkg")
    assert made.result.code == NOT_FOUND
    assert "tile_000001_ch_488_background_collection.tiff" in made.result.error_lines[0]


# ---------------------------------------------------------------------------------------------
# Median summary


@pytest.mark.parametrize("summary, options, factor, warns", [
    ({"488": {"tile_medians": [40, 46.4], "mean_of_medians": 43.2}}, [], 43.2, False),
    ({"561": {"mean_of_medians": 50}}, [], 50, True),
    ({"488": {"mean_of_medians": None}, "561": {"mean_of_medians": 50}}, [], 50, True),
    ({"561": {"mean_of_medians": 50}, "488": {"mean_of_medians": 43.2}}, ["--is-binned"], 43.2, False),
    ({"561": {"mean_of_medians": 50}, "488": {"mean_of_medians": 43.2}},
     ["--is-binned", "--binned-channel", "561"], 43.2, False),
    ({"488": {}}, [], 100, True),
    ({}, ["--is-binned"], 3200, True)])
def test_median_summary_replaces_the_global_factor(tile, tmp_path, summary, options, factor, warns):
    (tmp_path / "medians.json").write_text(json.dumps(summary))
    made = correct(tile, tmp_path, "--median-summary-path", "medians.json", "--save-outputs", *options)
    curves = read_json(made.results / f"{NAME}_corr_curves.json")
    assert curves["ratio"] == pytest.approx(factor / curves["g"], rel=1e-6)
    assert any("median summary" in w or "mean_of_medians" in w for w in made.result.warnings) == warns


def test_each_binned_tile_of_a_batch_is_scaled_to_its_own_channel(tmp_path):
    tiles = [phantom_tile(tmp_path / "in", SHAPE, CHUNKS, name=f"tile_000001_ch_{channel}.zarr") for channel in (488, 561)]
    (tmp_path / "medians.json").write_text(json.dumps({"488": {"mean_of_medians": 43.2}, "561": {"mean_of_medians": 50}}))
    (tmp_path / "config.json").write_text(json.dumps({"tile_paths": [str(tile) for tile in tiles]}))
    result = call("run", "--config", "config.json", "--output", "out", "--mask-dir", tmp_path / "in" / "masks", "--is-binned",
                  "--median-summary-path", "medians.json", "--save-outputs", "--results-dir", "results", cwd=tmp_path)
    assert result.code == 0, result.err
    for tile, factor in zip(tiles, (43.2, 50)):
        curves = read_json(tmp_path / "results" / f"{tile.name}_corr_curves.json")
        assert curves["ratio"] == pytest.approx(factor / curves["g"], rel=1e-6)


def test_median_summary_that_cannot_be_read_is_one_clear_error(tile, tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "half.json").write_text('{"488": {')
    for name, code in [("missing.json", NOT_FOUND), ("list.json", BAD_INPUT), ("half.json", BAD_INPUT)]:
        made = attempt(tile, tmp_path, "--median-summary-path", name)
        assert (made.result.code, len(made.result.error_lines)) == (code, 1), made.result.err
        assert name in made.result.error_lines[0]


def test_options_of_another_method_are_warned_about(tile, tmp_path):
    made = correct(tile, tmp_path, "--flatfield-path", "unused.tif")
    assert any("--flatfield-path has no effect with --method fitting" in w for w in made.result.warnings)
    assert read_json(made.results / "run_report.json")["warnings"]


# ---------------------------------------------------------------------------------------------
# Foreground refinement


def refined(tile, folder, *options, **fitting):
    folder.mkdir(exist_ok=True)
    (folder / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True, **fitting}))
    return correct(tile, folder, "--fitting-config", "fitting.json", "--estimation-res", 1, "--save-outputs", *options)


def test_background_planes_are_left_out_of_the_fit_with_a_reference_background_too(tmp_path):
    """They are chosen for the weights; without weights they are not, and the key says that it has no effect."""
    tile = phantom_tile(tmp_path / "denoised" / "SPIM.ome.zarr", SHAPE, CHUNKS, n_levels=4)
    derivatives = tmp_path / "denoised" / "derivatives"
    derivatives.mkdir()
    tifffile.imwrite(derivatives / "tile_000001_ch_488_background_collection.tiff", np.full(SHAPE[1:], 90, np.float32))
    masks = tmp_path / "all"
    write_mask(masks / f"asset_{NAME}_pred.tif", np.ones(SHAPE, bool))

    def run(name, **fitting):
        (tmp_path / f"{name}.json").write_text(json.dumps({"probability_model": "percentile", **fitting}))
        return correct(tile, tmp_path / name, "--use-reference-bkg", "--save-outputs", "--fitting-config",
                       tmp_path / f"{name}.json", masks=masks)

    kept = run("kept", enable_gmm_refinement=True)
    left_out = run("left_out", enable_gmm_refinement=True, exclude_background_planes_from_mask=True)
    kept_g, left_out_g = (read_json(made.results / f"{NAME}_corr_curves.json")["g"] for made in (kept, left_out))
    assert left_out_g > kept_g, "planes without tissue make the level of the whole darker"
    for made in (kept, left_out):
        assert sum("planes kept" in line for line in made.result.err.splitlines()) == 1
        assert not any("no effect" in warning for warning in made.result.warnings)
    unweighted = run("unweighted", exclude_background_planes_from_mask=True)
    assert any("exclude_background_planes_from_mask has no effect" in warning for warning in unweighted.result.warnings)


@pytest.mark.parametrize("model", ["percentile", "gmm"])
def test_probability_is_an_image_of_the_estimation_level(tile, tmp_path, model):
    made = refined(tile, tmp_path, probability_model=model)
    group = zarr.open_group(str(made.probability), mode="r")
    levels = read_levels(made.probability)
    shape = np.array(SHAPE) // 2
    assert list(levels) == ["0", "1", "2", "3"], "as many of the five levels as fit"
    for k, volume in enumerate(levels.values()):
        assert volume.dtype == np.float32 and volume.shape == (1, 1, *(shape // 2 ** k))
        assert volume.min() >= 0 and volume.max() <= 1
    scales = [d["coordinateTransformations"][0]["scale"] for d in group.attrs["multiscales"][0]["datasets"]]
    assert scales[0] == [1, 1, 2, 1.496, 1.496] and scales[1] == [1, 1, 4, 2.992, 2.992]
    # Tissue counts, background does not.
    weights = levels["0"][0, 0]
    mask = read_volume(made.results / f"{NAME}_mask_low_res.zarr") != 0
    assert np.median(weights[mask]) > 0.9 and np.median(weights[~mask]) < 0.2
    assert not (model == "gmm" and weights[~mask].any()), "0 outside the mask"


def test_pyramid_of_the_probability_holds_the_second_largest_of_each_window(tile, tmp_path):
    first, second = list(read_levels(refined(tile, tmp_path).probability).values())[:2]
    z, y, x = second.shape[2:]
    windows = first[0, 0, :2 * z, :2 * y, :2 * x].reshape(z, 2, y, 2, x, 2).transpose(0, 2, 4, 1, 3, 5)
    np.testing.assert_array_equal(second[0, 0], np.sort(windows.reshape(z, y, x, 8))[..., -2])


def test_weights_change_the_curves_and_no_weights_write_no_probability(tile, tmp_path):
    plain = correct(tile, tmp_path / "plain", "--estimation-res", 1, "--save-outputs")
    assert not plain.probability.exists()
    curves = {name: read_json(run.results / f"{NAME}_corr_curves.json")["profile_x"] for name, run in [
        ("plain", plain), ("percentile", refined(tile, tmp_path / "percentile")),
        ("gmm", refined(tile, tmp_path / "gmm", probability_model="gmm"))]}
    assert curves["plain"] != curves["percentile"] != curves["gmm"] != curves["plain"]


def test_weights_of_a_reference_background_select_background_planes(tmp_path):
    tile = phantom_tile(tmp_path / "denoised" / "SPIM.ome.zarr", SHAPE, CHUNKS, n_levels=4)
    (tmp_path / "denoised" / "derivatives").mkdir()
    tifffile.imwrite(tmp_path / "denoised" / "derivatives" / "tile_000001_ch_488_background_collection.tiff",
                     np.full(SHAPE[1:], 99, np.float32))
    made = refined(tile, tmp_path / "run", "--use-reference-bkg")
    assert "planes kept" in made.result.err and made.probability.exists()


def test_each_time_point_and_channel_has_its_own_probability(tmp_path):
    counts, mask = phantom(SHAPE)
    both = np.stack([counts, phantom(SHAPE, seed=1)[0]])
    write_mask(tmp_path / "masks" / f"asset_{NAME}_pred.tif", mask[::2, ::2, ::2])
    tile = write_tile(tmp_path / NAME, both, (1, *CHUNKS), n_levels=2, axes="czyx")
    levels = read_levels(refined(tile, tmp_path).probability)
    assert levels["0"].shape == (1, 2, *(n // 2 for n in SHAPE))
    assert not np.array_equal(levels["0"][0, 0], levels["0"][0, 1])


def tile_with_a_blank_channel(folder):
    """A tile of two channels, of which the first is blank; its masks are beside it."""
    counts, mask = phantom(SHAPE)
    write_mask(folder / "masks" / f"asset_{NAME}_pred.tif", mask[::2, ::2, ::2])
    return write_tile(folder / NAME, np.stack([np.zeros_like(counts), counts]), (1, *CHUNKS), n_levels=2, axes="czyx")


def test_the_mask_of_a_tile_is_that_of_its_first_channel_that_is_not_blank(tmp_path):
    both = correct(tile_with_a_blank_channel(tmp_path / "both"), tmp_path / "both", "--estimation-res", 1)
    alone = correct(write_tile(tmp_path / "alone" / NAME, phantom(SHAPE)[0], CHUNKS, n_levels=2), tmp_path / "alone",
                    "--estimation-res", 1, masks=tmp_path / "both" / "masks")
    low = f"{NAME}_mask_low_res.zarr"
    for found, expected in [(both.mask, alone.mask), (both.results / low, alone.results / low)]:
        assert read_volume(expected).any()
        np.testing.assert_array_equal(read_volume(found), read_volume(expected))


def test_a_tile_of_which_one_channel_falls_back_is_corrected_and_says_which(tmp_path):
    why = "t0_c0: the mask is empty where the tile is not 0"
    made = correct(tile_with_a_blank_channel(tmp_path), tmp_path, "--estimation-res", 1)
    assert made.report["status"] == "corrected" and made.report["reason"] == why
    assert f"{why}: background subtraction only" in made.report["warnings"]
    assert read_json(made.results / "run_report.json")["counts"]["background_only"] == 0
    outcome = read_json(made.corrected / ".zattrs")["exaspim_flatfield_outcome"]
    assert outcome["status"] == "corrected" and outcome["reason"] == why


@pytest.mark.parametrize("steps", [["run"], ["estimate", "apply", "finalize"]], ids=["run", "steps"])
def test_a_channel_without_a_probability_is_zeros_in_the_image_of_the_others(tmp_path, steps):
    """In the empty mask of the blank channel nothing is foreground; in that of the other there are no samples for a mixture."""
    tile = tile_with_a_blank_channel(tmp_path)
    (tmp_path / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True, "probability_model": "gmm",
                                                       "erosion_radius": 40}))
    for command in steps:
        result = call(command, "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--mask-dir",
                      "masks", "--fitting-config", "fitting.json", "--estimation-res", 1, cwd=tmp_path)
        assert result.code == 0, result.err
    (record,) = read_json(tmp_path / "results" / "run_report.json")["tiles"]
    assert "t0_c1: foreground weights: " in record["reason"] and len(record["qc"]) == 2
    image = tmp_path / "out" / "probability" / "SPIM.ome.zarr" / NAME
    levels = read_levels(image)
    assert levels["0"].shape == (1, 2, *(n // 2 for n in SHAPE))
    assert not any(level.any() for level in levels.values())
    for written in (image, tmp_path / "out" / "SPIM.ome.zarr" / NAME):
        verified = call("verify", written, "--all", cwd=tmp_path)
        assert verified.code == 0 and "good" in verified.out, verified.err


def test_a_damaged_chunk_that_only_the_mixture_model_reads_is_an_error_that_names_it(tmp_path):
    """Of a level of 2048 rows planes are chosen by a quarter of them, and the mask holds none of the last; a level that is
    streamed is not read but where it is needed."""
    counts, mask = phantom((96, 4096, 24))
    write_mask(tmp_path / "masks" / f"asset_{NAME}_pred.tif", mask[::2, ::2, ::2])
    tile = write_tile(tmp_path / NAME, counts, (8, 64, 24), n_levels=2)
    (tmp_path / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True, "probability_model": "gmm",
                                                       "gmm_max_samples": 1000}))
    words = ["--zarr", tile, "--output", "out", "--mask-dir", "masks", "--fitting-config", "fitting.json",
             "--estimation-res", 1, "--num-workers", 1]
    planned = call("plan", *words, "--json", cwd=tmp_path)
    assert planned.code == 0, planned.err
    smallest = json.loads(planned.out)["tiles"][0]["smallest_memory_limit_bytes"]
    chunk = tile / "1" / "0" / "0" / "2" / "31" / "0"
    assert chunk.exists()
    chunk.write_bytes(b"damaged")
    result = call("run", *words, "--memory-limit", smallest, cwd=tmp_path)
    assert "is streamed" in result.err and "planes kept" in result.err
    assert result.code == BAD_INPUT and len(result.error_lines) == 1, result.err
    assert str(chunk) in result.error_lines[0]
    assert not (tmp_path / "out" / NAME).exists()


# ---------------------------------------------------------------------------------------------
# Provenance of schema 1


def test_provenance_of_schema_1_has_its_own_names_and_fields(tile, tmp_path):
    made = correct(tile, tmp_path, "--metadata-schema", 1)
    record = read_json(made.results / f"process_out_{NAME}.json")
    assert sorted(record) == sorted([
        "name", "software_version", "start_date_time", "end_date_time", "input_location", "output_location", "code_url",
        "code_version", "parameters", "outputs", "notes", "resources"])
    assert record["input_location"] == str(tile.parent) and record["output_location"] == "out/SPIM.ome.zarr"
    assert record["parameters"]["metadata_schema"] == 1
    paths = read_json(made.results / f"metadata_paths_out_{NAME}.json")
    assert paths == {"input_metadata": str(tile.parent.parent), "output_metadata": str(tmp_path / "out")}
    assert not (made.results / f"flatfield_data_process_{NAME}.json").exists()
    assert read_json(made.corrected / ".zattrs")["exaspim_flatfield"] == record


def test_overwriting_removes_the_mask_of_the_output_that_was_there(tile, tmp_path):
    made = correct(tile, tmp_path)
    assert made.mask.exists()
    again = correct(tile, tmp_path, "--skip-flat-field", "--overwrite")
    assert not files_below(again.mask) and looks_finished(again.corrected)
