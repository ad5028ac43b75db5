"""What a run leaves behind: where it is, and that every document says what its contract promises."""
import datetime
import json
import re
import shutil

import numpy as np
import pytest
import skimage.io
import tifffile
import zarr

from support.program import (PROGRAM, USAGE, attempt, call, correct, files_below, looks_finished, read_json,
                             read_levels, read_volume, shared_data)
from support.tiles import phantom_tile, write_mask

NAME = "tile_000001_ch_488.zarr"
EXTRA = {"asset": {"subject": 826506, "nested": [1, {"a": None}]}, "labels": ["neurons"], "note": "\"quoted\" \\ \u0001"}
OMERO = {"channels": [{"label": "488", "color": "00FF00", "active": False, "coefficient": 1.5,
                       "window": {"min": 0, "max": 4095, "start": 10, "end": 900}}], "rdefs": {"model": "color"}}


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """An unbinned tile of four levels, its group with attributes that are none of the program's business."""
    return phantom_tile(tmp_path_factory.mktemp("in"), (48, 64, 80), (16, 32, 32), n_levels=4, name=NAME,
                        attributes={**EXTRA, "omero": OMERO})


@pytest.fixture(scope="module")
def run(tile, tmp_path_factory):
    """Its correction with everything saved."""
    return correct(tile, tmp_path_factory.mktemp("run"), "--n-levels", 3, "--save-outputs", "--num-workers", 2)


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
        f"{NAME}_corr_xy.png", f"{NAME}_corr_xz.png", f"{NAME}_corr_yz.png"}


def test_nothing_is_saved_that_was_not_asked_for(tile, tmp_path):
    run = correct(tile, tmp_path)
    assert {path.name for path in run.results.iterdir()} == REPORTS


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
    assert set(attributes) == {*EXTRA, "omero", "multiscales", "exaspim_flatfield"}
    assert set(read_json(run.mask / ".zattrs")) == {"omero", "multiscales", "exaspim_flatfield"}


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
# Provenance and configuration


def mapping_keys(value):
    if isinstance(value, dict):
        yield from value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from mapping_keys(member)


def assert_same_form(actual, example, required):
    """No key that the example lacks, and all that are required."""
    assert set(required) <= set(actual) <= set(example)


def test_provenance_has_the_form_of_the_schema(run):
    example = read_json(shared_data("golden/metadata/flatfield_data_process_tile_000001_ch_488.zarr.v2.json"))
    record = read_json(run.results / f"flatfield_data_process_{NAME}.json")
    assert_same_form(record, example, [
        "object_type", "process_type", "name", "stage", "code", "experimenters", "start_date_time", "end_date_time",
        "output_parameters"])
    assert_same_form(record["code"], example["code"], [
        "object_type", "url", "version", "language", "language_version", "input_data", "parameters"])
    assert_same_form(record["code"]["input_data"][0], example["code"]["input_data"][0], ["object_type", "url"])
    assert_same_form(record["resources"], example["resources"], ["object_type", "os", "architecture"])
    for key in ("object_type", "process_type", "name", "stage", "experimenters", "output_parameters"):
        assert record[key] == example[key]
    for key in ("object_type", "language", "language_version"):
        assert record["code"][key] == example["code"][key]
    assert not [key for key in mapping_keys(record) if "." in key or "$" in key]
    assert list(record)[:4] == list(example)[:4]


def test_provenance_says_what_was_done_to_which_tile(tile, run):
    record = read_json(run.results / f"flatfield_data_process_{NAME}.json")
    assert record["code"]["input_data"] == [{"object_type": "Data asset", "url": str(tile.parent)}]
    configuration = read_json(run.results / f"config_{NAME}.json")
    parameters = dict(record["code"]["parameters"])
    assert parameters.pop("output_path")
    assert parameters == configuration
    start, end = (datetime.datetime.fromisoformat(record[key].replace("Z", "+00:00"))
                  for key in ("start_date_time", "end_date_time"))
    assert start.tzinfo is not None and start <= end <= datetime.datetime.now(datetime.timezone.utc)
    assert record["resources"]["ram_unit"] == "Gigabyte" and record["resources"]["ram"] > 0
    assert record["resources"]["cpu_cores"] >= 1


def test_provenance_is_in_the_outputs_themselves(run):
    record = read_json(run.results / f"flatfield_data_process_{NAME}.json")
    for group in (run.corrected, run.mask):
        assert read_json(group / ".zattrs")["exaspim_flatfield"] == record


def test_keys_that_the_schema_forbids_are_replaced(tile, tmp_path):
    run = correct(tile, tmp_path, "--fitting-config", fitting_config(tmp_path, {"gaussian_sigma": 1.5}))
    record = read_json(run.results / f"flatfield_data_process_{NAME}.json")
    assert not [key for key in mapping_keys(record) if "." in key or "$" in key]
    assert record["code"]["parameters"]["fitting"]["gaussian_sigma"] == 1.5


def fitting_config(folder, options):
    path = folder / "my_fitting.json"
    path.write_text(json.dumps(options))
    return path


def options_of_the_help(command, cwd):
    """The long options of a command and their descriptions."""
    text = call(command, "--help", cwd=cwd).out
    return {words[0]: words[1] for words in re.findall(r"^  (?:-\w,)?(--[\w-]+)(.*(?:\n {8,}.*)*)", text, re.M)}


def test_resolved_configuration_holds_every_option(tile, run, tmp_path):
    configuration = read_json(run.results / f"config_{NAME}.json")
    flags = {"--" + key.replace("_", "-") for key in configuration} - {"--fitting", "--basic", "--tile-paths"}
    assert flags == set(options_of_the_help("run", tmp_path)) - {"--help", "--version", "--config", "--part", "--dry-run"}
    assert configuration["zarr"] == str(tile) and configuration["output"] == "out/SPIM.ome.zarr"
    assert configuration["n_levels"] == 3 and configuration["save_outputs"] is True
    assert configuration["num_workers"] == 2 and configuration["corrected_rank"] == -2
    assert configuration["method"] == "fitting" and configuration["res"] == "0"
    assert configuration["overwrite"] is False and configuration["estimation_res"] is None


def test_fitting_configuration_is_written_as_it_was_used(tile, run, tmp_path):
    defaults = read_json(run.results / f"fitting_config_{NAME}.json")
    assert defaults == {
        "med_factor_binned": 2, "med_factor_unbinned": 2, "gaussian_sigma": 2, "profile_percentile": 50,
        "profile_min_voxels": 0, "spline_smoothing": 0, "limits_x": [0.25, 1.2], "limits_y": [0.25, 1.2],
        "limits_z": [0.25, 1.2], "global_factor_binned": 3200, "global_factor_unbinned": 100,
        "global_ratio_limits": None, "exclude_background_planes_from_mask": False, "median_summary_path": None,
        "enable_gmm_refinement": False, "probability_model": "percentile", "probability_bg_low_percentile": 50,
        "probability_bg_high_percentile": 99.9, "probability_ramp_eps": 1e-4, "probability_ramp_start_frac": 0.2,
        "probability_ramp_nu": 1, "probability_smooth_sigma": 1, "gmm_n_components": 3, "gmm_max_samples": 2000000,
        "gmm_batch_size": 200000, "erosion_radius": 2, "gmm_random_state": 0}
    mine = {"limits_x": None, "limits_y": [1, 1], "global_ratio_limits": [0.5, 2], "profile_percentile": 40}
    other = correct(tile, tmp_path, "--fitting-config", fitting_config(tmp_path, mine))
    assert read_json(other.results / f"fitting_config_{NAME}.json") == {**defaults, **mine}
    again = correct(tile, tmp_path / "again", "--fitting-config", other.results / f"fitting_config_{NAME}.json")
    np.testing.assert_array_equal(read_volume(again.corrected), read_volume(other.corrected))


# ---------------------------------------------------------------------------------------------
# Run report and log


def test_run_report_says_how_the_tile_ended(tile, run):
    report = read_json(run.results / "run_report.json")
    assert report["program"] == "exaspim-flatfield" and report["exit_code"] == 0
    assert report["version"] == call("--version", cwd=run.folder).out.strip()
    tile_report = run.report
    assert tile_report["tile"] == NAME and tile_report["status"] == "corrected" and tile_report["reason"] is None
    assert tile_report["seconds"] > 0 and tile_report["cpu_seconds"] > 0
    assert tile_report["peak_memory_bytes"] > read_volume(tile).nbytes
    # The checksums are written about the output, after what was written is counted.
    written = sum(len(content) for name, content in files_below(run.folder / "out").items() if "checksums" not in str(name))
    assert written <= tile_report["bytes_written"] <= 1.2 * written
    read = sum(len(content) for content in files_below(tile / "0").values())
    assert read <= tile_report["bytes_read"] <= 3 * read
    assert isinstance(tile_report["warnings"], list)


def test_peak_memory_is_that_of_the_program_and_not_of_its_parent(tile, tmp_path):
    run = correct(tile, tmp_path, preexec_fn=lambda: len(b"x" * (700 << 20)))
    assert run.report["peak_memory_bytes"] < 600 << 20


def test_quality_numbers_name_their_level_mask_and_pedestal(run):
    block = run.quality
    assert block["level"] == "3" and block["mask"] == "the foreground mask of the tile" and block["pedestal"] == 0
    for number in block["numbers"].values():
        assert set(number) == {"value", "verdict", "warn", "fail"}
    qc = run.numbers
    for axis in "zyx":
        for state in ("raw", "before", "after"):
            assert qc[f"profile_cv_{axis}_{state}"] > 0
    assert 0 < qc["axis_gain_min"] <= qc["axis_gain_max"] <= 4
    curves = read_json(run.results / f"{NAME}_corr_curves.json")
    gains = 1 / np.concatenate([curves[f"curve_{axis}"] for axis in "zyx"])
    assert qc["axis_gain_min"] == pytest.approx(gains.min()) and qc["axis_gain_max"] == pytest.approx(gains.max())
    assert qc["global_ratio"] == pytest.approx(100 / curves["g"])


def test_cpu_seconds_of_the_stages_add_up_to_those_of_the_process(tmp_path):
    call("synth", "in", "--name", NAME, "--shape", "192,384,384", "--chunks", "64,64,64", "--num-workers", 2,
         cwd=tmp_path)
    run = correct(tmp_path / "in" / NAME, tmp_path / "run", "--n-levels", 5, "--num-workers", 3,
                  "--output-codec-level", 7)
    stages = {name: stage["cpu_seconds"] for name, stage in run.report["stages"].items()}
    assert set(stages) == {"other", "read", "decode", "arithmetic", "encode", "write", "wait"}
    assert sum(stages.values()) == pytest.approx(run.report["cpu_seconds"], rel=0.05)
    assert run.report["stage_cpu_seconds_total"] == pytest.approx(sum(stages.values()))
    for name in ("decode", "arithmetic", "encode"):
        assert stages[name] > 0, stages


EVENTS = {"message", "progress", "tile_finished", "tile_failed", "run_failed"}


def events_of(text):
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        assert event["event"] in EVENTS and isinstance(event["message"], str), event
        assert event["level"] in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
    return events


def test_json_log_has_one_object_with_a_known_event_per_line(tile, tmp_path):
    run = correct(tile, tmp_path, "--log-format", "json", "--n-levels", 12)
    events = events_of(run.result.err)
    assert events == events_of((run.results / "exaspim_flatfield.log").read_text())
    finished = events[-1]
    assert finished["event"] == "tile_finished" and finished["tile"] == NAME and finished["status"] == "corrected"
    progress = [event for event in events if event["event"] == "progress"]
    assert {event["stage"] for event in progress} == {"corrected", "mask"}
    assert all(event["done_bytes"] <= event["total_bytes"] for event in progress)
    assert [event for event in events if event["level"] == "WARNING"]


@pytest.mark.parametrize("case, event", [("missing tile", "tile_failed"), ("missing masks", "run_failed")])
def test_json_log_of_a_failure_has_one_error(tile, tmp_path, case, event):
    broken = tile.with_name("tile_000009_ch_488.zarr") if case == "missing tile" else tile
    attempted = attempt(broken, tmp_path, "--log-format", "json",
                        masks=tmp_path / "nowhere" if case == "missing masks" else None)
    assert attempted.result.code != 0
    (error,) = [e for e in events_of(attempted.result.err) if e["level"] in ("ERROR", "CRITICAL")]
    assert error["event"] == event


@pytest.mark.parametrize("level, shown", [("WARNING", set()), ("30", set()), ("error", set()),
                                          ("INFO", {"INFO"}), ("10", {"INFO"})])
def test_log_level_decides_what_is_printed(tile, tmp_path, level, shown):
    run = correct(tile, tmp_path, "--log-level", level)
    assert {line.split()[1] for line in run.result.err.splitlines()} == shown
    assert run.result.out == ""


@pytest.mark.parametrize("searched", [r"estimation level: 3 \(target level: 0\)", r"binned: no", r"planes kept: \d+ of 6 .*",
                                      r"target planes: \d+ of 48", r"g: [\d.]+",
                                      r"ratio: [\d.]+ \(100 / g, not clamped\)"])
def test_log_has_the_lines_that_people_search_for(run, searched):
    assert len(re.findall(rf" INFO +{searched}$", run.result.err, re.M)) == 1, run.result.err
    assert run.result.err == (run.results / "exaspim_flatfield.log").read_text()


def test_clamped_ratio_is_logged_as_such(tile, tmp_path):
    run = correct(tile, tmp_path, "--fitting-config", fitting_config(tmp_path, {"global_ratio_limits": [1.5, 2]}))
    assert re.search(r"ratio: 1.5 \(100 / g, clamped\)", run.result.err)


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


# ---------------------------------------------------------------------------------------------
# Commands


def test_program_has_the_name_that_pipelines_call(tile, tmp_path):
    other = PROGRAM.with_name("exaspim-flatfield-run")
    words = ["--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks"]
    for folder, program, command in (("a", PROGRAM, ["run"]), ("b", other, [])):
        (tmp_path / folder).mkdir()
        result = call(*command, *words, cwd=tmp_path / folder, program=program)
        assert result.code == 0, result.err
    np.testing.assert_array_equal(read_volume(tmp_path / "a" / "out" / NAME), read_volume(tmp_path / "b" / "out" / NAME))
    assert call("--help", cwd=tmp_path, program=other).out == call("run", "--help", cwd=tmp_path).out
    assert call("--bogus", cwd=tmp_path, program=other).code == USAGE


def test_help_lists_every_command(tmp_path):
    result = call("--help", cwd=tmp_path)
    assert result.code == 0 and result.err == ""
    for command in ("run", "synth", "inspect"):
        assert re.search(rf"^  {command} +\w", result.out, re.M), result.out


@pytest.mark.parametrize("command, expected", [
    ("run", {"zarr", "output", "method", "mask-dir", "res", "num-workers", "n-levels", "results-dir", "save-outputs",
             "fitting-config", "overwrite", "skip-flat-field", "skip-bkg-sub", "is-binned", "binned-channel",
             "background-smoothing-sigma", "background-final-smoothing-sigma", "estimation-res", "corrected-rank",
             "output-chunks", "output-codec", "output-codec-level", "log-level", "log-format"}),
    ("synth", {"name", "shape", "chunks", "n-levels", "seed", "is-binned", "background", "foreground",
               "illumination", "noise", "num-workers", "overwrite"})])
def test_help_lists_and_explains_every_option(tmp_path, command, expected):
    listed = options_of_the_help(command, tmp_path)
    assert {f"--{name}" for name in expected} <= set(listed)
    assert not [option for option, text in listed.items() if len(text.split()) < 3]


def test_help_shows_ranges_and_defaults(tmp_path):
    text = " ".join(options_of_the_help("run", tmp_path)["--num-workers"].split())
    assert "[1..1024]" in text and "(default 1)" in text


def test_version_is_a_number(tmp_path):
    result = call("--version", cwd=tmp_path)
    assert result.code == 0 and re.fullmatch(r"\d+\.\d+\.\d+\n", result.out)


def test_inspect_says_what_a_tile_is(tile, tmp_path):
    result = call("inspect", tile, cwd=tmp_path)
    assert result.code == 0 and result.err == ""
    for line in (str(tile), f"name {NAME}", "axes t (millisecond), c, z (micrometer), y (micrometer), x (micrometer)",
                 "level 0", "shape (1, 1, 48, 64, 80) uint16, 0.4915 MB", "chunks (1, 1, 16, 32, 32), 18 objects",
                 "codec blosc lz4 level 5 shuffle 1", "scale (1, 1, 1, 0.748, 0.748)",
                 "translation (0, 0, 0, 0, 0)", "level 3", "shape (1, 1, 6, 8, 10) uint16, 0.00096 MB",
                 "scale (1, 1, 8, 5.984, 5.984)", "translation (0, 0, 3.5, 2.618, 2.618)"):
        assert line in [" ".join(printed.split()) for printed in result.out.splitlines()], result.out


def test_inspect_of_nothing_is_an_error_of_one_line(tmp_path):
    result = call("inspect", tmp_path / "nothing", cwd=tmp_path)
    assert result.code == 3 and len(result.error_lines) == 1 and result.out == ""


def test_phantom_is_a_tile_that_can_be_corrected(tmp_path):
    made = call("synth", "made", "--name", NAME, "--shape", "64,96,96", "--chunks", "32,32,32", "--is-binned",
                "--n-levels", 3, "--seed", 5, cwd=tmp_path)
    assert made.code == 0 and made.out == f"made/{NAME}\n"
    run = correct(tmp_path / "made" / NAME, tmp_path / "run", "--is-binned")
    truth = read_json(tmp_path / "made" / f"{NAME}.truth.json")
    assert [len(truth[f"f{axis}"]) for axis in "zyx"] == [64, 96, 96]
    assert tifffile.imread(tmp_path / "made" / f"{NAME}.truth_background.tif").shape == (96, 96)
    for axis in "zyx":
        assert run.numbers[f"profile_cv_{axis}_after"] < run.numbers[f"profile_cv_{axis}_before"]


def test_mask_is_found_in_a_folder_below_behind_a_link_and_by_its_identifier(tile, tmp_path):
    expected = correct(tile, tmp_path / "expected")
    (mask_file,) = (tile.parent / "masks").iterdir()
    masks = tmp_path / "masks"
    (masks / "b").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(mask_file, tmp_path / "elsewhere" / "asset_tile_000001_ch_561.zarr_pred.tiff")
    (masks / "a").symlink_to(tmp_path / "elsewhere")
    # Of several, the first in the order of paths; of other tiles, none.
    write_mask(masks / "b" / "asset_tile_000001_ch_488.zarr_pred.tif", np.eye(24)[None] * np.ones((4, 1, 1)))
    write_mask(masks / "a_tile_0000011_ch_488.zarr_pred.tif", np.ones((4, 5, 6)))
    (masks / "a_tile_000001_ch_488.zarr_pred.json").write_text("{}")
    run = correct(tile, tmp_path / "run", masks=masks)
    np.testing.assert_array_equal(read_volume(run.mask), read_volume(expected.mask))
