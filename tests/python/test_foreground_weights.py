"""The foreground weights and the weighted fit of the library, called through the probe: against the shared
golden data, against the numpy reference and scipy on random volumes, and on a phantom whose foreground is known.

FLATFIELD_SEED repeats a run; every failure prints its seed.
"""
import os
import secrets
import sys

import numpy as np
import pytest
from scipy import ndimage

from probe import probe
from support.program import REPOSITORY, SHARED

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
import cases  # noqa: E402
import reference  # noqa: E402
from agreement import check_one_ulp, check_ramp_weights  # noqa: E402

SHARED_DATA = SHARED / "golden" / "fitting"
SEED = int(os.environ.get("FLATFIELD_SEED") or secrets.randbits(32))


@pytest.fixture
def random(request):
    """One generator per test, so that a test alone repeats what it did in the whole run."""
    print(f"FLATFIELD_SEED={SEED}")
    return np.random.default_rng([SEED, *request.node.name.encode()])


def foreground_weight(v_low, mask, planes, **options):
    return probe("foreground_weight", dict(v_low=v_low.astype(np.float32), mask=mask.astype(np.uint8),
                                           planes=np.asarray(planes, np.int64)), options=options)["weights"]


# ---------------------------------------------------------------------------------------------
# Golden data


@pytest.mark.parametrize("case", cases.SHARED_WEIGHTS_CASES, ids=lambda case: case.expected)
def test_library_agrees_with_the_golden_weights_and_curves(case):
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no golden data at {SHARED_DATA}: set FLATFIELD_SHARED")
    with np.load(SHARED_DATA / f"{case.expected}.npz") as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    estimation = reference.read_level(SHARED_DATA / case.tile, "3").astype(np.float32)
    v_low = reference.subtract(estimation, reference.resize_plane(golden["background"], estimation.shape[1:]))

    weights = foreground_weight(v_low, golden["mask_low"], golden["background_planes"], **case.settings)
    assert check_one_ulp(golden["weights"], weights) is None
    fit = probe("weighted_fit", dict(v_low=v_low, mask=golden["mask_low"].astype(np.uint8), weights=weights),
                options=case.settings, lengths=list(golden["corrected_0"].shape))
    assert fit["g"][0] == golden["g"]
    for name in ("profile_z", "profile_y", "profile_x", "curve_z", "curve_y", "curve_x"):
        assert check_one_ulp(golden[name], fit[name]) is None, name


# ---------------------------------------------------------------------------------------------
# The percentile model against the reference


def random_volume(random):
    shape = tuple(int(random.integers(n // 2, n)) for n in (12, 20, 30))
    volume = np.maximum(random.normal(3, 10, shape), 0).astype(np.float32)
    planes = np.sort(random.choice(shape[0], random.integers(1, shape[0] + 1), replace=False))
    return volume, planes


@pytest.mark.parametrize("options", [
    dict(), dict(probability_smooth_sigma=0), dict(probability_bg_low_percentile=99, probability_bg_high_percentile=10),
    dict(probability_ramp_eps=0.4999, probability_ramp_start_frac=0), dict(probability_ramp_eps=1e-9),
    dict(probability_ramp_nu=2.5, probability_smooth_sigma=0)])
def test_percentile_weights_are_those_of_the_reference(random, options):
    found, expected = [], []
    for _ in range(6):
        volume, planes = random_volume(random)
        found.append(foreground_weight(volume, volume > 0, planes, **options).ravel())
        expected.append(reference.foreground_weights(volume, planes, reference.Settings(**options)).ravel())
    expected, found = np.concatenate(expected), np.concatenate(found)
    assert check_ramp_weights(expected, found) is None
    if "probability_ramp_nu" not in options:  # numpy's float32 power depends on the CPU
        assert np.count_nonzero(expected != found) < 0.03 * expected.size


@pytest.mark.parametrize("options", [dict(probability_ramp_start_frac=0.95), dict(probability_ramp_start_frac=1),
                                     dict(probability_ramp_nu=30), dict(probability_ramp_nu=1e6)])
def test_steep_ramps_stay_ramps(random, options):
    """float32 cannot hold the factor Q of these."""
    volume = np.linspace(0, 20, 4000, dtype=np.float32).reshape(4, 10, 100)
    weights = foreground_weight(volume, volume > 0, [0, 1, 2, 3], probability_smooth_sigma=0, **options).ravel()
    assert np.isfinite(weights).all() and (np.diff(weights) >= 0).all()
    # All weights of the ramp's end and beyond are 1 - eps.
    assert weights[0] <= 1.01e-4 and np.isclose(weights[-1], 1 - 1e-4, rtol=1e-6)


def test_equal_percentiles_give_a_step():
    volume = np.full((3, 4, 5), 2, np.float32)
    volume[2] = 7
    weights = foreground_weight(volume, volume > 0, [0, 1], probability_smooth_sigma=0)
    np.testing.assert_array_equal(weights, (volume > 2).astype(np.float32))


def test_weighted_fit_is_that_of_the_reference(random):
    for _ in range(6):
        volume, planes = random_volume(random)
        mask = random.uniform(size=volume.shape) < 0.6
        mask[0, 0, 0] = True
        weights = random.uniform(0, 1, volume.shape).astype(np.float32)
        weights[random.uniform(size=volume.shape) < 0.3] = 0
        weights[:, -1] = 0
        weights[0, 0, 0] = 1
        volume = volume + np.float32(5)
        options = dict(profile_percentile=float(random.uniform(1, 99)), profile_min_voxels=3, spline_smoothing=0.1)
        found = probe("weighted_fit", dict(v_low=volume, mask=mask.astype(np.uint8), weights=weights),
                      options=options, lengths=[30, 40, 50])
        g = reference.global_level(volume, mask, options["profile_percentile"], weights)
        assert found["g"][0] == g
        capped = reference.gaussian(np.minimum(volume, np.float32(g * 2.0)), 2.0)
        for axis, name in enumerate("zyx"):
            profile = reference.axis_profile(capped, mask, axis, g, options["profile_percentile"], 3, weights)
            assert check_one_ulp(profile, found[f"profile_{name}"]) is None
        assert found["profile_y"][-1] == 1, "a plane without weight takes g"


# ---------------------------------------------------------------------------------------------
# The mixture model


def features(volume):
    """docs/methods.md 4.3, one whole volume per feature."""
    mean = ndimage.gaussian_filter(volume, 1.0)
    squares = ndimage.gaussian_filter(volume * volume, 1.0)
    return np.stack([volume, mean, np.sqrt(np.maximum(squares - mean * mean, np.float32(0))),
                     ndimage.gaussian_gradient_magnitude(volume, 1.0), -ndimage.gaussian_laplace(volume, 1.0)], axis=-1)


def test_features_are_those_of_scipy_whatever_the_slab(random):
    for planes in (1, 3, 31, 32, 33, 36, 68, 75):
        volume = random.uniform(0, 500, (planes, 9, 14)).astype(np.float32)
        found = probe("voxel_features", {"v_low": volume})["features"].reshape(*volume.shape, 5)
        expected = features(volume)
        assert expected.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-3)
        assert np.count_nonzero(found != expected) <= 1e-3 * found.size


def phantom():
    """An ellipsoid 60 counts over a background of 100, noise 0.9 * sqrt(counts - 90); a mask of 12 voxels around it.

    Returns v_low, foreground, mask (without the voxels where v_low is 0) and the background planes. The
    mask is wide because the features reach 4 voxels: the two voxels next to the foreground are like neither sample.
    """
    random = np.random.default_rng(1)
    shape = (64, 72, 80)
    z, y, x = np.meshgrid(*[np.arange(n) - n * c for n, c in zip(shape, (0.55, 0.5, 0.5))], indexing="ij")
    foreground = (z / 10) ** 2 + (y / 12) ** 2 + (x / 13) ** 2 < 1
    counts = np.where(foreground, 160.0, 100.0)
    image = np.rint(counts + random.normal(size=shape) * 0.9 * np.sqrt(counts - 90))
    v_low = np.maximum(image - 100, 0).astype(np.float32)
    mask = (ndimage.distance_transform_edt(~foreground) <= 12) & (v_low != 0)
    return v_low, foreground, mask, np.arange(5)


def test_mixture_weights_tell_the_foreground_of_the_phantom_from_its_background():
    v_low, foreground, mask, planes = phantom()
    weights = foreground_weight(v_low, mask, planes, probability_model="gmm")
    recall = (weights[foreground & mask] > 0.5).mean()
    rejection = (weights[mask & ~foreground] <= 0.5).mean()
    print(f"recall {recall:.4f}, rejection inside the mask {rejection:.4f}")
    assert recall > 0.95 and rejection > 0.90
    assert weights.min() >= 0 and weights.max() <= 1 and (weights[~mask] == 0).all()


def test_mixture_weights_repeat_with_the_seed_and_use_no_more_samples_than_allowed():
    v_low, foreground, mask, planes = phantom()
    options = dict(probability_model="gmm", gmm_max_samples=3000)
    first = foreground_weight(v_low, mask, planes, **options)
    np.testing.assert_array_equal(first, foreground_weight(v_low, mask, planes, **options))
    other = foreground_weight(v_low, mask, planes, gmm_random_state=1, **options)
    assert not np.array_equal(first, other), "another seed draws other samples"
    assert (first[foreground & mask] > 0.5).mean() > 0.95
    assert np.mean(np.abs(first - other)) < 0.05


def test_mixture_weights_follow_from_the_mixtures_of_scikit_learn_where_one_optimum_stands_out():
    """With one component per mixture there is nothing to start from, so the whole method can be repeated."""
    mixture = pytest.importorskip("sklearn.mixture")
    v_low, _, mask, planes = phantom()
    found = foreground_weight(v_low, mask, planes, probability_model="gmm", gmm_n_components=1)
    grid = np.mgrid[-2:3, -2:3, -2:3]
    core = ndimage.binary_erosion(mask, (grid ** 2).sum(axis=0) <= 4)
    values = features(v_low).astype(np.float64)
    samples = [values[core], values[planes].reshape(-1, 5)]
    pooled = np.concatenate(samples)
    mean, deviation = pooled.mean(axis=0), pooled.std(axis=0)
    log_densities = [mixture.GaussianMixture(1, reg_covar=1e-6).fit((s - mean) / deviation)
                     .score_samples((values[mask] - mean) / deviation) for s in samples]
    expected = 1 / (1 + np.exp(np.clip(log_densities[1] - log_densities[0], -700, 700)))
    assert np.abs(found[mask] - expected).max() <= 1e-3
