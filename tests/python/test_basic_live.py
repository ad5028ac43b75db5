"""Holds BaSiC and what it is made of against numpy, scipy and scikit-image, live, on random inputs.

FLATFIELD_SEED repeats a run; every failure prints its seed.
"""
import os
import secrets

import numpy as np
import pytest
from scipy import fft, ndimage
from skimage import filters, morphology, transform

from probe import probe
from support.basic_twin import Twin

SEED = int(os.environ.get("FLATFIELD_SEED") or secrets.randbits(32))


@pytest.fixture
def random(request):
    """One generator per test, so that a test alone repeats what it did in the whole run."""
    print(f"FLATFIELD_SEED={SEED}")
    return np.random.default_rng([SEED, *request.node.name.encode()])


def random_shape(random, *largest):
    return tuple(int(random.integers(1, n + 1)) for n in largest)


# ---------------------------------------------------------------------------------------------
# What it is made of


def test_dct_is_that_of_scipy(random):
    shapes = [(1, 128, 128), (1, 97, 101), (1, 1, 5), (1, 1, 1), (3, 32, 31), (1, 347, 6), (7, 1, 9)]
    for shape in shapes + [random_shape(random, 4, 90, 90) for _ in range(15)]:
        values = random.normal(0, 100, shape)
        expected = fft.dctn(values, norm="ortho")
        found = probe("dct", {"values": values}, inverse=False, threads=2)["transformed"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
        back = probe("dct", {"values": expected}, inverse=True, threads=1)["transformed"]
        np.testing.assert_allclose(back, values, rtol=0, atol=1e-11)


def test_linear_resize_is_that_of_scikit_image(random):
    worst = 0
    for trial in range(25):
        source, target = random_shape(random, 60, 60), random_shape(random, 90, 90)
        if trial % 3 == 0:
            source = tuple(2 * n for n in target)
        plane = random.uniform(0, 65535, source).astype(np.float32)
        found = probe("resize_linear", {"plane": plane}, height=target[0], width=target[1], mode="skimage")["resized"][0]
        # As BaSiCPy calls it: on a stack with a T and a Z axis.
        expected = transform.resize(plane[None, None], (1, 1, *target), preserve_range=True)[0, 0]
        assert expected.dtype == np.float32
        worst = max(worst, np.abs(found.view(np.int32).astype(int) - expected.view(np.int32)).max())
        assert worst <= 1, (source, target)
    print(f"off by at most {worst} ulp")


def test_otsu_threshold_is_that_of_scikit_image(random):
    for trial in range(20):
        dark = random.normal(100, 20, int(random.integers(1, 2000)))
        bright = random.normal(random.uniform(100, 3000), 50, int(random.integers(1, 2000)))
        values = np.concatenate([dark, bright]).astype(np.float32)
        if trial % 4 == 0:
            values = np.round(values)
        found = probe("otsu_threshold", {"values": values})["threshold"][0]
        # Its float32 counts may choose the neighbour of a bin that is as good.
        bin_width = np.ptp(values) / 256
        assert abs(found - filters.threshold_otsu(values)) <= 1.01 * bin_width, len(values)


def test_erosion_is_that_of_scikit_image(random):
    for _ in range(20):
        shape = random_shape(random, 4, 30, 30)
        radius = int(random.integers(0, 6))
        mask = (random.uniform(size=shape) > random.choice([0.002, 0.02, 0.2])).astype(np.uint8)
        found = probe("erode_by_ball", {"mask": mask}, radius=radius, beyond=True)["eroded"]
        np.testing.assert_array_equal(found, morphology.binary_erosion(mask, morphology.ball(radius)))


# ---------------------------------------------------------------------------------------------
# The fit


def random_stack(random, shape):
    """Frames of blurred texture under a smooth flatfield and darkfield."""
    frames, z, y, x = shape
    texture = ndimage.gaussian_filter(random.gamma(0.5, 200, shape), (0, 0, 0.5, 0.5))
    flatfield = ndimage.gaussian_filter(random.uniform(0.2, 1.8, (z, y, x)), (0, 3, 3))
    darkfield = 20 + ndimage.gaussian_filter(random.uniform(0, 40, (z, y, x)), (0, 4, 4))
    level = random.uniform(0.5, 1.5, (frames, 1, 1, 1))
    return (level * texture * flatfield + darkfield).astype(np.float32)


def decided_fit(random, shape, weighted, options):
    """A stack, its weights and the twin's fit, drawn again where one of the fit's decisions to stop is so close to its
    tolerance that the rounding of float32 may take it the other way, and thus do another number of solves."""
    for _ in range(50):
        images = random_stack(random, shape)
        weights = (random.uniform(size=images.shape) < 0.8).astype(np.float32)
        fit = Twin(images, weights if weighted else None, **options).fit()
        if fit.closest_call > 0.01:
            return images, weights, fit
    raise AssertionError("no stack of 50 has clear decisions")


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("sort", [False, True], ids=["", "sorted"])
@pytest.mark.parametrize("dark", [False, True], ids=["", "darkfield"])
@pytest.mark.parametrize("mode, planes", [("ladmap", 1), ("ladmap", 3), ("approximate", 1)])
def test_fit_follows_its_equations(random, mode, planes, dark, sort, weighted):
    options = dict(fitting_mode=mode, get_darkfield=dark, sort_intensity=sort,
                   smoothness_flatfield=0.1, smoothness_darkfield=1.0, sparse_cost_darkfield=0.02)
    images, weights, expected = decided_fit(random, (9, planes, 21, 18), weighted, options)
    found = probe("basic_fit", {"images": images, "weights": weights}, weighted=weighted, baseline=True, threads=2,
                  config={**options, "working_size": None})
    assert list(found["iterations"]) == expected.iterations
    # float32 against float64 over hundreds of iterations: mostly within 1e-5, some fits amplify it.
    np.testing.assert_allclose(found["flatfield"], expected.flatfield, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["darkfield"], expected.darkfield, rtol=0, atol=5e-3)
    np.testing.assert_allclose(found["baseline"], expected.baseline, rtol=2e-5)


@pytest.mark.parametrize("mode", ["ladmap", "approximate"])
def test_fit_has_the_same_bits_for_any_number_of_threads(random, mode):
    images = random_stack(random, (7, 1, 60, 71))
    weights = random.uniform(size=images.shape).astype(np.float32)
    config = dict(fitting_mode=mode, get_darkfield=True, sort_intensity=True, working_size=[50, 67])
    one, two, five = (probe("basic_fit", {"images": images, "weights": weights}, weighted=True, baseline=True,
                            threads=threads, config=config) for threads in (1, 2, 5))
    for name, values in one.items():
        assert values.tobytes() == two[name].tobytes() == five[name].tobytes(), name


@pytest.mark.parametrize("planes", [1, 3])
def test_autosegment_leaves_out_what_its_mask_does(random, planes):
    images = random_stack(random, (8, planes, 24, 26))
    images[:, -1, 3:9, 4:12] += 2000
    dark = images < filters.threshold_otsu(images)
    kept = np.stack([morphology.binary_erosion(frame, morphology.ball(2)) for frame in dark])
    assert 0.3 < kept.mean() < 0.95
    config = dict(working_size=None, sort_intensity=False)
    found = probe("basic_fit", {"images": images}, weighted=False, baseline=True, threads=1,
                  config={**config, "autosegment": True, "autosegment_margin": 2})
    expected = probe("basic_fit", {"images": images, "weights": kept.astype(np.float32)}, weighted=True,
                     baseline=True, threads=1, config=config)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


# ---------------------------------------------------------------------------------------------
# Using it


@pytest.mark.parametrize("timelapse", ["none", "multiplicative", "additive"])
def test_transform_is_its_formula(random, timelapse):
    images = random.uniform(0, 65535, (5, 6, 7)).astype(np.float32)
    flatfield = random.uniform(0.2, 2, (6, 7)).astype(np.float32)
    darkfield = random.uniform(0, 30, (6, 7)).astype(np.float32)
    baseline = random.uniform(0, 300, 9).astype(np.float32)
    frames = [int(i) for i in random.integers(0, 9, 5)]
    b = baseline[frames][:, None, None]
    expected = {"none": (images - darkfield) / flatfield,
                "multiplicative": (images - darkfield) / flatfield - b,
                "additive": images - darkfield - flatfield * b}[timelapse]
    for clip in (False, True):
        found = probe("basic_transform", {"images": images, "flatfield": flatfield, "darkfield": darkfield,
                                          "baseline": baseline}, timelapse=timelapse, frames=frames, clip=clip)
        np.testing.assert_array_equal(found["transformed"], np.clip(expected, 0, 65535) if clip else expected)


def naive_cost(corrected, weights, flatfield, value_range):
    low = 0.6 * np.quantile(corrected, 0.01)
    corrected = corrected.astype(np.float64)  # otherwise numpy rounds the edges of the bins to float32
    inside = (corrected >= low) & (corrected <= low + value_range)
    density, edges = np.histogram(corrected[inside], bins=1000, range=(low, low + value_range), density=True,
                                  weights=None if weights is None else weights[inside].astype(np.float64))
    density = density[density > 0]
    entropy = -np.sum(density * np.log(density)) * (edges[1] - edges[0])
    spectrum = fft.dctn(flatfield.astype(np.float64))
    i, j = np.indices(flatfield.shape)
    counted = (i ** 2 + j ** 2 > 100) & (i > 0) & (j > 0)
    share = np.mean(spectrum[counted] > 0.1)
    return [entropy, share, entropy + 30 * share]


def test_cost_is_that_of_numpy(random):
    for trial in range(8):
        shape = (int(random.integers(1, 40)), 30, 41)
        images = random.gamma(2, 100, shape).astype(np.float32)
        if trial % 2:
            images = np.round(images)
        weights = random.uniform(size=shape).astype(np.float32)
        weighted = trial % 4 > 1
        flatfield = (1 + ndimage.gaussian_filter(random.normal(0, 0.01, shape[1:]), 1)).astype(np.float32)
        darkfield = random.uniform(0, 30, shape[1:]).astype(np.float32)
        corrected = (images - darkfield) / flatfield
        found = probe("basic_cost", {"images": images, "weights": weights, "flatfield": flatfield,
                                     "darkfield": darkfield}, weighted=weighted, range=600.0)
        np.testing.assert_array_equal(found["quantiles"], np.quantile(corrected, [0, 0.01, 0.3, 0.5, 0.99, 1]))
        low, high = np.quantile(corrected, [0.01, 0.99])
        np.testing.assert_allclose(found["range"], (high - 0.6 * low) * 1.5, rtol=1e-12)
        expected = naive_cost(corrected, weights if weighted else None, flatfield, 600.0)
        np.testing.assert_allclose(found["cost"], expected, rtol=1e-9)


def test_autotune_with_a_darkfield_is_repeatable_and_within_its_budget(random):
    images = random_stack(random, (6, 1, 24, 24))
    config = dict(get_darkfield=True, sort_intensity=False, working_size=None)

    def tune(seed, budget, threads):
        return probe("basic_autotune", {"images": images}, weighted=False, config=config, max_evaluations=budget,
                     seed=seed, threads=threads)
    first, again = tune(3, 25, 1), tune(3, 25, 2)
    assert first["candidates"].tobytes() == again["candidates"].tobytes()
    candidates = first["candidates"]
    assert len(candidates) == 25 and len(np.unique(candidates[:, :3], axis=0)) == 25
    np.testing.assert_array_equal(first["best"], candidates[np.argmin(candidates[:, 5]), :3])
    np.testing.assert_allclose(candidates[0, :3], [0.1, 1e-3, 1e-3])
    grid = np.logspace(-3, 1, 15)
    for axis, values in enumerate([grid, np.append(0, grid), np.append(0, grid)]):
        assert np.isclose(candidates[:, axis, None], values, rtol=1e-12).any(axis=1).all()
    assert not np.array_equal(tune(4, 25, 1)["candidates"][:, :3], candidates[:, :3])
