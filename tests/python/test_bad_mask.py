"""A mask that is missing, unreadable or of the wrong kind, and what is done without one."""
import shutil

import numpy as np
import pytest
import tifffile

from support.program import (BAD_INPUT, NOT_FOUND, UNSUPPORTED, USAGE, attempt, correct, looks_finished, read_json,
                             read_volume)
from support.refusal import assert_refused, background_subtracted, replace_mask, tile  # noqa: F401
from support.tiles import write_mask

# ---------------------------------------------------------------------------------------------
# The mask


FLAT = np.ones((4, 20, 24))


@pytest.mark.parametrize("write, code, words", [
    pytest.param(lambda file: tifffile.imwrite(file, FLAT.astype(np.float32), photometric="minisblack"), UNSUPPORTED, ["float"], id="float"),
    pytest.param(lambda file: tifffile.imwrite(file, np.ones((4, 20, 24, 3), np.uint8), photometric="rgb"),
                 UNSUPPORTED, ["3 per pixel"], id="rgb"),
    pytest.param(lambda file: tifffile.imwrite(file, FLAT.astype(np.uint32), photometric="minisblack"), UNSUPPORTED, ["uint32"], id="uint32"),
    pytest.param(lambda file: file.write_text("not a TIFF"), BAD_INPUT, ["not a TIFF"], id="text"),
    pytest.param(lambda file: file.write_bytes(b""), BAD_INPUT, ["not a TIFF"], id="no bytes"),
    pytest.param(lambda file: file.write_bytes(file.read_bytes()[:len(file.read_bytes()) // 2]), BAD_INPUT, ["TIFF"],
                 id="truncated"),
    pytest.param(lambda file: write_mask(file, 0 * FLAT), BAD_INPUT, ["foreground"], id="empty"),
])
def test_mask_of_the_wrong_kind_is_named(tile, tmp_path, write, code, words):
    file = replace_mask(tile, write)
    assert_refused(attempt(tile, tmp_path / "run"), code, *words, file, ": ")


def test_folder_in_the_place_of_a_mask_is_not_taken_for_it(tile, tmp_path):
    file = replace_mask(tile, lambda path: path.unlink())
    file.mkdir()
    assert correct(tile, tmp_path / "run").report["status"] == "background_only"


def test_mask_folder_that_is_missing_is_named(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", masks=tmp_path / "nowhere"), NOT_FOUND,
                   "--mask-dir", tmp_path / "nowhere", "check")


def test_images_in_the_results_directory_are_not_taken_for_masks(tile, tmp_path):
    expected = read_volume(correct(tile, tmp_path / "run", "--save-outputs").mask)
    shutil.copytree(tile.parent / "masks", tmp_path / "run" / "the_masks")  # behind ./results
    made = correct(tile, tmp_path / "run", "--save-outputs", "--overwrite", masks=".")
    assert made.report["status"] == "corrected"
    np.testing.assert_array_equal(read_volume(made.mask), expected)


def test_fitting_without_a_mask_folder_is_refused(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", masks=False), USAGE, "--mask-dir", "--skip-flat-field")


def test_fitting_without_background_subtraction_is_refused(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", "--skip-bkg-sub"), USAGE, "--skip-bkg-sub", "--skip-flat-field")


def test_tile_name_without_identifier_is_refused(tile, tmp_path):
    nameless = tile.rename(tile.parent / "brain_ch_488.zarr")
    assert_refused(attempt(nameless, tmp_path / "run"), USAGE, "identifier", "brain_ch_488.zarr", "tile_000001_ch_488")


def test_tile_without_a_mask_is_warned_about_and_its_background_subtracted(tile, tmp_path):
    replace_mask(tile, lambda file: file.rename(file.with_name("asset_tile_000002_ch_488.zarr_pred.tif")))
    run = correct(tile, tmp_path / "run", "--save-outputs")
    assert run.report["status"] == "background_only" and "no mask" in run.report["reason"]
    assert [line for line in run.result.warnings if "no mask" in line and "background subtraction only" in line]
    expected = background_subtracted(tile, run)
    planes = read_json(run.results / f"{tile.name}_bkg_slice_indices.json")
    # A plane of level 3 covers [3.5 + 8 i, 11.5 + 8 i) of level 0.
    target = sorted({z for i in planes for z in range(8 * i + 3, min(8 * i + 12, 32))})
    raw = read_volume(tile)[target]
    np.testing.assert_array_equal(tifffile.imread(run.results / f"{tile.name}_bkg.tif"), np.median(raw, axis=0))
    np.testing.assert_array_equal(read_volume(run.corrected), expected)
    assert looks_finished(run.corrected) and not run.mask.exists()
