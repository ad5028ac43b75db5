"""The gate: corrections that went well pass, wrong masks, backgrounds and flatfields do not."""
import shutil

import numpy as np
import pytest
import tifffile

from support.program import QUALITY_FAILED, attempt, call, correct, files_below, read_json, read_volume, shared_data
from support.tiles import phantom_tile, write_mask, write_tile

NAME = "tile_000001_ch_488.zarr"
UNBINNED = ("--shape", "256,256,256")
PHANTOMS = {  # options of synth, options of run
    "usual": (UNBINNED, ()),
    "bright": ((*UNBINNED, "--foreground", "1000", "--seed", "7"), ()),
    "even_light": ((*UNBINNED, "--illumination", "0", "--seed", "9"), ()),
    "uneven_light": (("--shape", "192,384,320", "--illumination", "0.6", "--seed", "2"), ()),
    "binned": (("--shape", "64,96,96", "--is-binned", "--n-levels", "3", "--seed", "3"), ("--is-binned",)),
    "noisy": (("--shape", "96,128,160", "--is-binned", "--n-levels", "3", "--noise", "3"), ("--is-binned",)),
    # As denoised data: one to ten counts of tissue above the background.
    "dim": (("--shape", "96,128,160", "--is-binned", "--n-levels", "3", "--background", "39", "--foreground", "10",
             "--noise", "0.3"), ("--is-binned",)),
    "dimmest": (("--shape", "96,128,160", "--is-binned", "--n-levels", "3", "--background", "39", "--foreground", "1",
                 "--noise", "0.05"), ("--is-binned",)),
}


@pytest.fixture(scope="module")
def phantom_of(tmp_path_factory):
    """A phantom tile by its kind, made when it is first asked for; and the options that it is corrected with."""
    made = {}

    def get(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            result = call("synth", folder, "--name", NAME, *PHANTOMS[kind][0], cwd=folder)
            assert result.code == 0, result.err
            made[kind] = folder / NAME
        return made[kind], PHANTOMS[kind][1]
    return get


def mask_of(tile):
    (path,) = (tile.parent / "masks").glob(f"*{tile.name.split('_ch_')[0]}_*.tif")
    return tifffile.imread(path)


def judged(tile, folder, mask, *options):
    """The QC block of a correction with another mask."""
    write_mask(folder / "masks" / f"asset_{tile.name.split('_ch_')[0]}_ch_000.zarr_pred.tif", mask)
    return correct(tile, folder, *options, masks=folder / "masks").quality


def shifted(mask, axis, wraps):
    """The mask, half a tile further along an axis."""
    half = mask.shape[axis] // 2
    moved = np.roll(mask, half, axis)
    if not wraps:
        np.moveaxis(moved, axis, 0)[:half] = 0
    return moved


def reasons_of(block):
    return [reason.split(" = ")[0] for reason in block["reasons"]]


# ---------------------------------------------------------------------------------------------
# Good corrections


@pytest.mark.parametrize("kind", PHANTOMS)
def test_phantom_is_corrected_well(phantom_of, tmp_path, kind):
    tile, options = phantom_of(kind)
    block = correct(tile, tmp_path, *options).quality
    assert block["verdict"] == "pass", block["reasons"]
    assert block["reasons"] == []


def reference_image(tile, folder, power=1.0):
    """The illumination of a plane of a phantom, as a flatfield."""
    truth = read_json(tile.with_name(f"{tile.name}.truth.json"))
    path = folder / "flatfield.tif"
    tifffile.imwrite(path, np.outer(truth["fy"], truth["fx"]).astype(np.float32) ** np.float32(power))
    return path


@pytest.mark.parametrize("kind", ["usual", "uneven_light", "dim"])
def test_true_flatfield_is_judged_well_without_a_mask(phantom_of, tmp_path, kind):
    tile, options = phantom_of(kind)
    block = correct(tile, tmp_path, "--method", "reference", "--flatfield-path", reference_image(tile, tmp_path),
                    *options, masks=False).quality
    assert block["verdict"] == "pass", block["reasons"]
    assert block["mask"].startswith("made from the data")
    assert block["numbers"]["mask_auc"]["verdict"] == "not measured"
    assert block["numbers"]["flat_std"]["value"] > 0.05


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "unmasked"])
@pytest.mark.parametrize("kind", ["usual", "even_light", "uneven_light", "binned", "dim"])
def test_flatfield_that_basic_finds_in_a_phantom_does_not_fail(phantom_of, tmp_path, kind, masked):
    tile, options = phantom_of(kind)
    config = tmp_path / "basic.json"
    config.write_text('{"working_size": 64}')
    block = correct(tile, tmp_path / "run", "--method", "basicpy", "--basic-config", config, *options,
                    masks=tile.parent / "masks" if masked else False).quality
    assert block["verdict"] in ("pass", "warn"), block["reasons"]
    # Even light has an even flatfield, which a person should confirm.
    assert set(reasons_of(block)) <= {"flat_std", "flat_span"}
    assert block["verdict"] == "pass" or kind == "even_light", block["reasons"]


def test_basic_is_judged_inside_the_mask_that_it_is_weighted_by(tmp_path):
    tile = phantom_tile(tmp_path / "in", (48, 64, 80), (16, 32, 32), name=NAME)
    config = tmp_path / "basic.json"
    config.write_text('{"working_size": 32}')
    basic = correct(tile, tmp_path / "basic", "--method", "basicpy", "--basic-config", config, "--is-binned").quality
    fitted = correct(tile, tmp_path / "fitting", "--is-binned").quality
    assert basic["mask"] == fitted["mask"] == "the foreground mask of the tile"
    # What both methods have in common: the mask without what is 0, and the voxels before the correction.
    for name in ("mask_fraction", "mask_auc", "mask_edge_agreement", "background_planes_in_mask", "foreground_median_before",
                 "profile_cv_x_before"):
        assert fitted["numbers"][name]["value"] is not None
        assert basic["numbers"][name]["value"] == fitted["numbers"][name]["value"], name


def test_light_sheet_tile_warns_of_the_background_that_holds_tissue(tmp_path):
    tile = shared_data("data/real") / "tile_000003_ch_488.zarr"
    block = correct(tile, tmp_path, "--is-binned").quality
    assert block["verdict"] == "warn"
    # Its only background plane shows the tumour: little is left of it, and what is left is scaled up too far.
    assert reasons_of(block) == ["background_span", "saturated_fraction"]


# ---------------------------------------------------------------------------------------------
# Bad ones


@pytest.mark.parametrize("wraps", [True, False], ids=["wraps", "cut"])
@pytest.mark.parametrize("axis", range(3), ids="zyx")
@pytest.mark.parametrize("kind", PHANTOMS)
def test_mask_that_is_shifted_by_half_a_tile_fails(phantom_of, tmp_path, kind, axis, wraps):
    tile, options = phantom_of(kind)
    block = judged(tile, tmp_path, shifted(mask_of(tile), axis, wraps), *options)
    assert block["verdict"] == "fail", block["numbers"]
    assert {"mask_auc", "mask_edge_agreement"} & set(reasons_of(block))


@pytest.mark.parametrize("name, axis, wraps", [
    (name, axis, wraps) for name in ("tile_000002_ch_561.zarr", "tile_000003_ch_488.zarr") for axis in range(3)
    for wraps in (True, False)
    # The mask of this tile is nearly the same in every plane: wrapped around along z, it is right again.
    if (name, axis, wraps) != ("tile_000003_ch_488.zarr", 0, True)])
def test_shifted_mask_of_a_real_tile_fails(tmp_path, name, axis, wraps):
    tile = shared_data("data/real") / name
    block = judged(tile, tmp_path, shifted(mask_of(tile), axis, wraps), "--is-binned")
    assert block["verdict"] == "fail"
    assert {"mask_auc", "mask_edge_agreement"} & set(reasons_of(block))


@pytest.mark.parametrize("name, other", [("tile_000002_ch_561.zarr", "tile_000003_ch_488.zarr"),
                                         ("tile_000003_ch_488.zarr", "tile_000002_ch_561.zarr")])
def test_mask_of_another_real_tile_fails(tmp_path, name, other):
    tiles = shared_data("data/real")
    block = judged(tiles / name, tmp_path, mask_of(tiles / other), "--is-binned")
    assert block["verdict"] == "fail"
    assert {"mask_auc", "mask_edge_agreement"} <= set(reasons_of(block))


@pytest.mark.parametrize("kind", ["usual", "binned", "dim", "dimmest"])
def test_mask_of_another_tile_fails(phantom_of, tmp_path, kind):
    tile, options = phantom_of(kind)
    mask = mask_of(tile)
    z, y, x = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in mask.shape)]
    other = (z + 0.2) ** 2 + (y + 0.5) ** 2 + (x - 0.5) ** 2 < 0.5  # tissue in a corner
    block = judged(tile, tmp_path, other, *options)
    assert block["verdict"] == "fail" and "mask_auc" in reasons_of(block)


def tissue_in_every_plane(random):
    """Counts (40, 60, 70) of a column of tissue that runs through all planes, and its mask."""
    z, y, x = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in (40, 60, 70))]
    mask = (y ** 2 + x ** 2 < 0.6) & np.ones_like(z, bool)
    light = (1 - 0.2 * z) * (1 - 0.2 * x)
    counts = 100 + 200 * mask * light * (1 + 0.3 * random.standard_normal((40, 60, 70)))
    return np.rint(np.clip(counts, 0, 65535)).astype(np.uint16), mask


def test_background_planes_in_tissue_do_not_pass(tmp_path):
    counts, mask = tissue_in_every_plane(np.random.default_rng(3))
    tile = write_tile(tmp_path / NAME, counts, (16, 32, 32))
    run = correct(tile, tmp_path / "run", "--is-binned",
                  masks=write_mask(tmp_path / "masks" / "a_tile_000001_ch_488.zarr_pred.tif", mask).parent)
    assert run.quality["verdict"] == "fail"
    assert {"background_planes_in_mask", "background_span"} <= set(reasons_of(run.quality))
    assert all(any(reason in line for line in run.report["warnings"]) for reason in run.quality["reasons"])


def test_flatfield_of_another_microscope_fails(phantom_of, tmp_path):
    tile, options = phantom_of("uneven_light")
    block = correct(tile, tmp_path, "--method", "reference", *options, "--flatfield-path",
                    reference_image(tile, tmp_path, power=-1.0), masks=False).quality
    assert block["verdict"] == "fail"
    assert {"profile_cv_y_after", "profile_cv_x_after"} <= set(reasons_of(block))


def test_clamped_ratio_and_curves_at_their_limits_warn(phantom_of, tmp_path):
    tile, options = phantom_of("uneven_light")
    config = tmp_path / "fitting.json"
    config.write_text('{"global_ratio_limits": [5, 6], "limits_x": [0.9, 1.0]}')
    block = correct(tile, tmp_path, "--fitting-config", config, *options).quality
    assert {"global_ratio", "axis_at_limits_x"} <= set(reasons_of(block))


def test_reasons_name_the_number_its_value_and_its_threshold(tmp_path):
    tile = phantom_tile(tmp_path / "in", (48, 64, 80), (16, 32, 32), n_levels=4, name=NAME)
    block = judged(tile, tmp_path, shifted(mask_of(tile), 1, True))
    for reason in block["reasons"]:
        name, rest = reason.split(" = ", 1)
        number = block["numbers"][name]
        assert number["verdict"] in ("warn", "fail")
        assert rest.startswith(f"{number['value']:.4g} ({number[number['verdict']]})"), reason
    assert {number["verdict"] for number in block["numbers"].values()} <= {"pass", "warn", "fail", "context",
                                                                          "not measured"}


# ---------------------------------------------------------------------------------------------
# What a failure does


@pytest.fixture
def failing(tmp_path):
    """A tile with a mask that is not its own: the tile, and the folder of the mask."""
    tile = phantom_tile(tmp_path / "in", (48, 64, 80), (16, 32, 32), n_levels=4, name=NAME)
    masks = tmp_path / "wrong"
    write_mask(masks / f"asset_{NAME}_pred.tif", shifted(mask_of(tile), 1, True))
    return tile, masks


def test_failing_quality_is_written_and_warned_about_by_default(failing, tmp_path):
    tile, masks = failing
    made = correct(tile, tmp_path, masks=masks)
    assert made.quality["verdict"] == "fail" and made.report["status"] == "corrected"
    assert any(made.quality["reasons"][0] in line for line in made.result.warnings)


def test_failing_quality_can_stop_the_tile_before_anything_is_written(failing, tmp_path):
    tile, masks = failing
    before = correct(tile, tmp_path)
    kept = files_below(before.corrected)
    made = attempt(tile, tmp_path, "--on-qc-fail", "error", "--overwrite", masks=masks)
    assert made.result.code == QUALITY_FAILED and len(made.result.error_lines) == 1
    assert made.report["status"] == "failed" and made.report["error_code"] == "quality_failed"
    assert made.quality["verdict"] == "fail" and made.quality["reasons"][0] in made.report["reason"]
    assert files_below(before.corrected) == kept, "the output that was there is untouched"
    fresh = attempt(tile, tmp_path / "fresh", "--on-qc-fail", "error", masks=masks)
    assert not fresh.corrected.exists() and not fresh.mask.exists()


def test_failing_quality_can_leave_background_subtraction_only(failing, tmp_path):
    tile, masks = failing
    made = correct(tile, tmp_path / "gate", "--on-qc-fail", "background-only", masks=masks)
    plain = correct(tile, tmp_path / "plain", "--skip-flat-field")
    np.testing.assert_array_equal(read_volume(made.corrected), read_volume(plain.corrected))
    assert made.report["status"] == "background_only" and made.report["reason"].startswith("quality: ")
    assert made.quality["verdict"] == "fail"


# ---------------------------------------------------------------------------------------------
# Where the method finds nothing to correct with


def test_a_tile_without_a_mask_is_measured_as_it_is_without_its_background(tmp_path):
    tile = phantom_tile(tmp_path / "in", (48, 64, 80), (16, 32, 32), name=NAME)
    (tmp_path / "none").mkdir()
    made = correct(tile, tmp_path / "run", "--is-binned", masks=tmp_path / "none")
    assert made.report["status"] == "background_only" and "no mask" in made.report["reason"]
    assert made.quality["verdict"] == "pass" and made.quality["mask"].startswith("made from the data")
    numbers = made.numbers
    for name in ("profile_cv_z", "profile_cv_y", "profile_cv_x", "foreground_median", "background_median", "cjv", "entropy"):
        assert numbers[f"{name}_before"] is not None
        assert numbers[f"{name}_after"] == pytest.approx(numbers[f"{name}_before"]), name
    assert numbers["background_span"] is not None and numbers["mask_auc"] is None and numbers["axis_gain_max"] is None


@pytest.fixture
def falling_back(tmp_path):
    """A tile with tissue in its background planes, in whose mask there are no samples for a mixture; its options."""
    counts, mask = tissue_in_every_plane(np.random.default_rng(3))
    tile = write_tile(tmp_path / "in" / NAME, counts, (16, 32, 32))
    write_mask(tmp_path / "in" / "masks" / f"asset_{NAME}_pred.tif", mask)
    config = tmp_path / "fitting.json"
    config.write_text('{"enable_gmm_refinement": true, "probability_model": "gmm", "erosion_radius": 40}')
    return tile, ("--is-binned", "--fitting-config", config)


@pytest.mark.parametrize("choice", ["warn", "background-only"])
def test_failing_quality_leaves_a_tile_that_falls_back_as_it_is(falling_back, tmp_path, choice):
    tile, options = falling_back
    made = correct(tile, tmp_path / "run", *options, "--on-qc-fail", choice)
    assert made.quality["verdict"] == "fail"
    assert {"background_planes_in_mask", "background_span"} <= set(reasons_of(made.quality))
    assert made.report["status"] == "background_only" and made.report["reason"].startswith("foreground weights: ")
    plain = correct(tile, tmp_path / "plain", "--is-binned", "--skip-flat-field")
    np.testing.assert_array_equal(read_volume(made.corrected), read_volume(plain.corrected))
    assert not plain.report["qc"], "nothing but the background was asked for"


def test_failing_quality_can_stop_a_tile_that_falls_back(falling_back, tmp_path):
    tile, options = falling_back
    made = attempt(tile, tmp_path / "run", *options, "--on-qc-fail", "error")
    assert made.result.code == QUALITY_FAILED and len(made.result.error_lines) == 1, made.result.err
    assert made.report["error_code"] == "quality_failed" and made.quality["verdict"] == "fail"
    assert not made.corrected.exists() and not made.mask.exists()


# ---------------------------------------------------------------------------------------------
# What a failure of a model does


@pytest.fixture
def failing_model(failing, tmp_path):
    tile, masks = failing
    result = call("estimate", "--zarr", tile, "--mask-dir", masks, "--model", "failing.npz", cwd=tmp_path)
    assert result.code == 0, result.err
    return tmp_path / "failing.npz"


def test_a_model_whose_quality_fails_is_held_up_as_what_is_learnt_is(failing, failing_model, tmp_path):
    tile, _ = failing
    warned = correct(tile, tmp_path / "warn", "--model", failing_model, masks=False)
    assert warned.report["status"] == "corrected" and warned.quality["verdict"] == "fail"
    assert any(warned.quality["reasons"][0] in line for line in warned.result.warnings)
    stopped = attempt(tile, tmp_path / "error", "--model", failing_model, "--on-qc-fail", "error", masks=False)
    assert stopped.result.code == QUALITY_FAILED and len(stopped.result.error_lines) == 1
    assert not stopped.corrected.exists()
    less = correct(tile, tmp_path / "less", "--model", failing_model, "--on-qc-fail", "background-only", masks=False)
    plain = correct(tile, tmp_path / "plain", "--skip-flat-field")
    np.testing.assert_array_equal(read_volume(less.corrected), read_volume(plain.corrected))
    assert less.report["status"] == "background_only"


def test_numbers_that_were_measured_on_another_tile_are_not_said_of_this_one(failing, failing_model, tmp_path):
    tile, _ = failing
    other = tmp_path / "elsewhere" / tile.name
    shutil.copytree(tile, other)
    made = correct(other, tmp_path / "run", "--model", failing_model, masks=False)
    assert not made.report["qc"]
    assert any("the model: " in line for line in made.result.warnings)


def test_passing_quality_is_not_held_up(tmp_path):
    tile = phantom_tile(tmp_path / "in", (48, 64, 80), (16, 32, 32), n_levels=4, name=NAME)
    for choice in ("error", "background-only"):
        assert correct(tile, tmp_path / choice, "--on-qc-fail", choice).report["status"] == "corrected"
