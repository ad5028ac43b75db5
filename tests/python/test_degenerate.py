"""Tiles that hold nothing to learn from, with every method: a corrected tile with a logged reason, or one clear error."""
import json

import numpy as np
import pytest
import tifffile

from support.program import attempt, read_volume
from support.tiles import phantom, write_mask, write_tile

SHAPE, CHUNKS = (24, 32, 40), (16, 16, 32)
NAME = "tile_000001_ch_488.zarr"

METHODS = {
    "fitting": (["--method", "fitting"], {}),
    "refined by the percentile ramp": (["--method", "fitting"], {"enable_gmm_refinement": True}),
    "refined by mixtures": (["--method", "fitting"], {"enable_gmm_refinement": True, "probability_model": "gmm"}),
    "basicpy": (["--method", "basicpy"], {"working_size": 16}),
    "background only": (["--skip-flat-field"], {}),
    "reference": (["--method", "reference", "--flatfield-path", "flatfield.tif"], {}),
}


def shape_of(kind):
    return (1, *SHAPE[1:]) if kind == "one plane" else SHAPE


def counts_of(kind):
    counts, _ = phantom(shape_of(kind))
    if kind == "all zero":
        counts[:] = 0
    elif kind == "constant":
        counts[:] = 123
    elif kind == "saturated":
        counts[:] = 65535
    elif kind == "half saturated":
        counts[::2] = 65535
    return counts


def mask_of(kind):
    _, mask = phantom(shape_of(kind))
    if kind == "tiny foreground":
        mask[:] = False
        mask[12, 16, 20] = True
    elif kind in ("mask of everything", "one plane"):
        mask[:] = True
    return mask


KINDS = ["all zero", "constant", "saturated", "half saturated", "one plane", "tiny foreground", "mask of everything"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimation", ["0", "1"])
def test_tile_with_nothing_to_learn_from_is_corrected_or_refused_in_one_line(kind, method, estimation, tmp_path):
    counts = counts_of(kind)
    if counts.shape[0] == 1 and estimation == "1":
        pytest.skip("a single plane has no second level")
    tile = write_tile(tmp_path / NAME, counts, CHUNKS, n_levels=1 + int(estimation))
    write_mask(tmp_path / "masks" / f"asset_{NAME}_pred.tif", mask_of(kind))
    tifffile.imwrite(tmp_path / "flatfield.tif", np.full(SHAPE[1:], 5, np.float32))
    options, fitting = METHODS[method]
    if fitting:
        (tmp_path / "method.json").write_text(json.dumps(fitting))
        options = [*options, "--basic-config" if method == "basicpy" else "--fitting-config", "method.json"]
    made = attempt(tile, tmp_path, "--estimation-res", estimation, "--save-outputs", *options)
    assert made.result.code == 0, made.result.err
    corrected = read_volume(made.corrected)
    assert corrected.shape == counts.shape
    report = made.report
    if report["status"] == "background_only":
        assert report["reason"] and any(report["reason"] in warning for warning in report["warnings"])
    else:
        assert report["status"] == "corrected" and report["reason"] is None
    assert bool(report["qc"]) == (method != "background only"), "measured, whatever the method found"
    if kind in ("all zero", "constant", "saturated"):
        assert not corrected.any(), "everything is background"
    if "fitting" in options and kind in ("all zero", "constant", "saturated"):
        assert report["status"] == "background_only"
        assert not read_volume(made.mask).any(), "an empty mask is written"
        if fitting:
            probability = read_volume(made.probability)
            assert probability.dtype == np.float32 and not probability.any()
