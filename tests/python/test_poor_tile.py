"""Tiles that are poor, but tiles: they are corrected, with a warning."""
import re
import shutil

import numpy as np
import pytest

from support.program import correct, looks_finished, read_levels, read_volume
from support.refusal import NAME, background_subtracted, tile, with_fitting_config  # noqa: F401
from support.tiles import phantom, write_mask, write_tile

# ---------------------------------------------------------------------------------------------
# Tiles that are poor, but tiles


def test_both_skips_rewrite_the_tile_with_a_notice(tile, tmp_path):
    run = correct(tile, tmp_path / "run", "--skip-flat-field", "--skip-bkg-sub", "--n-levels", 2, masks=False)
    assert "--skip-flat-field and --skip-bkg-sub" in run.result.err
    np.testing.assert_array_equal(read_volume(run.corrected), read_volume(tile))
    assert list(read_levels(run.corrected)) == ["0", "1"] and not run.mask.exists()


def test_skipping_the_flatfield_subtracts_the_background_only(tile, tmp_path):
    run = correct(tile, tmp_path / "run", "--skip-flat-field", "--save-outputs", masks=False)
    np.testing.assert_array_equal(read_volume(run.corrected), background_subtracted(tile, run))
    assert not run.mask.exists()


def poor_tile(tmp_path, counts, mask=None, **options):
    tile = write_tile(tmp_path / "in" / NAME, counts, (16, 16, 16), **options)
    write_mask(tmp_path / "in" / "masks" / f"{NAME}.tif", np.ones(counts.shape) if mask is None else mask)
    return tile


@pytest.mark.parametrize("value", [0, 1, 100, 65535])
@pytest.mark.parametrize("n_levels", [1, 4])
def test_constant_tile_becomes_zero_with_a_warning(tmp_path, value, n_levels):
    tile = poor_tile(tmp_path, np.full((32, 32, 32), value, np.uint16), n_levels=n_levels)
    run = correct(tile, tmp_path / "run", "--n-levels", 3)
    assert run.report["status"] == "background_only" and "mask is empty" in run.report["reason"]
    assert [line for line in run.result.warnings if "background subtraction only" in line]
    assert not any(voxels.any() for voxels in read_levels(run.corrected).values())
    assert looks_finished(run.mask) and not read_volume(run.mask).any()


def test_a_tile_without_chunks_is_taken_for_empty_with_a_warning_that_names_it(tmp_path):
    counts, mask = phantom((32, 40, 48))
    tile = poor_tile(tmp_path, counts, mask, n_levels=4)
    for chunk in tile.glob("[0-9]/*"):
        if chunk.name.startswith("."):
            continue
        shutil.rmtree(chunk) if chunk.is_dir() else chunk.unlink()
    run = correct(tile, tmp_path / "run")
    [warning] = [line for line in run.result.warnings if "fill value" in line]
    assert re.search(rf"{NAME}: of \d+ objects that were looked for none is there", warning), warning
    assert run.report["status"] == "background_only" and not read_volume(run.corrected).any()


def test_saturated_tile_is_corrected_without_wrapping(tmp_path):
    counts, mask = phantom((32, 40, 48))
    counts[mask] = 65535
    tile = poor_tile(tmp_path, counts, mask)
    config = with_fitting_config(tmp_path, {"global_factor_binned": 1e6})
    run = correct(tile, tmp_path / "run", "--is-binned", "--fitting-config", config, "--n-levels", 3)
    written = read_volume(run.corrected)
    assert (written[read_volume(run.mask) == 1] == 65535).all()
    np.testing.assert_array_equal(read_volume(run.mask), mask)
    # Of tissue alone every window is saturated, of background alone none is.
    assert (written[~mask] < 1000).all()


@pytest.mark.parametrize("shape", [(1, 40, 48), (40, 1, 48), (40, 48, 1), (1, 1, 48), (2, 2, 2), (1, 1, 1), (3, 3, 3)])
@pytest.mark.parametrize("binned", [True, False])
def test_volume_of_few_planes_is_corrected(tmp_path, shape, binned):
    counts = np.random.default_rng(1).integers(100, 1000, shape).astype(np.uint16)
    tile = poor_tile(tmp_path, counts)
    run = correct(tile, tmp_path / "run", *["--is-binned"] * binned, "--n-levels", 3, "--save-outputs")
    assert run.report["status"] in ("corrected", "background_only")
    assert read_volume(run.corrected).shape == read_volume(run.mask).shape == shape
    if run.report["status"] == "background_only":
        np.testing.assert_array_equal(read_volume(run.corrected), background_subtracted(tile, run))


def test_tile_of_uint8_is_corrected_like_one_of_uint16(tmp_path):
    counts, mask = phantom((32, 40, 48), tissue=80)
    assert counts.max() < 256
    wide = correct(poor_tile(tmp_path / "a", counts, mask), tmp_path / "wide", "--is-binned", "--n-levels", 3)
    narrow = correct(poor_tile(tmp_path / "b", counts.astype(np.uint8), mask), tmp_path / "narrow", "--is-binned",
                     "--n-levels", 3)
    for level, voxels in read_levels(wide.corrected).items():
        np.testing.assert_array_equal(read_levels(narrow.corrected)[level], voxels)
    assert read_volume(narrow.corrected).dtype == np.uint16
    np.testing.assert_array_equal(read_volume(narrow.mask), read_volume(wide.mask))
