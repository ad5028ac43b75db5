"""Runs of the command line program with their input and output on S3, against the same runs on local folders."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import tifffile

from support.processes import mpirun
from support.program import NOT_FOUND, PROGRAM, READ_FAILED, UNSUPPORTED, USAGE, WRITE_FAILED, call, files_below, read_json
from support.s3 import KEYS, serve
from support.tiles import phantom_tile
from support.zarr_v3 import convert_tile

NAME = "tile_000001_ch_488.zarr"
INPUT = f"denoised/SPIM.ome.zarr/{NAME}"
OUTPUT = "flatfield_correction/SPIM.ome.zarr"
CORRECTED, MASK = f"{OUTPUT}/{NAME}", f"flatfield_correction/mask/SPIM.ome.zarr/{NAME}"
OPTIONS = ["--n-levels", 3, "--log-level", "DEBUG", "--log-format", "json"]
FAULTS = ["slow_down", "internal_error", "reset_before", "reset_within", "truncated", "expired_token", "clock_skew",
          "wrong_region", "plain_404"]
RATE = 0.2


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


def run_on(server, root, folder, *options, keys=None, workers=2):
    return server.call("run", "--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--mask-dir",
                       f"{root}/denoised/SPIM.ome.zarr/masks/", "--results-dir", "results", "--num-workers", workers,
                       *OPTIONS, *options, cwd=folder, keys=keys)


def without_provenance(files, name=".zattrs"):
    """Two runs differ in the record of how they came about, and in nothing else."""
    files = {path: content for path, content in files.items() if not path.endswith("_checksums.npz")}
    document = json.loads(files.pop(name))
    assert document.get("attributes", document).pop("exaspim_flatfield")
    return files, document


def check_same(server, bucket, local_run, products=(CORRECTED, MASK), attributes=".zattrs"):
    for product in products:
        found = without_provenance(server.objects(bucket, product), attributes)
        expected = without_provenance(files_below(local_run / product), attributes)
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


def test_the_results_of_the_tiles_that_are_finished_outlive_the_machine_of_a_batch(server, asset, tmp_path):
    folder = tmp_path / "asset"
    shutil.copytree(asset, folder)
    other = NAME.replace("000001", "000002")
    shutil.copytree(folder / INPUT, folder / INPUT.replace(NAME, other))
    root = loaded(server, folder, "data")
    (tmp_path / "batch.json").write_text(json.dumps({"tile_paths": [f"{root}/{INPUT}", f"{root}/{INPUT.replace(NAME, other)}"]}))
    words = ["run", "--config", "batch.json", "--output", f"{root}/{OUTPUT}", "--skip-flat-field", "--results-dir", "results"]
    killed = subprocess.run([PROGRAM, *words], cwd=tmp_path, capture_output=True, check=False,
                            env={**server.environment(), "FLATFIELD_KILL_AT": "learn.begin:2"})
    assert killed.returncode == -signal.SIGKILL
    artifacts = server.objects("data", f"flatfield_correction/artifacts/{NAME}")
    assert f"flatfield_data_process_{NAME}.json" in artifacts and f"flatfield_data_process_{other}.json" not in artifacts
    (record,) = json.loads(artifacts["run_report.json"])["tiles"]
    assert record["status"] == "corrected"
    assert server.call(*words, cwd=tmp_path).code == 0
    artifacts = server.objects("data", f"flatfield_correction/artifacts/{NAME}")
    assert sorted(artifacts) == sorted(files_below(tmp_path / "results"))
    assert all(content == (tmp_path / "results" / name).read_bytes() for name, content in artifacts.items()
               if name != "exaspim_flatfield.log")


def test_a_run_whose_results_cannot_be_uploaded_in_the_end_reports_the_code_that_it_ends_with(server, asset, tmp_path):
    root = loaded(server, asset, "data", closed="/run_report.json")
    made = server.call("run", "--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--skip-flat-field",
                       "--results-dir", "results", cwd=tmp_path)
    server.control()
    assert made.code == WRITE_FAILED, made.err
    report = read_json(tmp_path / "results/run_report.json")
    assert report["exit_code"] == WRITE_FAILED and report["tiles"][0]["status"] == "corrected"


def test_what_a_start_after_a_kill_does_not_make_again_is_on_s3_before_the_tile_is_finished(server, asset, tmp_path):
    root = loaded(server, asset, "data")
    words = ["run", "--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--skip-flat-field", "--report",
             "--results-dir", "results"]
    killed = subprocess.run([PROGRAM, *words], cwd=tmp_path, capture_output=True, check=False,
                            env={**server.environment(), "FLATFIELD_KILL_AT": "finish.attributes:1"})
    assert killed.returncode == -signal.SIGKILL
    shutil.rmtree(tmp_path / "results")  # with the machine
    earlier = server.objects("data", f"flatfield_correction/artifacts/{NAME}")["exaspim_flatfield.log"]
    again = server.call(*words, cwd=tmp_path)
    assert again.code == 0 and "finished already" in again.err, again.err
    artifacts = server.objects("data", f"flatfield_correction/artifacts/{NAME}")
    assert {f"flatfield_data_process_{NAME}.json", f"{NAME}_report.html", f"config_{NAME}.json"} <= set(artifacts)
    begun, _, rest = artifacts["exaspim_flatfield.log"].partition(earlier)
    assert not begun and rest and (tmp_path / "results/exaspim_flatfield.log").read_bytes().startswith(rest)


def test_processes_go_on_with_what_they_have_begun_on_s3(server, asset, local_run, tmp_path):
    root = loaded(server, asset, "data")
    words = ["run", "--zarr", f"{root}/{INPUT}", "--output", f"{root}/{OUTPUT}", "--results-dir", "results", "--mask-dir",
             f"{root}/denoised/SPIM.ome.zarr/masks/", *OPTIONS]
    for kill_at in ("item.noted:2", None):
        environment = {**server.environment(), **({"FLATFIELD_KILL_AT": kill_at} if kill_at else {})}
        made = mpirun(2, *words, cwd=tmp_path, env=environment)
        assert (made.code == 0) == (kill_at is None), made.err
    check_same(server, "data", local_run)


def test_a_run_with_shards_and_a_probability_gives_the_same_bytes_as_a_local_one(server, asset, tmp_path):
    folder = tmp_path / "asset"
    tile = convert_tile(asset / INPUT, folder / INPUT, (16, 16, 32), (32, 48, 64))
    shutil.copytree((asset / INPUT).parent / "masks", tile.parent / "masks")
    (folder / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True}))
    options = ["--corrected-shard-size", "32,64,64", "--mask-shard-size", "48", "--probability-shard-size", "32"]
    root = loaded(server, folder, "data")
    made = run_on(server, root, tmp_path, *options, "--fitting-config", f"{root}/fitting.json")
    assert made.code == 0, made.err
    local = call("run", "--zarr", folder / INPUT, "--output", folder / OUTPUT, "--mask-dir", tile.parent / "masks",
                 "--results-dir", folder / "results", "--fitting-config", folder / "fitting.json", *OPTIONS, *options,
                 cwd=folder)
    assert local.code == 0, local.err
    products = [CORRECTED, MASK, f"flatfield_correction/probability/SPIM.ome.zarr/{NAME}"]
    check_same(server, "data", folder, products, "zarr.json")
    for product in products:
        codecs = read_json(folder / product / "0/zarr.json")["codecs"]
        assert [codec["name"] for codec in codecs] == ["sharding_indexed"]
    assert (folder / CORRECTED / "2/zarr.json").exists()
    keys = server.state["objects"]["data"]
    assert not [key for key in keys if "probe" in key or "scratch" in key] and server.state["uploads"] == 0


def test_what_only_reads_takes_the_options_of_s3_too(server, asset, tmp_path):
    """Without an endpoint in the environment."""
    root = loaded(server, asset, "data")
    assert run_on(server, root, tmp_path).code == 0
    made = server.call("estimate", "--zarr", f"{root}/{INPUT}", "--mask-dir", f"{root}/denoised/SPIM.ome.zarr/masks/",
                       "--results-dir", "estimated", "--model", f"{root}/m.npz", cwd=tmp_path)
    assert made.code == 0, made.err
    environment = {name: value for name, value in server.environment().items() if name != "AWS_ENDPOINT_URL_S3"}
    options = ["--s3-endpoint", server.url, "--s3-region", "us-east-1", "--s3-concurrency", 4, "--s3-max-attempts", 3]
    for words in (["verify", f"{root}/{CORRECTED}"], ["show-model", f"{root}/m.npz", "--json"],
                  ["inspect", f"{root}/{CORRECTED}", "--json"], ["view", f"{root}/{CORRECTED}", "--state"]):
        asked = call(*words, *options, cwd=tmp_path, env=environment)
        assert asked.code == 0, asked.err
        wrong = call(*words, "--s3-endpont", server.url, cwd=tmp_path, env=environment)
        assert wrong.code == USAGE and "did you mean --s3-endpoint?" in wrong.err
        # What concerns writing is no option of theirs.
        assert call(*words, "--s3-acl", "private", cwd=tmp_path, env=environment).code == USAGE


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


def keys_that_can_be_renewed(server):
    return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_on_s3_ends_with_the_right_bytes_whatever_the_server_does(server, asset, local_run, tmp_path, fault):
    # A wrong time makes the next attempt fail too, and those of all threads.
    rate = RATE / 2 if fault == "clock_skew" else RATE
    root = loaded(server, asset, "data", faults={fault: rate}, seed=3)
    keys = keys_that_can_be_renewed(server) if fault == "expired_token" else None
    made = run_on(server, root, tmp_path, keys=keys)
    injected = server.state["injected"]
    server.control()
    assert made.code == 0, made.err
    assert injected[fault] > 5
    check_same(server, "data", local_run)


def test_a_run_on_s3_ends_with_the_right_bytes_when_all_of_that_happens_at_once(server, asset, local_run, tmp_path):
    root = loaded(server, asset, "data", faults={fault: RATE / len(FAULTS) for fault in FAULTS}, seed=4)
    made = run_on(server, root, tmp_path, keys=keys_that_can_be_renewed(server))
    injected = server.state["injected"]
    server.control()
    assert made.code == 0, made.err
    assert set(injected) == set(FAULTS)
    check_same(server, "data", local_run)


@pytest.mark.skipif(not os.environ.get("FLATFIELD_LONG"), reason="takes minutes: every body that stalls takes 20 s")
def test_a_run_on_s3_goes_on_when_bodies_stall(server, asset, local_run, tmp_path):
    # More workers, so that they wait at the same time.
    root = loaded(server, asset, "data", faults={"stall": RATE}, seed=5)
    made = run_on(server, root, tmp_path, workers=16)
    injected = server.state["injected"]
    server.control()
    assert made.code == 0, made.err
    assert injected["stall"] > 5
    check_same(server, "data", local_run)


@pytest.mark.parametrize("fault", ["error_in_200", "lost_answer"])
def test_large_shards_are_uploaded_in_parts_that_are_put_together_in_the_end(server, tmp_path, fault):
    tile = phantom_tile(tmp_path / "asset", (130, 256, 256), (65, 64, 128), name=NAME)
    options = ["--skip-flat-field", "--skip-bkg-sub", "--num-workers", 2, "--output-zarr-format", 3, "--output-codec",
               "none", "--log-level", "DEBUG"]
    local = call("run", "--zarr", tile, "--output", "out", "--results-dir", "results-1", *options, cwd=tmp_path)
    assert local.code == 0, local.err
    # A run completes few uploads: it is made sure that this happens to one.
    root = loaded(server, tmp_path / "asset", "data", faults={fault: 1.0}, most=2)
    made = server.call("run", "--zarr", f"{root}/{NAME}", "--output", f"{root}/out", "--results-dir", "results-2",
                       *options, cwd=tmp_path)
    state = server.state
    server.control()
    assert made.code == 0, made.err
    assert state["injected"][fault] == 2 and state["uploads"] == 0
    found, expected = server.objects("data", f"out/{NAME}"), files_below(tmp_path / "out" / NAME)
    assert len(expected["0/c/0/0/0/0/0"]) > 16 << 20
    assert without_provenance(found, "zarr.json") == without_provenance(expected, "zarr.json")


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


def test_a_tile_on_a_web_server_needs_no_zgroup_and_is_not_found_where_there_is_none(server, asset, tmp_path):
    shutil.copytree(asset / INPUT, tmp_path / "web" / NAME)
    (tmp_path / "web" / NAME / ".zgroup").unlink()
    server.control(forget=True, load={"data": str(tmp_path / "web")})
    options = ["--output", tmp_path / "out", "--skip-flat-field", "--n-levels", 2]
    made = server.call("run", "--zarr", f"{server.url}/web/data/{NAME}", *options, cwd=tmp_path)
    assert made.code == 0, made.err
    absent = server.call("run", "--zarr", f"{server.url}/web/data/none.zarr", *options, cwd=tmp_path)
    assert absent.code == NOT_FOUND and "there is no tile here" in absent.err


def test_what_is_on_a_web_server_is_known_from_its_metadata(server, asset, tmp_path):
    def children(location):
        made = server.call("inspect", location, "--json", "--checksum", cwd=tmp_path)
        assert made.code == 0, made.err
        return {child["path"]: child.get("sha256") for child in json.loads(made.out)["children"]}

    # A multiscale image names its levels; of other groups consolidated metadata tell, if there are any.
    folder = tmp_path / "group"
    shutil.copytree(asset / INPUT / "2", folder / "v2/a")
    (folder / "v2/.zgroup").write_text('{"zarr_format": 2}')
    array = read_json(folder / "v2/a/.zarray")
    convert_tile(asset / INPUT, folder / "v3", (16, 16, 32))
    nodes = {"2": read_json(folder / "v3/2/zarr.json"), "no such node": read_json(folder / "v3/2/zarr.json")}
    (folder / "v3/zarr.json").write_text(json.dumps({
        "zarr_format": 3, "node_type": "group", "attributes": {},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": nodes}}))
    loaded(server, asset, "data")
    server.control(load={"group": str(folder)})
    local = json.loads(call("inspect", asset / INPUT, "--json", "--checksum", cwd=tmp_path).out)["children"]
    expected = {child["path"]: child["sha256"] for child in local}
    assert len(expected) == 4 and children(f"{server.url}/web/data/{INPUT}") == expected
    refused = server.call("inspect", f"{server.url}/web/group/v2", cwd=tmp_path)
    assert refused.code == UNSUPPORTED and "does not say what it has" in refused.err
    assert children(f"{server.url}/web/group/v3") == {"2": expected["2"]}
    (folder / "v2/.zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": {
        ".zgroup": {"zarr_format": 2}, "a/.zarray": array, "gone/.zarray": array}}))
    server.control(load={"group": str(folder)})
    assert children(f"{server.url}/web/group/v2") == {"a": expected["2"]}


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
