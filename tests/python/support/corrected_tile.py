"""A tile with attributes of its own and its correction with everything saved, once per test file; its options."""
import json
import re

import pytest

from support.program import call, correct
from support.tiles import phantom_tile

NAME = "tile_000001_ch_488.zarr"
EXTRA = {"asset": {"subject": 826506, "nested": [1, {"a": None}]}, "labels": ["neurons"], "note": "\"quoted\" \\ \u0001"}
OMERO = {"channels": [{"label": "488", "color": "00FF00", "active": False, "coefficient": 1.5,
                       "window": {"min": 0, "max": 4095, "start": 10, "end": 900}}], "rdefs": {"model": "color"}}


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """An unbinned tile of four levels, its group with attributes that are none of the program's business."""
    return phantom_tile(tmp_path_factory.mktemp("in"), (48, 64, 80), (16, 32, 32), n_levels=4, name=NAME,
                        attributes={**EXTRA, "omero": OMERO})


@pytest.fixture(scope="module")
def run(tile, tmp_path_factory):
    """Its correction with everything saved."""
    return correct(tile, tmp_path_factory.mktemp("run"), "--n-levels", 3, "--save-outputs", "--num-workers", 2)


def fitting_config(folder, options):
    path = folder / "my_fitting.json"
    path.write_text(json.dumps(options))
    return path


def options_of_the_help(command, cwd):
    """The long options of a command and their descriptions."""
    text = call(command, "--help", cwd=cwd).out
    return {words[0]: words[1] for words in re.findall(r"^  (?:-\w,)?(--[\w-]+)(.*(?:\n {8,}.*)*)", text, re.M)}
