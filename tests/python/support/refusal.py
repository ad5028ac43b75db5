"""A small tile to be spoilt, ways to spoil it, and what every refusal has to say."""
import json

import numpy as np
import pytest
import tifffile

from support.program import looks_finished, read_json, read_volume
from support.tiles import phantom_tile

NAME = "tile_000001_ch_488.zarr"
# One that is read while the tile is learnt from, and one while it is corrected.
CHUNKS = ["3/0/0/0/0/0", "0/0/0/1/2/2"]


@pytest.fixture
def tile(tmp_path):
    """A small unbinned tile of four levels with its mask in the folder beside it."""
    return phantom_tile(tmp_path / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)


def assert_refused(attempted, code, *words):
    """The exit code, one line that holds the words in their order, and no output that looks finished."""
    assert attempted.result.code == code, attempted.result.err
    assert len(attempted.result.error_lines) == 1, attempted.result.err
    (line,) = attempted.result.error_lines
    assert_in_order(line, words)
    assert not looks_finished(attempted.corrected) and not looks_finished(attempted.mask)
    report = attempted.results / "run_report.json"
    if report.exists():
        assert read_json(report)["exit_code"] == code
        assert attempted.report["status"] == "failed" and attempted.report["reason"] in line


def assert_in_order(line, words):
    place = 0
    for word in map(str, words):
        assert word in line[place:], f'"{word}" is not in its place in: {line}'
        place = line.index(word, place) + len(word)


def replace_mask(tile, write):
    (file,) = (tile.parent / "masks").iterdir()
    write(file)
    return file


def with_fitting_config(tmp_path, content):
    path = tmp_path / "fitting.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def background_subtracted(tile, run):
    background = tifffile.imread(run.results / f"{tile.name}_bkg.tif")
    raw = read_volume(tile).astype(np.float32)
    return np.rint(np.maximum(raw - background, 0)).astype(np.uint16)
