"""Holds the quality numbers against numpy and scipy, live, on random volumes.

FLATFIELD_SEED repeats a run; every failure prints its seed.
"""
import os
import secrets

import numpy as np
import pytest
from scipy import ndimage, stats

from probe import probe

SEED = int(os.environ.get("FLATFIELD_SEED") or secrets.randbits(32))


def scene(random):
    """raw, before, after, mask, background, planes and the ratio inside the mask."""
    shape = tuple(int(n) for n in random.integers(14, 40, 3))
    z, y, x = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    mask = (z / 0.7) ** 2 + (y / 0.9) ** 2 + (x / random.uniform(0.5, 1.5)) ** 2 < 1
    background = (100 + 20 * y[0] + random.normal(0, 1, shape[1:])).astype(np.float32)
    tissue = random.uniform(20, 80) * mask * (1 - 0.3 * x) * random.gamma(8, 1 / 8, shape)
    raw = np.rint(background + tissue + random.normal(0, 4, shape)).astype(np.float32)
    before = np.maximum(raw - background, 0)
    mask &= before != 0
    ratio = np.float32(random.uniform(0.5, 900))
    after = before / (1 - 0.3 * x).astype(np.float32)
    after = np.where(mask, np.clip(after * ratio, 0, 65535), before).astype(np.float32)
    planes = np.sort(random.choice(shape[0], 2, replace=False)).astype(np.int64)
    return raw, before, after, mask, background, planes, ratio


def profile_cv(volume, mask, axis):
    medians = [np.median(volume.take(i, axis)[mask.take(i, axis)]) for i in range(volume.shape[axis])
               if mask.take(i, axis).any()]
    return 100 * np.std(medians, dtype=np.float64) / np.mean(medians, dtype=np.float64)


def brightness_auc(before, mask):
    smooth = ndimage.gaussian_filter(before, 1)
    inside, outside = smooth[mask & (before != 0)], smooth[~mask & (before != 0)]
    return stats.mannwhitneyu(inside, outside, method="asymptotic").statistic / len(inside) / len(outside)


def edge_agreement(raw, before, mask):
    smooth = ndimage.gaussian_filter(raw, 1)
    wins = []
    for axis in range(3):
        value, inside, seen = (np.moveaxis(v, axis, 0) for v in (smooth, mask, before != 0))
        for i in range(len(value) - 5):
            all_seen = seen[i:i + 6].all(axis=0)
            falls = all_seen & inside[i:i + 3].all(axis=0) & ~inside[i + 3:i + 6].any(axis=0)
            rises = all_seen & inside[i + 3:i + 6].all(axis=0) & ~inside[i:i + 3].any(axis=0)
            step = np.sign(value[i] - value[i + 5])
            wins += [*step[falls], *-step[rises]]
    return np.mean(np.array(wins) + 1) / 2 if len(wins) >= 100 else np.nan


def entropy(values, lo, hi):
    density, edges = np.histogram(values.astype(np.float64), bins=100, range=(lo, hi), density=True)
    filled = density[density > 0]
    return -np.sum(filled * np.log(filled)) * (edges[1] - edges[0])


def expected_numbers(raw, before, after, mask, background, planes, ratio):
    unscaled = np.where(mask, after.astype(np.float64) / ratio, after)
    lo, hi = np.percentile(before[mask], [1, 99])
    medians = np.median(before[mask]), np.median(after[mask])
    scale = after[mask].mean(dtype=np.float64) / before[mask].mean(dtype=np.float64)
    low, high = np.percentile(background, [1, 99])

    def cjv(volume):
        fg, bg = volume[mask].astype(np.float64), volume[planes].astype(np.float64)
        return (fg.std() + bg.std()) / abs(fg.mean() - bg.mean())

    return {
        "mask_fraction": mask.mean(), "mask_auc": brightness_auc(before, mask),
        "mask_edge_agreement": edge_agreement(raw, before, mask),
        "background_planes_in_mask": mask[planes].mean(),
        "background_span": (high - low) / np.median(background),
        "background_zeroed_fraction": np.mean(before[planes] == 0),
        "background_median_before": np.median(before[planes]), "background_median_after": np.median(after[planes]),
        "foreground_median_before": medians[0], "foreground_median_after": medians[1],
        "cjv_before": cjv(before), "cjv_after": cjv(unscaled),
        "entropy_before": entropy(before[mask], lo, hi),
        "entropy_after": entropy(after[mask], lo * scale, hi * scale) - np.log(scale),
        "saturated_fraction": np.mean(after == 65535),
        **{f"profile_cv_{letter}_{state}": profile_cv(volume, mask, axis) for axis, letter in enumerate("zyx")
           for state, volume in (("raw", raw), ("before", before), ("after", after))}}


# Brightness is told apart to 0.2 %; a bin of the entropy may take in a value at its edge or not.
TOLERANCES = {"mask_auc": 1e-3, "mask_edge_agreement": 1e-3, "entropy_before": 0.01, "entropy_after": 0.01}


def assert_numbers(found, expected):
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, rel=1e-5, abs=TOLERANCES.get(name, 1e-9), nan_ok=True), name


@pytest.mark.parametrize("number", range(12))
def test_every_quality_number_is_that_of_numpy(number):
    print(f"FLATFIELD_SEED={SEED}")
    raw, before, after, mask, background, planes, ratio = scene(np.random.default_rng([SEED, number]))
    arrays = {"raw": raw, "before": before, "after": after, "mask": mask.astype(np.uint8), "planes": planes,
              "background": background}
    found = probe("measure_quality", arrays, with_mask=True, ratio=float(ratio))
    assert_numbers(found, expected_numbers(raw, before, after, mask, background, planes, ratio))


@pytest.mark.parametrize("number", range(4))
def test_without_a_mask_the_foreground_is_what_is_brighter_than_the_background_planes(number):
    print(f"FLATFIELD_SEED={SEED}")
    raw, before, after, mask, background, _, _ = scene(np.random.default_rng([SEED, number]))
    # Without tissue, so that thousands of voxels are brighter and one at the edge of a bin does not decide.
    planes = np.array([0, len(raw) - 1])
    arrays = {"raw": raw, "before": before, "after": after, "mask": mask.astype(np.uint8), "planes": planes,
              "background": background}
    found = probe("measure_quality", arrays, with_mask=False, ratio=1.0)
    bright = before > np.percentile(before[planes], 99.9)
    expected = expected_numbers(raw, before, after, bright, background, planes, 1.0)
    for name in ("mask_fraction", "mask_auc", "mask_edge_agreement", "background_planes_in_mask"):
        assert np.isnan(found[name][0]), name
        del expected[name]
    assert_numbers(found, expected)
