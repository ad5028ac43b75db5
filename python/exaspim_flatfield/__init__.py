"""Background subtraction and illumination correction of light-sheet tiles, native and on numpy arrays.

Volumes are (z, y, x). Every function takes ``workers``, a number of threads that changes no value. Errors are the
classes of :mod:`exaspim_flatfield.errors`.
"""
from ._native import (BaSiC, Spline, __version__, gaussian_filter, percentile, plane_median, reduce_windows,
                      resize_plane, smoothing_spline, weighted_percentile)
from .errors import FlatfieldError

__all__ = ["BaSiC", "FlatfieldError", "Spline", "__version__", "gaussian_filter", "percentile", "plane_median",
           "reduce_windows", "resize_plane", "smoothing_spline", "weighted_percentile"]
