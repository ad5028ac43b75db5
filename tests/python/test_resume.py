"""Killed, a run goes on; what it leaves is never half there, and is what an uninterrupted run leaves."""
import json
import os
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import tifffile

from support.killing import (SCRATCH, STAGES, check_items, fixed_output, kill_after, noted_items, random_point,
                             start)
from support.program import (NOT_FOUND, OUTPUT_EXISTS, PROGRAM, USAGE, WRITE_FAILED, call, correct, files_below,
                             looks_finished, read_json, read_levels, read_volume)
from support.s3 import serve
from support.tiles import phantom, phantom_tile, write_mask, write_tile
from test_invariance import NAME

INTERRUPTED = 75
LONG = bool(os.environ.get("FLATFIELD_LONG"))
WORKERS = 2
ON_THEIR_WAY = 4  # objects to S3, at most
OPTIONS = ["--n-levels", 6, "--num-workers", WORKERS, "--save-outputs"]
SEED = int(os.environ.get("FLATFIELD_SEED", "0")) or random.SystemRandom().randrange(1, 10 ** 6)


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tile")
    return phantom_tile(folder, (150, 130, 140), (16, 16, 16), n_levels=4, name=NAME, mask_factor=4)


@pytest.fixture(scope="module")
def whole(tile, tmp_path_factory):
    """The uninterrupted run, and how long it takes."""
    begin = time.monotonic()
    run = correct(tile, tmp_path_factory.mktemp("whole"), *OPTIONS)
    return run, time.monotonic() - begin


def words(tile, *options, levels=6, workers=WORKERS, results="results"):
    return ["run", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", results, "--mask-dir",
            tile.parent / "masks", "--save-outputs", "--n-levels", levels, "--num-workers", workers, *options]


def outputs(folder):
    """Every file of an output and of its results, but for those that tell how it came about."""
    told = ("exaspim_flatfield.log", "run_report.json", "_report.html")
    return {path: content for path, content in files_below(folder).items() if not path.endswith(told)}


def assert_same_as(whole, folder):
    expected = fixed_output({path: content for path, content in outputs(whole.folder).items()})
    found = fixed_output(outputs(folder))
    assert sorted(found) == sorted(expected)
    assert [path for path in expected if found[path] != expected[path]] == []


def kill_plans(count):
    """For each run, how it is killed one to three times: in the first half at fail points, in the second after a time."""
    chance = random.Random(SEED)
    stages = list(STAGES)
    plans = []
    for i in range(count):
        kills = chance.randint(1, 3)
        if i < count // 2:
            # Every stage is the first of some run.
            order = [stages[i % len(stages)], *chance.choices(stages, k=kills - 1)]
            plans.append([random_point(chance, stage) for stage in order])
        else:
            plans.append([0.9 * chance.random() for _ in range(kills)])
    return plans


COUNT = 100 if LONG else 20


@pytest.mark.parametrize("number", range(COUNT))
def test_a_run_that_is_killed_and_started_again_ends_with_the_same_bytes(number, tile, whole, tmp_path):
    plan = kill_plans(COUNT)[number]
    print(f"seed {SEED}, run {number}: {plan}")
    run, seconds = whole
    killed = 0
    for moment in plan:
        if isinstance(moment, str):
            code, _ = start(words(tile), tmp_path, moment)
        else:
            code = kill_after(words(tile), tmp_path, moment * seconds)
        killed += code == -signal.SIGKILL
        if code == 0:
            break
    assert killed > 0 or not isinstance(plan[0], str)
    noted = noted_items(tmp_path)
    code, err = start(words(tile), tmp_path)
    assert code == 0, err
    check_items(tmp_path / "results", noted, WORKERS)
    assert_same_as(run, tmp_path)
    assert not list(tmp_path.glob("out/**/*.tmp-*")) and not list(tmp_path.glob(f"out/**/{SCRATCH}"))


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


@pytest.mark.parametrize("number", range(20 if LONG else 2))
def test_a_run_on_s3_that_is_killed_ends_with_the_same_bytes(number, tile, whole, server, tmp_path):
    plan = kill_plans(40)[10 + number]
    print(f"seed {SEED}, run {number}: {plan}")
    run, seconds = whole
    server.control(forget=True, load={"data": str(tile.parent)})
    on_s3 = ["run", "--zarr", f"s3://data/{NAME}", "--output", "s3://data/out/SPIM.ome.zarr", "--results-dir",
             "results", "--mask-dir", "s3://data/masks/", "--s3-concurrency", ON_THEIR_WAY, *OPTIONS]
    for moment in plan:
        if isinstance(moment, str):
            code, _ = start(on_s3, tmp_path, moment, server.environment())
        else:
            code = kill_after(on_s3, tmp_path, 2 * moment * seconds, server.environment())
        if code == 0:
            break
    noted = len([key for key in server.state["objects"]["data"] if f"{SCRATCH}/items/" in key])
    code, err = start(on_s3, tmp_path, env=server.environment())
    assert code == 0, err
    # What was on its way to the server when a run was killed may have arrived after the others, or not at all.
    check_items(tmp_path / "results", noted, WORKERS + ON_THEIR_WAY, late=WORKERS + ON_THEIR_WAY)
    found = {f"out/{path}": content for path, content in server.objects("data", "out").items()
             if not path.startswith("artifacts/")}
    expected = {path: content for path, content in files_below(run.folder).items() if path.startswith("out/")}
    assert sorted(found) == sorted(expected)
    found, expected = fixed_output(found), fixed_output(expected)
    assert [path for path in expected if found[path] != expected[path]
            and not path.endswith((".zattrs", "_checksums.npz"))] == []
    assert server.state["uploads"] == 0


# ---------------------------------------------------------------------------------------------
# Another run


def test_an_unfinished_output_of_other_options_or_another_input_is_refused_with_what_differs(tile, tmp_path):
    shutil.copytree(tile.parent, tmp_path / "in")
    mine = tmp_path / "in" / NAME
    assert start(words(mine), tmp_path, "item.noted:3")[0] == -signal.SIGKILL
    code, err = start(words(mine, "--corrected-rank", "mean", levels=5), tmp_path)
    assert code == OUTPUT_EXISTS
    assert "options.n_levels: 6 before, 5 now" in err and 'options.corrected_rank: -2 before, "mean" now' in err
    chunk = mine / "0/0/0/0/0/0"
    os.utime(chunk, (1, 1))
    code, err = start(words(mine), tmp_path)
    assert code == OUTPUT_EXISTS and "tile.chunks.0/0/0/0/0/0" in err and "--overwrite" in err
    code, err = start(words(mine, "--overwrite"), tmp_path)
    assert code == 0, err
    # What does not change the output is no difference.
    assert start(words(mine, "--overwrite"), tmp_path, "item.noted:3")[0] == -signal.SIGKILL
    code, err = start(words(mine, "--memory-limit", "2G", "--log-level", "DEBUG", "--sync", "full", workers=1,
                            results="elsewhere"), tmp_path)
    assert code == 0, err
    assert read_json(tmp_path / "elsewhere/run_report.json")["tiles"][0]["items"]["found"] > 0


def test_of_reference_backgrounds_the_one_that_is_used_says_whether_an_unfinished_output_is_gone_on_with(tile, tmp_path):
    name = "tile_x_0000_y_0000_z_0000_ch_488.zarr"
    mine = tmp_path / "in" / "SPIM.ome.zarr" / name
    shutil.copytree(tile, mine)
    (tmp_path / "in" / "derivatives").mkdir()
    used, other = (tmp_path / "in" / "derivatives" / f"bkg_tile_x_0000_y_0000_z_0000{channel}.tiff"
                   for channel in ("_ch_488", ""))
    for file in (used, other):
        tifffile.imwrite(file, np.full((130, 140), 90, np.float32))
    call_of = ["run", "--zarr", mine, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--skip-flat-field",
               "--use-reference-bkg", "--num-workers", WORKERS]
    assert start(call_of, tmp_path, "item.noted:3")[0] == -signal.SIGKILL
    before = used.stat()
    os.utime(used, (1, 1))
    code, err = start(call_of, tmp_path)
    assert code == OUTPUT_EXISTS and "files.reference_background" in err, err
    os.utime(used, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(other, (1, 1))
    code, err = start(call_of, tmp_path)
    assert code == 0, err
    assert read_json(tmp_path / "results/run_report.json")["tiles"][0]["items"]["found"] > 0


def test_an_unfinished_binned_tile_is_gone_on_with_in_a_batch_that_another_channel_leads(tile, tmp_path):
    tiles = [tmp_path / "in" / name for name in ("tile_000001_ch_488.zarr", "tile_000002_ch_561.zarr")]
    for copy in tiles:
        shutil.copytree(tile, copy)
    (tmp_path / "batch.json").write_text(json.dumps({"tile_paths": [str(copy) for copy in tiles]}))
    options = ["--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--is-binned", "--skip-flat-field",
               "--num-workers", WORKERS]
    assert start(["run", "--zarr", tiles[1], *options], tmp_path, "item.noted:3")[0] == -signal.SIGKILL
    code, err = start(["run", "--config", "batch.json", *options], tmp_path)
    assert code == 0, err
    assert read_json(tmp_path / "results/run_report.json")["tiles"][1]["items"]["found"] > 0


def test_a_model_that_is_there_is_not_learnt_again(tile, tmp_path):
    assert start(words(tile), tmp_path, "learn.written:1")[0] == -signal.SIGKILL
    code, err = start(words(tile), tmp_path)
    assert code == 0, err
    assert "planes kept" not in err and "model: " in err
    code, err = start(words(tile), tmp_path)
    assert code == 0 and "finished already" in err


def test_objects_that_were_lost_after_they_were_noted_are_made_again(tile, whole, tmp_path):
    """As after a power failure without --sync."""
    assert start(words(tile), tmp_path, "carry.written:1")[0] == -signal.SIGKILL
    noted = noted_items(tmp_path)
    chunk = tmp_path / "out/SPIM.ome.zarr" / NAME / "0/0/0/1/1/1"
    chunk.write_bytes(b"")
    code, err = start(words(tile), tmp_path)
    assert code == 0, err
    (warning,) = [line for line in err.splitlines() if "is not there as it was written" in line]
    assert "1 items are to be done again" in warning and str(chunk) in warning
    assert read_json(tmp_path / "results/run_report.json")["tiles"][0]["items"]["found"] == noted - 1
    assert_same_as(whole[0], tmp_path)


def test_an_object_of_another_part_that_was_lost_is_left_to_that_and_finalize_says_what_is_missing(tile, whole, tmp_path):
    def step(command, *options):
        return start([command, *words(tile)[1:], *options], tmp_path)

    assert [step("estimate")[0], step("apply", "--part", "0/2")[0]] == [0, 0]
    (tmp_path / "out/SPIM.ome.zarr" / NAME / "0/0/0/0/0/0").unlink()  # of item 0
    code, err = step("apply", "--part", "1/2")
    assert code == 0 and "is not there" not in err, err
    code, err = step("finalize")
    assert code == NOT_FOUND and "is not there as it was written" in err and "1 of 27 items of" in err, err
    code, err = step("apply", "--part", "0/2")
    assert code == 0, err
    code, err = step("finalize")
    assert code == 0, err
    for level, volume in read_levels(whole[0].corrected).items():
        np.testing.assert_array_equal(read_levels(tmp_path / "out/SPIM.ome.zarr" / NAME)[level], volume)


@pytest.mark.parametrize("kind", ["items/*/t0_c0/level_0/*.json", "t0_c0_carry_*/0/0/0", "model.npz"])
def test_scratch_objects_that_were_lost_are_made_again(kind, tile, whole, tmp_path):
    """Names without content, as after a power failure without --sync."""
    assert start(words(tile), tmp_path, "carry.written:1")[0] == -signal.SIGKILL
    scratch = tmp_path / "out/SPIM.ome.zarr" / NAME / ".exaspim_flatfield_scratch"
    lost = sorted(scratch.glob(kind))[0]
    lost.write_bytes(b"")
    code, err = start(words(tile), tmp_path)
    if kind == "model.npz":
        assert code == 0 and "learnt again" in err, err
    elif kind.startswith("items/"):
        assert code == 0 and "1 items are to be done again" in err and str(lost) in err, err
    else:
        assert code != 0 and "start again" in err, err
        assert not looks_finished(tmp_path / "out/SPIM.ome.zarr" / NAME)
        code, err = start(words(tile), tmp_path)
        assert code == 0, err
    assert_same_as(whole[0], tmp_path)


def test_a_mask_that_was_removed_is_made_again_and_the_rest_is_not(tile, whole, tmp_path):
    assert start(words(tile), tmp_path, "item.noted:3")[0] == -signal.SIGKILL
    shutil.rmtree(tmp_path / "out/mask")
    code, err = start(words(tile), tmp_path)
    assert code == 0, err
    assert read_json(tmp_path / "results/run_report.json")["tiles"][0]["items"]["found"] > 0
    assert_same_as(whole[0], tmp_path)


@pytest.fixture(scope="module")
def refined(tile, tmp_path_factory):
    """The uninterrupted run with a foreground probability, and the options that ask for it."""
    config = tmp_path_factory.mktemp("options") / "fitting.json"
    config.write_text(json.dumps({"enable_gmm_refinement": True}))
    options = ["--fitting-config", config]
    return correct(tile, tmp_path_factory.mktemp("refined"), *OPTIONS, *options), options


@pytest.mark.parametrize("point", ["learn.written:1", "carry.written:1"])
def test_a_probability_that_was_removed_is_made_again_and_the_rest_is_not(point, tile, refined, tmp_path):
    run, options = refined
    assert start(words(tile, *options), tmp_path, point)[0] == -signal.SIGKILL
    shutil.rmtree(tmp_path / "out/probability")
    noted = noted_items(tmp_path)
    code, err = start(words(tile, *options), tmp_path)
    assert code == 0, err
    assert "the probability is not whole" in err
    (record,) = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert record["status"] == run.report["status"] and record["items"]["found"] == noted
    assert_same_as(run, tmp_path)


def test_a_chunk_of_the_probability_that_was_lost_after_it_was_noted_is_made_again(tile, refined, tmp_path):
    """As after a power failure without --sync."""
    run, options = refined
    assert start(words(tile, *options), tmp_path, "carry.written:1")[0] == -signal.SIGKILL
    level = tmp_path / "out/probability/SPIM.ome.zarr" / NAME / "0"
    chunk = next(path for path in sorted(level.rglob("*")) if path.is_file() and not path.name.startswith("."))
    chunk.write_bytes(b"")
    code, err = start(words(tile, *options), tmp_path)
    assert code == 0 and str(chunk) in err and "the probability is not whole" in err, err
    assert_same_as(run, tmp_path)


def test_a_run_that_is_killed_while_it_writes_the_probability_learns_again_and_goes_on_with_it(refined, tmp_path):
    long = phantom_tile(tmp_path / "in", (136, 40, 40), (16, 16, 16), n_levels=2, name=NAME)  # two items of the probability
    options = [*refined[1], "--estimation-res", 1]
    run = correct(long, tmp_path / "run", *OPTIONS, *options)
    place = tmp_path / "killed"
    place.mkdir()
    assert start(words(long, *options), place, "item.noted:1")[0] == -signal.SIGKILL
    assert (place / "out/SPIM.ome.zarr" / NAME / SCRATCH / "model.npz").exists()
    assert noted_items(place) == len(list(place.glob(f"out/probability/**/{SCRATCH}/items/*/*/*/*.json"))) == 1
    code, err = start(words(long, *options), place)
    assert code == 0 and "the probability is not whole" in err and "another mask" not in err, err
    (record,) = read_json(place / "results/run_report.json")["tiles"]
    assert record["items"]["found"] == 1
    assert_same_as(run, place)


def test_what_was_made_with_the_mask_of_another_channel_is_made_again_with_that_of_the_tile_alone(tmp_path):
    """Channels of a batch share the mask of the first, and a tile that is gone on with alone makes its own."""
    counts, mask = phantom((136, 40, 40))  # three items
    write_mask(tmp_path / "masks/tile_000001_ch_488.tif", mask[::2, ::2, ::2])
    first = counts.copy()
    first[:, :16] = 0  # not in the mask of the first channel
    tiles = [write_tile(tmp_path / "in" / name, array, (16, 16, 16), n_levels=2)
             for name, array in [("tile_000001_ch_488.zarr", first), ("tile_000001_ch_561.zarr", counts)]]
    (tmp_path / "batch.json").write_text(json.dumps({"tile_paths": [str(path) for path in tiles]}))
    (tmp_path / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True}))
    learning = ["--estimation-res", 1, "--fitting-config", tmp_path / "fitting.json", "--num-workers", 1]
    options = ["--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--mask-dir", tmp_path / "masks", *learning]
    assert start(["run", "--zarr", tiles[0], *options], tmp_path)[0] == 0
    assert start(["run", "--config", "batch.json", *options], tmp_path, "item.noted:1")[0] == -signal.SIGKILL
    assert noted_items(tmp_path) == 1
    code, err = start(["run", "--zarr", tiles[1], *options], tmp_path)
    assert code == 0 and sum("another mask" in line for line in err.splitlines()) == 1, err
    (record,) = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert record["items"]["found"] == 0
    alone = correct(tiles[1], tmp_path / "alone", *learning, masks=tmp_path / "masks")
    for kind, image in [("", alone.corrected), ("mask", alone.mask), ("probability", alone.probability)]:
        expected, found = read_levels(image), read_levels(tmp_path / "out" / kind / "SPIM.ome.zarr" / tiles[1].name)
        assert list(found) == list(expected)
        for level, volume in expected.items():
            np.testing.assert_array_equal(found[level], volume)
    of_first = read_volume(tmp_path / "out/mask/SPIM.ome.zarr" / tiles[0].name)
    assert not np.array_equal(of_first, read_volume(alone.mask))


def test_what_was_warned_of_while_a_tile_was_learnt_from_is_in_the_report_of_the_start_that_finishes_it(tile, tmp_path):
    (tmp_path / "medians.json").write_text(json.dumps({"561": {"mean_of_medians": 50}}))
    options = ["--median-summary-path", "medians.json"]
    assert start(words(tile, *options), tmp_path, "learn.written:1")[0] == -signal.SIGKILL
    code, err = start(words(tile, *options), tmp_path)
    assert code == 0 and "planes kept" not in err, err
    (record,) = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert sum("the median summary has no channel" in warning for warning in record["warnings"]) == 1, record["warnings"]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("point", [f"clear.{name}:{image}" for image in (1, 2) for name in ("begun", "scratch", "claim")])
def test_an_output_whose_removal_was_interrupted_can_be_overwritten_and_does_not_look_finished(point, zarr_format, tile, tmp_path):
    options = ["--output-zarr-format", zarr_format]
    assert start(words(tile, *options), tmp_path)[0] == 0
    assert start(words(tile, *options, "--overwrite"), tmp_path, point)[0] == -signal.SIGKILL
    assert not looks_finished(tmp_path / "out/SPIM.ome.zarr" / NAME)
    code, err = start(words(tile, *options), tmp_path)
    assert code == OUTPUT_EXISTS and "it was being removed" in err and "--overwrite" in err
    code, err = start(words(tile, *options, "--overwrite"), tmp_path)
    assert code == 0, err
    for kind in ("", "mask"):
        assert call("verify", "--all", tmp_path / "out" / kind / "SPIM.ome.zarr" / NAME, cwd=tmp_path).code == 0


def test_what_an_unfinished_output_has_noted_is_removed_before_what_says_whose_it_is(tile, tmp_path):
    assert start(words(tile), tmp_path, "item.noted:3")[0] == -signal.SIGKILL
    assert noted_items(tmp_path) >= 3
    # The mask is removed first.
    assert start(words(tile, "--overwrite"), tmp_path, "clear.claim:2")[0] == -signal.SIGKILL
    image = tmp_path / "out/SPIM.ome.zarr" / NAME
    assert list(files_below(image)) == [f"{SCRATCH}/run.json"]
    code, err = start(words(tile, "--overwrite"), tmp_path)
    assert code == 0, err


def test_a_second_start_of_a_batch_does_only_the_bad_tile_again(tmp_path):
    tiles = [phantom_tile(tmp_path / "in", (24, 40, 40), (16, 16, 16), n_levels=4, name=f"tile_{i:06}_ch_488.zarr")
             for i in range(3)]
    chunk = tiles[1] / "0/0/0/0/0/0"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:-20])
    (tmp_path / "run.json").write_text(json.dumps({
        "tile_paths": [str(tile) for tile in tiles], "output": "out", "mask_dir": str(tmp_path / "in/masks")}))
    assert start(["run", "--config", "run.json"], tmp_path)[0] == 11
    chunk.write_bytes(good)
    code, err = start(["run", "--config", "run.json"], tmp_path)
    assert code == 0, err
    records = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert [record["status"] for record in records] == ["skipped", "corrected", "skipped"]
    fresh = correct(tiles[1], tmp_path / "fresh", masks=tmp_path / "in/masks")
    levels = read_levels(tmp_path / "out" / tiles[1].name)
    np.testing.assert_array_equal(levels["0"], read_levels(fresh.corrected)["0"])


def test_the_report_of_a_second_start_says_what_became_of_the_tiles_before(tmp_path):
    tiles = [phantom_tile(tmp_path / "in", (24, 40, 40), (16, 16, 16), n_levels=4, name=f"tile_{i:06}_ch_488.zarr")
             for i in range(3)]
    for mask in (tmp_path / "in/masks").glob("*000001*"):
        mask.unlink()
    (tmp_path / "run.json").write_text(json.dumps({
        "tile_paths": [str(tile) for tile in tiles], "output": "out", "mask_dir": str(tmp_path / "in/masks")}))
    assert start(["run", "--config", "run.json", "--report"], tmp_path)[0] == 0
    before = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert [record["status"] for record in before] == ["corrected", "background_only", "corrected"]
    # On another machine, to which the results of the first are lost.
    assert start(["run", "--config", "run.json", "--report", "--results-dir", "others"], tmp_path)[0] == 0
    after = read_json(tmp_path / "others/run_report.json")["tiles"]
    assert [record["status"] for record in after] == ["skipped"] * 3
    assert [record["finished_as"] for record in after] == [{key: record[key] for key in ("status", "reason")} for record in before]
    assert [record["qc"] for record in after] == [record["qc"] for record in before]
    assert {record["reason"] for record in after} == {"the output was finished already"}


# ---------------------------------------------------------------------------------------------
# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_between_items_and_says_how_to_go_on(number, tile, whole, tmp_path):
    with subprocess.Popen([str(word) for word in (PROGRAM, *words(tile, workers=1))], cwd=tmp_path, text=True,
                          stderr=subprocess.PIPE) as process:
        while noted_items(tmp_path) < 2 and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(number)
        err = process.stderr.read()
    if process.returncode == 0:
        pytest.skip("the run was over before the signal came")
    assert process.returncode == INTERRUPTED, err
    assert sum("start the same command again to go on" in line for line in err.splitlines()) == 1
    assert read_json(tmp_path / "results/run_report.json")["tiles"][0]["status"] == "interrupted"
    noted = noted_items(tmp_path)
    code, err = start(words(tile), tmp_path)
    assert code == 0, err
    assert check_items(tmp_path / "results", noted, 0) == 0  # nothing was under way
    assert_same_as(whole[0], tmp_path)


def test_a_request_to_stop_that_comes_when_all_is_done_stops_nothing(tile, tmp_path):
    code, err = start(words(tile), tmp_path, "finish.attributes:3:TERM")
    assert code == 0, err
    assert "interrupted" not in err
    assert [record["status"] for record in read_json(tmp_path / "results/run_report.json")["tiles"]] == ["corrected"]


def test_a_request_to_stop_at_the_end_of_a_tile_says_how_to_go_on_with_the_others(tmp_path):
    tiles = [phantom_tile(tmp_path / "in", (24, 40, 40), (16, 16, 16), n_levels=4, name=f"tile_{i:06}_ch_488.zarr")
             for i in range(2)]
    (tmp_path / "run.json").write_text(json.dumps({
        "tile_paths": [str(tile) for tile in tiles], "output": "out", "mask_dir": str(tmp_path / "in/masks")}))
    code, err = start(["run", "--config", "run.json"], tmp_path, "finish.attributes:3:TERM")
    assert code == INTERRUPTED, err
    assert "interrupted after 1 of 2 tiles: start the same command again to go on" in err, err
    assert start(["run", "--config", "run.json"], tmp_path)[0] == 0
    records = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert [record["status"] for record in records] == ["skipped", "corrected"]


# ---------------------------------------------------------------------------------------------
# What is beside a finished output


@pytest.mark.parametrize("point", ["finish.checksums:3", "finish.attributes:3"])
def test_a_run_that_is_killed_about_the_moment_that_its_output_is_finished_leaves_the_report(tile, tmp_path, point):
    assert start(words(tile, "--report"), tmp_path, point)[0] == -signal.SIGKILL
    (tmp_path / "out/SPIM.ome.zarr" / NAME / ".exaspim_flatfield_probe_1_00000000").write_text("of a run that was killed")
    code, err = start(words(tile, "--report"), tmp_path)
    assert code == 0, err
    assert "Report of a correction" in (tmp_path / f"results/{NAME}_report.html").read_text()
    assert not [path for path in files_below(tmp_path) if path.endswith(".tmp")]
    # What is finished is left as it is.
    assert ("probe" in str(files_below(tmp_path / "out").keys())) == point.startswith("finish.attributes")


# ---------------------------------------------------------------------------------------------
# Places that cannot be written


def test_a_full_disk_is_one_error_and_the_same_command_finishes_when_there_is_room(tile, whole, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "out"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", small], check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        code, err = start(words(tile), tmp_path)
        assert code == WRITE_FAILED
        assert len([line for line in err.splitlines() if " ERROR " in line]) == 1 and "No space" in err
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        code, err = start(words(tile), tmp_path)
        assert code == 0, err
        assert_same_as(whole[0], tmp_path)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_limit_of_file_sizes_is_one_error_and_the_same_command_finishes_without_it(tile, whole, tmp_path):
    limited = ["bash", "-c", 'ulimit -f 6; exec "$@"', "bash", str(PROGRAM), *map(str, words(tile))]
    made = subprocess.run(limited, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert made.returncode == WRITE_FAILED, made.stderr
    code, err = start(words(tile), tmp_path)
    assert code == 0, err
    assert_same_as(whole[0], tmp_path)


def test_a_server_that_dies_in_the_middle_is_one_error_and_the_same_command_finishes(tile, whole, server, tmp_path):
    server.control(forget=True, load={"data": str(tile.parent)})
    on_s3 = ["run", "--zarr", f"s3://data/{NAME}", "--output", "s3://data/out/SPIM.ome.zarr", "--results-dir",
             "results", "--mask-dir", "s3://data/masks/", *OPTIONS, "--s3-max-attempts", 2]
    with subprocess.Popen([str(word) for word in (PROGRAM, *on_s3)], cwd=tmp_path, text=True, stderr=subprocess.PIPE,
                          env=server.environment()) as process:
        while process.poll() is None and not any(f"{SCRATCH}/items/" in key
                                                 for key in server.state["objects"].get("data", [])):
            time.sleep(0.01)
        server.control(faults={"internal_error": 1.0})
        err = process.stderr.read()
    server.control()
    assert process.returncode in (7, 8), err
    assert len([line for line in err.splitlines() if " ERROR " in line]) == 1, err
    made = server.call(*on_s3, cwd=tmp_path)
    assert made.code == 0, made.err
    assert read_json(tmp_path / "results/run_report.json")["tiles"][0]["items"]["found"] > 0


def test_a_read_only_target_is_one_error_and_leaves_nothing(tile, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    place = tmp_path / "out"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", place], check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    try:
        code, err = start(words(tile), tmp_path)
        assert code == WRITE_FAILED and len([line for line in err.splitlines() if " ERROR " in line]) == 1
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        code, err = start(words(tile), tmp_path)
        assert code == 0, err
    finally:
        subprocess.run(["umount", place], check=True)
