"""The command line program against golden data: every array of every .npz, with the tolerances of
docs/methods.md 9.

The data of the project (tests/golden/data) are always used; those of $FLATFIELD_SHARED/golden/fitting
(default: ../shared beside the repository) where they exist. $FLATFIELD_BUILD is the build folder
(default build/release).
"""
import sys

import numpy as np
import pytest

from support.program import REPOSITORY, SHARED, call, read_levels

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
import cases  # noqa: E402
from agreement import check_one_ulp, check_ramp_weights, check_voxels, disagreements  # noqa: E402
from reference import correct_tile  # noqa: E402

SHARED_DATA = SHARED / "golden" / "fitting"

PROJECT = [pytest.param(cases.PROJECT_DATA, case, id=f"project-{case.expected}")
           for case in cases.PROJECT_CASES]
SHARED = [pytest.param(SHARED_DATA, case, id=f"shared-{case.expected}") for case in cases.SHARED_CASES]
SHARED += [pytest.param(SHARED_DATA, case, id=f"shared-{case.expected}") for case in cases.SHARED_WEIGHTS_CASES]


def load_expected(data, case):
    if not data.is_dir():
        pytest.skip(f"no golden data at {data}: set FLATFIELD_SHARED")
    with np.load(data / f"{case.expected}.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


# ---------------------------------------------------------------------------------------------
# The program


def read_volumes(group):
    """The levels of a group with one volume, as (z, y, x) arrays."""
    levels = read_levels(group)
    assert all(level.shape[:2] == (1, 1) for level in levels.values())
    return {path: level[0, 0] for path, level in levels.items()}


def run_program(data, case, folder):
    """Corrects the tile of the case; returns the arrays of a golden file."""
    output, learned = folder / "corrected" / "SPIM.ome.zarr", folder / "learned"
    learned.mkdir()
    result = call("run", "--zarr", data / case.tile, "--output", output, "--method", "fitting",
                  "--mask-dir", data / "masks", "--results-dir", folder / "results", "--num-workers", 2,
                  "--dump-learned", learned, *case.options(folder), cwd=folder)
    assert result.code == 0, f"exit code {result.code}\n{result.out}\n{result.err}"

    actual = {path.stem: np.load(path) for path in learned.glob("*.npy")}
    assert actual["g"].shape == (1,) and actual["g"].dtype == np.float64
    assert actual["mask_low"].dtype == np.uint8 and actual["mask_low"].max() == 1
    actual["g"] = actual["g"][0]
    for path, volume in read_volumes(output / case.tile).items():
        actual[f"corrected_{path}"] = volume
    mask_levels = read_volumes(output.parent / "mask" / output.name / case.tile)
    assert list(mask_levels) == ["0"] and mask_levels["0"].dtype == np.uint8
    mask = mask_levels["0"]
    assert mask.shape == actual["corrected_0"].shape and mask.max() == 1
    inside = np.argwhere(mask)
    actual["mask_count"] = np.int64(len(inside))
    actual["mask_first_last"] = np.array([inside.min(axis=0), inside.max(axis=0)])
    if case.settings.get("enable_gmm_refinement"):
        probability = output.parent / "probability" / output.name / case.tile
        actual["weights"] = read_volumes(probability)["0"]
    return actual


@pytest.mark.parametrize("data, case", PROJECT + SHARED)
def test_program_agrees_with_every_golden_array(data, case, tmp_path):
    expected = load_expected(data, case)
    actual = run_program(data, case, tmp_path)
    wrong = disagreements(expected, actual, case.settings.get("is_binned", False))
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------------------------------------
# The data and the comparison themselves


def test_every_shared_golden_file_has_a_case():
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no golden data at {SHARED_DATA}: set FLATFIELD_SHARED")
    files = {path.stem for path in SHARED_DATA.glob("*.npz")} - {
        path.stem for path in SHARED_DATA.glob("*.truth.npz")}
    assert files == {case.expected for case in cases.SHARED_CASES + cases.SHARED_WEIGHTS_CASES}


@pytest.mark.parametrize("data, case", PROJECT + SHARED)
def test_reference_equals_every_golden_array(data, case):
    expected = load_expected(data, case)
    actual = correct_tile(data / case.tile, data / "masks", case.reference_settings())
    assert {name: int(np.count_nonzero(actual[name] != values)) for name, values in expected.items()} \
        == dict.fromkeys(expected, 0)


def perturbations(name, values):
    """Copies of an array that its rule must refuse."""
    if name.startswith("corrected_"):
        one_voxel = values.copy()
        one_voxel.flat[values.size // 2] += 3 if one_voxel.flat[values.size // 2] < 60000 else -3
        many = values.copy()
        many[(values < 60000) & (np.arange(values.size).reshape(values.shape) % 500 == 0)] += 1
        return [one_voxel] if values.size < 2000 else [one_voxel, many]
    if name.startswith(("profile_", "curve_")):
        two_ulp = values.copy()
        two_ulp[-1] = np.nextafter(np.nextafter(values[-1], np.float32(9)), np.float32(9))
        not_finite = values.copy()
        not_finite[0] = np.nan
        return [two_ulp, not_finite, values.astype(np.float64)]
    next_value = ~values if values.dtype == bool else (
        np.nextafter(values, values + 1) if values.dtype.kind == "f" else values + 1)
    changed = np.array(values)
    changed.flat[changed.size // 2] = np.ravel(next_value)[changed.size // 2]
    return [changed]


@pytest.mark.parametrize("data, case", PROJECT)
def test_comparison_refuses_every_perturbed_array(data, case):
    expected = load_expected(data, case)
    is_binned = case.settings.get("is_binned", False)
    as_dumped = {**expected, "mask_low": expected["mask_low"].astype(np.uint8)}
    assert disagreements(expected, as_dumped, is_binned) == []
    for name, values in expected.items():
        for perturbed in perturbations(name, values):
            found = disagreements(expected, {**expected, name: perturbed}, is_binned)
            assert len(found) == 1 and found[0].startswith(name + ":"), (name, found)
        missing = {key: array for key, array in expected.items() if key != name}
        assert disagreements(expected, missing, is_binned) == [f"{name}: missing"]
        assert disagreements(expected, {**expected, name: values[None]}, is_binned)


def test_comparison_allows_what_the_tolerances_allow():
    curve = np.linspace(0.25, 1.2, 50, dtype=np.float32)
    above = np.nextafter(curve, np.float32(2))
    assert check_one_ulp(curve, above) is None
    assert check_one_ulp(curve, np.nextafter(above, np.float32(2))) is not None
    assert check_one_ulp(curve, curve[None]) is not None
    voxels = np.full((50, 40, 50), 7, np.uint16)
    almost = voxels.copy()
    almost.flat[:10] += 1
    assert check_voxels(0.9999)(voxels, almost) is None
    almost.flat[10] += 1
    assert check_voxels(0.9999)(voxels, almost) is not None
    assert check_voxels(0.9995)(voxels, almost) is None


def test_comparison_of_ramps_allows_what_the_exponential_of_numpy_differs_by():
    weights = np.linspace(1e-4, 1, 1000, dtype=np.float32)
    bits = weights.view(np.uint32) + np.uint32(4)
    assert check_ramp_weights(weights, bits.view(np.float32)) is None
    bits[500] += 1
    assert "off by 5 ulp" in check_ramp_weights(weights, bits.view(np.float32))
    assert check_ramp_weights(weights, weights.astype(np.float64)) is not None


def test_comparison_refuses_arrays_that_no_rule_covers():
    array = np.zeros(3)
    assert disagreements({"novelty": array}, {"novelty": array}, False)
    assert disagreements({}, {"curve_z": array}, False)
    assert disagreements({}, {"corrected_4": array}, False)
