"""What a run says of itself: provenance, resolved configuration, run report and log."""
import datetime
import json
import re

import numpy as np
import pytest

from support.corrected_tile import NAME, fitting_config, options_of_the_help, run, tile  # noqa: F401
from support.program import USAGE, attempt, call, correct, files_below, read_json, read_volume, shared_data

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


def test_resolved_configuration_holds_every_option(tile, run, tmp_path):
    configuration = read_json(run.results / f"config_{NAME}.json")
    flags = {"--" + key.replace("_", "-") for key in configuration} - {"--fitting", "--basic", "--tile-paths"}
    assert flags == set(options_of_the_help("run", tmp_path)) - {"--help", "--version", "--config", "--part", "--dry-run",
                                                               "--no-report"}
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


def test_a_tile_that_is_skipped_keeps_the_configuration_that_it_was_made_with(tile, tmp_path):
    made = correct(tile, tmp_path, "--n-levels", 2, "--fitting-config", fitting_config(tmp_path, {"gaussian_sigma": 1.5}))
    files = [made.results / f"{kind}_{NAME}.json" for kind in ("config", "fitting_config")]
    before = [path.read_bytes() for path in files]
    again = correct(tile, tmp_path, "--n-levels", 3)
    assert again.report["status"] == "skipped"
    assert [path.read_bytes() for path in files] == before
    assert correct(tile, tmp_path, "--n-levels", 3, "--overwrite").report["status"] == "corrected"
    assert [read_json(path).get("n_levels") for path in files] == [3, None]
    assert read_json(files[1])["gaussian_sigma"] == 2


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


@pytest.mark.parametrize("format_words", [["--log-format", "json"], ["--log-format=json"]])
@pytest.mark.parametrize("words, said", [
    (["run", "--num-worker", 2], "--num-worker"), (["run", "--zarr", "tile.zarr", "--config", "nowhere.json"], "nowhere.json"),
    (["estimate", "--zarr", "tile.zarr", "--n-levels", 99], "n-levels"), (["correct"], "correct")])
def test_json_log_of_a_failure_before_the_run_has_one_error(tmp_path, words, said, format_words):
    made = call(*words, *format_words, cwd=tmp_path)
    assert made.code != 0
    (error,) = events_of(made.err)
    assert error["event"] == "run_failed" and error["level"] == "ERROR" and said in error["message"]
    assert error["error_code"] in ("usage", "not_found") and error["what"] and set(error) >= {"where", "remedy"}


def test_text_log_of_a_failure_before_the_run_is_a_line(tmp_path):
    for words in (["run", "--num-worker", 2], ["run", "--log-format", "text", "--num-worker", 2], ["run", "--log-format"]):
        made = call(*words, cwd=tmp_path)
        assert made.code == USAGE and made.err.startswith("exaspim-flatfield: error: ") and made.err.count("\n") == 1


@pytest.mark.parametrize("level, shown", [("WARNING", set()), ("30", set()), ("error", set()), ("25", set()), ("60", set()),
                                          ("INFO", {"INFO"}), ("10", {"INFO"}), ("0", {"INFO"}), ("15", {"INFO"})])
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
