"""Holds the functions of the foreground refinement against numpy, scipy and scikit-learn, live, on random inputs.

FLATFIELD_SEED repeats a run; every failure prints its seed. Weighted percentiles are those of numpy 2 where PyPI
can be reached, and those of its definition everywhere.
"""
import os
import secrets
import sys

import numpy as np
import pytest
from scipy import ndimage
from sklearn.mixture import GaussianMixture

from probe import probe
from support.oracles import ask, oracle
from support.program import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
from agreement import ulp_distance  # noqa: E402

SEED = int(os.environ.get("FLATFIELD_SEED") or secrets.randbits(32))


@pytest.fixture
def random(request):
    """One generator per test, so that a test alone repeats what it did in the whole run."""
    print(f"FLATFIELD_SEED={SEED}")
    return np.random.default_rng([SEED, *request.node.name.encode()])


# ---------------------------------------------------------------------------------------------
# Filters and order statistics


def test_gaussian_derivatives_agree_with_scipy(random):
    different = total = 0
    for _ in range(8):
        shape = tuple(int(random.integers(1, n)) for n in (24, 40, 250))
        volume = random.uniform(0, 5000, shape).astype(np.float32)
        sigma = float(random.choice([0.5, 1, 1.7, 3]))
        found = probe("gaussian_derivatives", {"volume": volume}, sigma=sigma)
        for name, expected in (("gradient_magnitude", ndimage.gaussian_gradient_magnitude(volume, sigma)),
                               ("laplace", ndimage.gaussian_laplace(volume, sigma))):
            assert expected.dtype == np.float32
            # Where sums cancel, the last bit of a pass is many bits of what is left.
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=2e-6 * 5000)
            different += np.count_nonzero(found[name] != expected)
            total += expected.size
    print(f"{different} of {total} values differ")
    assert different <= 1e-4 * total


def ball(radius):
    """skimage.morphology.ball."""
    z, y, x = np.mgrid[-radius:radius + 1, -radius:radius + 1, -radius:radius + 1]
    return z ** 2 + y ** 2 + x ** 2 <= radius ** 2


def test_ball_is_that_of_scikit_image():
    morphology = pytest.importorskip("skimage.morphology")
    for radius in range(9):
        np.testing.assert_array_equal(ball(radius), morphology.ball(radius))


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 6])
def test_erosion_by_a_ball_is_that_of_scipy(random, radius):
    for _ in range(4):
        shape = tuple(int(random.integers(1, n)) for n in (30, 50, 60))
        mask = ndimage.gaussian_filter(random.normal(size=shape), 3, mode="constant") > -0.02
        found = probe("erode_by_ball", {"mask": mask.astype(np.uint8)}, radius=radius, beyond=False)["eroded"]
        expected = ndimage.binary_erosion(mask, ball(radius))
        np.testing.assert_array_equal(found.astype(bool), expected)


def test_exponential_is_that_of_numpy_within_two_ulp(random):
    values = np.concatenate([random.uniform(-87, 0, 500000), random.uniform(-1, 0, 500000),
                             np.arange(-87, 1)]).astype(np.float32)
    found = probe("exp_as_numpy", {"values": values})["exp"]
    apart = ulp_distance(found, np.exp(values))
    if np.count_nonzero(np.exp(values) != np.exp(values.astype(np.float64)).astype(np.float32)) < 1000:
        pytest.skip("numpy has no SIMD on this machine: its float32 exponential is another one")
    assert apart.max() <= 2
    assert np.count_nonzero(apart) <= 0.004 * apart.size


def weighted_percentiles(values, weights, q):
    """The definition: order by value, cumulate in double, the first whose share reaches q."""
    order = np.argsort(values, kind="stable")
    cdf = weights[order].cumsum(dtype=np.float64)
    cdf /= cdf[-1]
    cdf[cdf == 0] = -1
    at = np.minimum(np.searchsorted(cdf, np.asarray(q) / 100, side="left"), len(values) - 1)
    return values[order][at]


def weighted_percentiles_of_numpy_2(values, weights, q):
    """numpy 2 computes the shares in the type of the values, so these are given as float64."""
    program = ("import json, sys; import numpy as np; a = json.load(sys.stdin); "
               "w = np.array(a['weights'], np.float32); "
               "json.dump(np.percentile(np.array(a['values'], np.float64), np.array(a['q'], np.float64),"
               " weights=w, method='inverted_cdf').tolist(), sys.stdout)")
    given = dict(values=values.tolist(), weights=weights.tolist(), q=np.asarray(q).tolist())
    return np.array(ask(oracle("numpy==2.2.6"), program, given))


@pytest.mark.parametrize("twin", [weighted_percentiles, weighted_percentiles_of_numpy_2])
def test_weighted_percentile_is_that_of_numpy(random, twin):
    for trial in range(25):
        count = int(random.integers(1, 400))
        values = random.normal(100, 1000, count).astype(np.float32)
        if trial % 2:
            values = np.round(values, -2)
        equal = trial % 3 == 0
        weights = np.full(count, 0.7, np.float32) if equal else random.uniform(0, 1, count).astype(np.float32)
        if trial % 3 == 1:
            weights[random.uniform(size=count) < 0.4] = 0
            weights[0] = 0.3
        q = np.array([0, 1, 50, 99.9, 100, *random.uniform(0, 100, 5)])
        found = probe("weighted_percentile", dict(values=values, weights=weights, q=q))["percentiles"]
        expected = twin(values, weights, q)
        if equal or twin is weighted_percentiles:
            np.testing.assert_array_equal(found, expected)
            continue
        # Sums of weights in another order may differ in the last bit: at most one order statistic.
        ordered = np.unique(values)
        apart = np.abs(np.searchsorted(ordered, found) - np.searchsorted(ordered, expected))
        assert apart.max() <= 1


# ---------------------------------------------------------------------------------------------
# Gaussian mixtures


class MixtureFrom(GaussianMixture):
    """scikit-learn's mixture, begun with given responsibilities (samples, components)."""

    def start_with(self, responsibilities):
        self.given = responsibilities
        return self

    def _initialize_parameters(self, X, random_state):
        self._initialize(X, self.given)


def random_mixture_samples(random, count, clouds):
    """Overlapping clouds of random shape, roughly standardised."""
    centres = random.normal(0, 1, (clouds, 5))
    shapes = random.normal(0, 0.5, (clouds, 5, 5))
    of = random.integers(0, clouds, count)
    samples = centres[of] + np.einsum("nij,nj->ni", shapes[of], random.normal(size=(count, 5)))
    return (samples - samples.mean(axis=0)) / samples.std(axis=0)


def random_responsibilities(random, samples, components):
    """Those of a softened assignment to random samples."""
    centres = samples[random.choice(len(samples), components, replace=False)]
    squared = ((samples[:, None, :] - centres[None]) ** 2).sum(axis=2)
    shares = np.exp(-squared + squared.min(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def fit_both(random, samples, components, points):
    start = random_responsibilities(random, samples, components)
    oracle = MixtureFrom(components, tol=1e-3, max_iter=100, reg_covar=1e-6).start_with(start)
    oracle.fit(samples)
    found = probe("gaussian_mixture", dict(samples=samples, responsibilities=start.T, points=points))
    return oracle, found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("components", [1, 2, 3, 5])
def test_gaussian_mixture_is_that_of_scikit_learn(random, components):
    for _ in range(4):
        samples = random_mixture_samples(random, int(random.integers(800, 4000)), components + 1)
        points = samples[:500] * 2
        oracle, found = fit_both(random, samples, components, points)
        assert found["iterations"][0] == oracle.n_iter_
        close = dict(rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(found["lower_bound"][0], oracle.lower_bound_, **close)
        np.testing.assert_allclose(found["weights"], oracle.weights_, **close)
        np.testing.assert_allclose(found["means"].reshape(-1, 5), oracle.means_, **close)
        np.testing.assert_allclose(found["covariances"].reshape(-1, 5, 5), oracle.covariances_, **close)
        np.testing.assert_allclose(found["log_density"], oracle.score_samples(points), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_posterior_of_two_mixtures_is_that_of_scikit_learn(random):
    for _ in range(3):
        background = random_mixture_samples(random, 3000, 3)
        foreground = random_mixture_samples(random, 3000, 3) + random.normal(0, 1, 5)
        points = np.concatenate([background, foreground, (background + foreground) / 2])
        models = [fit_both(random, samples, 3, points) for samples in (foreground, background)]
        expected, found = (1 / (1 + np.exp(np.clip(b - f, -700, 700))) for f, b in (
            [oracle.score_samples(points) for oracle, _ in models],
            [result["log_density"] for _, result in models]))
        assert np.abs(found - expected).max() <= 1e-3
