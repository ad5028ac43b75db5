"""The package's methods on numpy arrays against the numpy reference and a twin of BaSiC, and its errors and stubs."""
import ast
import gc
import inspect
import re
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.basic_twin import Twin
from support.module import flatfield
from support.program import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
import reference  # noqa: E402
from agreement import ulp_distance  # noqa: E402

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=settings.default.max_examples // 3)


def random_of(seed):
    return np.random.default_rng(seed)


def made_volume(random, axes=(14, 20, 24), dtype=np.uint16):
    """A volume whose planes differ in how much they vary."""
    shape = tuple(int(random.integers(1, n)) for n in axes)
    spread = random.uniform(0, 30, (shape[0], 1, 1))
    return np.clip(100 + spread * random.normal(size=shape), 0, 255).astype(dtype)


@given(SEEDS, st.sampled_from([np.uint8, np.uint16]), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([0.0, 1.5]))
def test_background_is_that_of_the_reference(seed, dtype, sigma, final_sigma):
    volume = made_volume(random_of(seed), dtype=dtype)
    smoothed = reference.gaussian(volume.astype(np.float32), sigma)
    deviations = np.sort([reference.deviation(plane) for plane in smoothed])
    # Where the two least differ by the rounding of smoothed values alone, that decides whether one plane is chosen or both.
    assume(len(deviations) == 1 or deviations[1] == 0 or deviations[1] - deviations[0] > 16 * np.spacing(np.float32(255)))
    initial = reference.initial_planes(smoothed)
    rounds = reference.reject_bright_planes(smoothed, initial)
    expected = rounds[-1] if len(rounds[-1]) else initial
    assert list(flatfield.select_background_planes(volume, sigma)) == list(expected)
    image, planes = flatfield.estimate_background(volume, smoothing_sigma=sigma, final_smoothing_sigma=final_sigma)
    np.testing.assert_array_equal(planes, expected)
    assert image.dtype == np.float32 and image.shape == volume.shape[1:]
    assert ulp_distance(image, reference.background_image(volume[expected], final_sigma)).max() <= 1


@pytest.mark.parametrize("values", [(-1, 40), (0, 65536), (np.nan, 1)])
def test_planes_are_chosen_of_counts_alone(values):
    volume = np.full((20, 8, 8), values[0], np.float32)
    volume[3] = values[1]
    with pytest.raises(flatfield.errors.UsageError, match="volume: "):
        flatfield.select_background_planes(volume)


@given(SEEDS, st.floats(0.05, 1))
def test_clean_mask_is_that_of_the_reference(seed, share):
    mask = random_of(seed).uniform(size=(6, 7, 9)) < share
    if not mask.any():
        with pytest.raises(flatfield.errors.BadInputError):
            flatfield.clean_mask(mask)
    else:
        np.testing.assert_array_equal(flatfield.clean_mask(mask), reference.clean_mask(mask))


@given(SEEDS, st.sampled_from([dict(), dict(probability_smooth_sigma=0), dict(probability_bg_low_percentile=99.0,
                                                                              probability_bg_high_percentile=10)]))
def test_foreground_weight_is_that_of_the_reference(seed, options):
    random = random_of(seed)
    volume = np.maximum(random.normal(3, 10, [int(random.integers(1, n)) for n in (9, 12, 18)]), 0).astype(np.float32)
    planes = sorted(random.choice(len(volume), int(random.integers(1, len(volume) + 1)), replace=False).tolist())
    found = flatfield.foreground_weight(volume, volume > 0, planes, workers=2, **options)
    expected = reference.foreground_weights(volume, planes, reference.Settings(**options))
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    # The exponential is up to 2 ulp from numpy's, what is made of it up to 4.
    np.testing.assert_allclose(found, expected, rtol=4 * 2**-23, atol=1e-11)


@given(SEEDS, st.booleans(), st.sampled_from([0.0, 0.2]), st.sampled_from([50.0, 20.0, 97.5]))
def test_axis_fit_is_that_of_the_reference(seed, weighted, smoothing, percentile):
    random = random_of(seed)
    volume = (made_volume(random) + random.uniform(0, 1)).astype(np.float32)
    mask = random.uniform(size=volume.shape) < 0.7
    mask[0, 0, 0] = True
    weights = random.integers(0, 5, volume.shape).astype(np.float32) / 4 if weighted else None
    if weighted:
        weights[0, 0, 0] = 1
    limits = (0.25, 1.2)
    g = reference.global_level(volume, mask, percentile, weights)
    options = dict(profile_percentile=percentile, spline_smoothing=smoothing, gaussian_sigma=1.0)
    fit = flatfield.fit_axes(volume, mask, weights, limits_x=[1, 1], **options)
    assert fit.g == g and fit.ratio(100.0) == np.float32(100.0 / g)
    clipped = reference.gaussian(np.minimum(volume, np.float32(g * 2)), 1.0)
    for axis, name in enumerate("zyx"):
        expected = reference.axis_profile(clipped, mask, axis, g, percentile, 0, weights)
        profile = getattr(fit, "profile_" + name)
        # A gaussian filter may differ from scipy's by one ulp, and so an order statistic. Of its quotient by g that is less than
        # two, as an ulp is 2^-24 to 2^-23 of a value, and rounding does not take two quotients further apart than that.
        assert ulp_distance(profile, expected).max() <= 2
        if name == "x":
            assert fit.curve("x", 10) is None
        else:
            curve = fit.curve(name, 37)
            assert curve.dtype == np.float32 and curve.shape == (37,)
            np.testing.assert_allclose(curve, reference.axis_curve(profile, 37, smoothing, limits), rtol=1e-6)


RUN_ALONE = {"global_ratio_limits": [0.5, 2], "global_factor_binned": 10, "global_factor_unbinned": 10,
             "median_summary_path": "m.json", "exclude_background_planes_from_mask": True, "enable_gmm_refinement": True}
OF_WEIGHTS = {"probability_model": "gmm", "probability_ramp_nu": 2, "gmm_random_state": 1, "erosion_radius": 1}
OF_CURVES = {"med_factor_binned": 3, "gaussian_sigma": 1, "profile_percentile": 40, "spline_smoothing": 0.1, "limits_x": [1, 1]}


@pytest.mark.parametrize("key, value", [*RUN_ALONE.items(), *OF_WEIGHTS.items()])
def test_options_that_have_no_effect_on_curves_are_refused(key, value):
    volume = np.full((4, 5, 6), 100, np.float32)
    with pytest.raises(flatfield.errors.UsageError, match=f"{key}: has no effect here, expected some of med_factor_binned, "):
        flatfield.fit_axes(volume, volume > 0, **{key: value})
    flatfield.fit_axes(volume, volume > 0, **OF_CURVES)


@pytest.mark.parametrize("key, value", [*RUN_ALONE.items(), *OF_CURVES.items()])
def test_options_that_have_no_effect_on_weights_are_refused(key, value):
    volume = np.full((4, 5, 6), 100, np.float32)
    with pytest.raises(flatfield.errors.UsageError, match=f"{key}: has no effect here, expected some of probability_model, "):
        flatfield.foreground_weight(volume, volume > 0, [0, 1], **{key: value})
    flatfield.foreground_weight(volume, volume > 0, [0, 1], probability_ramp_nu=2, gmm_random_state=1, erosion_radius=1)


@given(SEEDS, st.integers(1, 20), st.integers(1, 20))
def test_reference_flatfield_is_resized_and_at_most_one(seed, height, width):
    image = random_of(seed).uniform(50, 100, (9, 7)).astype(np.float32)
    expected = reference.resize_plane(image, (height, width))
    expected = expected / expected.max()
    found = flatfield.reference_flatfield(image, height, width)
    assert found.max() == 1
    np.testing.assert_allclose(found, expected, rtol=3e-7)


def test_a_flatfield_with_dark_pixels_is_refused_with_their_number():
    image = np.ones((4, 4))
    image[:2, 0] = 0
    with pytest.raises(flatfield.errors.BadInputError, match="2 of"):
        flatfield.reference_flatfield(image, 4, 4)


# ---------------------------------------------------------------------------------------------
# BaSiC


def made_stack(random, frames=9, shape=(21, 18)):
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    shading = 1.2 - 0.4 * (x**2 + y**2)
    return (random.uniform(50, 200, (frames, 1, 1)) * shading + random.normal(0, 2, (frames, *shape))).astype(np.float32)


@FEW
@given(SEEDS, st.sampled_from(["ladmap", "approximate"]), st.booleans(), st.booleans(), st.booleans())
def test_basic_follows_its_equations(seed, mode, dark, sort, weighted):
    random = random_of(seed)
    images = made_stack(random)
    weights = (random.uniform(size=images.shape) < 0.8).astype(np.float32) if weighted else None
    options = dict(fitting_mode=mode, get_darkfield=dark, sort_intensity=sort, smoothness_flatfield=0.1)
    twin = Twin(images[:, None], None if weights is None else weights[:, None], **options).fit()
    # Rounding to float32 may take a decision to stop the other way, and thus do another number of solves.
    assume(twin.closest_call > 0.01)
    basic = flatfield.BaSiC(working_size=None, **options).fit(images, weights)
    np.testing.assert_allclose(basic.flatfield, twin.flatfield[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(basic.baseline, twin.baseline, rtol=1e-4)
    assert basic.flatfield.shape == images.shape[1:] and basic.flatfield.dtype == np.float32

    corrected = (images - basic.darkfield) / basic.flatfield
    baseline = basic.baseline[:, None, None]
    np.testing.assert_allclose(basic.transform(images), corrected, rtol=1e-6)
    np.testing.assert_allclose(basic.transform(images, timelapse=True), corrected - baseline, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(basic.transform(images[3:5], "additive", frames=[3, 4]),
                               (images - basic.darkfield - basic.flatfield * baseline)[3:5], rtol=1e-6, atol=1e-4)


def test_basic_has_the_names_and_defaults_of_basicpy():
    basic = flatfield.BaSiC()
    assert (basic.fitting_mode, basic.get_darkfield, basic.smoothness_flatfield, basic.smoothness_darkfield,
            basic.sparse_cost_darkfield, basic.epsilon, basic.max_iterations, basic.max_reweight_iterations,
            basic.max_reweight_iterations_baseline, basic.rho, basic.mu_coef, basic.max_mu_coef, basic.optimization_tol,
            basic.optimization_tol_diff, basic.reweighting_tol, basic.sort_intensity, basic.working_size,
            basic.resize_mode, basic.autosegment, basic.autosegment_margin) == (
                "ladmap", False, 1.0, 1.0, 0.01, 0.1, 500, 10, 5, 1.5, 12.5, 1e7, 1e-3, 1e-2, 1e-2, False, 128, "jax",
                False, 10)
    basic.working_size = [30, 40]
    basic.smoothness_flatfield = np.float32(0.5)
    assert basic.settings["working_size"] == [30, 40] and basic.settings["smoothness_flatfield"] == 0.5
    assert basic.baseline is None
    for call in (lambda: basic.flatfield, lambda: basic.transform(np.ones((2, 3, 3))),
                 lambda: flatfield.BaSiC(smoothnes_flatfield=1), lambda: flatfield.BaSiC(epsilon=0),
                 lambda: flatfield.BaSiC(max_mu_coef=np.inf), lambda: flatfield.BaSiC(epsilon=np.nan),
                 lambda: flatfield.BaSiC(autotune=True), lambda: flatfield.BaSiC(max_workers=0),
                 lambda: basic.fit(np.ones((3, 3)))):
        with pytest.raises(flatfield.errors.UsageError):
            call()
    with pytest.raises(flatfield.errors.UsageError, match='did you mean "smoothness_flatfield"'):
        flatfield.BaSiC(smoothnes_flatfield=1)
    with pytest.raises(flatfield.errors.BadInputError):
        basic.fit(np.full((3, 9, 9), np.nan))
    assert flatfield.BaSiC(epsilon=np.longdouble(0.25)).epsilon == 0.25
    endless = []
    endless.append(endless)
    with pytest.raises(flatfield.errors.UsageError, match="working_size: it is nested too deeply"):
        flatfield.BaSiC(working_size=endless)


def test_basic_gives_the_same_bits_on_any_threads_and_tunes_itself():
    images = made_stack(random_of(1), frames=7, shape=(40, 31))
    one = flatfield.BaSiC(working_size=[32, 32]).fit(images)
    many = flatfield.BaSiC(working_size=[32, 32], max_workers=4)
    np.testing.assert_array_equal(many.fit_transform(images), one.transform(images))
    np.testing.assert_array_equal(one.flatfield, many.flatfield)
    candidates = many.autotune(images)
    best = min(candidates, key=lambda candidate: candidate["cost"])
    assert len(candidates) == 15 and many.smoothness_flatfield == best["smoothness_flatfield"]


def test_arrays_of_a_fit_outlive_it():
    images = made_stack(random_of(2))
    basic = flatfield.BaSiC(working_size=None).fit(images)
    field, before = basic.flatfield, basic.flatfield.copy()
    assert not field.flags.writeable and np.shares_memory(field, basic.flatfield)
    basic.fit(images[::-1] * 2)
    del basic
    gc.collect()
    np.testing.assert_array_equal(field, before)


# ---------------------------------------------------------------------------------------------
# The boundary


def test_native_work_releases_the_lock():
    """While a thread fits, another one runs: with the lock held it would stand still."""
    images = made_stack(random_of(3), frames=40, shape=(128, 128))
    work = threading.Thread(target=lambda: flatfield.BaSiC(
        max_iterations=40, max_reweight_iterations=2, optimization_tol=0).fit(images))
    work.start()
    ticks = 0
    while work.is_alive():
        time.sleep(0.001)
        ticks += 1
    assert ticks > 20


def test_errors_are_those_of_the_library():
    error = flatfield.errors.make_error("not_found", 3, "no tile: /a: check the path", "no tile", "/a", "check the path")
    assert isinstance(error, FileNotFoundError) and isinstance(error, flatfield.FlatfieldError)
    assert (str(error), error.code, error.exit_code, error.where) == ("no tile: /a: check the path", "not_found", 3, "/a")


def parameters_of(function):
    """Names of the parameters in order, as the signature in a docstring has them."""
    signature = re.match(r"\w+\((.*)\)( ->.*)?\n", function.__doc__ + "\n")[1]
    depth, names, word = 0, [], ""
    for character in signature + ",":
        depth += (character in "([{<") - (character in ")]}>" and not word.endswith("-"))
        if character == "," and depth == 0:
            names.append(word.strip().split(":")[0].split("=")[0].strip())
            word = ""
        else:
            word += character
    return [name for name in names if name not in ("*", "self", "")]


def stub_functions(body):
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def stub_parameters(node):
    arguments = node.args
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    names += ["**" + arguments.kwarg.arg] if arguments.kwarg else []
    return [name for name in names if name != "self"]


def test_stubs_say_what_the_module_has():
    native = sys.modules["exaspim_flatfield._native"]
    tree = ast.parse((REPOSITORY / "python/exaspim_flatfield/_native.pyi").read_text())
    functions, classes = {k: n for k, n in stub_functions(tree.body).items() if not k.startswith("_")}, {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    public = {name for name in vars(native) if not name.startswith("_")}
    assert public == set(functions) | set(classes)
    for name, node in functions.items():
        assert re.sub(r"\*\*\w+", "**kwargs", " ".join(stub_parameters(node))) == " ".join(
            parameters_of(getattr(native, name))), name
    for name, node in classes.items():
        members = {n for n in vars(getattr(native, name)) if not n.startswith("_") or n == "__call__"}
        written = set(stub_functions(node.body)) - {"__init__"}
        written |= {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
        assert members == written, name


def test_everything_public_says_what_it_is():
    for name in flatfield.__all__:
        thing = getattr(flatfield, name)
        if callable(thing):
            assert inspect.getdoc(thing) and len(inspect.getdoc(thing)) > 40, name
