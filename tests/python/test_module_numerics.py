"""Properties of the package's numerics on any array, edge shapes included, against numpy, scipy and scikit-image."""
import sys
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.interpolate import splev, splrep
from skimage.transform import resize

from support.module import flatfield
from support.program import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
from agreement import check_one_ulp  # noqa: E402

SEEDS = st.integers(0, 2**32 - 1)


def shapes(axes, most, least=1):
    return st.tuples(*[st.integers(least, most)] * axes)


def volumes(shape, dtype=np.float32, top=65535):
    """Arrays of random values of a seed: smooth ones, noisy ones, ones with many ties."""
    def make(drawn):
        size, seed, kind = drawn
        random = np.random.default_rng(seed)
        values = random.uniform(0, top, size)
        if kind == 1:
            values = random.integers(0, 3, size)
        if kind == 2:
            values = np.full(size, seed % (top + 1))
        return values.astype(dtype)
    return st.tuples(shape, SEEDS, st.integers(0, 2)).map(make)


def masks(shape):
    return st.tuples(shape, SEEDS, st.floats(0, 1)).map(
        lambda drawn: np.random.default_rng(drawn[1]).uniform(size=drawn[0]) < drawn[2])


@given(volumes(shapes(3, 14) | shapes(2, 40)), st.data())
def test_gaussian_filter_is_that_of_scipy(volume, data):
    sigma = data.draw(st.sampled_from([0.0, 0.3, 1.0, 2.5, 9.0]) |
                      st.lists(st.floats(0, 12), min_size=volume.ndim, max_size=volume.ndim))
    before = volume.copy()
    found = flatfield.gaussian_filter(volume, sigma)
    expected = ndimage.gaussian_filter(volume, sigma, mode="reflect", truncate=4.0)
    assert check_one_ulp(expected, found) is None
    np.testing.assert_array_equal(volume, before)
    np.testing.assert_array_equal(found, flatfield.gaussian_filter(volume, sigma, workers=3))


@given(volumes(shapes(3, 8)), st.permutations(range(3)), st.sampled_from(["float64", "uint16", "float32"]))
def test_arrays_of_any_type_and_order_are_taken(volume, order, dtype):
    volume = np.floor(volume)
    other = volume.astype(dtype).transpose(order)
    expected = flatfield.gaussian_filter(np.ascontiguousarray(volume.transpose(order)), 1.0)
    np.testing.assert_array_equal(flatfield.gaussian_filter(other, 1.0), expected)
    np.testing.assert_array_equal(flatfield.gaussian_filter(other[:, ::-1], 0), volume.transpose(order)[:, ::-1])


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=20),
                  elements=st.floats(-1e6, 1e6, width=32)), st.floats(0, 100))
def test_percentile_is_that_of_numpy(values, q):
    # As an array, q stays float64; numpy 2 takes a number in the type of the values.
    assert flatfield.percentile(values, q) == np.percentile(values, np.asarray(q))


def numpy_weighted_percentile(values, weights, q):
    """numpy 2's own where there is one, else its definition."""
    if int(np.__version__.split(".")[0]) >= 2:
        return np.percentile(values, q, weights=weights.astype(np.float64), method="inverted_cdf")
    order = np.argsort(values, kind="stable")
    cdf = np.cumsum(weights[order], dtype=np.float64)
    cdf /= cdf[-1]
    cdf[cdf == 0] = -1
    return values[order][min(int(np.searchsorted(cdf, q / 100, side="left")), len(values) - 1)]


@given(st.data(), st.integers(1, 60), st.floats(0, 100))
def test_weighted_percentile_is_that_of_numpy(data, count, q):
    floats = st.floats(0, 1000, width=32)
    values = np.array(data.draw(st.lists(floats, min_size=count, max_size=count)), np.float32)
    # Weights whose sums are exact in any order: then no rounding decides.
    weights = np.array(data.draw(st.lists(st.integers(0, 8), min_size=count, max_size=count)), np.float32) / 8
    assume(weights.sum() > 0)
    assert flatfield.weighted_percentile(values, weights, q) == numpy_weighted_percentile(values, weights, q)


@given(st.sampled_from([np.uint8, np.uint16]).flatmap(
    lambda dtype: volumes(shapes(3, 12), dtype, np.iinfo(dtype).max)))
def test_plane_median_is_that_of_numpy(planes):
    np.testing.assert_array_equal(flatfield.plane_median(planes), np.median(planes, axis=0).astype(np.float32))


@given(st.lists(st.floats(0.125, 1, width=32), min_size=2, max_size=40), st.sampled_from([0.0, 0.01, 0.1, 1.0, 30.0]))
def test_smoothing_spline_is_that_of_fitpack(y, smoothing):
    n = len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # splrep warns where it stops at its best
        expected = splrep(np.arange(n), y, k=min(3, n - 1), s=smoothing)
    spline = flatfield.smoothing_spline(y, smoothing)
    np.testing.assert_array_equal(spline.knots, expected[0])
    assert spline.degree == expected[2] and len(spline.coefficients) == len(spline.knots) - spline.degree - 1
    x = np.linspace(-0.5, n - 0.5, 3 * n)
    values = splev(x, expected)
    if np.abs(values).max() <= 10:  # where FITPACK gave up, neither is a curve through the values
        np.testing.assert_allclose(spline(x), values, rtol=1e-9, atol=1e-9)
    assert spline(1.0) == spline(np.array([1.0]))[0]


def test_the_spline_of_one_value_is_constant():
    assert flatfield.smoothing_spline([3.5])(17.0) == 3.5


@given(volumes(shapes(2, 30)), st.integers(1, 50), st.integers(1, 50))
def test_resize_plane_is_that_of_scikit_image(plane, height, width):
    found = flatfield.resize_plane(plane, height, width, workers=2)
    expected = resize(plane, (height, width), order=3, mode="reflect", anti_aliasing=False, clip=True,
                      preserve_range=True).astype(np.float32)
    if (height, width) == plane.shape:
        expected = plane  # which scikit-image filters, and so misses by the rounding of that
    assert check_one_ulp(expected, found) is None


def windows(volume):
    """The windows of 2 x 2 x 2 voxels as the last axis, odd ends dropped."""
    z, y, x = (n // 2 for n in volume.shape)
    blocks = volume[:2 * z, :2 * y, :2 * x].reshape(z, 2, y, 2, x, 2)
    return blocks.transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, 8)


def most_frequent(window):
    values, counts = np.unique(window, return_counts=True)
    return values[np.argmax(counts)]


@given(st.sampled_from([np.uint8, np.uint16, np.float32]).flatmap(lambda dtype: volumes(shapes(3, 9), dtype, 255)),
       st.integers(-8, 7) | st.sampled_from(["mean", "mode"]))
def test_reduce_windows_is_that_of_numpy(volume, rank):
    found = flatfield.reduce_windows(volume, rank)
    cells = windows(volume)
    if rank == "mean":
        expected = cells.astype(np.float64).mean(axis=-1)
        expected = expected.astype(np.float32) if volume.dtype == np.float32 else np.rint(expected)
    elif rank == "mode":
        expected = np.apply_along_axis(most_frequent, -1, cells) if cells.size else cells[..., 0]
    else:
        expected = np.sort(cells, axis=-1)[..., rank]
    assert found.dtype == volume.dtype
    if rank == "mean" and volume.dtype == np.float32 and cells.size:
        assert check_one_ulp(expected, found) is None  # another order of the sum
    else:
        np.testing.assert_array_equal(found, expected)


@given(masks(shapes(3, 9) | shapes(2, 20)), st.integers(0, 5))
def test_keep_largest_regions_is_that_of_scipy(mask, count):
    labels, regions = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=regions + 1)[1:]
    largest = np.argsort(-sizes, kind="stable")[:count] + 1
    found = flatfield.keep_largest_regions(mask, count)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.isin(labels, largest))


@given(masks(shapes(3, 9)), st.sampled_from([bool, np.uint8, np.uint16, np.float32]))
def test_fill_holes_is_that_of_scipy(mask, dtype):
    np.testing.assert_array_equal(flatfield.fill_holes(mask.astype(dtype)), ndimage.binary_fill_holes(mask))


@given(masks(shapes(3, 9)), shapes(3, 20))
def test_nearest_resize_takes_the_voxel_below_each_centre(mask, shape):
    index = [np.minimum((2 * np.arange(big) + 1) * small // (2 * big), small - 1)
             for small, big in zip(mask.shape, shape)]
    np.testing.assert_array_equal(flatfield.nearest_resize(mask, shape), mask[np.ix_(*index)])


@pytest.mark.parametrize("call", [
    lambda: flatfield.gaussian_filter(np.zeros((2, 2)), -1),
    lambda: flatfield.gaussian_filter(np.zeros((2, 2)), [1, 1, 1]),
    lambda: flatfield.gaussian_filter(np.zeros(3), 1),
    lambda: flatfield.gaussian_filter(np.zeros((2, 2)), 1, workers=0),
    lambda: flatfield.percentile([], 50), lambda: flatfield.percentile([1], 101), lambda: flatfield.percentile([np.nan], 5),
    lambda: flatfield.weighted_percentile([1, 2], [1], 50), lambda: flatfield.weighted_percentile([1, 2], [0, 0], 50),
    lambda: flatfield.weighted_percentile([1, 2], [1, -1], 50), lambda: flatfield.weighted_percentile([1], [np.inf], 50),
    lambda: flatfield.plane_median(np.zeros((2, 2), np.uint8)), lambda: flatfield.plane_median(np.zeros((2, 2, 2))),
    lambda: flatfield.plane_median(np.zeros((0, 2, 2), np.uint8)),
    lambda: flatfield.smoothing_spline([]), lambda: flatfield.smoothing_spline([1, np.inf]),
    lambda: flatfield.smoothing_spline([1, 2], -1), lambda: flatfield.smoothing_spline([[1, 2]]),
    lambda: flatfield.gaussian_filter(np.zeros((2, 2), np.float32), 1e19),
    lambda: flatfield.resize_plane(np.zeros((2, 2)), 0, 3), lambda: flatfield.resize_plane(np.zeros((2, 0)), 3, 3),
    lambda: flatfield.resize_plane(np.full((2, 2), np.nan), 3, 3), lambda: flatfield.resize_plane(np.zeros(2), 3, 3),
    lambda: flatfield.reduce_windows(np.zeros((2, 2, 2), np.int32)),
    lambda: flatfield.reduce_windows(np.zeros((2, 2, 2), np.uint8), 8),
    lambda: flatfield.reduce_windows(np.zeros((2, 2, 2), np.uint8), "max"),
    lambda: flatfield.reduce_windows(np.array([1, 1, 1, np.nan, 1, 1, 1, 1], np.float32).reshape(2, 2, 2)),
    lambda: flatfield.reduce_windows(np.full((2, 2, 2), np.nan, np.float32), "mean"),
    lambda: flatfield.keep_largest_regions(np.zeros((2, 2, 2)), -1), lambda: flatfield.fill_holes(np.zeros((2, 2))),
    lambda: flatfield.nearest_resize(np.zeros((2, 2, 2)), (1, 1)), lambda: flatfield.nearest_resize(np.zeros((2, 2, 0)), (1, 1, 1)),
    lambda: flatfield.nearest_resize(np.zeros((2, 2, 2)), (1, 1, 0)),
])
def test_what_makes_no_sense_is_refused_as_usage(call):
    with pytest.raises(flatfield.errors.UsageError) as caught:
        call()
    assert isinstance(caught.value, ValueError) and caught.value.exit_code == 2 and str(caught.value)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0), (0, 0, 0), (2, 3, 0)])
def test_empty_arrays_stay_empty(shape):
    assert flatfield.gaussian_filter(np.zeros(shape), 1.0).shape == shape
    if len(shape) == 3:
        assert flatfield.reduce_windows(np.zeros(shape, np.uint8)).size == 0
        assert flatfield.fill_holes(np.zeros(shape)).shape == shape
    assert flatfield.keep_largest_regions(np.zeros(shape), 2).shape == shape
