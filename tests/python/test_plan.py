"""A plan says what a run will do, does none of it, and is right."""
import json
import pathlib
import shutil
import signal

import numpy as np
import pytest
import tifffile

from support.killing import noted_items, start
from support.program import BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, TILES_FAILED, call, correct, files_below
from support.tiles import phantom_tile
from support.zarr_v3 import convert_tile

NAME = "tile_000001_ch_488.zarr"
MEMORY = 9  # exit code of work that does not fit
FORMATS = [(), ("--output-zarr-format", "3", "--corrected-shard-size", "64")]


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("in"), (128, 160, 192), (32, 32, 32), n_levels=4, name=NAME)


def is_chunk(name):
    return pathlib.Path(name).name[0] != "." and not name.endswith("zarr.json")


def plan(tile, cwd, *options):
    result = call("plan", "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks", "--n-levels", 4,
                  "--json", *options, cwd=cwd)
    assert result.code == 0, result.err
    return json.loads(result.out)["tiles"][0]


@pytest.mark.parametrize("options", FORMATS, ids=["v2", "v3 sharded"])
def test_bytes_and_objects_are_those_of_the_run(tile, tmp_path, options):
    planned = plan(tile, tmp_path, *options)
    run = correct(tile, tmp_path / "run", "--n-levels", 4, *options)
    report = run.report
    assert planned["total"]["bytes_read"] == pytest.approx(report["bytes_read"], rel=0.05)
    assert planned["total"]["bytes_written"] == pytest.approx(report["bytes_written"], rel=0.05)
    written = [name for name in files_below(run.corrected) if is_chunk(name)]
    assert planned["outputs"][0]["objects"] == len(written)
    compared = report["plan"]
    assert compared["actual"]["bytes_read"] == report["bytes_read"]
    # A run does not correct a sample of a small tile beforehand.
    assert compared["planned"]["cpu_seconds"] is None
    assert compared["planned"]["peak_memory_bytes"] > 0


def test_chunks_of_shards_that_are_cut_are_planned_as_they_are_fetched(tmp_path):
    """Those of 2 x 2 x 2 of the output's chunks together: 3 x 3 x 3 of these."""
    tile = phantom_tile(tmp_path / "in", (96, 192, 192), (32, 32, 32), n_levels=4, name=NAME)
    sharded = convert_tile(tile, tmp_path / "sharded" / NAME, (32, 32, 32), (96, 96, 96))
    shutil.copytree(tile.parent / "masks", sharded.parent / "masks")
    options = ("--output-chunks", "48,48,48")
    planned = plan(sharded, tmp_path, *options)
    report = correct(sharded, tmp_path / "run", "--n-levels", 4, *options).report
    assert planned["total"]["bytes_read"] == pytest.approx(report["bytes_read"], rel=0.05)
    assert planned["total"]["bytes_written"] == pytest.approx(report["bytes_written"], rel=0.05)


@pytest.mark.parametrize("model, readings", [("percentile", 1), ("gmm", 0)])
def test_what_a_probability_is_computed_from_is_planned_as_it_is_read(tmp_path, model, readings):
    tile = phantom_tile(tmp_path / "in", (128, 160, 192), (32, 32, 32), n_levels=4, name=NAME)
    (tmp_path / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True, "probability_model": model}))
    options = ["--is-binned", "--fitting-config", tmp_path / "fitting.json"]
    planned = plan(tile, tmp_path, *options)
    report = correct(tile, tmp_path / "run", "--n-levels", 4, *options).report
    assert planned["total"]["bytes_read"] == pytest.approx(report["bytes_read"], rel=0.05)
    (stage,) = [stage for stage in planned["stages"] if stage["name"] == "probability"]
    stored = sum(len(content) for name, content in files_below(tile / "0").items() if is_chunk(name))
    assert stage["bytes_read"] == pytest.approx(readings * stored, rel=0.05)


def test_chunks_that_are_cut_into_smaller_ones_are_read_once(tmp_path):
    tile = phantom_tile(tmp_path / "in", (128, 160, 192), (64, 64, 64), n_levels=4, name=NAME)
    options = ("--output-chunks", "32,32,32")
    planned = plan(tile, tmp_path, *options)
    report = correct(tile, tmp_path / "run", "--n-levels", 4, *options).report
    assert planned["total"]["bytes_read"] == pytest.approx(report["bytes_read"], rel=0.05)
    (stage,) = [stage for stage in planned["stages"] if stage["name"] == "correct"]
    stored = sum(len(content) for name, content in files_below(tile / "0").items() if is_chunk(name))
    assert stage["bytes_read"] == pytest.approx(stored, rel=0.05)


@pytest.mark.parametrize("level", [("--is-binned",), ("--estimation-res", "1")], ids=" ".join)
def test_the_pictures_of_a_report_are_planned(tile, tmp_path, level):
    planned = plan(tile, tmp_path, *level, "--report")
    report = correct(tile, tmp_path / "run", "--n-levels", 4, *level, "--report").report
    assert planned["total"]["bytes_read"] == pytest.approx(report["bytes_read"], rel=0.05)
    (stage,) = [stage for stage in planned["stages"] if stage["name"] == "report"]
    assert stage["bytes_read"] > 0 and stage["cpu_seconds"] > 0
    assert "report" not in [stage["name"] for stage in plan(tile, tmp_path, *level)["stages"]]


METHODS = {"fitting": ["--mask-dir", "MASKS"], "basicpy": ["--method", "basicpy", "--basic-config", "basic.json"],
           "reference": ["--method", "reference", "--flatfield-path", "flatfield.tif"]}


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
def test_a_model_that_is_given_is_planned_with(tile, tmp_path, options):
    """Nothing is learnt then, and what is corrected with comes from the file."""
    tifffile.imwrite(tmp_path / "flatfield.tif", np.linspace(500, 1000, 160 * 192, dtype=np.float32).reshape(160, 192))
    (tmp_path / "basic.json").write_text('{"working_size": 32}')
    options = [tile.parent / "masks" if word == "MASKS" else word for word in options]
    result = call("estimate", "--zarr", tile, "--model", "m.npz", *options, cwd=tmp_path)
    assert result.code == 0, result.err
    words = ["--zarr", tile, "--output", "out", "--n-levels", 4, "--model", "m.npz", *options]
    result = call("plan", *words, "--json", cwd=tmp_path)
    assert result.code == 0, result.err
    (planned,) = json.loads(result.out)["tiles"]
    assert call("run", "--dry-run", *words, cwd=tmp_path).code == 0
    names = [stage["name"] for stage in planned["stages"]]
    assert "learn" not in names and ("mask" in names) == ("--mask-dir" in options)
    assert planned["total"]["cpu_seconds"] > 0
    result = call("run", *words, cwd=tmp_path)
    assert result.code == 0, result.err
    (report,) = json.loads((tmp_path / "results" / "run_report.json").read_text())["tiles"]
    assert planned["total"]["bytes_read"] == pytest.approx(report["bytes_read"], rel=0.05)
    assert planned["total"]["bytes_written"] == pytest.approx(report["bytes_written"], rel=0.05)


def test_a_model_that_is_not_there_is_one_clear_error(tile, tmp_path):
    result = call("plan", "--zarr", tile, "--output", "out", "--model", "no.npz", cwd=tmp_path)
    assert result.code == NOT_FOUND and len(result.error_lines) == 1 and "no.npz" in result.error_lines[0]


def test_a_tile_without_scales_is_planned_where_it_is_corrected(tile, tmp_path):
    """Only planes of a background image are mapped between levels by their scales."""
    copy = tmp_path / "in" / NAME
    shutil.copytree(tile, copy)
    attributes = json.loads((copy / ".zattrs").read_text())
    for dataset in attributes["multiscales"][0]["datasets"]:
        del dataset["coordinateTransformations"]
    attributes["multiscales"][0]["version"] = "0.3"
    attributes["multiscales"][0]["axes"] = list("tczyx")
    (copy / ".zattrs").write_text(json.dumps(attributes))
    words = ["--zarr", copy, "--output", "out", "--skip-bkg-sub", "--skip-flat-field"]
    for command in ("plan", "run"):
        result = call(command, *words, cwd=tmp_path)
        assert result.code == 0, result.err


def test_nothing_is_left_behind(tile, tmp_path):
    before = sorted(tile.parent.rglob("*"))
    assert plan(tile, tmp_path)["is_probed"]
    assert list(tmp_path.iterdir()) == []
    assert sorted(tile.parent.rglob("*")) == before


def test_a_plan_that_fails_leaves_no_sample(tile, tmp_path):
    copy = tmp_path / "in" / NAME
    shutil.copytree(tile, copy)
    for path in (copy / "0").rglob("*"):
        if path.is_file() and is_chunk(str(path)):
            path.write_bytes(b"damaged")
    result = call("plan", "--zarr", copy, "--output", "out", "--mask-dir", tile.parent / "masks", cwd=tmp_path)
    assert result.code == BAD_INPUT and len(result.error_lines) == 1, result.err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_sample_of_a_plan_that_was_killed_is_removed_by_the_next(tile, tmp_path):
    left = tmp_path / "out" / f"{NAME}.plan" / "0/0/0/0/0"
    left.mkdir(parents=True)
    (left / "7").write_bytes(b"of a sample")
    plan(tile, tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def words_for(tile):
    return ["--zarr", tile, "--output", "out/SPIM.ome.zarr", "--mask-dir", tile.parent / "masks", "--n-levels", 4]


def test_a_finished_output_is_planned_to_be_skipped(tile, tmp_path):
    correct(tile, tmp_path, "--n-levels", 4)
    before = files_below(tmp_path)
    said = call("plan", *words_for(tile), cwd=tmp_path)
    assert said.code == 0 and said.out == f"{NAME}: the output is finished already: a run skips it\n", said
    (planned,) = json.loads(call("plan", *words_for(tile), "--json", cwd=tmp_path).out)["tiles"]
    assert planned["is_finished"] and planned["items_done"] is None
    assert planned["outputs"] == [] and planned["stages"] == []
    assert {planned["total"][key] for key in ("bytes_read", "bytes_written", "cpu_seconds", "wall_seconds")} == {0}
    (afresh,) = json.loads(call("plan", *words_for(tile), "--json", "--overwrite", cwd=tmp_path).out)["tiles"]
    assert not afresh["is_finished"] and afresh["items_done"] is None and afresh["total"]["bytes_read"] > 0
    assert files_below(tmp_path) == before


def test_an_unfinished_output_is_planned_as_a_run_would_take_it(tile, tmp_path):
    assert start(["run", *words_for(tile)], tmp_path, "item.noted:2")[0] == -signal.SIGKILL
    before, noted = files_below(tmp_path / "out"), noted_items(tmp_path)
    said = call("plan", *words_for(tile), cwd=tmp_path)
    assert said.code == 0 and f"not taken off below: {noted}\n" in said.out, said
    (planned,) = json.loads(call("plan", *words_for(tile), "--json", cwd=tmp_path).out)["tiles"]
    assert planned["items_done"] == noted >= 2 and not planned["is_finished"] and planned["is_probed"]
    other = [*words_for(tile), "--corrected-rank", "mean"]
    for command in ("plan", "run"):
        refused = call(command, *other, cwd=tmp_path)
        assert refused.code == OUTPUT_EXISTS and "options.corrected_rank" in refused.err and refused.out == ""
    (afresh,) = json.loads(call("plan", *other, "--json", "--overwrite", cwd=tmp_path).out)["tiles"]
    assert afresh["items_done"] is None and not afresh["is_finished"]
    assert files_below(tmp_path / "out") == before


def test_a_tile_of_a_batch_at_which_a_run_would_fail_leaves_the_others_their_plans(tile, tmp_path):
    missing = tmp_path / "in/tile_000007_ch_488.zarr"
    (tmp_path / "run.json").write_text(json.dumps({"tile_paths": [str(missing), str(tile)]}))
    words = ["--config", "run.json", "--output", "out", "--mask-dir", tile.parent / "masks"]
    said = call("plan", *words, cwd=tmp_path)
    assert said.code == TILES_FAILED and len(said.error_lines) == 1 and missing.name in said.err, said.err
    assert f"\n{NAME}: " in "\n" + said.out and f"{missing.name}: no plan, as a run would fail: " in said.out
    failed, planned = sorted(json.loads(call("plan", *words, "--json", cwd=tmp_path).out)["tiles"], key=lambda plan: "stages" in plan)
    assert failed["tile"] == missing.name and missing.name in failed["error"] and set(failed) == {"tile", "error"}
    assert planned["tile"] == NAME and planned["is_probed"]
    assert call("run", *words, cwd=tmp_path).code == TILES_FAILED


def test_a_dry_run_prints_the_plan_and_corrects_nothing(tile, tmp_path):
    options = ("run", "--dry-run", "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks")
    result = call(*options, cwd=tmp_path)
    assert result.code == 0, result.err
    assert f"to out/{NAME}" in result.out and "the smallest --memory-limit that works is" in result.out
    assert json.loads(call(*options, "--log-format", "json", cwd=tmp_path).out)["tiles"][0]["tile"] == NAME
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", FORMATS, ids=["v2", "v3 sharded"])
def test_the_smallest_memory_limit_works_and_less_is_refused_before_anything_is_written(tile, tmp_path, options):
    smallest = plan(tile, tmp_path, "--num-workers", 2, *options)["smallest_memory_limit_bytes"]
    assert smallest % (1 << 20) == 0
    run = correct(tile, tmp_path / "fits", "--num-workers", 2, "--memory-limit", smallest, *options)
    loose = correct(tile, tmp_path / "loose", "--num-workers", 2, "--memory-limit", "16G", *options)
    chunks = [{name: content for name, content in files_below(correction.corrected).items() if is_chunk(name)}
              for correction in (run, loose)]
    assert chunks[0] == chunks[1]
    for command in ("plan", "run"):
        result = call(command, "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks",
                      "--num-workers", 2, "--memory-limit", smallest - (1 << 20), *options, cwd=tmp_path)
        assert result.code == MEMORY
        assert f"--memory-limit {smallest >> 20}M" in result.err
    assert not (tmp_path / "out").exists()


def test_an_error_of_the_run_is_that_of_its_plan(tile, tmp_path):
    result = call("plan", "--zarr", tile / "missing", "--output", "out", "--skip-flat-field", cwd=tmp_path)
    assert result.code == 3 and "missing" in result.err
