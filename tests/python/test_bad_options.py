"""Options and configurations that make no sense are refused by name before anything is done."""
import json

import pytest

from support.program import BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, USAGE, attempt, call, correct, read_levels
from support.refusal import NAME, assert_in_order, assert_refused, tile, with_fitting_config  # noqa: F401

# ---------------------------------------------------------------------------------------------
# Options


@pytest.mark.parametrize("typed, nearest", [("--num-worker", "--num-workers"), ("--masks-dir", "--mask-dir"),
                                            ("--nlevels=3", "--n-levels"), ("--outputs", "--output"),
                                            ("--skip-flatfield", "--skip-flat-field"), ("--over-write", "--overwrite")])
def test_unknown_option_is_answered_with_the_nearest_known_one(tile, tmp_path, typed, nearest):
    assert_refused(attempt(tile, tmp_path / "run", typed), USAGE, f"unknown option {typed.split('=')[0]}",
                   f"did you mean {nearest}?")
    assert not (tmp_path / "run" / "results").exists()


@pytest.mark.parametrize("words, said", [
    (["--zzzzzzzzzz"], "unknown option --zzzzzzzzzz"), (["stray"], "unexpected argument stray"),
    (["--res"], "--res"), (["--overwrite=perhaps"], "--overwrite"), (["--res", "0", "--res", "1"], "--res"),
    (["-n", "3"], "unknown option -n")])
def test_words_that_are_no_option_are_named(tile, tmp_path, words, said):
    assert_refused(attempt(tile, tmp_path / "run", *words), USAGE, said)


@pytest.mark.parametrize("words, said", [
    (["--output", "--overwrite"], ["--output: a value is missing", "--overwrite", "--output=--overwrite"]),
    (["--output=", "--overwrite"], ["--output is missing"]),
    (["--output", "out", "--num-workers", "--", "3"], ["--num-workers: a value is missing", "--"]),
    (["--output=", "out"], ["unexpected argument out"])])
def test_option_takes_no_other_word_for_the_value_that_is_missing(tile, tmp_path, words, said):
    folder = tmp_path / "run"
    folder.mkdir()
    result = call("run", "--zarr", tile, "--mask-dir", tile.parent / "masks", *words, cwd=folder)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], said)
    assert not (folder / "--overwrite").exists() and not (folder / "out").exists()


def test_value_that_begins_with_dashes_is_written_with_an_equals_sign(tmp_path):
    result = call("synth", "made", "--name=--x", "--shape", "32,32,32", "--chunks", "16,16,16", "--n-levels", 2, cwd=tmp_path)
    assert result.code == 0 and result.out == "made/--x\n", result.err


@pytest.mark.parametrize("words", [["run", "--overwrite="], ["plan", "--json="], ["verify", "--quick="]])
def test_flag_with_an_empty_value_is_refused(tmp_path, words):
    result = call(*words, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], [words[1][:-1], "true or false", 'found ""'])


@pytest.mark.parametrize("words", [["apply", "--part", ""], ["apply", "--part="], ["run", "--model", ""]])
def test_empty_text_is_no_part_and_no_model(tile, tmp_path, words):
    folder = tmp_path / "run"
    folder.mkdir()
    result = call(*words, "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks", cwd=folder)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], [words[1].rstrip("="), 'found ""', "leave the option out"])
    assert list(folder.iterdir()) == []


def test_error_in_a_configuration_file_is_told_in_the_format_that_the_file_names(tile, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"log_format": "json", "zzz": 1}))
    words = ["run", "--config", "config.json", "--zarr", tile, "--output", "out"]
    told = call(*words, cwd=tmp_path)
    assert told.code == USAGE
    (line,) = told.err.splitlines()
    assert "zzz" in json.loads(line)["what"]
    typed = call(*words, "--log-format", "text", cwd=tmp_path)
    assert typed.code == USAGE and len(typed.error_lines) == 1, typed.err


@pytest.mark.parametrize("words", [[], ["runn"], ["--zarr", "x"], ["inspect"], ["inspect", "a", "b"]])
def test_call_without_a_known_command_is_refused(tmp_path, words):
    result = call(*words, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1 and result.out == ""
    assert_in_order(result.error_lines[0], ["--help"])


@pytest.mark.parametrize("missing", ["--zarr", "--output"])
def test_option_that_is_needed_is_named(tile, tmp_path, missing):
    given = {"--zarr": tile, "--output": "out", "--mask-dir": tile.parent / "masks"}
    words = [word for option, value in given.items() if option != missing for word in (option, value)]
    result = call("run", *words, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1
    assert_in_order(result.error_lines[0], [missing, "missing"])


OUT_OF_RANGE = [("--num-workers", ["0", "-1", "1025", "1.5", "two", "", "9999999999999999999999"]),
                ("--n-levels", ["0", "33", "-1", "x"]),
                ("--corrected-rank", ["8", "-9", "1.0", "median", ""]),
                ("--background-smoothing-sigma", ["-0.1", "1001", "nan", "inf", "-inf", "wide", ""]),
                ("--background-final-smoothing-sigma", ["-1", "10001", "nan"]),
                ("--output-chunks", ["0,16,16", "16,16", "16,16,16,16", "16,16,4097", "-1,16,16", "a,b,c", "16;16;16",
                                     "1.5,16,16", ""]),
                ("--output-codec", ["blosc", "ZSTD", "lzma", ""]),
                ("--output-codec-level", ["10", "-1", "65538", "fast"]),
                ("--log-level", ["LOUD", "-1", "2.5", ""]),
                ("--log-format", ["xml", ""]),
                ("--method", ["basicpi", "FITTING", ""])]


@pytest.mark.parametrize("option, value", [(option, value) for option, values in OUT_OF_RANGE for value in values])
def test_value_out_of_range_is_named_with_its_option(tile, tmp_path, option, value):
    attempted = attempt(tile, tmp_path / "run", f"{option}={value}")
    assert attempted.result.code == USAGE and len(attempted.result.error_lines) == 1, attempted.result.err
    assert_in_order(attempted.result.error_lines[0], [option, value] if value else [option])
    assert not attempted.corrected.exists()


@pytest.mark.parametrize("codec, level", [("zstd", 0), ("zstd", 23), ("gzip", 10), ("bz2", 0), ("lz4", 0),
                                          ("blosc-lz4", 10)])
def test_level_that_a_codec_does_not_have_is_refused(tile, tmp_path, codec, level):
    assert_refused(attempt(tile, tmp_path / "run", "--output-codec", codec, "--output-codec-level", level), USAGE,
                   "--output-codec-level", codec, level, "choose")


SYNTH_OUT_OF_RANGE = [("--shape", ["0,8,8", "8,8", "2000000,8,8"]), ("--chunks", ["0,8,8", "5000,8,8"]),
                      ("--n-levels", ["0", "33"]), ("--seed", ["-1", "4294967296"]),
                      ("--background", ["-1", "60001"]), ("--foreground", ["-1", "nan"]),
                      ("--illumination", ["0.91", "-0.1"]), ("--noise", ["-1", "101"]), ("--num-workers", ["0"]),
                      ("--name", ["", ".", "..", "a/b", "/tmp/x"])]


@pytest.mark.parametrize("option, value", [(option, value) for option, values in SYNTH_OUT_OF_RANGE for value in values])
def test_value_out_of_range_of_a_phantom_is_named_with_its_option(tmp_path, option, value):
    result = call("synth", "made", f"{option}={value}", cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], [option])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words, named", [(["synth", "s3://bucket/made"], "OUTPUT"), (["synth", "file:///made"], "OUTPUT"),
                                          (["basic", "s3://bucket/images", "--output", "out"], "INPUT"),
                                          (["basic", "images", "--output", "s3://bucket/out"], "--output"),
                                          (["basic", "images", "--output", "out", "--weights-dir", "s3://bucket/w"], "--weights-dir"),
                                          (["show-model", "model.npz", "--plots", "s3://bucket/plots"], "--plots")])
def test_what_can_only_be_a_local_folder_is_no_url(tmp_path, words, named):
    result = call(*words, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], [named, "local folder", "://"])
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_not_drawn_of_a_model_that_is_printed_as_json(tmp_path):
    result = call("show-model", "model.npz", "--json", "--plots", "plots", cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert "--json" in result.err and "--plots" in result.err
    assert list(tmp_path.iterdir()) == []


def test_phantom_never_replaces_what_is_no_zarr(tmp_path):
    folder = tmp_path / "made" / NAME
    folder.mkdir(parents=True)
    (folder / "chapter.txt").write_text("years of work")
    for options in ([], ["--overwrite"]):
        result = call("synth", "made", "--name", NAME, "--shape", "8,8,8", *options, cwd=tmp_path)
        assert result.code == OUTPUT_EXISTS and len(result.error_lines) == 1, result.err
        assert (folder / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("key, nearest", [("med_factor_unbined", "med_factor_unbinned"), ("limit_x", "limits_x"),
                                          ("spline_smooting", "spline_smoothing")])
def test_unknown_key_of_the_fitting_configuration_is_answered_with_the_nearest_known_one(tile, tmp_path, key, nearest):
    path = with_fitting_config(tmp_path, {key: 1})
    assert_refused(attempt(tile, tmp_path / "run", "--fitting-config", path), USAGE, key, f'did you mean "{nearest}"?',
                   path)


@pytest.mark.parametrize("key, values", [
    ("med_factor_binned", [-1, "2", None, True]), ("med_factor_unbinned", [-0.5]), ("gaussian_sigma", [-1, []]),
    ("profile_percentile", [-1, 100.5, "50"]), ("profile_min_voxels", [-1, 2.5, 1e30]), ("spline_smoothing", [-1]),
    ("limits_x", [[0, 1], [2, 1], [1], [1, 2, 3], "1", [-1, 1], ["a", "b"], 5]), ("limits_y", [[0.0, 1.0]]),
    ("limits_z", [{}]), ("global_factor_binned", [-1]), ("global_factor_unbinned", [-1, False]),
    ("global_ratio_limits", [[1, 1], [2, 1], 3]), ("exclude_background_planes_from_mask", [1, "true", None])])
def test_value_out_of_range_in_the_fitting_configuration_is_named_with_its_key(tile, tmp_path, key, values):
    for value in values:
        path = with_fitting_config(tmp_path, {key: value})
        assert_refused(attempt(tile, tmp_path / "run", "--fitting-config", path), USAGE, f"{key}: expected", path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"gaussian_sigma": NaN}', '{"gaussian_sigma": 1,}'])
def test_fitting_configuration_that_is_no_json_object_is_refused(tile, tmp_path, text):
    path = with_fitting_config(tmp_path, text)
    attempted = attempt(tile, tmp_path / "run", "--fitting-config", path)
    assert attempted.result.code in (USAGE, BAD_INPUT)
    assert_refused(attempted, attempted.result.code, path)


@pytest.mark.parametrize("path", ["nowhere.json", "."])
def test_fitting_configuration_that_is_no_file_is_named(tile, tmp_path, path):
    assert_refused(attempt(tile, tmp_path / "run", "--fitting-config", tmp_path / path), NOT_FOUND,
                   "configuration", tmp_path / path, "check")


def test_more_levels_than_a_volume_can_have_are_warned_about(tile, tmp_path):
    run = correct(tile, tmp_path / "run", "--n-levels", 12)
    assert [line for line in run.result.warnings if "--n-levels 12" in line and "at most 5" in line]
    assert list(read_levels(run.corrected)) == ["0", "1", "2", "3", "4"]
