"""Results do not depend on the memory that a run may use, nor does the memory on the size of the tile."""
import json
import os

import numpy as np
import pytest

from support.browser import data_of
from support.peak_memory import peak_resident_bytes
from support.program import PROGRAM, call, correct, files_below
from support.tiles import phantom, phantom_tile, write_mask, write_tile

NAME = "tile_000001_ch_488.zarr"
MEBIBYTE = 1 << 20


def smallest_limit(tile, folder, *options):
    result = call("plan", "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks", "--json",
                  "--num-workers", 2, *options, cwd=folder)
    assert result.code == 0, result.err
    return json.loads(result.out)["tiles"][0]["smallest_memory_limit_bytes"]


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """A binned tile: its statistics are those of level 0."""
    return phantom_tile(tmp_path_factory.mktemp("in"), (60, 260, 300), (15, 24, 28), name=NAME, mask_factor=1)


def learned_and_written(run):
    """Everything that a run has learnt, measured and written."""
    files = {path: content for path, content in files_below(run.folder).items()
             if not path.endswith((".zattrs", "_checksums.npz", ".json", ".log"))}
    page = f"results/{run.tile}_report.html"
    files[page] = data_of(run.folder / page)["volumes"]  # the pictures and charts
    return files, run.quality


METHODS = {
    "percentiles": [{}, []],
    "without_smoothing": [{"gaussian_sigma": 0, "profile_percentile": 63.0}, ["--background-smoothing-sigma", 0]],
    "weights": [{"enable_gmm_refinement": True, "profile_min_voxels": 3}, []],
    "mixtures": [{"enable_gmm_refinement": True, "probability_model": "gmm", "gmm_max_samples": 20000}, []],
    "planes_left_out": [{"exclude_background_planes_from_mask": True, "gaussian_sigma": 3.1}, []],
}


LONG = {"without_smoothing", "planes_left_out", "mixtures"}


@pytest.mark.parametrize("method", [
    pytest.param(method, marks=pytest.mark.skipif(method in LONG and os.environ.get("FLATFIELD_LONG") != "1",
                                                  reason="takes half a minute: set FLATFIELD_LONG=1"))
    for method in METHODS])
def test_the_memory_limit_changes_no_byte(tile, tmp_path, method):
    settings, options = METHODS[method]
    (tmp_path / "fitting.json").write_text(json.dumps(settings))
    options = ["--is-binned", "--fitting-config", tmp_path / "fitting.json", *options]
    smallest = smallest_limit(tile, tmp_path, *options)
    runs = {}
    for limit, workers in ((smallest, 2), (smallest + 9 * MEBIBYTE, 1), (16 << 30, 3)):
        runs[limit] = correct(tile, tmp_path / str(limit), "--num-workers", workers, "--memory-limit", limit,
                              "--save-outputs", "--dump-learned", "learned", *options)
    loose = runs.pop(16 << 30)
    assert "kept in memory" in loose.result.err
    expected = learned_and_written(loose)
    assert len(expected[0]) > 100
    assert "is streamed" in runs[smallest].result.err
    for run in runs.values():
        files, quality = learned_and_written(run)
        assert list(files) == list(expected[0])
        assert [path for path in files if files[path] != expected[0][path]] == []
        assert quality == expected[1]


def test_basic_refuses_a_limit_that_its_frames_do_not_fit_in(tile, tmp_path):
    options = ["--method", "basicpy", "--is-binned"]
    smallest = smallest_limit(tile, tmp_path, *options)
    frames = 60 * 260 * 300 * 4
    assert smallest > frames
    result = call("run", "--zarr", tile, "--output", "out", "--num-workers", 2, "--memory-limit",
                  smallest - 2 * MEBIBYTE, "--mask-dir", tile.parent / "masks", *options, cwd=tmp_path)
    assert result.code == 9 and f"--memory-limit {smallest >> 20}M" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model", ["percentile", "gmm"])
def test_the_smallest_limit_works_for_channels_in_the_same_chunks_with_a_probability_each(tmp_path, model):
    """The probabilities of the first channels are held while the last is learnt; chunks are decoded with all channels."""
    counts, mask = phantom((48, 128, 128))
    write_mask(tmp_path / "masks" / f"asset_{NAME}_pred.tif", mask)
    tile = write_tile(tmp_path / NAME, np.stack([counts] * 4), (4, 16, 64, 64), axes="czyx")
    (tmp_path / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True, "probability_model": model,
                                                       "gmm_max_samples": 20000}))
    options = ["--is-binned", "--fitting-config", tmp_path / "fitting.json"]
    smallest = smallest_limit(tile, tmp_path, *options)
    run = correct(tile, tmp_path / "run", "--num-workers", 2, "--memory-limit", smallest, *options)
    assert run.report["status"] == "corrected"


def test_the_memory_does_not_grow_with_the_planes(tmp_path):
    tiles, smallest = {}, {}
    for factor in (1, 2, 4):
        folder = tmp_path / str(factor)
        folder.mkdir()
        tiles[factor] = phantom_tile(folder, (64 * factor, 256, 256), (32, 64, 64), name=NAME)
        smallest[factor] = smallest_limit(tiles[factor], folder, "--is-binned")
    # The level grows from 8 to 32 MiB, the mask's bits from half a MiB to 2.
    assert smallest[4] <= smallest[1] + 6 * MEBIBYTE
    for factor, tile in tiles.items():
        peak = peak_resident_bytes(
            PROGRAM, "run", "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks", "--is-binned",
            "--num-workers", 2, "--memory-limit", smallest[4], cwd=tile.parent)
        assert peak <= smallest[4] + 8 * MEBIBYTE, factor
