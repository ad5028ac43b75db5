"""The commands beside run, their help, and the names under which they are called."""
import json
import re
import shutil

import numpy as np
import pytest
import tifffile

from support.corrected_tile import NAME, options_of_the_help, tile  # noqa: F401
from support.program import PROGRAM, USAGE, call, correct, read_json, read_volume
from support.tiles import phantom_tile, write_mask, write_tile

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
    for command in ("run", "synth", "inspect", "preview", "view"):
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


def test_version_is_told_under_both_names(tmp_path):
    result = call("--version", cwd=tmp_path, program=PROGRAM.with_name("exaspim-flatfield-run"))
    assert result.code == 0 and result.out == call("--version", cwd=tmp_path).out, result.err


def test_places_may_be_named_like_options_and_like_lists(tile, tmp_path):
    run = correct(tile, tmp_path / "run")
    names = ["-a.zarr", "--all", "--", "[a,b]", "[]"]
    for name in names:
        shutil.copytree(run.corrected, tmp_path / name)
    result = call("verify", "--quick", "--", *names, cwd=tmp_path)
    assert result.code == 0, result.err
    assert [line.split(":")[0] for line in result.out.splitlines()] == [f"./{name}" for name in names]
    lists = call("verify", "[a,b]", "--quick", "[]", cwd=tmp_path)
    assert lists.code == 0 and lists.out.count(": good") == 2, lists.err
    for name in names:
        shown = call("inspect", "--", name, cwd=tmp_path)
        assert shown.code == 0 and "level 0" in shown.out, shown.err
    assert call("inspect", "-a.zarr", cwd=tmp_path).code == USAGE
    assert call("inspect", "--", "-a.zarr", "-b.zarr", cwd=tmp_path).code == USAGE


def test_inspect_prints_no_control_characters_of_a_tile(tmp_path):
    path = write_tile(tmp_path / NAME, np.zeros((4, 5, 6), np.uint16), (4, 5, 6))
    attributes = read_json(path / ".zattrs")
    attributes["multiscales"][0]["name"] = "a\0b\x1b[2Jc\nd\x7f"
    (path / ".zattrs").write_text(json.dumps(attributes))
    result = call("inspect", path, cwd=tmp_path)
    assert result.code == 0, result.err
    lines = result.out.split("\n")
    assert "  name   a b [2Jc d " in lines and "  level 0" in lines, result.out


def test_show_model_prints_no_control_characters_of_a_model(tmp_path):
    tile = phantom_tile(tmp_path / "in\x1b[2J", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    made = call("estimate", "--zarr", tile, "--mask-dir", tile.parent / "masks", "--model", "model.npz", cwd=tmp_path)
    assert made.code == 0, made.err
    result = call("show-model", "model.npz", cwd=tmp_path)
    assert result.code == 0 and f"in [2J/{NAME}" in result.out and "\x1b" not in result.out, result.err


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
