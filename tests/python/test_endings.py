"""How commands end that cannot print or are asked to stop."""
import os
import signal
import subprocess

import pytest

from support.corrected_tile import run, tile  # noqa: F401
from support.killing import start
from support.program import PROGRAM, WRITE_FAILED, Result

INTERRUPTED = 75


def call_with(words, cwd, **streams):
    """Calls the program with other streams than a pipe that is read."""
    finished = subprocess.run([str(word) for word in (PROGRAM, *words)], cwd=cwd, text=True, timeout=300, check=False,
                              **{"stderr": subprocess.PIPE, **streams})
    return Result(finished.returncode, finished.stdout or "", finished.stderr or "")


def plan_words(tile):
    return ["--zarr", tile, "--output", "out/SPIM.ome.zarr", "--mask-dir", tile.parent / "masks", "--n-levels", 3]


@pytest.fixture
def unread_pipe():
    """The writing end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


PRINTING = {
    "options": lambda tile, image: ["options"],
    "help": lambda tile, image: ["--help"],
    "version": lambda tile, image: ["--version"],
    "inspect": lambda tile, image: ["inspect", tile, "--json"],
    "plan": lambda tile, image: ["plan", *plan_words(tile), "--json"],
    "verify": lambda tile, image: ["verify", "--quick", image],
    "view --state": lambda tile, image: ["view", image, "--state"],
    "view": lambda tile, image: ["view", image, "--port", 0],
}


@pytest.mark.parametrize("words", PRINTING.values(), ids=PRINTING)
def test_what_cannot_be_printed_is_an_error_of_one_line(tile, run, tmp_path, words):  # noqa: F811
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = call_with(words(tile, run.corrected), tmp_path, stdout=full)
    assert result.code == WRITE_FAILED, result
    assert len(result.error_lines) == 1 and "standard output" in result.error_lines[0], result.err


def test_a_pipe_that_is_read_no_more_is_an_error_of_one_line(tmp_path, unread_pipe):
    result = call_with(["options"], tmp_path, stdout=unread_pipe)
    assert result.code == WRITE_FAILED, result
    assert len(result.err.splitlines()) == 1 and "standard output" in result.err, result.err


def test_a_run_goes_on_where_nobody_reads_its_log_any_more(tile, tmp_path, unread_pipe):  # noqa: F811
    assert call_with(["run", *plan_words(tile)], tmp_path, stderr=unread_pipe).code == 0
    assert (tmp_path / "out/SPIM.ome.zarr" / tile.name / ".zattrs").exists()


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]], ids=" ".join)
def test_a_plan_that_is_interrupted_leaves_no_sample(tile, tmp_path, command):  # noqa: F811
    code, err = start([*command, *plan_words(tile)], tmp_path, "item.object:1:TERM")
    assert code == INTERRUPTED and "asked to stop" in err, err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_verify_that_is_interrupted_says_so(run, tmp_path, number):  # noqa: F811
    words = [PROGRAM, "verify", "nothing", *[run.corrected] * 500]
    with subprocess.Popen([str(word) for word in words], cwd=tmp_path, text=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        assert "there is no image" in process.stderr.readline()
        process.send_signal(number)
        err = process.stderr.read()
    assert process.returncode == INTERRUPTED, err
    assert len(err.splitlines()) == 1 and "asked to stop" in err, err
