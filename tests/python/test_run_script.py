"""scripts/run: options by position, as batch systems give them."""
import os
import subprocess

import pytest

from support.program import REPOSITORY

ADDED = ["--n-levels", "7", "--results-dir", "/results", "--save-outputs", "--overwrite"]


@pytest.fixture
def run(tmp_path):
    """Calls the script with a program that prints its arguments, one a line."""
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)

    def call(*words):
        return subprocess.run([REPOSITORY / "scripts" / "run", *words], text=True, capture_output=True,
                              env={**os.environ, "EXASPIM_FLATFIELD": str(program)})
    return call


@pytest.mark.parametrize("words, options", [
    (["in.zarr", "out"], ["--zarr", "in.zarr", "--output", "out"]),
    (["a b.zarr", "s3://b/out", "0", "fitting", "", "16", "masks", "1", "c d.json"],
     ["--zarr", "a b.zarr", "--output", "s3://b/out", "--res", "0", "--method", "fitting", "--num-workers", "16",
      "--mask-dir", "masks", "--is-binned", "--fitting-config", "c d.json"]),
    (["in.zarr", "out", "", "reference", "flat.tif", "", "", "", ""],
     ["--zarr", "in.zarr", "--output", "out", "--method", "reference", "--flatfield-path", "flat.tif"]),
])
def test_options_are_taken_by_position(run, words, options):
    done = run(*words)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["run", *options, *ADDED])


@pytest.mark.parametrize("words", [[], ["in.zarr"], ["in.zarr", ""], ["in.zarr", "out", "", "", "", "", "", "0"], ["x"] * 10])
def test_other_words_are_refused_with_the_usage(run, words):
    done = run(*words)
    assert done.returncode == 2 and "ZARR OUTPUT" in done.stderr and done.stdout == ""
