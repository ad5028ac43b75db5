"""The program on tiles of real microscopes: better by numbers that are computed here anew, and readable by others."""
import sys

import jsonschema
import numpy as np
import pytest
import tifffile
import zarr

from support.program import REPOSITORY, correct, read_json, read_levels, read_volume, shared_data
from support.tiles import phantom, write_mask, write_tile

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
from agreement import check_voxels  # noqa: E402
from reference import Settings, correct_tile  # noqa: E402

TILES = ["tile_000002_ch_561.zarr", "tile_000003_ch_488.zarr"]


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    """The corrections of the real tiles by name, each made when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = correct(shared_data("data/real") / name, tmp_path_factory.mktemp("real"),
                                 "--is-binned", "--save-outputs", "--n-levels", 3, "--num-workers", 2)
        return made[name]
    return get


def masked_profile_cv(volume, mask, axis):
    """Coefficient of variation in percent of the masked medians of the planes along an axis."""
    medians = [np.median(volume.take(i, axis)[mask.take(i, axis)]) for i in range(volume.shape[axis])
               if mask.take(i, axis).any()]
    return 100 * np.std(medians) / np.mean(medians)


# ---------------------------------------------------------------------------------------------
# Better


@pytest.mark.parametrize("name", TILES)
@pytest.mark.parametrize("axis", "zyx")
def test_masked_profile_is_flatter_along_every_axis(corrected, name, axis):
    qc = corrected(name).numbers
    assert qc[f"profile_cv_{axis}_after"] < qc[f"profile_cv_{axis}_before"], qc


def test_masked_profile_of_the_brain_is_as_flat_as_it_can_be(corrected):
    qc = corrected(TILES[0]).numbers
    assert qc["profile_cv_z_after"] < 24
    assert qc["profile_cv_y_after"] < 17
    assert qc["profile_cv_x_after"] < 3


@pytest.mark.parametrize("name", TILES)
def test_reported_profiles_are_those_of_the_voxels_that_were_written(corrected, name):
    run = corrected(name)
    raw = read_volume(shared_data("data/real") / name).astype(np.float32)
    background = tifffile.imread(run.results / f"{name}_bkg.tif")
    planes = read_json(run.results / f"{name}_bkg_slice_indices.json")
    np.testing.assert_array_equal(background, np.median(raw[planes], axis=0))
    mask = read_volume(run.mask) != 0
    before, after = np.maximum(raw - background, 0), read_volume(run.corrected)
    for axis, letter in enumerate("zyx"):
        assert run.numbers[f"profile_cv_{letter}_raw"] == pytest.approx(masked_profile_cv(raw, mask, axis), rel=1e-6)
        assert run.numbers[f"profile_cv_{letter}_before"] == pytest.approx(
            masked_profile_cv(before, mask, axis), rel=1e-6)
        # What is written is rounded to whole counts.
        assert run.numbers[f"profile_cv_{letter}_after"] == pytest.approx(
            masked_profile_cv(after, mask, axis), abs=0.05)


@pytest.mark.parametrize("name, in_tissue", zip(TILES, (True, False)))
def test_run_warns_if_and_only_if_the_background_planes_lie_in_tissue(corrected, name, in_tissue):
    run = corrected(name)
    planes = read_json(run.results / f"{name}_bkg_slice_indices.json")
    share = read_volume(run.mask)[planes].mean()
    assert (share > 0.01) == in_tissue
    assert run.numbers["background_planes_in_mask"] == pytest.approx(share)
    for warnings in (run.result.warnings, run.report["warnings"]):
        assert any("background_planes_in_mask" in warning for warning in warnings) == in_tissue


def test_light_sheet_tile_with_odd_chunks_equals_the_reference(corrected):
    name = TILES[1]
    run = corrected(name)
    expected = correct_tile(shared_data("data/real") / name, shared_data("data/real/masks"),
                            Settings(is_binned=True, n_levels=3))
    np.testing.assert_array_equal(read_volume(run.mask), expected["mask_full"])
    levels = read_levels(run.corrected)
    assert list(levels) == ["0", "1", "2"]
    for level, voxels in levels.items():
        assert check_voxels(0.9999)(expected[f"corrected_{level}"], voxels[0, 0]) is None, level
    assert zarr.open_array(str(run.corrected / "0"), mode="r").chunks == (1, 1, 15, 256, 256)


# ---------------------------------------------------------------------------------------------
# Readable by others


def ngff_validator(name):
    """Validates against a schema of NGFF 0.4, whose references are found among its neighbours, not on the network."""
    folder = shared_data("data/conformance/ngff-spec/0.4/schemas")
    schemas = {schema["$id"]: schema for schema in map(read_json, sorted(folder.glob("*.schema")))}

    def refuse(uri):
        raise AssertionError(f"the schema refers to {uri}, which is not among its neighbours")
    (schema,) = [schema for uri, schema in schemas.items() if uri.endswith("/" + name)]
    resolver = jsonschema.RefResolver.from_schema(schema, store=schemas,
                                                  handlers={"http": refuse, "https": refuse})
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


@pytest.mark.parametrize("name", TILES)
@pytest.mark.parametrize("schema", ["image.schema", "strict_image.schema"])
def test_metadata_validate_against_the_schemas_of_ngff(corrected, name, schema):
    validator = ngff_validator(schema)
    for group in (corrected(name).corrected, corrected(name).mask):
        assert [error.message for error in validator.iter_errors(read_json(group / ".zattrs"))] == []


def test_schema_refuses_metadata_that_are_wrong(corrected):
    attributes = read_json(corrected(TILES[0]).corrected / ".zattrs")
    del attributes["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert list(ngff_validator("strict_image.schema").iter_errors(attributes))


@pytest.mark.parametrize("name", TILES)
def test_zarr_python_reads_every_level(corrected, name):
    run = corrected(name)
    shape = np.array(zarr.open_array(str(shared_data("data/real") / name / "0"), mode="r").shape[2:])
    levels = read_levels(run.corrected)
    for k, voxels in enumerate(levels.values()):
        assert voxels.shape == (1, 1, *(shape // 2 ** k)) and voxels.dtype == np.uint16
    assert zarr.open_group(str(run.corrected), mode="r").attrs["omero"]["channels"]
    mask = read_levels(run.mask)
    assert list(mask) == ["0"] and mask["0"].shape == (1, 1, *shape) and mask["0"].dtype == np.uint8
    assert set(np.unique(mask["0"])) == {0, 1}


# ---------------------------------------------------------------------------------------------
# Other axes than the five


@pytest.fixture
def mesospim(tmp_path):
    """The third-party tile with axes c, z, y, x under a name with an identifier, and its mask beside it."""
    source = shared_data("data/real/mesospim_ngff_example/my_image")
    tile = tmp_path / "in" / "tile_000009_ch_405.zarr"
    tile.parent.mkdir()
    tile.symlink_to(source)
    bright = read_levels(source)["1"][0] > 250
    write_mask(tile.parent / "masks" / "meso_tile_000009_ch_405.zarr_pred.tif", bright)
    return tile


def test_tile_with_four_axes_becomes_one_with_five(mesospim, tmp_path):
    run = correct(mesospim, tmp_path / "four", "--is-binned")
    source = zarr.open_array(str(mesospim / "0"), mode="r")
    array = zarr.open_array(str(run.corrected / "0"), mode="r")
    assert array.shape == (1, *source.shape) and array.chunks == (1, *source.chunks)
    attributes = read_json(run.corrected / ".zattrs")
    (image,) = attributes["multiscales"]
    assert [axis["name"] for axis in image["axes"]] == ["t", "c", "z", "y", "x"]
    transformations = image["datasets"][0]["coordinateTransformations"]
    assert transformations == [{"type": "scale", "scale": [1.0, 1.0, 1.0, 0.65, 0.65]},
                               {"type": "translation", "translation": [0.0] * 5}]
    assert attributes["omero"] == read_json(mesospim / ".zattrs")["omero"]

    five = write_tile(tmp_path / "five_in" / mesospim.name, source[0], source.chunks[1:])
    expected = correct_tile(five, mesospim.parent / "masks", Settings(is_binned=True))
    np.testing.assert_array_equal(read_volume(run.mask), expected["mask_full"])
    assert check_voxels(0.9999)(expected["corrected_0"], array[0, 0]) is None


def test_tile_without_level_3_is_learnt_from_its_coarsest_level(mesospim, tmp_path):
    run = correct(mesospim, tmp_path / "run")
    assert "estimation level: 1" in run.result.err
    assert [line for line in run.result.warnings if "no level 3" in line]


def test_each_channel_of_a_real_tile_is_a_volume_of_its_own(mesospim, tmp_path):
    first = read_levels(mesospim)["0"][0].astype(np.int64)
    # A strictly increasing function of the counts: the other channel has the same mask after the AND with v_low != 0.
    second = 3 * first + first * first // 1000
    volumes = np.stack([first, second]).astype(np.uint16)
    both = write_tile(tmp_path / "both" / mesospim.name, volumes, (1, 1, 540, 1280), axes="czyx")
    masks = mesospim.parent / "masks"
    run = correct(both, tmp_path / "run", "--is-binned", masks=masks)
    for c in range(2):
        alone = write_tile(tmp_path / f"in_{c}" / mesospim.name, volumes[c], (1, 540, 1280))
        expected = correct(alone, tmp_path / f"alone_{c}", "--is-binned", masks=masks)
        np.testing.assert_array_equal(read_volume(expected.mask), read_volume(run.mask))
        np.testing.assert_array_equal(read_levels(run.corrected)["0"][0, c], read_volume(expected.corrected))
    assert set(run.report["qc"]) == {f"{mesospim.name}_t0_c0", f"{mesospim.name}_t0_c1"}


@pytest.mark.parametrize("chunks", [(1, 1, 16, 16, 16), (2, 1, 8, 16, 64), (1, 3, 16, 10, 12), (2, 3, 24, 40, 48)])
def test_each_time_point_and_channel_is_a_volume_of_its_own(tmp_path, chunks):
    shape = (24, 40, 48)
    mask = phantom(shape)[1]
    volumes = np.stack([[phantom(shape, seed=3 * t + c, tissue=300 + 200 * c + 50 * t)[0] for c in range(3)]
                        for t in range(2)])
    name = "tile_000001_ch_488.zarr"
    write_mask(tmp_path / "masks" / f"asset_{name}_pred.tif", mask)
    many = write_tile(tmp_path / "in" / name, volumes, chunks, axes="tczyx")
    run = correct(many, tmp_path / "run", "--is-binned", "--n-levels", 3, "--save-outputs", masks=tmp_path / "masks")
    levels = read_levels(run.corrected)
    for t in range(2):
        for c in range(3):
            alone = write_tile(tmp_path / f"in_{t}_{c}" / name, volumes[t, c], (16, 16, 16))
            expected = correct(alone, tmp_path / f"alone_{t}_{c}", "--is-binned", "--n-levels", 3,
                               masks=tmp_path / "masks")
            np.testing.assert_array_equal(read_volume(expected.mask), read_volume(run.mask))
            for path, voxels in read_levels(expected.corrected).items():
                np.testing.assert_array_equal(levels[path][t, c], voxels[0, 0])
    labels = {f"{name}_t{t}_c{c}" for t in range(2) for c in range(3)}
    assert set(run.report["qc"]) == labels
    assert {path.name for path in run.results.glob("*_bkg.tif")} == {f"{label}_bkg.tif" for label in labels}
