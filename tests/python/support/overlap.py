"""How well neighbouring tiles of a mosaic agree where they overlap, as a number: the overlap residual.

The tiles of one mosaic were imaged with the same illumination, so that the same tissue lies in another part of
it in the neighbouring tile: what a perfect flatfield correction leaves is only noise and registration.
"""
import re

import numpy as np
from scipy import ndimage

SMALLEST_SIDE = 16
FEWEST_PIXELS = 5000
LEAST_CORRELATION = 0.5
SIGMA_PIXELS = 2.0


def read_positions(path):
    """(name, y, x) of each tile of an ImageJ tile configuration, rounded to whole pixels."""
    line = re.compile(r"(\S+); ; \(([-\d.]+), ([-\d.]+)\)")
    return [(match[1], round(float(match[3])), round(float(match[2])))
            for match in map(line.match, path.read_text().splitlines()) if match]


def overlap(shape, offset):
    """Slices of the part that a tile shares with one of its shape that lies at `offset`, in both tiles."""
    first = tuple(slice(max(0, d), n + min(0, d)) for n, d in zip(shape, offset))
    second = tuple(slice(max(0, -d), n + min(0, -d)) for n, d in zip(shape, offset))
    return first, second


def overlapping_pairs(raw, positions):
    """(i, j, slices in i, slices in j) of the pairs whose raw overlap is large enough and correlates."""
    pairs = []
    for i, (_, y_i, x_i) in enumerate(positions):
        for j, (_, y_j, x_j) in enumerate(positions[:i]):
            in_i, in_j = overlap(raw[i].shape, (y_j - y_i, x_j - x_i))
            sides = [s.stop - s.start for s in in_i]
            if min(sides) < SMALLEST_SIDE or sides[0] * sides[1] < FEWEST_PIXELS:
                continue
            if np.corrcoef(raw[i][in_i].ravel(), raw[j][in_j].ravel())[0, 1] > LEAST_CORRELATION:
                pairs.append((i, j, in_i, in_j))
    return pairs


def overlap_residual(tiles, pairs):
    """Median over the pairs of the median of |A - B| / ((A + B) / 2) in their overlap, both smoothed."""
    smooth = [ndimage.gaussian_filter(tile.astype(np.float64), SIGMA_PIXELS) for tile in tiles]
    residuals = []
    for i, j, in_i, in_j in pairs:
        a, b = smooth[i][in_i], smooth[j][in_j]
        residuals.append(np.median(np.abs(a - b) / ((a + b) / 2)))
    return np.median(residuals)
