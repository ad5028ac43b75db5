"""Background subtraction and illumination correction of light-sheet tiles, native and on numpy arrays.

Volumes are (z, y, x). ``workers`` is a number of threads; it changes no value. Python's lock is released while native
code works. Errors are the classes of :mod:`exaspim_flatfield.errors`.
"""
from ._native import (AxisFit, BaSiC, Model, ModelVolume, Spline, Tile, __version__, clean_mask, correct_block,
                      estimate_background, fill_holes, fit_axes, foreground_weight, gaussian_filter,
                      keep_largest_regions, nearest_resize, open_tile, percentile, plane_median, read_model,
                      reduce_windows, reference_flatfield, resize_plane, select_background_planes, smoothing_spline,
                      weighted_percentile)
from .errors import FlatfieldError
from .pipeline import apply, estimate, finalize, plan, run, synthesize, verify

__all__ = [
    "AxisFit", "BaSiC", "FlatfieldError", "Model", "ModelVolume", "Spline", "Tile", "__version__", "apply", "clean_mask",
    "correct_block", "estimate", "estimate_background", "fill_holes", "finalize", "fit_axes", "foreground_weight",
    "gaussian_filter", "keep_largest_regions", "nearest_resize", "open_tile", "percentile", "plan", "plane_median",
    "read_model", "reduce_windows", "reference_flatfield", "resize_plane", "run", "select_background_planes",
    "smoothing_spline", "synthesize", "verify", "weighted_percentile",
]
