"""The fitting method of the corrections in numpy, scipy and scikit-image, one formula after the other.

The naive twin of the C++ program: whole volumes in memory, library functions wherever one does
what is asked for. Volumes are (z, y, x). The section numbers are those of docs/methods.md, 1.2 being
step 2 of its section 1. Written for the versions of Debian 12
(numpy 1.24, scipy 1.10, scikit-image 0.19, zarr 2.13).
"""
import dataclasses
import json
import math
import pathlib
import warnings

import numpy as np
import scipy.interpolate
import scipy.ndimage
import skimage.transform
import tifffile
import zarr


@dataclasses.dataclass
class Settings:
    """The options of a run that the fitting method depends on, with the program's defaults."""
    is_binned: bool = False
    target_level: str = "0"
    n_levels: int = 1
    background_smoothing_sigma: float = 1.0
    background_final_smoothing_sigma: float = 0.0
    corrected_rank: int = -2
    med_factor_binned: float = 2.0
    med_factor_unbinned: float = 2.0
    gaussian_sigma: float = 2.0
    profile_percentile: float = 50.0
    profile_min_voxels: int = 0
    spline_smoothing: float = 0.0
    limits_x: tuple = (0.25, 1.2)
    limits_y: tuple = (0.25, 1.2)
    limits_z: tuple = (0.25, 1.2)
    global_factor_binned: float = 3200.0
    global_factor_unbinned: float = 100.0
    global_ratio_limits: tuple = None
    exclude_background_planes_from_mask: bool = False
    enable_gmm_refinement: bool = False
    probability_bg_low_percentile: float = 50.0
    probability_bg_high_percentile: float = 99.9
    probability_ramp_eps: float = 1e-4
    probability_ramp_start_frac: float = 0.2
    probability_ramp_nu: float = 1.0
    probability_smooth_sigma: float = 1.0

    @property
    def estimation_level(self):
        return "0" if self.is_binned else "3"


# ---------------------------------------------------------------------------------------------
# Reading


def open_level(tile, level):
    """One level of a (1, 1, z, y, x) OME-Zarr v2 tile, not yet read."""
    array = zarr.open_array(str(pathlib.Path(tile) / level), mode="r")
    assert array.shape[:2] == (1, 1), array.shape
    return array


def read_level(tile, level):
    """One level of a (1, 1, z, y, x) OME-Zarr v2 tile as a (z, y, x) array."""
    return open_level(tile, level)[0, 0]


def read_z_axis(tile, level):
    """(scale, translation) of the z axis of a level in world coordinates."""
    multiscale = json.loads((pathlib.Path(tile) / ".zattrs").read_text())["multiscales"][0]
    dataset = next(d for d in multiscale["datasets"] if d["path"] == level)
    transforms = {t["type"]: t[t["type"]] for t in dataset["coordinateTransformations"]}
    return transforms["scale"][2], transforms.get("translation", [0.0] * 5)[2]


# ---------------------------------------------------------------------------------------------
# 1. Background


def gaussian(volume, sigma):
    """Each axis in the order z, y, x, accumulated in double, stored as float32."""
    if sigma == 0:
        return volume
    return scipy.ndimage.gaussian_filter(volume, sigma=sigma, mode="reflect", truncate=4.0)


def deviation(plane):
    """Of whole numbers exactly, so that planes of the same counts in another order are equal."""
    if not np.array_equal(plane, np.rint(plane)):
        return np.std(plane, dtype=np.float64)
    counts = plane.astype(np.int64)
    return (plane.size * int((counts ** 2).sum()) - int(counts.sum()) ** 2) ** 0.5 / plane.size


def initial_planes(smoothed):
    """1.2: the planes that vary least."""
    deviation_of = np.array([deviation(plane) for plane in smoothed])
    return np.flatnonzero(deviation_of <= np.percentile(deviation_of, 5))


def reject_bright_planes(smoothed, planes):
    """1.3: drops planes with too many bright voxels. Returns the sets after each round."""
    rounds = []
    for _ in range(100):
        kept = smoothed[planes]
        threshold = np.median(kept) + 3 * np.std(kept, dtype=np.float64)
        fraction = np.array([np.mean(plane > threshold) for plane in kept])
        survivors = planes[fraction <= 0.01]
        dropped_share = (len(planes) - len(survivors)) / len(planes)
        planes = survivors
        rounds.append(planes)
        if dropped_share < 0.0001 or len(planes) == 0:
            break
    return rounds


def map_planes(planes, estimation_axis, target_axis, target_count):
    """1.5: the target planes that the estimation planes cover. An axis is (scale, translation)."""
    a_e, t_e = estimation_axis
    a_t, t_t = target_axis
    mapped = set()
    for i in planes:
        start, stop = t_e + i * a_e, t_e + (i + 1) * a_e
        first = max(math.floor((start - t_t) / a_t + 1e-9), 0)
        end = min(math.ceil((stop - t_t) / a_t - 1e-9), target_count)
        mapped.update(range(first, end))
    return np.array(sorted(mapped), dtype=np.int64)


def background_image(planes, final_sigma=0.0):
    """1.6 and 1.7, from the mapped planes of the raw target level."""
    image = np.median(planes, axis=0).astype(np.float32)
    return gaussian(image, final_sigma)


def subtract(raw, background):
    """1.8."""
    return np.maximum(raw.astype(np.float32) - background, np.float32(0))


def resize_plane(plane, shape):
    """6."""
    if plane.shape == tuple(shape):
        return plane
    return skimage.transform.resize(plane, shape, order=3, mode="reflect", anti_aliasing=False,
                                    clip=True, preserve_range=True).astype(np.float32)


# ---------------------------------------------------------------------------------------------
# 4.1, 4.2 Mask


def find_mask(mask_dir, tile):
    """The mask file whose name holds the tile's identifier tile_N."""
    words = pathlib.Path(tile).name.split("_ch_")[0]
    files = [p for p in sorted(pathlib.Path(mask_dir).rglob("*.tif*")) if words + "_" in p.name]
    return files[0]


def clean_mask(mask):
    """The two largest face-connected components, holes filled."""
    labels, count = scipy.ndimage.label(mask != 0)
    assert count > 0, "a mask without a foreground voxel is an error"
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:2] + 1
    return scipy.ndimage.binary_fill_holes(np.isin(labels, largest))


def resize_nearest(mask, shape):
    """4.2: pixel-centre nearest."""
    index = [np.minimum((2 * np.arange(big, dtype=np.int64) + 1) * small // (2 * big), small - 1)
             for small, big in zip(mask.shape, shape)]
    return mask[np.ix_(*index)]


# ---------------------------------------------------------------------------------------------
# 4.3 Foreground weights


def foreground_weights(low, planes, settings):
    """4.3 with the percentile model: constants in double, the ramp in float32."""
    s = settings
    reference = low[planes]
    # As an array, the number stays float64; numpy 2 takes it in the type of the values.
    p_lo = float(np.percentile(reference, np.asarray(s.probability_bg_low_percentile, np.float64)))
    p_hi = float(np.percentile(reference, np.asarray(s.probability_bg_high_percentile, np.float64)))
    p_lo, p_hi = min(p_lo, p_hi), max(p_lo, p_hi)
    if p_hi == p_lo:
        ramp = (low > np.float32(p_lo)).astype(np.float32)
    else:
        eps = min(max(s.probability_ramp_eps, 1e-6), 0.49)
        start = min(max(s.probability_ramp_start_frac, 0.0), 0.999)
        nu = max(s.probability_ramp_nu, 1.0)
        t = np.clip((low - np.float32(p_lo)) / np.float32(p_hi - p_lo), np.float32(0), np.float32(1))
        a_start, a_high = eps ** -nu - 1, (1 - eps) ** -nu - 1
        b = math.log(a_start / a_high) / (1 - start)
        q = a_high * math.exp(b)
        ramp = np.float32(1) / (np.float32(1) + np.float32(q) * np.exp(-np.float32(b) * t))
        ramp = ramp ** np.float32(1 / nu)
    assert ramp.dtype == np.float32
    return np.clip(gaussian(ramp, s.probability_smooth_sigma), np.float32(0), np.float32(1))


# ---------------------------------------------------------------------------------------------
# 4.4 - 4.6 What the fit learns


def weighted_percentile(values, weights, percentile):
    """numpy 2's percentile(values, percentile, weights=weights, method="inverted_cdf")."""
    order = np.argsort(values, kind="stable")
    cdf = np.cumsum(weights[order], dtype=np.float64)
    cdf /= cdf[-1]
    cdf[cdf == 0] = -1
    at = np.searchsorted(cdf, percentile / 100, side="left")
    return values[order][min(int(at), len(values) - 1)]


def global_level(low, mask, percentile, weights=None):
    """4.4: a percentile from unit-width bins; interpolated inside the bin without weights."""
    values = np.rint(low[mask]).astype(np.uint16)
    if weights is not None:
        cumulative = np.cumsum(np.bincount(values, weights=weights[mask].astype(np.float64), minlength=65536))
        return float(np.argmax(cumulative >= percentile / 100 * cumulative[-1]))
    counts = np.bincount(values, minlength=65536)
    cumulative = np.cumsum(counts)
    target = percentile / 100 * len(values)
    bin_index = int(np.argmax(cumulative >= target))
    count = counts[bin_index]
    if count == 0:
        return float(bin_index)
    return bin_index + (target - (cumulative[bin_index] - count)) / count


def axis_profile(smoothed, mask, axis, g, percentile, min_voxels, weights=None):
    """4.5: one value per plane along the axis, relative to g."""
    profile = np.empty(smoothed.shape[axis], np.float32)
    for i in range(len(profile)):
        values = smoothed.take(i, axis)[mask.take(i, axis)]
        enough = len(values) > 0 and len(values) >= min_voxels
        if not enough:
            profile[i] = g
        elif weights is None:
            profile[i] = np.percentile(values, percentile)
        else:
            masked_weights = weights.take(i, axis)[mask.take(i, axis)]
            profile[i] = weighted_percentile(values, masked_weights, percentile) if masked_weights.any() else g
    return profile / np.float32(g)


def axis_curve(profile, size, smoothing, limits):
    """4.6: the smoothing spline through the profile, at the target's voxels."""
    n = len(profile)
    at = np.arange(size) * (n - 1) / (size - 1) if size > 1 else np.zeros(1)
    y = profile.astype(np.float64)
    if n == 1:
        curve = np.full(size, y[0])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FITPACK's note that s = 0 interpolates exactly
            spline = scipy.interpolate.splrep(np.arange(n), y, k=min(3, n - 1), s=smoothing)
        curve = scipy.interpolate.splev(at, spline)
    if limits is not None:
        curve = np.clip(curve, *limits)
    return curve.astype(np.float32)


# ---------------------------------------------------------------------------------------------
# 4.7, 5, 7 What is applied and written


def apply_curves(subtracted, mask, curves, ratio):
    """4.7: four float32 multiplications from left to right inside the mask; 5: round."""
    one = np.float32(1)
    gain_z, gain_y, gain_x = (one / curve if curve is not None else np.ones(n, np.float32)
                              for curve, n in zip(curves, subtracted.shape))
    corrected = (subtracted * gain_x[None, None, :]) * gain_y[None, :, None]
    corrected = corrected * gain_z[:, None, None] * np.float32(ratio)
    corrected = np.where(mask, corrected, subtracted)
    assert corrected.dtype == np.float32
    return np.rint(np.clip(corrected, 0, 65535)).astype(np.uint16)


def next_level(volume, rank):
    """7: the rank-th of the sorted values of each 2x2x2 window."""
    z, y, x = (n // 2 for n in volume.shape)
    windows = volume[:2 * z, :2 * y, :2 * x].reshape(z, 2, y, 2, x, 2)
    windows = windows.transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, 8)
    return np.sort(windows, axis=-1)[..., rank]


def pyramid(volume, n_levels, rank):
    """7: at most max(1, floor(log2(smallest axis))) levels, the volume itself included."""
    levels = [volume]
    for _ in range(min(n_levels, max(1, int(math.log2(min(volume.shape))))) - 1):
        levels.append(next_level(levels[-1], rank))
    return levels


# ---------------------------------------------------------------------------------------------


def learn(tile, mask_dir, settings):
    """Everything that is learnt before the target level is corrected, by the names of the golden files.

    Of the target level it reads the background planes only.
    """
    s = settings
    target_level = "0" if s.is_binned else s.target_level
    estimation = read_level(tile, s.estimation_level).astype(np.float32)
    target = open_level(tile, target_level)
    target_shape = target.shape[2:]
    out = {}

    # 1. Background
    smoothed = gaussian(estimation, s.background_smoothing_sigma)
    initial = initial_planes(smoothed)
    rounds = reject_bright_planes(smoothed, initial)
    planes = rounds[-1] if len(rounds[-1]) else initial
    target_planes = map_planes(planes, read_z_axis(tile, s.estimation_level),
                               read_z_axis(tile, target_level), target_shape[0])
    background = background_image(target.oindex[0, 0, target_planes], s.background_final_smoothing_sigma)
    out.update(initial_planes=initial, background_planes=planes, target_planes=target_planes,
               background=background, rejection_rounds=rounds)

    # 4.1 Mask
    low = subtract(estimation, resize_plane(background, estimation.shape[1:]))
    mask = clean_mask(tifffile.imread(find_mask(mask_dir, tile)))
    mask_low = resize_nearest(mask, low.shape) & (low != 0)
    out.update(mask_low=mask_low)

    # 4.4 - 4.6
    fit_mask = mask_low.copy()
    if s.exclude_background_planes_from_mask:
        fit_mask[planes] = False
    weights = None
    if s.enable_gmm_refinement:
        weights = out["weights"] = foreground_weights(low, planes, s)
    g = global_level(low, fit_mask, s.profile_percentile, weights)
    med_factor = s.med_factor_binned if s.is_binned else s.med_factor_unbinned
    capped = gaussian(np.minimum(low, np.float32(g * med_factor)), s.gaussian_sigma)
    for axis, name in enumerate("zyx"):
        profile = axis_profile(capped, fit_mask, axis, g, s.profile_percentile, s.profile_min_voxels,
                               weights)
        limits = getattr(s, f"limits_{name}")
        out[f"profile_{name}"] = profile
        if limits is None or tuple(limits) != (1, 1):
            out[f"curve_{name}"] = axis_curve(profile, target_shape[axis], s.spline_smoothing, limits)
    out["g"] = np.float64(g)
    return out


def global_ratio(g, settings):
    """4.7: in double, rounded once when it is applied."""
    s = settings
    ratio = (s.global_factor_binned if s.is_binned else s.global_factor_unbinned) / g
    return float(np.clip(ratio, *s.global_ratio_limits)) if s.global_ratio_limits is not None else ratio


def correct_tile(tile, mask_dir, settings):
    """Corrects a tile and returns every quantity of the golden files by name."""
    out = learn(tile, mask_dir, settings)
    target = read_level(tile, "0" if settings.is_binned else settings.target_level)
    mask = resize_nearest(out["mask_low"], target.shape)
    inside = np.argwhere(mask)
    out.update(mask_full=mask, mask_count=np.int64(len(inside)),
               mask_first_last=np.array([inside.min(axis=0), inside.max(axis=0)]))
    curves = [out.get(f"curve_{name}") for name in "zyx"]
    corrected = apply_curves(subtract(target, out["background"]), mask, curves,
                             global_ratio(out["g"], settings))
    for level, volume in enumerate(pyramid(corrected, settings.n_levels, settings.corrected_rank)):
        out[f"corrected_{level}"] = volume
    return out
