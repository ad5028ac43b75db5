"""BaSiC against golden data of BaSiCPy 1.2.0, and on tiles of a real microscope.

The data are those of $FLATFIELD_SHARED (default: ../shared beside the repository); without them every test is
skipped. $FLATFIELD_LONG=1 adds the cases that take minutes.
"""
import json
import os

import numpy as np
import pytest
import tifffile

from probe import probe
from support.overlap import overlap_residual, overlapping_pairs, read_positions
from support.program import SHARED, shared_data

GOLDEN = SHARED / "golden" / "basic"
skip_unless_long = pytest.mark.skipif(os.environ.get("FLATFIELD_LONG") != "1",
                                      reason="takes minutes: set FLATFIELD_LONG=1")

# Solves of 500 iterations, or of many frames with a darkfield.
LONG_CASES = {"wsi128_caller_ws200_mask", "ladmap_03", "ladmap_07", "ladmap_09", "ladmap_10", "ladmap_11", "ladmap_12",
              "ladmap_13", "ladmap_14", "ladmap_15"}
# What the case is known to reach no better than, in the flatfield and relative in the baseline: a solve that stops
# at the limit of iterations (#12) and one whose reweighting does not converge (#14, the darkfield too) show every
# rounding. An implementation in float64 is 4.5e-4 (#12) and 3.1e-2 (#14) away from the float32 original.
FLATFIELD_TOLERANCE = {"ladmap_12": 2e-3, "ladmap_14": 5e-2}
BASELINE_TOLERANCE = {"ladmap_12": 5e-4, "ladmap_14": 2e-2}
DARKFIELD_TOLERANCE = {"ladmap_14": 10.0}

# Seven of the eight solves of nanog_sub8 stop at the limit of iterations, and each amplifies the rounding of the one
# before: the float32 original differs by 4e-6 from itself on another machine after one solve, by 0.4 % from its own
# float64 after three. So its golden flatfield is compared loosely, and the solves with the original in float64:
# mean, smallest and largest S and first B after 1 and 2 solves of BaSiCPy 1.2.0, run with JAX_ENABLE_X64=1 and every
# jnp.float32 in its source replaced by jnp.float64.
NANOG = "nanog_sub8_caller_ws512_mask"
NANOG_IN_FLOAT64 = {1: (14.735437, 13.190160, 17.724968, 0.04690875), 2: (12.355788, 10.667194, 16.766333, 0.02759070)}


def read_index(path):
    """The cases of an index as parameters of a test; one skipped parameter where there is no data."""
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no golden data at {path}: set FLATFIELD_SHARED"))]
    return [pytest.param(case, id=name_of(case), marks=[skip_unless_long] if name_of(case) in LONG_CASES else [])
            for case in json.loads(path.read_text())]


def name_of(case):
    return case["file"].removesuffix(".npz")


def load(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def images_of(case, golden):
    source = case["image"]
    if source == "in file":
        return golden["images"]
    if ".tif" in source:
        return tifffile.imread(GOLDEN / source.split()[0])
    return load(GOLDEN / source.replace("data/", "inputs/"))["images"]


def mask_of(case, golden, images):
    mask = case.get("mask")
    if mask is None or mask == "in file":
        return golden["mask"] if mask else None
    threshold = int(mask.removeprefix("images > ").split()[0])
    return images > threshold


def fit(images, mask=None, baseline=True, threads=2, **config):
    arrays = {"images": images.astype(np.float32)}
    if mask is not None:
        arrays["weights"] = mask.astype(np.float32)
    return probe("basic_fit", arrays, weighted=mask is not None, baseline=baseline, threads=threads, config=config)


def fit_case(case, golden):
    images = images_of(case, golden)
    # The number of workers is no option here, and no case has parameters for the resizing.
    config = {key: value for key, value in case["params"].items() if key not in ("max_workers", "resize_params")}
    assert case["params"].get("resize_params", {}) == {}
    return fit(images, mask_of(case, golden, images), **config)


def check_fields(case, golden, found):
    name = name_of(case)
    dark = case["params"]["get_darkfield"]
    for field, tolerance in (
            ("flatfield", FLATFIELD_TOLERANCE.get(name, 2e-3 if dark else 1e-4)),
            ("darkfield", DARKFIELD_TOLERANCE.get(name, 0.05))):
        assert found[field].dtype == np.float32
        np.testing.assert_allclose(found[field][0], golden[field], rtol=0, atol=tolerance, err_msg=field)
    np.testing.assert_allclose(found["baseline"], golden["baseline"], rtol=BASELINE_TOLERANCE.get(name, 1e-4))
    if not dark:
        assert not found["darkfield"].any()


@pytest.mark.parametrize("case", [case for case in read_index(GOLDEN / "index.json") if case.id != NANOG])
def test_fit_agrees_with_basicpy(case):
    golden = load(GOLDEN / case["file"])
    found = fit_case(case, golden)
    check_fields(case, golden, found)
    expected = np.array(case["inner_iterations"])
    assert len(found["iterations"]) == len(expected)
    assert np.abs(found["iterations"] - expected).max() <= 1, list(found["iterations"])
    mean = golden["S_working"].mean()
    np.testing.assert_allclose(found["S_working"][0] / mean, golden["S_working"] / mean, rtol=0, atol=2e-4)
    np.testing.assert_allclose(found["B_working"], golden["B_working"], rtol=1e-4)
    assert found["converged"].all() and found["warnings"][0] == 0


def fit_nanog(**options):
    (case,) = [case for case in json.loads(shared_data("golden/basic/index.json").read_text()) if name_of(case) == NANOG]
    golden = load(GOLDEN / case["file"])
    return golden, fit_case({**case, "params": {**case["params"], **options}}, golden)


@pytest.mark.parametrize("solves", [1, pytest.param(2, marks=skip_unless_long)])
def test_solves_at_the_limit_are_those_of_basicpy_in_float64(solves):
    _, found = fit_nanog(max_reweight_iterations=solves, max_reweight_iterations_baseline=0)
    assert list(found["iterations"]) == [357, 500][:solves]
    s, b = found["S_working"].astype(np.float64), found["B_working"]
    np.testing.assert_allclose((s.mean(), s.min(), s.max(), b[0]), NANOG_IN_FLOAT64[solves], rtol=1e-6)


@skip_unless_long
def test_fit_at_the_limit_stays_near_basicpy():
    golden, found = fit_nanog(max_reweight_iterations_baseline=0)
    assert list(found["iterations"][:8]) == [357] + 7 * [500]
    assert list(found["converged"]) == [iterations < 500 for iterations in found["iterations"]]
    assert found["warnings"][0] > 0
    difference = np.abs(found["flatfield"][0] - golden["flatfield"])
    assert np.median(difference) < 0.03 and np.percentile(difference, 99) < 0.15


@pytest.mark.parametrize("case", read_index(GOLDEN / "upstream" / "index.json"))
def test_fit_agrees_with_the_results_of_its_authors(case):
    golden = load(GOLDEN / "upstream" / case["file"])
    check_fields(case, golden, fit_case(case, golden))


def test_every_golden_file_has_a_case():
    for folder in (GOLDEN, GOLDEN / "upstream"):
        index = json.loads((shared_data("golden/basic") / folder / "index.json").read_text())
        files = {path.name for path in folder.glob("*.npz")} - {"resize_dct_fixture.npz"}
        assert files == {case["file"] for case in index}


def test_fit_with_a_constant_mask_is_that_without():
    golden = load(shared_data("golden/basic/syn_ws32_nomask.npz"))
    images, config = golden["images"], dict(working_size=32)
    without = fit(images, **config)
    for value in (0, 1):
        found = fit(images, np.full(images.shape, value), **config)
        assert found["warnings"][0] == without["warnings"][0] + 1
        np.testing.assert_array_equal(found["flatfield"], without["flatfield"])


def test_resize_and_dct_agree_with_the_fixture():
    fixture = load(shared_data("golden/basic/resize_dct_fixture.npz"))
    compared = 0
    for name, expected in fixture.items():
        mode, _, size = name.partition("_")
        if mode not in ("skimage", "jax") or size.startswith("order"):
            continue
        height, width = map(int, size.split("x"))
        for plane, wanted in zip(fixture["a"], expected):
            found = probe("resize_linear", {"plane": plane[0]}, height=height, width=width, mode=mode)["resized"]
            np.testing.assert_allclose(found[0], wanted[0], rtol=0, atol=2e-4, err_msg=name)
            compared += 1
    assert compared == 20
    for key, order in (("skimage_order3_p_100x130", 3), ("skimage_order3_p_20x25", 3), ("skimage_order1_p_100x130", 1)):
        height, width = fixture[key].shape
        if order == 3:
            found = probe("resize_plane", {"plane": fixture["p"]}, height=height, width=width, threads=1)
        else:
            found = probe("resize_linear", {"plane": fixture["p"]}, height=height, width=width, mode="skimage")
        np.testing.assert_allclose(found["resized"][0], fixture[key], rtol=2e-7)
    found = probe("dct", {"values": fixture["p"].astype(np.float64)}, inverse=False, threads=1)["transformed"][0]
    scale = np.abs(fixture["dct2_ortho_p"]).max()
    np.testing.assert_allclose(found, fixture["dct2_ortho_p"], rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_dct_agrees_with_its_golden_pairs(number):
    folder = shared_data("golden/basic/dct")
    values, expected = (np.loadtxt(folder / f"dcttool_mirt_dct2_{kind}{number}.txt", delimiter=",", ndmin=2)
                        for kind in ("in", "out"))
    found = probe("dct", {"values": values}, inverse=False, threads=1)["transformed"][0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_autotune_evaluates_the_objective_of_basicpy():
    golden = json.loads(shared_data("golden/basic/autotune_wsi_ws64.json").read_text())["grid"]
    images = load(shared_data("golden/basic/inputs/wsi_brain.npz"))["images"].astype(np.float32)
    tuned = probe("basic_autotune", {"images": images}, weighted=False, config=dict(working_size=64),
                  max_evaluations=100, seed=0, threads=2)
    candidates = tuned["candidates"][np.argsort(tuned["candidates"][:, 0])]
    assert len(candidates) == len(golden) == 15
    smoothness, _, _, entropy, fourier, cost = candidates.T
    np.testing.assert_allclose(smoothness, [row["smoothness_flatfield"] for row in golden], rtol=1e-12)
    np.testing.assert_allclose(entropy, [row["entropy"] for row in golden], rtol=0, atol=1e-5)
    # A count over 16060 coefficients, of which one may lie within rounding of its threshold.
    np.testing.assert_allclose(fourier, [row["l0"] for row in golden], rtol=0, atol=1.01 / 16060)
    np.testing.assert_allclose(cost, [row["cost"] for row in golden], rtol=1e-3)
    assert tuned["best"][0] == smoothness[np.argmin(cost)] == golden[np.argmin([r["cost"] for r in golden])][
        "smoothness_flatfield"]


# ---------------------------------------------------------------------------------------------
# Real tiles


@pytest.fixture(scope="module")
def mosaic():
    """The tiles of a mosaic with registered positions, and the pairs that overlap."""
    folder = shared_data("data/real/WSI_brain")
    positions = read_positions(folder / "TileConfiguration.registered.txt")
    raw = np.stack([tifffile.imread(folder / name) for name, _, _ in positions])
    pairs = overlapping_pairs(raw, positions)
    assert len(raw) == 54 and len(pairs) == 76
    assert overlap_residual(raw, pairs) == pytest.approx(0.204, abs=1e-3)
    return raw.astype(np.float32), pairs


@pytest.mark.parametrize("most, options", [
    (0.044, dict()),
    (0.023, dict(get_darkfield=True, sort_intensity=True, smoothness_flatfield=1, smoothness_darkfield=1))],
    ids=["defaults", "darkfield"])
def test_overlapping_tiles_agree_after_the_correction(mosaic, most, options):
    raw, pairs = mosaic
    found = fit(raw, baseline=False, working_size=128, **options)
    corrected = probe("basic_transform", {"images": raw, "flatfield": found["flatfield"][0],
                                          "darkfield": found["darkfield"][0], "baseline": np.zeros(0, np.float32)},
                      timelapse="none", frames=[], clip=True)["transformed"]
    residual = overlap_residual(corrected, pairs)
    print(f"overlap residual {residual:.4f}")
    assert residual <= most
