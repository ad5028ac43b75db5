"""Holds the filters and order statistics against numpy and scipy, live, on random inputs.

FLATFIELD_SEED repeats a run; every failure prints its seed.
"""
import os
import secrets
import sys

import numpy as np
import pytest
from scipy import ndimage

from probe import probe
from support.program import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
from agreement import ulp_distance  # noqa: E402

SEED = int(os.environ.get("FLATFIELD_SEED") or secrets.randbits(32))


@pytest.fixture
def random(request):
    """One generator per test, so that a test alone repeats what it did in the whole run."""
    name = request.node.name.encode()
    print(f"FLATFIELD_SEED={SEED}")
    return np.random.default_rng([SEED, *name])


def random_shape(random, *largest):
    return tuple(int(random.integers(1, n + 1)) for n in largest)


def check_gaussian_filter(volume, sigma):
    found = probe("gaussian_filter", {"volume": volume}, sigma=list(sigma))["filtered"]
    expected = ndimage.gaussian_filter(volume, sigma, mode="reflect", truncate=4.0)
    apart = ulp_distance(found, expected)
    assert apart.max() <= 1, (volume.shape, sigma)
    return np.count_nonzero(apart), apart.size


def test_gaussian_kernel_has_the_weights_of_scipy(random):
    for sigma in [0.01, 0.124, 0.125, 0.5, 1, 2, 8, 33, *random.uniform(0.1, 50, 10)]:
        # Correlating a unit impulse, in float64, gives back the weights.
        radius = int(4 * sigma + 0.5)
        impulse = np.zeros(2 * radius + 1)
        impulse[radius] = 1
        expected = ndimage.gaussian_filter1d(impulse, sigma, mode="constant")
        found = probe("gaussian_kernel", sigma=float(sigma))["kernel"]
        # One ulp each for the exponential (numpy has its own), the sum and the quotient, on both sides.
        np.testing.assert_allclose(found, expected, rtol=6 * 2.0**-52, atol=0)


def test_gaussian_filter_agrees_with_scipy(random):
    different = total = 0
    for trial in range(12):
        volume = random.uniform(0, 65535, random_shape(random, 24, 60, 300)).astype(np.float32)
        if trial % 3 == 0:
            volume = np.floor(volume)
        sigma = [float(s) for s in random.choice([0, 0.4, 1, 2, 3.7], 3)]
        counts = check_gaussian_filter(volume, sigma)
        different += counts[0]
        total += counts[1]
    print(f"{different} of {total} values differ")
    assert different <= 1e-4 * total


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 7), (1, 7, 1), (7, 1, 1), (2, 3, 2),
                                   (3, 2, 500), (16, 17, 18), (33, 32, 31)])
@pytest.mark.parametrize("sigma", [(0, 0, 0), (1, 1, 1), (2, 2, 2), (5, 9, 12), (0, 3, 0)])
def test_gaussian_filter_agrees_with_scipy_at_the_edges(random, shape, sigma):
    different, total = check_gaussian_filter(random.uniform(0, 1, shape).astype(np.float32), sigma)
    assert different <= 1e-4 * total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_percentile_is_that_of_numpy(random, dtype):
    for trial in range(40):
        values = random.normal(100, 1000, int(random.integers(1, 200))).astype(dtype)
        if trial % 2:
            values = np.round(values, -2)  # many ties
        q = float(random.choice([0, 5, 50, 99.9, 100, random.uniform(0, 100)]))
        found = probe("percentile", {"values": values}, q=q, dtype=dtype)["percentile"][0]
        assert found == np.percentile(values, q), (len(values), q)


def test_median_is_that_of_numpy(random):
    for count in [1, 2, 3, 4, 101, 1000, *random.integers(1, 300, 10)]:
        scale = np.float32(10.0 ** random.integers(-3, 6))
        values = random.normal(0, 1, int(count)).astype(np.float32) * scale
        found = probe("median", {"values": values})["median"][0]
        expected = np.median(values)
        assert expected.dtype == np.float32
        assert found == expected, count


def test_moments_are_those_of_numpy_in_double(random):
    for count in [1, 2, 7, 8, 9, *random.integers(1, 100000, 10)]:
        values = (random.normal(0, 50, int(count)) + 30000).astype(np.float32)
        found = probe("moments", {"values": values})
        np.testing.assert_allclose(found["mean"][0], values.mean(dtype=np.float64), rtol=1e-13)
        np.testing.assert_allclose(found["deviation"][0], values.std(dtype=np.float64),
                                   rtol=1e-9, atol=1e-9)


def test_histogram_percentile_follows_its_definition(random):
    for _ in range(40):
        values = random.poisson(random.uniform(0, 30), int(random.integers(1, 500)))
        counts = np.bincount(values, minlength=64)
        q = float(random.choice([0, 50, 100, random.uniform(0, 100)]))
        target = q / 100 * counts.sum()
        cumulative = np.cumsum(counts)
        i = int(np.searchsorted(cumulative, target, side="left"))
        before = cumulative[i] - counts[i]
        expected = float(i) if counts[i] == 0 else i + (target - before) / counts[i]
        found = probe("histogram_percentile", {"counts": counts.astype(np.int64)}, q=q)
        assert found["percentile"][0] == expected, (q, counts.sum())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_plane_median_is_that_of_numpy(random, dtype):
    largest = np.iinfo(dtype).max
    for trial in range(12):
        shape = (int(random.integers(1, 140)), *random_shape(random, 20, 60))
        top = [1, 60, largest][trial % 3]
        stack = random.integers(0, top, shape, endpoint=True).astype(dtype)
        found = probe("plane_median", {"stack": stack}, dtype=dtype)["median"][0]
        np.testing.assert_array_equal(found, np.median(stack, axis=0).astype(np.float32))


def windows(volume):
    """The windows of 2 x 2 x 2 voxels as the last axis, odd ends dropped."""
    z, y, x = (n // 2 for n in volume.shape)
    blocks = volume[:2 * z, :2 * y, :2 * x].reshape(z, 2, y, 2, x, 2)
    return blocks.transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, 8)


def mode(window):
    values, counts = np.unique(window, return_counts=True)
    return values[np.argmax(counts)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_windows_reduce_as_numpy_does(random, dtype):
    largest = 255 if dtype == "uint8" else 65535
    reducers = [("rank", r) for r in range(-8, 8)] + [("mean", 0), ("mode", 0)]
    for trial, (kind, rank) in enumerate(reducers):
        shape = tuple(n + 1 for n in random_shape(random, 7, 9, 70))
        volume = random.integers(0, [3, largest][trial % 2], shape, endpoint=True).astype(dtype)
        if dtype == "float32" and kind != "mode":
            volume *= np.float32(random.uniform(0.1, 2))
        found = probe("reduce_windows", {"volume": volume},
                      kind=kind, rank=rank, dtype=dtype)["reduced"]
        blocks = windows(volume)
        if kind == "rank":
            expected = np.sort(blocks, axis=-1)[..., rank]
        elif kind == "mean":
            expected = blocks.mean(axis=-1, dtype=np.float64)
            if dtype != "float32":
                expected = np.rint(expected)
        else:
            expected = np.apply_along_axis(mode, -1, blocks)
        np.testing.assert_array_equal(found, expected.astype(dtype), err_msg=f"{kind} {rank}")


def test_nearest_resize_follows_its_definition(random):
    shapes = [((5, 4, 3), (40, 32, 24)), ((4, 4, 4), (2, 2, 2)), ((3, 5, 7), (3, 5, 7)),
              ((1, 1, 1), (2, 3, 5))]
    for _ in range(12):
        shapes.append((random_shape(random, 9, 20, 30), random_shape(random, 30, 40, 90)))
    for source, target in shapes:
        mask = random.integers(0, 2, source).astype(np.uint8)
        index = [np.minimum((2 * np.arange(t) + 1) * s // (2 * t), s - 1)
                 for s, t in zip(source, target)]
        found = probe("nearest_resize", {"mask": mask}, shape=list(target))["resized"]
        np.testing.assert_array_equal(found, mask[np.ix_(*index)], err_msg=f"{source} to {target}")


def test_nearest_resize_of_whole_multiples_repeats_voxels(random):
    mask = random.integers(0, 2, (3, 4, 5)).astype(np.uint8)
    found = probe("nearest_resize", {"mask": mask}, shape=[24, 32, 40])["resized"]
    np.testing.assert_array_equal(found, np.kron(mask, np.ones((8, 8, 8), np.uint8)))
