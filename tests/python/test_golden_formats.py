"""The golden runs of the fitting method give the same voxels whatever format they read and write: Zarr v2, Zarr v3 and
Zarr v3 with shards, those that divide the volume and those that do not, with any number of workers. That they are the
right voxels says test_golden.py, of the run from Zarr v2 to Zarr v2 that all are compared with here.

The Zarr v3 inputs are written by support/zarr_v3.py: other codecs, another byte order, another order of chunks in the
shards, and their index at either end.
"""
import dataclasses
import json
import os
import sys

import pytest

from support.program import REPOSITORY, SHARED, call
from support.zarr_v3 import convert_tile

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
import cases  # noqa: E402

SHARED_DATA = SHARED / "golden" / "fitting"
CASES = [pytest.param(cases.PROJECT_DATA, case, id=f"project-{case.expected}") for case in cases.PROJECT_CASES]
CASES += [pytest.param(SHARED_DATA, case, id=f"shared-{case.expected}")
          for case in cases.SHARED_CASES + cases.SHARED_WEIGHTS_CASES]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Chunks and shards (z, y, x) of an input and of an output."""
    chunk: tuple
    shard: tuple = None
    index_at_end: bool = True

    def options(self):
        words = {name: ",".join(map(str, value)) if value else "none"
                 for name, value in (("chunk", self.chunk), ("shard", self.shard))}
        return ["--output-zarr-format", 3, "--output-chunks", words["chunk"], "--corrected-shard-size", words["shard"],
                "--mask-shard-size", words["shard"], "--probability-shard-size", words["shard"]]


# Shards that divide level 0, for each of its shapes. All of these have some of their chunks in other shards.
DIVIDING = {
    "tile_x_0001_y_0002_z_0000_ch_488.zarr": Layout((41, 11, 43), (41, 33, 43)),  # (205, 33, 43)
    "tile_000005_ch_561.ome.zarr": Layout((107, 9, 5), (107, 9, 35)),  # (107, 27, 35)
    "tile_000000_ch_488.zarr": Layout((40, 64, 32), (80, 128, 160)),  # (160, 256, 320)
    "tile_000007_ch_561.zarr": Layout((16, 13, 59), (48, 65, 59)),  # (96, 130, 177)
    "tile_000042_ch_488.zarr": Layout((40, 36, 22), (80, 36, 44)),  # (160, 72, 88)
    "tile_000043_ch_488.zarr": Layout((40, 36, 22), (80, 36, 44)),  # (160, 72, 88)
}
OTHERS = {
    "plain": Layout((32, 24, 40)),
    "not dividing": Layout((16, 16, 24), (48, 32, 72), index_at_end=False),
}


def layouts(tile):
    return {**OTHERS, "dividing": DIVIDING[tile]}


def run(tile, masks, case, folder, *options):
    """Corrects a tile; the SHA-256 of the voxels of every level of every product."""
    folder.mkdir()
    output = folder / "corrected" / "SPIM.ome.zarr"
    made = call("run", "--zarr", tile, "--output", output, "--mask-dir", masks, "--results-dir", folder / "results",
                *case.options(folder), *options, cwd=folder)
    assert made.code == 0, made.err
    products = {"corrected": output / tile.name, "mask": folder / "corrected" / "mask" / output.name / tile.name,
                "probability": folder / "corrected" / "probability" / output.name / tile.name}
    digests = {}
    for name, group in products.items():
        if not group.exists():
            continue
        found = json.loads(call("inspect", group, "--json", "--checksum", cwd=folder).out)
        digests.update({f"{name}/{child['path']}": (child["shape"], child["sha256"]) for child in found["children"]})
    return digests, products


@pytest.mark.parametrize("data, case", CASES)
def test_the_golden_runs_give_the_same_voxels_from_and_to_every_format(data, case, tmp_path):
    if not data.is_dir():
        pytest.skip(f"no golden data at {data}: set FLATFIELD_SHARED")
    tile, masks = data / case.tile, data / "masks"
    expected, _ = run(tile, masks, case, tmp_path / "v2", "--output-zarr-format", 2, "--num-workers", 1)
    assert {"corrected/0", "mask/0"} <= set(expected)
    assert ("probability/0" in expected) == bool(case.settings.get("enable_gmm_refinement"))
    inputs = {"v2": tile}
    for name, layout in layouts(case.tile).items():
        inputs[name] = convert_tile(tile, tmp_path / "inputs" / name / case.tile, layout.chunk, layout.shard,
                                    layout.index_at_end)
    names = list(inputs)
    pairs = list(zip(names, [*names[2:], *names[:2]]))  # each once as an input and once as an output
    if os.environ.get("FLATFIELD_LONG"):
        pairs = [(source, target) for source in names for target in names]
    for number, (source, target) in enumerate(pairs):
        options = layouts(case.tile)[target].options() if target != "v2" else ["--output-zarr-format", 2]
        found, products = run(inputs[source], masks, case, tmp_path / f"run {number}", *options, "--num-workers",
                              (1, 2, 5)[number % 3])
        assert found == expected, f"from {source} to {target}"
        codec = read_codec(products["corrected"] / "0")
        assert codec == {"v2": None, "plain": "bytes"}.get(target, "sharding_indexed")


def read_codec(array):
    """The first codec of a Zarr v3 array; None for Zarr v2."""
    document = array / "zarr.json"
    return json.loads(document.read_text())["codecs"][0]["name"] if document.exists() else None
