"""Runs of the command line program with their input and output on S3, against the same runs on local folders."""
import json
import pathlib
import shutil
import time

import numpy as np
import pytest
import tifffile

from support.program import NOT_FOUND, READ_FAILED, USAGE, WRITE_FAILED, call, files_below, read_json
from support.s3 import KEYS, serve
from support.tiles import phantom_tile

NAME = "tile_000001_ch_488.zarr"
INPUT = f"denoised/SPIM.ome.zarr/{NAME}"
OUTPUT = "flatfield_correction/SPIM.ome.zarr"
CORRECTED, MASK = f"{OUTPUT}/{NAME}", f"flatfield_correction/mask/SPIM.ome.zarr/{NAME}"
OPTIONS = ["--n-levels", 3, "--num-workers", 2, "--log-level", "DEBUG", "--log-format", "json"]
FAULTS = ["slow_down", "internal_error", "reset_before", "reset_within", "truncated", "expired_token", "clock_skew",
          "wrong_region"]


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asset")
    phantom_tile(folder / "denoised/SPIM.ome.zarr", (48, 70, 90), (16, 32, 32), n_levels=4, name=NAME)
    return folder


@pytest.fixture(scope="module")
def local_run(asset, tmp_path_factory):
    """The asset corrected on local folders."""
    folder = tmp_path_factory.mktemp("local") / "asset"
    shutil.copytree(asset, folder)
    made = call("run", "--zarr", folder / INPUT, "--output", folder / OUTPUT, "--mask-dir",
                folder / "denoised/SPIM.ome.zarr/masks", "--results-dir", folder / "results", *OPTIONS, cwd=folder)
    assert made.code == 0, made.err
    return folder


def loaded(server, asset, bucket, **settings):
    server.control(forget=True, load={bucket: str(asset)}, **settings)
    return f"s3://{bucket}"


def run_on(server, root, folder, *options, keys=None):
    return server.call("run", "--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--mask-dir",
                       f"{root}/denoised/SPIM.ome.zarr/masks/", "--results-dir", "results", *OPTIONS, *options,
                       cwd=folder, keys=keys)


def without_provenance(files):
    """Two runs differ in the record of how they came about, and in nothing else."""
    files = dict(files)
    attributes = json.loads(files.pop(".zattrs"))
    assert attributes.pop("exaspim_flatfield")
    return files, attributes


def check_same(server, bucket, local_run):
    for product in (CORRECTED, MASK):
        found = without_provenance(server.objects(bucket, product))
        expected = without_provenance(files_below(local_run / product))
        assert sorted(found[0]) == sorted(expected[0])
        assert found == expected


def test_a_run_on_s3_gives_the_same_bytes_as_a_local_one(server, asset, local_run, tmp_path):
    root = loaded(server, asset, "data")
    made = run_on(server, root, tmp_path)
    assert made.code == 0, made.err
    check_same(server, "data", local_run)
    keys = server.state["objects"]["data"]
    assert not [key for key in keys if "probe" in key or "scratch" in key]
    # The results directory beside it.
    artifacts = server.objects("data", f"flatfield_correction/artifacts/{NAME}")
    assert sorted(artifacts) == sorted(files_below(tmp_path / "results"))
    for name in (f"flatfield_data_process_{NAME}.json", "run_report.json"):
        assert artifacts[name] == (tmp_path / "results" / name).read_bytes()


def test_credentials_are_in_no_log_error_or_report(server, asset, tmp_path):
    root = loaded(server, asset, "data")
    keys = {**KEYS, "AWS_SESSION_TOKEN": "a-token-that-nobody-knows"}
    made = run_on(server, root, tmp_path, keys=keys)  # refused: the server knows no such token
    assert made.code == READ_FAILED
    fine = run_on(server, root, tmp_path)
    assert fine.code == 0, fine.err
    texts = [made.out, made.err, fine.out, fine.err,
             *(content.decode("latin1") for content in files_below(tmp_path).values()),
             *(content.decode("latin1") for content in server.objects("data", "flatfield_correction").values())]
    for secret in keys.values():
        assert not [text for text in texts if secret in text]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_on_s3_ends_with_the_right_bytes_whatever_the_server_does(server, asset, local_run, tmp_path, fault):
    # The clock of the server is one for all: with two workers they would hardly ever agree with it.
    rate = 0.1 if fault == "clock_skew" else 0.2
    root = loaded(server, asset, "data", faults={fault: rate}, seed=3)
    keys = {"AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url} if fault == "expired_token" else None
    made = run_on(server, root, tmp_path, "--s3-max-attempts", 30, keys=keys)
    injected = server.state["injected"]
    server.control()
    assert made.code == 0, made.err
    assert injected[fault] > 5
    check_same(server, "data", local_run)


def test_a_missing_chunk_is_fill_value_and_a_forbidden_one_an_error(server, asset, local_run, tmp_path):
    changed = tmp_path / "asset"
    shutil.copytree(asset, changed)
    (changed / INPUT / "0/0/0/0/0/0").unlink()
    root = loaded(server, changed, "data")
    assert run_on(server, root, tmp_path, "--skip-flat-field", "--skip-bkg-sub").code == 0
    found = server.objects("data", CORRECTED)
    # The same chunk of a level of zeros: v2, blosc.
    local = call("run", "--zarr", changed / INPUT, "--output", tmp_path / "out", "--skip-flat-field",
                 "--skip-bkg-sub", *OPTIONS, cwd=tmp_path)
    assert local.code == 0
    assert found["0/0/0/0/0/0"] == (tmp_path / "out" / NAME / "0/0/0/0/0/0").read_bytes()
    refused = server.call("inspect", f"s3://forbidden/{INPUT}", cwd=tmp_path)
    assert refused.code == READ_FAILED and "the server answers 403" in refused.err


def test_a_run_that_may_not_write_ends_before_it_reads_the_tile(server, asset, tmp_path):
    root = loaded(server, asset, "public-data")
    made = server.call("run", "--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--skip-flat-field",
                       "--s3-anonymous", cwd=tmp_path, keys={})
    assert made.code == WRITE_FAILED
    assert len(made.error_lines) == 1 and "AccessDenied" in made.err
    assert server.state["counts"].get("GET", 0) < 5


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no.such.host.invalid"])
def test_a_dead_endpoint_is_one_clear_error_within_half_a_minute(server, tmp_path, endpoint):
    # 10 s of trying and the attempt that is under way then (retry_policy.h), for each of two requests.
    start = time.monotonic()
    made = server.call("run", "--zarr", f"s3://bucket/{INPUT}", "--output", "s3://bucket/out", "--skip-flat-field",
                       "--s3-endpoint", endpoint, cwd=tmp_path)
    assert time.monotonic() - start < 60
    assert made.code in (READ_FAILED, WRITE_FAILED)
    assert len(made.error_lines) == 1 and "check --s3-endpoint" in made.err


def test_flatfield_background_and_configuration_are_read_from_s3(server, asset, tmp_path):
    changed = tmp_path / "asset"
    shutil.copytree(asset, changed)
    (changed / "denoised/derivatives").mkdir()
    plane = np.full((70, 90), 90, np.uint16)
    tifffile.imwrite(changed / "denoised/derivatives/tile_000001_ch_488_background_collection.tiff", plane)
    y, x = np.mgrid[-1:1:70j, -1:1:90j]
    tifffile.imwrite(changed / "flatfield.tif", (900 * (1 - 0.4 * y ** 2)).astype(np.float32))
    options = {"method": "reference", "use_reference_bkg": True, "n_levels": 2}
    root = loaded(server, changed, "data")
    (changed / "config.json").write_text(json.dumps({**options, "flatfield_path": f"{root}/flatfield.tif"}))
    root = loaded(server, changed, "data")
    made = server.call("run", "--config", f"{root}/config.json", "--zarr", f"{root}/{INPUT}", "--output",
                       f"{root}/{OUTPUT}", cwd=tmp_path)
    assert made.code == 0, made.err
    local = call("run", "--zarr", changed / INPUT, "--output", tmp_path / OUTPUT, "--method", "reference",
                 "--use-reference-bkg", "--n-levels", 2, "--flatfield-path", changed / "flatfield.tif", cwd=tmp_path)
    assert local.code == 0, local.err
    assert without_provenance(server.objects("data", CORRECTED)) == without_provenance(
        files_below(tmp_path / CORRECTED))
    absent = server.call("run", "--config", f"{root}/none.json", cwd=tmp_path)
    assert absent.code == NOT_FOUND and f"{root}/none.json" in absent.err


@pytest.mark.parametrize("kind", ["web", "web-simple", "web-moved"])
def test_a_tile_is_read_from_a_web_server(server, asset, tmp_path, kind):
    loaded(server, asset, "data", faults={"truncated": 0.1, "reset_before": 0.1})
    options = ["--skip-flat-field", "--n-levels", 2, "--results-dir", tmp_path / "results"]
    made = server.call("run", "--zarr", f"{server.url}/{kind}/data/{INPUT}", "--output", tmp_path / "web", *options,
                       cwd=tmp_path)
    server.control()
    assert made.code == 0, made.err
    local = call("run", "--zarr", asset / INPUT, "--output", tmp_path / "local", *options, cwd=tmp_path)
    assert local.code == 0
    assert without_provenance(files_below(tmp_path / "web" / NAME)) == without_provenance(
        files_below(tmp_path / "local" / NAME))


def test_locations_with_secrets_are_refused_without_being_repeated(server, tmp_path):
    for location in ("https://user:password@host/tile.zarr", "https://host/tile.zarr?X-Amz-Signature=password"):
        made = server.call("inspect", location, cwd=tmp_path)
        assert made.code == USAGE and "password" not in made.err


def test_a_finished_output_on_s3_is_skipped_and_overwritten_when_asked(server, asset, tmp_path):
    root = loaded(server, asset, "data")
    options = ["--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--skip-flat-field"]
    for extra, status in ([], "corrected"), ([], "skipped"), (["--overwrite"], "corrected"):
        made = server.call("run", *options, *extra, cwd=tmp_path)
        assert made.code == 0, made.err
        (record,) = read_json(pathlib.Path(tmp_path) / "results/run_report.json")["tiles"]
        assert record["status"] == status
