"""The preview of a region or a level: before and after in one small image, and its page."""
import numpy as np
import pytest
import tifffile
import zarr

from support.browser import Browser, data_of
from support.program import NOT_FOUND, OUTPUT_EXISTS, QUALITY_FAILED, USAGE, call, correct, read_volume
from support.tiles import phantom_tile, write_mask

NAME = "tile_000001_ch_488.zarr"
SHAPE, CHUNKS = (48, 56, 64), (16, 24, 32)
PREVIEW = "tile_000001_ch_488_preview.zarr"


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("tile"), SHAPE, CHUNKS, n_levels=2, name=NAME)


def preview(tile, folder, *options):
    return call("preview", "--zarr", tile, "--mask-dir", tile.parent / "masks", "--output", "out", "--results-dir", "results",
                *options, cwd=folder)


def channels_of(folder):
    """Before and after, and the group."""
    group = zarr.open_group(str(folder / "out" / PREVIEW), mode="r")
    before, after = group["0"][0]
    return before, after, group


def test_a_region_corrected_with_a_model_is_what_a_run_with_it_writes(tile, tmp_path):
    model = tmp_path / "model.npz"
    made = call("estimate", "--zarr", tile, "--mask-dir", tile.parent / "masks", "--model", model, "--estimation-res", "1",
                "--results-dir", "r", cwd=tmp_path)
    assert made.code == 0, made.err
    whole = correct(tile, tmp_path / "run", "--model", model)
    result = preview(tile, tmp_path, "--model", model, "--roi", "5:40,3:50,10:61")
    assert result.code == 0, result.err
    before, after, group = channels_of(tmp_path)
    region = np.s_[5:40, 3:50, 10:61]
    np.testing.assert_array_equal(before, read_volume(tile)[region])
    np.testing.assert_array_equal(after, read_volume(whole.corrected)[region])
    (dataset,) = group.attrs["multiscales"][0]["datasets"]
    scale, translation = (t[t["type"]] for t in dataset["coordinateTransformations"])
    assert translation[2:] == [pytest.approx(o * s) for o, s in zip((5, 3, 10), scale[2:])]
    labels = [channel["label"] for channel in group.attrs["omero"]["channels"]]
    assert labels == ["before", "after"]
    windows = [channel["window"] for channel in group.attrs["omero"]["channels"]]
    assert all(window["start"] < window["end"] for window in windows)


def test_a_region_of_a_binned_tile_is_learnt_as_a_run_learns_it(tile, tmp_path):
    whole = correct(tile, tmp_path / "run", "--is-binned")
    assert preview(tile, tmp_path, "--is-binned", "--roi", ":,8:,:30").code == 0
    before, after, _ = channels_of(tmp_path)
    np.testing.assert_array_equal(before, read_volume(tile)[:, 8:, :30])
    np.testing.assert_array_equal(after, read_volume(whole.corrected)[:, 8:, :30])


def test_a_level_is_corrected_whole_and_a_region_counts_voxels_of_level_0(tile, tmp_path):
    assert preview(tile, tmp_path, "--estimation-res", "1", "--level", "1").code == 0
    before, after, _ = channels_of(tmp_path)
    np.testing.assert_array_equal(before, read_volume(tile, "1"))
    assert after.shape == before.shape and after.max() > 0
    assert preview(tile, tmp_path, "--estimation-res", "1", "--level", "1", "--roi", "3:20,:,10:11", "--overwrite").code == 0
    region = channels_of(tmp_path)
    np.testing.assert_array_equal(region[0], read_volume(tile, "1")[1:10, :, 5:6])
    np.testing.assert_array_equal(region[1], after[1:10, :, 5:6])


def test_a_region_is_shown_of_the_level_that_a_run_corrects(tile, tmp_path):
    assert preview(tile, tmp_path, "--estimation-res", "1", "--res", "1", "--roi", "3:20,:,10:11").code == 0
    np.testing.assert_array_equal(channels_of(tmp_path)[0], read_volume(tile, "1")[1:10, :, 5:6])


@pytest.fixture(scope="module", params=["learnt", "model"])
def failing(request, tile, tmp_path_factory):
    """Options of a correction whose quality numbers fail: it is learnt with a mask that is not the tile's."""
    folder = tmp_path_factory.mktemp("failing")
    (path,) = (tile.parent / "masks").iterdir()
    mask = tifffile.imread(path)
    write_mask(folder / path.name, np.roll(mask, mask.shape[1] // 2, 1))
    learnt = ["--is-binned", "--mask-dir", folder]
    if request.param == "learnt":
        return learnt
    made = call("estimate", "--zarr", tile, *learnt, "--model", "model.npz", "--results-dir", "r", cwd=folder)
    assert made.code == 0, made.err
    return ["--is-binned", "--model", folder / "model.npz"]


def preview_failing(tile, failing, folder, choice):
    return call("preview", "--zarr", tile, "--output", "out", "--results-dir", "results", *failing, "--on-qc-fail", choice,
                "--roi", ":,8:,:30", cwd=folder)


def test_a_correction_that_a_run_would_leave_out_is_left_out(tile, failing, tmp_path):
    whole = correct(tile, tmp_path / "run", *failing, "--on-qc-fail", "background-only", masks=False)
    assert whole.report["status"] == "background_only"
    result = preview_failing(tile, failing, tmp_path, "background-only")
    assert result.code == 0, result.err
    assert any("background subtraction only" in line for line in result.warnings)
    np.testing.assert_array_equal(channels_of(tmp_path)[1], read_volume(whole.corrected)[:, 8:, :30])
    assert data_of(tmp_path / "results" / "tile_000001_ch_488_preview.html")["record"]["status"] == "background_only"


def test_a_correction_that_would_end_a_run_ends_the_preview(tile, failing, tmp_path):
    result = preview_failing(tile, failing, tmp_path, "error")
    assert result.code == QUALITY_FAILED and len(result.error_lines) == 1, result.err
    assert "quality: " in result.error_lines[0] and "--on-qc-fail" in result.error_lines[0]
    assert not (tmp_path / "out" / PREVIEW).exists()


def test_no_page_is_written_where_none_is_wanted(tile, tmp_path):
    assert preview(tile, tmp_path, "--is-binned", "--roi", "0:8,:,:", "--no-report").code == 0
    assert channels_of(tmp_path)[0].shape[0] == 8
    assert not (tmp_path / "results").exists()


def test_the_page_goes_into_a_local_folder(tile, tmp_path):
    result = call("preview", "--zarr", tile, "--mask-dir", tile.parent / "masks", "--is-binned", "--output", "out",
                  "--results-dir", "s3://bucket/results", cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1
    assert not (tmp_path / "s3:").exists()


def test_a_preview_does_not_replace_another_unless_told_so(tile, tmp_path):
    assert preview(tile, tmp_path, "--is-binned", "--roi", "0:8,:,:").code == 0
    assert preview(tile, tmp_path, "--is-binned", "--roi", "0:4,:,:").code == OUTPUT_EXISTS
    assert channels_of(tmp_path)[0].shape[0] == 8
    assert preview(tile, tmp_path, "--is-binned", "--roi", "0:4,:,:", "--overwrite").code == 0
    assert channels_of(tmp_path)[0].shape[0] == 4


@pytest.mark.parametrize("roi", ["1:2", "1:2,3:4", "a:b,:,:", "5:5,:,:", "9:5,:,:", "-1:5,:,:", "48:,:,:", ":,:,:,:", "1,2,3", "0:1,0:1,"])
def test_a_region_that_is_none_is_refused(tile, tmp_path, roi):
    result = preview(tile, tmp_path, "--is-binned", f"--roi={roi}")
    assert result.code == USAGE
    (line,) = result.error_lines
    assert "--roi" in line and "write it like" in line
    assert not (tmp_path / "out").exists()


def test_a_preview_has_no_plan(tile, tmp_path):
    result = preview(tile, tmp_path, "--is-binned", "--dry-run")
    assert result.code == USAGE and "--dry-run is not for preview" in result.err
    assert not (tmp_path / "out").exists()


def test_a_level_that_the_tile_does_not_have_is_refused(tile, tmp_path):
    assert preview(tile, tmp_path, "--is-binned", "--level", "7").code == NOT_FOUND


@pytest.mark.parametrize("width", [1280, 800])
def test_a_browser_draws_the_page_of_a_preview(tile, tmp_path, width):
    assert preview(tile, tmp_path, "--is-binned", "--roi", "8:40,:,:").code == 0
    page = tmp_path / "results" / "tile_000001_ch_488_preview.html"
    browser = Browser()
    try:
        browser.open(page, width)
        assert browser.complaints() == []
        assert browser.requests() == [page.resolve().as_uri()]
        assert browser.run("return document.querySelectorAll('.chart canvas, .chart svg.still').length") == 11
        assert browser.run("return [...document.images].every((i) => i.naturalWidth > 0)")
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert "Preview" in browser.run("return document.querySelector('header .kind').textContent")
    finally:
        browser.close()
    assert data_of(page)["facts"]["region"].startswith("8:40,:,:")
