"""The shared exam of stores, and a whole run, against an S3 server of somebody else that verifies signatures."""
import os
import shutil
import subprocess
import urllib.request

import pytest

from support import swift
from support.program import PROGRAM, call, files_below
from support.tiles import phantom_tile

BUCKET = "exam-bucket"
NAME = "tile_000001_ch_488.zarr"


def make_container(url):
    request = urllib.request.Request(url + "/auth/v1.0", headers={"X-Auth-User": "test:tester",
                                                                  "X-Auth-Key": "testing"})
    with urllib.request.urlopen(request) as answer:
        account, token = answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
    urllib.request.urlopen(urllib.request.Request(f"{account}/{BUCKET}", method="PUT",
                                                  headers={"X-Auth-Token": token})).close()


@pytest.fixture(scope="module")
def environment():
    """Variables of a program that speaks to Swift."""
    with swift.serve() as url:
        make_container(url)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        yield {**inherited, **swift.KEYS, "AWS_ENDPOINT_URL_S3": url, "HOME": "/nonexistent",
               "no_proxy": "127.0.0.1", "FLATFIELD_S3_EXAM_BUCKET": BUCKET}


def test_swift_passes_the_exam_of_stores(environment):
    program = PROGRAM.parents[1] / "storage" / "flatfield_storage_test"
    assert program.exists(), "build the target flatfield_storage_test first"
    # While an object is overwritten, Swift now and then says that there is none (its object server removes the old
    # file between finding and opening it): the question about that is left to servers that promise more.
    done = subprocess.run([program, "--gtest_filter=ForeignS3/*-*a_reader_never_sees_half_an_object*"], env=environment,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "[  PASSED  ] 0 tests" not in done.stdout and "[  PASSED  ]" in done.stdout


def test_swift_refuses_a_wrong_secret(environment, tmp_path):
    made = call("inspect", f"s3://{BUCKET}/tile", cwd=tmp_path,
                env={**environment, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert made.code == 8 and "403" in made.err


def test_a_run_writes_the_same_bytes_to_swift_as_to_a_folder(environment, tmp_path):
    tile = phantom_tile(tmp_path / "asset", (40, 60, 70), (16, 32, 32), n_levels=4, name=NAME)
    options = ["--zarr", tile, "--mask-dir", tile.parent / "masks", "--n-levels", 2, "--num-workers", 2]
    remote = call("run", *options, "--output", f"s3://{BUCKET}/corrected", "--results-dir", "results-1", cwd=tmp_path,
                  env=environment)
    assert remote.code == 0, remote.err
    local = call("run", *options, "--output", "corrected", "--results-dir", "results-2", cwd=tmp_path)
    assert local.code == 0, local.err
    # What Swift holds is read back by correcting it again, with nothing to correct.
    again = ["--skip-flat-field", "--skip-bkg-sub", "--n-levels", 2]
    for source, out in ((f"s3://{BUCKET}/corrected/{NAME}", "back-1"), (f"corrected/{NAME}", "back-2")):
        made = call("run", "--zarr", source, "--output", out, "--results-dir", "results-3", *again, cwd=tmp_path,
                    env=environment)
        assert made.code == 0, made.err
    found, expected = (files_below(tmp_path / out / NAME) for out in ("back-1", "back-2"))
    for files in (found, expected):
        for with_times in (".zattrs", "0/.exaspim_flatfield_checksums.npz"):
            files.pop(with_times)
    assert found == expected and len(found) > 20
    shutil.rmtree(tmp_path / "asset")
