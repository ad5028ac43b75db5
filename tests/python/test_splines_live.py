"""Holds the splines, the spline resize and the binary regions against scipy and scikit-image, live.

Shapes and values are random; FLATFIELD_SEED repeats a run whose seed a failure has shown.
"""
import os
import secrets
import sys
import warnings

import numpy as np
import pytest
from probe import probe
from scipy import ndimage
from scipy.interpolate import splev, splrep
from skimage.transform import resize

from support.program import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
from agreement import check_one_ulp  # noqa: E402

SEED = int(os.environ.get("FLATFIELD_SEED", secrets.randbelow(2**31)))


@pytest.fixture
def rng(request):
    print(f"FLATFIELD_SEED={SEED}")  # shown by pytest if the test fails
    return np.random.default_rng([SEED, *request.node.name.encode()])


# ---- smoothing splines -----------------------------------------------------------------------

def compare_splines(profiles, smoothing, points=257):
    """The same knots as splrep, values within 1e-9 of splev where those are near the profile."""
    result = probe("smoothing_splines", {
        "y": np.concatenate(profiles).astype(np.float64),
        "lengths": np.array([len(y) for y in profiles], np.int64),
        "smoothing": np.array(smoothing, np.float64)}, points=points)
    knots = np.split(result["knots"], np.cumsum(result["knot_counts"])[:-1])
    for i, (y, s) in enumerate(zip(profiles, smoothing)):
        where = f"profile {i}: n={len(y)} s={s!r} starts with {y[:4]!r}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # splrep warns where it stops at its best
            expected = splrep(np.arange(len(y)), y, k=min(3, len(y) - 1), s=s)
        np.testing.assert_array_equal(knots[i], expected[0], err_msg=where)
        x = np.arange(points) * float(len(y) - 1) / (points - 1)
        values = result["values"][i * points:(i + 1) * points]
        expected_values = splev(x, expected)
        if np.abs(expected_values).max() <= 10 * np.abs(y).max():
            np.testing.assert_allclose(values, expected_values, rtol=1e-9,
                                       atol=1e-9 * np.abs(y).max(), err_msg=where)


def random_profile(rng, n):
    """One of the shapes that a profile may have, as the pipeline makes it: float32, widened."""
    x = np.linspace(0, 1, n)
    noise = rng.normal(size=n) * 10.0 ** rng.uniform(-6, 0)
    kind = rng.integers(6)
    if kind == 0:
        y = 1 + 0.3 * np.sin(rng.uniform(1, 20) * x + rng.uniform(0, 6)) + noise
    elif kind == 1:
        y = np.exp(-((x - rng.uniform()) / rng.uniform(0.05, 1)) ** 2) + noise
    elif kind == 2:
        y = np.where(x < rng.uniform(), 0.25, 1.2) + noise * rng.integers(2)
    elif kind == 3:
        y = np.full(n, rng.uniform(0.2, 2)) + noise * rng.integers(2)
    elif kind == 4:
        y = np.polyval(rng.normal(size=rng.integers(1, 7)), x)
    else:
        y = rng.normal(size=n) * 10.0 ** rng.uniform(-3, 4)
    return y.astype(np.float32).astype(np.float64)


def random_smoothing(rng, y):
    """0, or between far too little and far too much."""
    if rng.integers(6) == 0:
        return 0.0
    spread = max(np.sum((y - y.mean()) ** 2), 1e-12)
    return float(spread * 10.0 ** rng.uniform(-8, 1))


def test_smoothing_spline_is_fitpacks_on_random_profiles(rng):
    profiles = [random_profile(rng, int(rng.integers(4, 301))) for _ in range(600)]
    compare_splines(profiles, [random_smoothing(rng, y) for y in profiles])


def test_smoothing_spline_is_fitpacks_on_long_profiles(rng):
    profiles = [random_profile(rng, int(rng.integers(300, 3001))) for _ in range(12)]
    smoothing = [random_smoothing(rng, y) for y in profiles]
    smoothing[:4] = [0.0] + [len(y) * 1e-9 for y in profiles[1:4]]  # very many knots
    compare_splines(profiles, smoothing)


def test_smoothing_spline_is_fitpacks_on_symmetric_profiles_where_intervals_tie(rng):
    profiles, smoothing = [], []
    for n in (4, 5, 6, 7, 8, 16, 33, 64, 101, 256):
        x = np.arange(n)
        spike = (x == n // 2).astype(float)
        for y in (spike, (x < n // 2).astype(float), np.abs(x - (n - 1) / 2), x % 2.0, 1 - spike):
            for s in (0.0, 1e-6, 0.01, 0.3, 5.0):
                profiles.append(y)
                smoothing.append(s)
    compare_splines(profiles, smoothing)


def test_smoothing_spline_is_fitpacks_where_least_squares_is_nearly_singular(rng):
    # Knots at almost every value, out of step with the values, make FITPACK's own result wild now
    # and then; only its knots are compared there.
    single = 1 + np.random.RandomState(365).randint(0, 2**32, 265, np.uint32) / 2**32
    profiles = [single] + [
        1 + rng.uniform(size=int(rng.integers(20, 270))).astype(np.float32) for _ in range(400)]
    compare_splines(profiles, [2e-5] + list(10.0 ** rng.uniform(-25, -3, size=400)))


def test_smoothing_spline_is_fitpacks_on_odd_profiles_where_the_first_knot_gains_nothing(rng):
    halves = [rng.normal(size=n // 2) for n in range(9, 200, 10) for _ in range(4)]
    profiles = [np.concatenate([half, [0], -half[::-1]]) for half in halves]
    compare_splines(profiles, [1e-12, 1e-15, 1e-20, 1e-25] * (len(profiles) // 4))


def test_smoothing_spline_of_few_values_has_a_lower_degree(rng):
    profiles = [rng.normal(size=n) for n in (2, 2, 3, 3, 4, 4)]
    compare_splines(profiles, [0.0, 0.5, 0.0, 0.5, 0.0, 0.5])


# ---- resizing of planes ----------------------------------------------------------------------

def compare_resize(plane, height, width, threads=2):
    resized = probe("resize_plane", {"plane": plane}, height=height, width=width,
                    threads=threads)["resized"][0]
    expected = resize(plane, (height, width), order=3, mode="reflect", anti_aliasing=False,
                      clip=True, preserve_range=True)
    if (height, width) == plane.shape:
        expected = plane  # which scikit-image filters, and so misses by the rounding of that
    assert check_one_ulp(expected, resized) is None


@pytest.mark.parametrize("case", range(40))
def test_resize_is_scikit_images_on_random_planes(rng, case):
    height, width = (int(n) for n in rng.integers(2, 200, size=2))
    plane = (rng.normal(size=(height, width)) * 10 ** rng.uniform(-3, 4)).astype(np.float32)
    if case % 3 == 1:  # counts, with a flat region that rings are seen in
        plane = np.round(np.abs(plane))
        plane[: height // 2, width // 3:] = 0
    to_height, to_width = (max(1, int(n * 2 ** rng.uniform(-4, 3))) for n in (height, width))
    compare_resize(plane, to_height, to_width)


@pytest.mark.parametrize("source, target", [
    ((1, 1), (3, 4)), ((1, 7), (5, 3)), ((7, 1), (1, 9)), ((2, 2), (5, 5)), ((2, 3), (3, 2)),
    ((3, 2), (1, 1)), ((16, 17), (16, 34)), ((33, 15), (11, 15)), ((64, 64), (8, 8)),
    ((1000, 3), (7, 50)), ((40, 700), (300, 90)), ((30, 30), (31, 29))])
def test_resize_is_scikit_images_on_edge_shapes(rng, source, target):
    compare_resize(rng.uniform(30, 60, size=source).astype(np.float32), *target)


def test_resize_to_the_same_shape_is_a_copy(rng):
    plane = rng.normal(size=(20, 31)).astype(np.float32)
    resized = probe("resize_plane", {"plane": plane}, height=20, width=31, threads=1)["resized"][0]
    np.testing.assert_array_equal(resized, plane)


def test_resize_gives_the_same_bits_for_any_number_of_threads(rng):
    plane = rng.normal(size=(90, 133)).astype(np.float32)
    one, three = (
        probe("resize_plane", {"plane": plane}, height=200, width=70, threads=n)["resized"]
        for n in (1, 3))
    assert one.tobytes() == three.tobytes()


# ---- binary regions --------------------------------------------------------------------------

def compare_keep_largest(mask, count):
    labels, regions = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=regions + 1)[1:]
    kept = 1 + np.argsort(-sizes, kind="stable")[:count]  # labels are numbered in C order
    result = probe("keep_largest_regions", {"mask": mask}, count=count)
    assert result["regions"][0] == regions
    np.testing.assert_array_equal(result["kept"], np.isin(labels, kept).astype(np.uint8))


def compare_fill_holes(mask):
    filled = probe("fill_holes", {"mask": mask})["filled"]
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(mask).astype(np.uint8))


def random_mask(rng, case):
    shape = [int(n) for n in rng.integers(1, 40, size=3)]
    if case % 5 == 0:
        shape[rng.integers(3)] = 1
    density = rng.choice([0.02, 0.1, 0.3, 0.31, 0.5, 0.7, 0.9, 0.98])
    if case % 2:
        return (rng.uniform(size=shape) < density).astype(np.uint8)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    return (smooth < np.quantile(smooth, density)).astype(np.uint8)


@pytest.mark.parametrize("case", range(30))
def test_keep_largest_regions_is_scipys_label(rng, case):
    compare_keep_largest(random_mask(rng, case), int(rng.integers(0, 4)) if case % 3 else 2)


@pytest.mark.parametrize("case", range(30))
def test_fill_holes_is_scipys(rng, case):
    compare_fill_holes(random_mask(rng, case))


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, 9), (1, 9, 1), (9, 1, 1), (3, 3, 3), (4, 5, 70)])
@pytest.mark.parametrize("value", [0, 1])
def test_uniform_masks(shape, value):
    mask = np.full(shape, value, np.uint8)
    compare_keep_largest(mask, 2)
    compare_fill_holes(mask)


def test_a_shell_is_filled_and_a_leaking_one_is_not():
    shell = np.zeros((7, 8, 9), np.uint8)
    shell[1:6, 1:7, 1:8] = 1
    shell[2:5, 2:6, 2:7] = 0
    compare_fill_holes(shell)
    shell[3, 3, 1] = 0
    compare_fill_holes(shell)
