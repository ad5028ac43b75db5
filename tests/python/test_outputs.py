"""What a run leaves behind: where it is, and that the images are what their contract promises."""
import re

import numpy as np
import pytest
import skimage.io
import tifffile
import zarr

from support.corrected_tile import EXTRA, NAME, OMERO, fitting_config, run, tile  # noqa: F401
from support.program import call, correct, looks_finished, read_json, read_levels, read_volume
from support.tiles import phantom_tile

# ---------------------------------------------------------------------------------------------
# Paths


@pytest.mark.parametrize("output, corrected, mask", [
    ("asset/flatfield/SPIM.ome.zarr", f"asset/flatfield/SPIM.ome.zarr/{NAME}",
     f"asset/flatfield/mask/SPIM.ome.zarr/{NAME}"),
    ("asset/flatfield/SPIM.ome.zarr//", f"asset/flatfield/SPIM.ome.zarr/{NAME}",
     f"asset/flatfield/mask/SPIM.ome.zarr/{NAME}"),
    ("out", f"out/{NAME}", f"mask/out/{NAME}"),
    (f"out/{NAME}", f"out/{NAME}", f"out/mask/{NAME}"),
    (f"out/{NAME}/", f"out/{NAME}", f"out/mask/{NAME}"),
    (NAME, NAME, f"mask/{NAME}"),
    ("file://{cwd}/out", f"out/{NAME}", f"mask/out/{NAME}")])
def test_outputs_are_where_the_contract_says(tile, tmp_path, output, corrected, mask):
    result = call("run", "--zarr", f"{tile}/", "--output", output.format(cwd=tmp_path), "--mask-dir",
                  tile.parent / "masks", cwd=tmp_path)
    assert result.code == 0, result.err
    groups = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob(".zgroup")}
    assert groups == {corrected, mask, f"results/{NAME}_mask_low_res.zarr"}
    assert looks_finished(tmp_path / corrected) and looks_finished(tmp_path / mask)
    assert (tmp_path / "results" / "run_report.json").exists()


REPORTS = {"exaspim_flatfield.log", "run_report.json", f"config_{NAME}.json", f"fitting_config_{NAME}.json",
           f"flatfield_data_process_{NAME}.json", f"{NAME}_mask_low_res.zarr"}


def test_results_directory_holds_the_files_of_the_contract(run):
    assert {path.name for path in run.results.iterdir()} == {
        *REPORTS, f"{NAME}_bkg.tif", f"{NAME}_bkg_slice_indices.json", f"{NAME}_corr_curves.json",
        f"{NAME}_corr_xy.png", f"{NAME}_corr_xz.png", f"{NAME}_corr_yz.png", f"{NAME}_report.html"}


def test_nothing_is_saved_that_was_not_asked_for(tile, tmp_path):
    run = correct(tile, tmp_path)
    assert {path.name for path in run.results.iterdir()} == REPORTS


def test_what_is_for_people_to_look_at_never_fails_a_run(tile, run, tmp_path):
    results = tmp_path / "results"
    (results / f"{NAME}_bkg.tif").mkdir(parents=True)  # cannot be written as a file
    (results / f"{NAME}_mask_low_res.zarr").write_text("no folder")
    made = correct(tile, tmp_path, "--save-outputs")
    assert made.report["status"] == "corrected" and looks_finished(made.corrected) and looks_finished(made.mask)
    for part in ("what was learnt is not written: ", "the low-resolution mask is not written: "):
        assert sum(part in warning for warning in made.report["warnings"]) == 1, made.report["warnings"]


def test_results_directory_holds_the_low_resolution_mask(run):
    low = zarr.open_group(str(run.results / f"{NAME}_mask_low_res.zarr"), mode="r")
    (image,) = low.attrs["multiscales"]
    assert low["0"].dtype == np.uint8 and set(np.unique(low["0"])) == {0, 1}
    with_scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    full = zarr.open_group(str(run.corrected), mode="r").attrs["multiscales"][0]["datasets"][0]
    assert with_scale[2:] == [8 * s for s in full["coordinateTransformations"][0]["scale"][2:]]


# ---------------------------------------------------------------------------------------------
# OME-Zarr


def assert_levels(group, base_scale, base_translation):
    (image,) = read_json(group / ".zattrs")["multiscales"]
    for k, dataset in enumerate(image["datasets"]):
        scale, translation = dataset["coordinateTransformations"]
        factor = [1, 1, 2 ** k, 2 ** k, 2 ** k]
        assert dataset["path"] == str(k)
        assert scale == {"type": "scale", "scale": pytest.approx([f * b for f, b in zip(factor, base_scale)])}
        assert translation == {"type": "translation", "translation": pytest.approx(
            [t + (f - 1) / 2 * b for f, b, t in zip(factor, base_scale, base_translation)])}
    return len(image["datasets"])


def test_every_level_says_where_it_lies(run):
    assert assert_levels(run.corrected, [1, 1, 1.0, 0.748, 0.748], [0] * 5) == 3
    assert assert_levels(run.mask, [1, 1, 1.0, 0.748, 0.748], [0] * 5) == 1


def test_scale_and_translation_of_the_target_level_are_kept(tile, tmp_path):
    run = correct(tile, tmp_path, "--res", 1, "--n-levels", 3)
    assert read_volume(run.corrected).shape == (24, 32, 40)
    assert assert_levels(run.corrected, [1, 1, 2.0, 1.496, 1.496], [0, 0, 0.5, 0.374, 0.374]) == 3
    assert assert_levels(run.mask, [1, 1, 2.0, 1.496, 1.496], [0, 0, 0.5, 0.374, 0.374]) == 1


def test_image_has_the_axes_and_the_downscaler_in_its_metadata(run):
    (image,) = read_json(run.corrected / ".zattrs")["multiscales"]
    assert image["version"] == "0.4" and image["name"] == NAME
    assert image["axes"] == [{"name": "t", "type": "time", "unit": "millisecond"}, {"name": "c", "type": "channel"},
                             *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx")]
    assert image["type"] == "rank"
    assert image["metadata"]["kwargs"] == {"window": [1, 1, 2, 2, 2], "rank": -2}
    assert image["metadata"]["method"] and image["metadata"]["description"]


@pytest.mark.parametrize("rank, named", [("mean", "mean"), ("mode", "mode"), ("3", "rank")])
def test_downscaler_in_the_metadata_is_the_one_that_was_used(tile, tmp_path, rank, named):
    run = correct(tile, tmp_path, "--n-levels", 2, "--corrected-rank", rank)
    (image,) = read_json(run.corrected / ".zattrs")["multiscales"]
    assert image["type"] == named and image["metadata"]["kwargs"].get("rank") == (3 if named == "rank" else None)
    (mask,) = read_json(run.mask / ".zattrs")["multiscales"]
    assert mask["type"] == "mode"


def test_attributes_of_the_input_are_kept_in_the_corrected_group(run):
    attributes = read_json(run.corrected / ".zattrs")
    assert {key: attributes[key] for key in EXTRA} == EXTRA
    assert attributes["omero"] == OMERO
    assert set(attributes) == {*EXTRA, "omero", "multiscales", "exaspim_flatfield", "exaspim_flatfield_outcome"}
    assert set(read_json(run.mask / ".zattrs")) == {"omero", "multiscales", "exaspim_flatfield"}


def test_what_came_out_is_an_attribute_of_the_corrected_group(run):
    outcome = read_json(run.corrected / ".zattrs")["exaspim_flatfield_outcome"]
    assert re.fullmatch(r"\(6, 8, 10\), crc32c [0-9a-f]{8}", outcome.pop("mask_low_res"))
    assert outcome == {"status": run.report["status"], "reason": None, "qc": run.report["qc"]} and outcome["status"] == "corrected"


def test_attributes_beyond_ascii_stay_readable_for_zarr_python(tmp_path):
    tile = phantom_tile(tmp_path / "in", (16, 20, 24), (16, 16, 16), name=NAME, attributes={"unit": "µm"})
    run = correct(tile, tmp_path / "run", "--is-binned")
    assert zarr.open_group(str(run.corrected), mode="r").attrs["unit"] == "µm"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_display_settings_are_built_where_the_input_has_none(tmp_path, dtype):
    tile = phantom_tile(tmp_path / "in", (16, 20, 24), (16, 16, 16), name=NAME)
    volume = np.clip(read_volume(tile), 0, 255).astype(dtype)
    zarr.open_group(str(tile)).create_dataset("0", data=volume[None, None], chunks=(1, 1, 16, 16, 16), overwrite=True,
                                              dimension_separator="/")
    run = correct(tile, tmp_path / "run", "--is-binned")
    for group, largest in ((run.corrected, 65535), (run.mask, 255)):
        (channel,) = read_json(group / ".zattrs")["omero"]["channels"]
        assert channel["label"] == NAME and re.fullmatch("[0-9A-F]{6}", channel["color"])
        assert set(channel["window"]) == {"min", "max", "start", "end"}
        assert channel["window"]["min"] == 0 and channel["window"]["max"] == largest


def test_arrays_are_what_downstream_programs_read(run):
    for group, dtype, chunks in ((run.corrected, "<u2", [16, 32, 32]), (run.mask, "|u1", [16, 32, 32])):
        for level, voxels in read_levels(group).items():
            metadata = read_json(group / level / ".zarray")
            assert metadata["shape"] == list(voxels.shape) and metadata["dtype"] == dtype
            assert metadata["chunks"] == [1, 1, *(min(c, n) for c, n in zip(chunks, voxels.shape[2:]))]
            assert metadata["compressor"] == {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1, "blocksize": 0}
            assert metadata["dimension_separator"] == "/" and metadata["fill_value"] == 0
            assert metadata["order"] == "C" and metadata["filters"] is None and metadata["zarr_format"] == 2
            chunks_stored = [path for path in (group / level).rglob("*") if path.is_file() and path.name[0] != "."]
            assert len(chunks_stored) == zarr.open_array(str(group / level), mode="r").nchunks


# ---------------------------------------------------------------------------------------------
# --save-outputs


def test_saved_background_is_the_median_of_the_saved_planes(tile, run):
    background = tifffile.imread(run.results / f"{NAME}_bkg.tif")
    assert background.dtype == np.float32 and background.shape == (64, 80)
    with tifffile.TiffFile(run.results / f"{NAME}_bkg.tif") as file:
        assert file.is_imagej and len(file.pages) == 1
    planes = read_json(run.results / f"{NAME}_bkg_slice_indices.json")
    assert planes == sorted(set(planes)) and 0 <= planes[0] and planes[-1] < 6
    # A plane of level 3 covers [3.5 + 8 i, 11.5 + 8 i) of level 0.
    target = sorted({z for i in planes for z in range(8 * i + 3, min(8 * i + 12, 48))})
    np.testing.assert_array_equal(background, np.median(read_volume(tile)[target], axis=0))


def test_saved_curves_are_those_that_were_applied(tile, run):
    curves = read_json(run.results / f"{NAME}_corr_curves.json")
    raw = read_volume(tile).astype(np.float32)
    subtracted = np.maximum(raw - tifffile.imread(run.results / f"{NAME}_bkg.tif"), 0)
    gains = {axis: 1 / np.array(curves[f"curve_{axis}"], np.float32) for axis in "zyx"}
    corrected = subtracted * gains["x"] * gains["y"][:, None] * gains["z"][:, None, None] * np.float32(curves["ratio"])
    expected = np.where(read_volume(run.mask) == 1, corrected, subtracted)
    np.testing.assert_array_equal(read_volume(run.corrected), np.rint(np.clip(expected, 0, 65535)).astype(np.uint16))
    assert [len(curves[f"profile_{axis}"]) for axis in "zyx"] == [6, 8, 10]


def test_axis_that_is_not_corrected_has_no_curve(tile, tmp_path):
    run = correct(tile, tmp_path, "--save-outputs", "--fitting-config", fitting_config(tmp_path, {"limits_y": [1, 1]}))
    curves = read_json(run.results / f"{NAME}_corr_curves.json")
    assert curves["curve_y"] is None and len(curves["curve_x"]) == 80
    assert {path.name for path in run.results.glob("*.png")} == {f"{NAME}_corr_xy.png", f"{NAME}_corr_yz.png"}


def test_nothing_that_was_saved_of_an_overwritten_output_stays_beside_the_new_one(tile, tmp_path):
    def results(*options, **keywords):
        return {path.name for path in correct(tile, tmp_path, *options, **keywords).results.iterdir()}

    before = results("--save-outputs")
    (tmp_path / "results" / f"{NAME}_t0_c0_bkg.tif").write_text("of another tile")
    (tmp_path / "results" / f"basic_config_{NAME}.json").write_text("of an earlier run")
    one_less = results("--overwrite", "--save-outputs", "--fitting-config", fitting_config(tmp_path, {"limits_x": [1, 1]}))
    assert one_less == {*before, f"{NAME}_t0_c0_bkg.tif"} - {f"{NAME}_corr_xy.png"}
    of_all = {"exaspim_flatfield.log", "run_report.json", f"config_{NAME}.json", f"flatfield_data_process_{NAME}.json",
              f"{NAME}_report.html", f"{NAME}_t0_c0_bkg.tif"}
    saved = {f"{NAME}_bkg.tif", f"{NAME}_bkg_slice_indices.json"}
    assert results("--overwrite", "--save-outputs", "--skip-flat-field", masks=False) == of_all | saved
    assert results("--skip-flat-field", masks=False) == of_all | saved, "it was skipped"
    assert results("--overwrite", "--skip-flat-field", masks=False) == of_all


def test_curves_are_drawn_each_in_a_picture_of_its_own(run):
    pictures = [skimage.io.imread(run.results / f"{NAME}_corr_{planes}.png") for planes in ("xy", "xz", "yz")]
    for picture in pictures:
        assert picture.shape[:2] == (660, 1100)
        dark = (picture[..., :3].max(axis=-1) < 128).mean()
        assert 0.005 < dark < 0.1  # neither blank nor a blot
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.any(pictures[a] != pictures[b])


def test_picture_that_cannot_be_written_is_a_warning(tile, tmp_path):
    (tmp_path / "results" / f"{NAME}_corr_xz.png").mkdir(parents=True)
    run = correct(tile, tmp_path, "--save-outputs")
    assert run.report["status"] == "corrected"
    assert [line for line in run.result.warnings if "the correction curve along y is not drawn" in line]
    assert (run.results / f"{NAME}_corr_yz.png").is_file()
