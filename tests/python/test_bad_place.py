"""Places that may not be read or written, hold something already, or are full."""
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import numpy as np
import pytest

from support.program import (BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, PROGRAM, READ_FAILED, USAGE, WRITE_FAILED, attempt, call,
                             correct, files_below, looks_finished)
from support.refusal import CHUNKS, NAME, assert_in_order, assert_refused, replace_mask, tile  # noqa: F401
from support.tiles import phantom_tile, write_tile

# ---------------------------------------------------------------------------------------------
# Permissions


@pytest.fixture
def public_folder():
    """A folder that another user can enter."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def without_privileges(folder):
    """Options of `subprocess.run` for a user whom permissions bind; `folder` is made writable for that user."""
    if os.geteuid() != 0:
        return {}
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 65534, 65534)
    options = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        subprocess.run([str(PROGRAM), "--version"], check=True, capture_output=True, **options)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("root reads everything, and another user cannot start the program")
    return options


@pytest.mark.parametrize("path", [".zattrs", "0/.zarray", "0/0/0/0/0/0", "3/0/0/0/0/0", "masks", "mask file"])
def test_input_that_may_not_be_read_is_named(public_folder, path):
    tile = phantom_tile(public_folder / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    masks = tile.parent / "masks"
    locked = {"masks": masks, "mask file": next(masks.iterdir())}.get(path, tile / path)
    options = without_privileges(public_folder)
    locked.chmod(0)
    assert_refused(attempt(tile, public_folder / "run", **prepared(public_folder / "run", options), **options),
                   READ_FAILED, locked, "permissions")
    locked.chmod(0o755)


def prepared(folder, options):
    """Makes the folder of a run for the user of the run."""
    folder.mkdir()
    if options:
        os.chown(folder, options["user"], options["group"])
    return {}


def test_output_that_may_not_be_written_is_named(public_folder):
    tile = phantom_tile(public_folder / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    options = without_privileges(public_folder)
    prepared(public_folder / "run", options)
    (public_folder / "run" / "out").mkdir(mode=0o555)
    assert_refused(attempt(tile, public_folder / "run", **options), WRITE_FAILED,
                   public_folder / "run" / "out", "permissions")


def test_results_directory_that_may_not_be_written_is_named(public_folder):
    tile = phantom_tile(public_folder / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    options = without_privileges(public_folder)
    prepared(public_folder / "run", options)
    (public_folder / "run" / "results").mkdir(mode=0o555)
    assert_refused(attempt(tile, public_folder / "run", **options), WRITE_FAILED, "results")


# ---------------------------------------------------------------------------------------------
# What is at the place of the output


def test_finished_output_is_kept_with_a_notice(tile, tmp_path):
    run = correct(tile, tmp_path / "run")
    before = files_below(run.folder / "out")
    stamps = {path: path.stat().st_mtime_ns for path in (run.folder / "out").rglob("*")}
    again = correct(tile, tmp_path / "run", "--n-levels", 2)
    assert "finished already" in again.result.err and "skipped" in again.result.err
    assert again.report["status"] == "skipped" and again.report["reason"]
    assert files_below(run.folder / "out") == before
    assert {path: path.stat().st_mtime_ns for path in (run.folder / "out").rglob("*")} == stamps


def test_a_tile_that_was_archived_when_its_output_was_finished_is_not_missed(tile, tmp_path):
    run = correct(tile, tmp_path / "run")
    before = files_below(run.folder / "out")
    tile.rename(tmp_path / "archived")
    again = correct(tile, tmp_path / "run")
    assert "finished already" in again.result.err and again.report["status"] == "skipped"
    assert again.report["reason"] == "the output was finished already"
    assert files_below(run.folder / "out") == before
    assert_refused(attempt(tile, tmp_path / "elsewhere"), NOT_FOUND, "there is no tile here", tile)


@pytest.mark.parametrize("product", ["corrected", "mask"])
def test_unfinished_output_is_refused_without_overwrite(tile, tmp_path, product):
    run = correct(tile, tmp_path / "run")
    for group in (run.corrected, run.mask):
        (group / ".zattrs").unlink()
    if product == "mask":
        shutil.rmtree(run.corrected)
    before = files_below(run.folder / "out")
    assert_refused(attempt(tile, tmp_path / "run"), OUTPUT_EXISTS, "unfinished", getattr(run, product), "--overwrite")
    assert files_below(run.folder / "out") == before


@pytest.mark.parametrize("finished", [True, False])
def test_overwrite_leaves_no_object_of_the_old_output(tile, tmp_path, finished):
    fresh = correct(tile, tmp_path / "fresh", "--n-levels", 2)
    old = correct(tile, tmp_path / "run", "--n-levels", 5, "--output-chunks", "5,7,9")
    if not finished:
        for group in (old.corrected, old.mask):
            (group / ".zattrs").unlink()
    new = correct(tile, tmp_path / "run", "--n-levels", 2, "--overwrite")
    expected, actual = files_below(fresh.folder / "out"), files_below(new.folder / "out")
    assert list(actual) == list(expected)
    assert [path for path in actual if not path.endswith((".zattrs", "_checksums.npz"))
            and actual[path] != expected[path]] == []
    assert looks_finished(new.corrected) and looks_finished(new.mask)


def test_overwrite_leaves_no_mask_where_the_new_run_has_none(tile, tmp_path):
    correct(tile, tmp_path / "run")
    replace_mask(tile, lambda file: file.unlink())
    run = correct(tile, tmp_path / "run", "--overwrite")
    assert run.report["status"] == "background_only"
    assert files_below(run.mask) == {}
    assert not (run.results / f"{NAME}_mask_low_res.zarr").exists()


def test_mask_of_an_output_that_was_removed_is_refused_beside_one_without(tile, tmp_path):
    run = correct(tile, tmp_path / "run")
    shutil.rmtree(run.corrected)
    before = files_below(run.folder / "out")
    refused = [attempt(tile, run.folder, "--skip-flat-field").result,
               call("plan", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--skip-flat-field", cwd=run.folder)]
    for result in refused:
        assert result.code == OUTPUT_EXISTS and len(result.error_lines) == 1, result.err
        assert_in_order(result.error_lines[0], ["another run", run.mask, "--overwrite"])
    assert files_below(run.folder / "out") == before
    again = correct(tile, run.folder, "--skip-flat-field", "--overwrite")
    assert looks_finished(again.corrected) and files_below(again.mask) == {}


def test_overwrite_that_fails_while_it_learns_leaves_the_output_as_it_was(tile, tmp_path):
    before = files_below(correct(tile, tmp_path / "run").folder / "out")
    (tile / CHUNKS[1]).write_bytes(b"damaged")
    made = attempt(tile, tmp_path / "run", "--overwrite")
    assert made.result.code == BAD_INPUT and str(tile / CHUNKS[1]) in made.result.error_lines[0]
    assert files_below(made.folder / "out") == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize("product", ["corrected", "mask"])
def test_something_that_is_no_zarr_is_never_deleted(tile, tmp_path, options, product):
    run = correct(tile, tmp_path / "run")
    group = getattr(run, product)
    # With --overwrite the other output is an old one.
    shutil.rmtree(group if options else run.folder / "out")
    (group / "thesis").mkdir(parents=True)
    (group / "thesis" / "chapter.txt").write_text("years of work")
    before = files_below(run.folder / "out")
    attempted = attempt(tile, tmp_path / "run", *options)
    assert attempted.result.code == OUTPUT_EXISTS and len(attempted.result.error_lines) == 1
    assert_in_order(attempted.result.error_lines[0], ["not a Zarr", group, "another --output"])
    assert files_below(run.folder / "out") == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_file_in_the_place_of_the_output_is_never_deleted(tile, tmp_path, options):
    output = tmp_path / "run" / "out" / "SPIM.ome.zarr"
    output.mkdir(parents=True)
    (output / NAME).write_text("years of work")
    attempted = attempt(tile, tmp_path / "run", *options)
    assert attempted.result.code in (OUTPUT_EXISTS, WRITE_FAILED)
    assert len(attempted.result.error_lines) == 1
    assert_in_order(attempted.result.error_lines[0], [output / NAME])
    assert (output / NAME).read_text() == "years of work"


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize("output", ["in", f"in/{NAME}", f"in/{NAME}/0", f"in/{NAME}/out/{NAME}", f"link/{NAME}",
                                    f"in/../in/{NAME}/"])
def test_output_at_or_inside_the_input_is_refused(tile, tmp_path, options, output):
    (tmp_path / "link").symlink_to(tile.parent)
    before = files_below(tmp_path / "in")
    result = call("run", "--zarr", f"in/{NAME}", "--output", output, "--mask-dir", "in/masks", *options, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], ["input", "another --output"])
    assert files_below(tmp_path / "in") == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_output_that_holds_the_input_is_refused(tile, tmp_path, options):
    folder = tmp_path / "holder" / NAME
    folder.mkdir(parents=True)
    inner = tile.rename(folder / NAME)
    before = files_below(folder)
    result = call("run", "--zarr", inner, "--output", folder, "--mask-dir", tmp_path / "in" / "masks", *options,
                  cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert files_below(folder) == before


@pytest.mark.parametrize("output, name", [("..", "above"), (".", "here"), ("./", "here"), ("../here/.", "here")])
def test_output_named_by_dots_goes_beside_the_folder_that_is_meant(tile, tmp_path, output, name):
    above = tmp_path / "above"
    (above / "here").mkdir(parents=True)
    found = call("run", "--zarr", tile, "--output", output, "--mask-dir", tile.parent / "masks", cwd=above / "here")
    assert found.code == 0, found.err
    image = above if name == "above" else above / "here"
    assert looks_finished(image / NAME)
    assert looks_finished(image.parent / "mask" / name / NAME)


def test_tile_without_channels_is_refused(tmp_path):
    empty = write_tile(tmp_path / NAME, np.zeros((8, 8, 8), np.uint16), (8, 8, 8))
    document = json.loads((empty / "0/.zarray").read_text())
    (empty / "0/.zarray").write_text(json.dumps({**document, "shape": [1, 0, 8, 8, 8]}))
    assert_refused(attempt(empty, tmp_path / "run", "--skip-flat-field", "--res", 0, masks=False), BAD_INPUT, "holds no voxels")


@pytest.mark.parametrize("results", [NAME, f"{NAME}/results"])
def test_results_directory_inside_the_input_is_refused(tile, tmp_path, results):
    before = files_below(tile)
    result = call("run", "--zarr", tile, "--output", tmp_path / "out", "--mask-dir", tile.parent / "masks",
                  "--results-dir", tile.parent / results, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], ["results", tile, "another --results-dir"])
    assert files_below(tile) == before


@pytest.mark.parametrize("name", [".", ".."])
def test_tile_without_a_name_of_its_own_is_refused(tile, tmp_path, name):
    (tile / "0" / "inner").mkdir()
    cwd = {".": tile, "..": tile / "0"}[name]
    result = call("run", "--zarr", name, "--output", tmp_path / "out", "--results-dir", tmp_path / "results",
                  "--skip-flat-field", "--overwrite", cwd=cwd)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert not (tmp_path / "out").exists()


def test_the_input_under_the_name_of_a_mount_is_not_overwritten(tile, tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "--bind", tile.parent, mounted], capture_output=True, check=False).returncode != 0:
        pytest.skip("a folder cannot be mounted here")
    try:
        before = files_below(tile.parent)
        for output in (mounted, mounted / NAME / "inside"):
            result = call("run", "--zarr", tile, "--output", output, "--results-dir", "results", "--skip-flat-field",
                          "--overwrite", cwd=tmp_path)
            assert result.code == USAGE and "would overwrite the input" in result.err, result.err
        assert files_below(tile.parent) == before
    finally:
        subprocess.run(["umount", mounted], check=True)


# ---------------------------------------------------------------------------------------------
# The disk


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)], capture_output=True,
                           text=True)
    if mount.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_said_and_leaves_an_unfinished_output(tmp_path, tiny_disk):
    tile = phantom_tile(tmp_path / "in", (64, 96, 96), (32, 32, 32), n_levels=4, name=NAME)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "out").symlink_to(tiny_disk)
    assert_refused(attempt(tile, tmp_path / "run", "--output-codec", "none"), WRITE_FAILED, "No space", "disk is full")


def test_file_size_limit_is_said_and_leaves_an_unfinished_output(tmp_path):
    tile = phantom_tile(tmp_path / "in", (64, 96, 96), (32, 32, 32), n_levels=4, name=NAME)
    attempted = attempt(tile, tmp_path / "run", "--output-codec", "none",
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
    assert_refused(attempted, WRITE_FAILED, "File too large", attempted.corrected / "0", "ulimit -f")
