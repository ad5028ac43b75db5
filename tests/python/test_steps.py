"""Estimate, apply and finalize as steps of their own: in parts, in any order, on models of other tiles."""
import io
import itertools
import json
import os
import random
import shutil
import signal
import subprocess

import numpy as np
import pytest
import tifffile

from support.killing import fixed_output
from support.program import (BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, PROGRAM, USAGE, call, correct, files_below, looks_finished,
                             read_json, read_levels)
from support.tiles import phantom_tile, write_mask
from test_invariance import NAME

OPTIONS = ["--n-levels", 6, "--save-outputs"]
SCRATCH = ".exaspim_flatfield_scratch"


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("tile"), (150, 130, 140), (16, 16, 16), n_levels=4, name=NAME,
                        mask_factor=4)


@pytest.fixture(scope="module")
def whole(tile, tmp_path_factory):
    return correct(tile, tmp_path_factory.mktemp("whole"), *OPTIONS, "--num-workers", 2)


def step(command, tile, folder, *options, **keywords):
    folder.mkdir(exist_ok=True, parents=True)
    masks = [] if keywords.pop("without_masks", False) else ["--mask-dir", tile.parent / "masks"]
    return call(command, "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", *masks, *OPTIONS,
                *options, cwd=folder, **keywords)


def assert_good(*results):
    for result in results:
        assert result.code == 0, result.err


def outputs(folder, without=()):
    """The images and the results, but for what tells how they came about."""
    told = ("exaspim_flatfield.log", "run_report.json", "_report.html", *without)
    return {path: content for path, content in files_below(folder).items()
            if not path.endswith(told) and "results/part_" not in path}


def assert_same_as(whole, folder, without=()):
    expected, found = fixed_output(outputs(whole.folder, without)), fixed_output(outputs(folder, without))
    assert sorted(found) == sorted(expected)
    assert [path for path in expected if found[path] != expected[path]] == []


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_in_any_order_make_what_one_run_makes(tile, whole, tmp_path, parts):
    order = list(range(parts))
    random.Random(parts).shuffle(order)
    assert_good(step("estimate", tile, tmp_path))
    assert not looks_finished(tmp_path / "out/SPIM.ome.zarr" / NAME)
    total = 0
    for part in order:
        assert_good(step("apply", tile, tmp_path, "--part", f"{part}/{parts}", "--num-workers", 1 + part % 2))
        results = tmp_path / "results" / (f"part_{part}_of_{parts}" if parts > 1 else "")
        (record,) = read_json(results / "run_report.json")["tiles"]
        assert record["status"] == "applied" and record["items"]["done"] == record["items"]["total"]
        total += record["items"]["total"]
    assert total == 54  # 27 of the tile, as many of its mask
    assert_good(step("finalize", tile, tmp_path))
    assert_same_as(whole, tmp_path)
    assert step("apply", tile, tmp_path, "--part", "0/1").code == 0  # finished: skipped


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_parts_at_the_same_time_make_what_one_run_makes(tile, whole, tmp_path, parts):
    assert_good(step("estimate", tile, tmp_path))
    words = ["apply", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--mask-dir",
             tile.parent / "masks", *OPTIONS, "--part", "auto"]
    processes = [subprocess.Popen([str(word) for word in (PROGRAM, *words)], cwd=tmp_path, stderr=subprocess.PIPE,
                                  text=True, env={**os.environ, "SLURM_ARRAY_TASK_ID": str(1 + part),
                                                  "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": str(parts)})
                 for part in range(parts)]
    for process in processes:
        err = process.communicate()[1]
        assert process.returncode == 0, err
    assert_good(step("finalize", tile, tmp_path))
    assert_same_as(whole, tmp_path)


def frozen_part(tile, folder):
    """A part that stands still, as one on a machine that was lost, after it has done an item and before it has done all."""
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        assert_good(step("estimate", tile, folder))
        words = ["apply", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--mask-dir",
                 tile.parent / "masks", *OPTIONS, "--part", "0/2"]
        process = subprocess.Popen([str(word) for word in (PROGRAM, *words)], cwd=folder, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not list(folder.glob(f"out/SPIM.ome.zarr/{NAME}/{SCRATCH}/items/*/*/*/*.json")):
            pass
        process.send_signal(signal.SIGSTOP)
        if process.poll() is None:
            return process
    raise AssertionError("the part was always faster")


def test_a_part_that_wakes_up_when_another_run_has_begun_stops_and_nothing_of_it_is_taken(tile, tmp_path):
    other = ["--background-final-smoothing-sigma", 3]
    whole = correct(tile, tmp_path / "whole", *OPTIONS, *other)
    folder = tmp_path / "parts"
    old = frozen_part(tile, folder)
    assert_good(step("estimate", tile, folder, "--overwrite", *other))
    old.send_signal(signal.SIGCONT)
    _, err = old.communicate(timeout=60)
    # It may have been past its last item.
    assert (old.returncode, "begun the output anew" in err) in ((OUTPUT_EXISTS, True), (0, False)), err
    assert_good(*(step("apply", tile, folder, "--part", f"{part}/2", *other) for part in range(2)),
                step("finalize", tile, folder, *other))
    assert_same_as(whole, folder)


def test_a_part_that_wakes_up_when_the_tile_was_copied_anew_and_the_same_was_begun_with_it_stops_too(tile, tmp_path):
    shutil.copytree(tile.parent, tmp_path / "in")
    mine = tmp_path / "in" / NAME
    whole = correct(mine, tmp_path / "whole", *OPTIONS)
    folder = tmp_path / "parts"
    old = frozen_part(mine, folder)
    for chunk in (mine / "0").rglob("*"):
        os.utime(chunk, (1, 1))
    assert_good(step("estimate", mine, folder, "--overwrite"))
    scratch = folder / "out/SPIM.ome.zarr" / NAME / SCRATCH
    begun = read_json(scratch / "run.json")["begun"]
    old.send_signal(signal.SIGCONT)
    _, err = old.communicate(timeout=60)
    # Past its last item, it may have found that the tile is another.
    assert (old.returncode, "begun the output anew" in err) in ((OUTPUT_EXISTS, True), (BAD_INPUT, False)), err
    assert not (scratch / "items" / begun).exists()
    assert_good(*(step("apply", mine, folder, "--part", f"{part}/2") for part in range(2)), step("finalize", mine, folder))
    assert_same_as(whole, folder)


def test_a_part_that_wakes_up_leaves_alone_what_another_run_has_finished_even_without_the_tile(tile, tmp_path):
    shutil.copytree(tile.parent, tmp_path / "in")
    mine = tmp_path / "in" / NAME
    folder = tmp_path / "parts"
    old = frozen_part(mine, folder)
    assert_good(step("run", mine, folder, "--overwrite"))
    finished = files_below(folder / "out")
    mine.rename(tmp_path / "archive")
    old.send_signal(signal.SIGCONT)
    old.communicate(timeout=60)
    found = files_below(folder / "out")
    for path, content in finished.items():
        assert found.get(path) == content, path


def learning_run(tile, folder):
    """A run that stands still while it learns, before it has taken the place of its output."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        words = ["run", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--mask-dir",
                 tile.parent / "masks", *OPTIONS]
        process = subprocess.Popen([str(word) for word in (PROGRAM, *words)], cwd=folder, stderr=subprocess.PIPE, text=True)
        while (line := process.stderr.readline()) and "planes kept" not in line:
            pass
        process.send_signal(signal.SIGSTOP)
        if process.poll() is None and not (folder / "out/SPIM.ome.zarr" / NAME).exists():
            return process
        process.kill()
        process.communicate()
    raise AssertionError("the run was always faster")


def test_a_run_leaves_alone_what_another_has_finished_while_it_learnt(tile, tmp_path):
    slow = learning_run(tile, tmp_path)
    try:
        assert_good(step("run", tile, tmp_path))
        finished = files_below(tmp_path / "out")
    finally:
        slow.send_signal(signal.SIGCONT)
    _, err = slow.communicate(timeout=60)
    assert slow.returncode == OUTPUT_EXISTS and "another run has been here" in err, err
    assert files_below(tmp_path / "out") == finished


def test_a_mask_that_was_removed_before_apply_is_made(tile, whole, tmp_path):
    assert_good(step("estimate", tile, tmp_path))
    shutil.rmtree(tmp_path / "out/mask")
    assert_good(step("apply", tile, tmp_path), step("finalize", tile, tmp_path))
    assert_same_as(whole, tmp_path)


def test_finalize_says_which_items_are_not_done(tile, whole, tmp_path):
    assert_good(step("estimate", tile, tmp_path), step("apply", tile, tmp_path, "--part", "1/3"))
    result = step("finalize", tile, tmp_path)
    assert result.code == NOT_FOUND and "18 of 27 items of" in result.err and "(0, 2, 3, 5, 6," in result.err
    assert_good(step("apply", tile, tmp_path, "--part", "2/3"), step("apply", tile, tmp_path, "--part", "0/3"),
                step("finalize", tile, tmp_path))
    assert_same_as(whole, tmp_path)


def test_a_step_without_the_one_before_says_so(tile, tmp_path):
    for command in ("apply", "finalize"):
        result = step(command, tile, tmp_path)
        assert result.code == NOT_FOUND and "estimate first" in result.err
    for command, options in [("run", ["--part", "0/2"]), ("estimate", ["--part", "0/2"]), ("finalize", ["--overwrite"]),
                             ("apply", ["--overwrite"]), ("apply", ["--part", "2/2"]), ("apply", ["--part", "auto"])]:
        result = step(command, tile, tmp_path, *options)
        assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------
# Models


@pytest.fixture(scope="module")
def model(tile, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    assert_good(call("estimate", "--zarr", tile, "--mask-dir", tile.parent / "masks", "--model", "m.npz", cwd=folder))
    assert sorted(path.name for path in folder.iterdir()) == ["m.npz", "results"]
    return folder / "m.npz"


def test_a_model_corrects_its_own_tile_as_a_run_does(tile, whole, model, tmp_path):
    for part in range(2):
        assert_good(step("apply", tile, tmp_path, "--model", model, "--part", f"{part}/2", without_masks=True))
    assert_good(step("finalize", tile, tmp_path, "--model", model, without_masks=True))
    changed = (f"config_{NAME}.json", ".zattrs", "_checksums.npz", f"flatfield_data_process_{NAME}.json")
    assert_same_as(whole, tmp_path, changed)
    assert_good(step("run", tile, tmp_path / "again", "--model", model, without_masks=True))
    assert_same_as(whole, tmp_path / "again", changed)


def test_parts_that_begin_the_output_at_the_same_time_do_it_together(tile, whole, model, tmp_path):
    words = ["apply", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--model", model, *OPTIONS]
    processes = [subprocess.Popen([str(word) for word in (PROGRAM, *words, "--part", f"{part}/3")], cwd=tmp_path,
                                  stderr=subprocess.PIPE, text=True) for part in range(3)]
    for process in processes:
        err = process.communicate()[1]
        assert process.returncode == 0, err
    assert_good(step("finalize", tile, tmp_path, "--model", model, without_masks=True))
    expected, found = read_levels(whole.corrected), read_levels(tmp_path / "out/SPIM.ome.zarr" / NAME)
    for level, volume in expected.items():
        np.testing.assert_array_equal(found[level], volume)


def test_a_part_does_not_take_for_done_what_an_output_has_noted_that_was_removed(tile, whole, model, tmp_path):
    options = ["--model", model, "--part", "0/2"]
    image = tmp_path / "out/SPIM.ome.zarr" / NAME
    assert_good(step("apply", tile, tmp_path, *options, without_masks=True))
    for path in image.iterdir():
        if path.name != SCRATCH:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (image / SCRATCH / "run.json").unlink()
    refused = step("apply", tile, tmp_path, *options, without_masks=True)
    assert refused.code == OUTPUT_EXISTS and len(refused.error_lines) == 1, refused.err
    assert refused.error_lines[0].endswith(f"{image / SCRATCH}: remove it")
    shutil.rmtree(image / SCRATCH)
    for part in range(2):
        assert_good(step("apply", tile, tmp_path, "--model", model, "--part", f"{part}/2", without_masks=True))
    assert_good(step("finalize", tile, tmp_path, "--model", model, without_masks=True))
    expected, found = read_levels(whole.corrected), read_levels(image)
    assert list(found) == list(expected)
    for level, volume in expected.items():
        np.testing.assert_array_equal(found[level], volume)


def test_a_model_is_opened_by_numpy(tile, whole, model):
    with np.load(model) as held:
        document = json.loads(held["model.json"])
        (volume,) = document["volumes"]
        assert document["format"] == "exaspim-flatfield model" and document["version"] == 1
        assert document["tile"] == str(tile) and volume["key"] == "t0_c0" and volume["quality"]["verdict"]
        background = tifffile.imread(whole.results / f"{NAME}_bkg.tif")
        np.testing.assert_array_equal(held["t0_c0/background"], background)
        curves = read_json(whole.results / f"{NAME}_corr_curves.json")
        for axis in "zyx":
            np.testing.assert_array_equal(held[f"t0_c0/curve_{axis}"], np.float32(curves[f"curve_{axis}"]))
        assert volume["fit"]["g"] == curves["g"]
        z, y, x = volume["mask_shape"]
        mask = np.unpackbits(held["t0_c0/mask"], axis=-1, count=x, bitorder="little")
        low = read_levels(whole.results / f"{NAME}_mask_low_res.zarr")["0"][0, 0]
        np.testing.assert_array_equal(mask, low)
    assert_good(call("show-model", model, cwd=model.parent))


def test_a_model_corrects_another_tile_and_with_a_warning_one_of_another_shape(tile, model, tmp_path):
    other = phantom_tile(tmp_path / "in", (150, 130, 140), (16, 16, 16), n_levels=1, name="tile_000002_ch_488.zarr")
    result = call("run", "--zarr", other, "--output", "out", "--model", model, cwd=tmp_path)
    assert result.code == 0 and "learnt from another tile" in result.err and not result.warnings[1:], result.err
    larger = phantom_tile(tmp_path / "in", (160, 120, 150), (16, 16, 16), n_levels=1, name="tile_000003_ch_488.zarr")
    result = call("run", "--zarr", larger, "--output", "out", "--model", model, cwd=tmp_path)
    assert result.code == 0, result.err
    assert sum("it is resized" in line for line in result.warnings) == 1
    assert read_levels(tmp_path / "out" / larger.name)["0"].shape == (1, 1, 160, 120, 150)
    low = f"{larger.name}_mask_low_res.zarr"
    assert sum(f"{low} is not written" in line for line in result.err.splitlines()) == 1
    assert looks_finished(tmp_path / "mask" / "out" / larger.name) and not (tmp_path / "results" / low).exists()


@pytest.mark.parametrize("command", ["run", "apply", "finalize"])
@pytest.mark.parametrize("option", ["--skip-flat-field", "--skip-bkg-sub"])
def test_a_model_is_applied_whole_or_refused(tile, model, tmp_path, command, option):
    options = [option] if option == "--skip-flat-field" else [option, "--method", "basicpy"]
    result = call(command, "--zarr", tile, "--output", "out", "--model", model, *options, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert option in result.error_lines[0] and "estimate a model with it" in result.error_lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["plan", "preview"])
def test_what_a_run_would_refuse_of_a_model_is_refused_before(tile, model, tmp_path, command):
    result = call(command, "--zarr", tile, "--output", "out", "--model", model, "--skip-flat-field", cwd=tmp_path)
    assert result.code == USAGE and "--skip-flat-field" in result.err, result.err


@pytest.mark.parametrize("words", [["estimate", "--model", "m.npz"], ["apply", "--output", "out", "--part", "0/2"],
                                   ["finalize", "--output", "out"]], ids=lambda words: words[0])
@pytest.mark.parametrize("asked", ["option", "file"])
def test_a_plan_of_one_step_is_refused_with_what_plans(words, asked, tile, tmp_path):
    (tmp_path / "run.json").write_text('{"dry_run": true}')
    given = ["--dry-run"] if asked == "option" else ["--config", "run.json"]
    result = call(*words, "--zarr", tile, "--mask-dir", tile.parent / "masks", *given, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert "--dry-run" in result.error_lines[0] and "say plan, or run --dry-run" in result.error_lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert "--dry-run" not in call(words[0], "--help", cwd=tmp_path).out


def test_a_model_with_a_pedestal_takes_the_options_that_it_was_learnt_with(tile, tmp_path):
    (tmp_path / "basic.json").write_text(json.dumps({"working_size": 16, "max_reweight_iterations": 2}))
    options = ["--zarr", tile, "--method", "basicpy", "--basic-config", "basic.json", "--skip-bkg-sub", "--pedestal", 20,
               "--output", "out", "--model", "m.npz"]
    results = [call(command, *options, cwd=tmp_path) for command in ("estimate", "apply", "finalize")]
    assert_good(*results)
    assert not [line for result in results for line in result.warnings if "no effect" in line]


def test_options_that_a_model_does_not_follow_are_warned_of(tile, model, tmp_path):
    (tmp_path / "fitting.json").write_text('{"spline_smoothing": 0.5}')
    result = call("run", "--zarr", tile, "--output", "out", "--model", model, "--use-reference-bkg", "--fitting-config",
                  "fitting.json", cwd=tmp_path)
    assert result.code == 0, result.err
    [warning] = [line for line in result.warnings if "no effect" in line]
    assert warning.endswith("fitting, use_reference_bkg")


def test_the_provenance_has_the_options_that_the_model_was_learnt_with(tile, tmp_path):
    (tmp_path / "basic.json").write_text(json.dumps({"working_size": 16, "max_reweight_iterations": 2}))
    assert_good(call("estimate", "--zarr", tile, "--method", "basicpy", "--basic-config", "basic.json", "--model", "m.npz",
                     cwd=tmp_path),
                call("run", "--zarr", tile, "--output", "out", "--model", "m.npz", "--report", cwd=tmp_path))
    record = json.dumps(read_json(tmp_path / f"results/flatfield_data_process_{NAME}.json"))
    assert '"method": "basicpy"' in record and '"working_size": 16' in record
    assert '"method":"basicpy"' in (tmp_path / f"results/{NAME}_report.html").read_text().replace(": ", ":")


def test_the_models_of_a_batch_have_a_file_each(tile, tmp_path):
    other = phantom_tile(tmp_path / "in", (150, 130, 140), (16, 16, 16), n_levels=4, name="tile_000002_ch_488.zarr")
    (tmp_path / "batch.json").write_text(json.dumps({"tile_paths": [str(tile), str(other)]}))
    masks = ["--config", "batch.json", "--skip-flat-field"]
    refused = call("estimate", *masks, "--model", "m.npz", cwd=tmp_path)
    assert refused.code == USAGE and "name a folder" in refused.err and not (tmp_path / "m.npz").exists()
    assert_good(call("estimate", *masks, "--model", "models", cwd=tmp_path))
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [f"{NAME}.npz", f"{other.name}.npz"]
    assert_good(call("run", *masks, "--model", "models", "--output", "out", cwd=tmp_path))


def test_a_model_is_that_of_its_tile_however_the_place_is_written(tile, tmp_path):
    (tmp_path / "in").symlink_to(tile.parent)
    assert_good(call("estimate", "--zarr", f"in/{NAME}", "--mask-dir", "in/masks", "--model", "m.npz", cwd=tmp_path),
                call("run", "--zarr", f"./in/{NAME}/", "--output", "out", "--model", tmp_path / "m.npz", cwd=tmp_path))
    (record,) = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert record["qc"] is not None and not [w for w in record["warnings"] if "another tile" in w]


@pytest.mark.parametrize("method", ["basicpy", "reference", "skip"])
def test_every_method_has_a_model(tile, tmp_path, method):
    options = {"basicpy": ["--method", "basicpy", "--basic-config", tmp_path / "basic.json"], "skip": ["--skip-flat-field"],
               "reference": ["--method", "reference", "--flatfield-path", tmp_path / "flatfield.tif"]}[method]
    (tmp_path / "basic.json").write_text(json.dumps({"working_size": 16, "max_reweight_iterations": 2}))
    y, x = np.mgrid[-1:1:130j, -1:1:140j]
    tifffile.imwrite(tmp_path / "flatfield.tif", (900 * (1 - 0.4 * y ** 2)).astype(np.float32))
    common = ["--zarr", tile, "--output", "out", "--results-dir", "results", "--n-levels", 3]
    for folder in ("run", "steps"):
        (tmp_path / folder).mkdir()
    assert_good(call("run", *common, *options, cwd=tmp_path / "run"))
    steps = tmp_path / "steps"
    assert_good(call("estimate", *common, *options, "--model", "m.npz", cwd=steps),
                call("apply", *common, *options, "--model", "m.npz", cwd=steps),
                call("finalize", *common, *options, "--model", "m.npz", cwd=steps))
    expected, found = read_levels(tmp_path / "run/out" / NAME), read_levels(steps / "out" / NAME)
    assert list(found) == list(expected)
    for level, volume in expected.items():
        np.testing.assert_array_equal(found[level], volume)
    shown = call("show-model", "m.npz", "--plots", "plots", cwd=steps)
    assert shown.code == 0
    with np.load(steps / "m.npz") as arrays:  # each is read, and its checksum with it
        assert {name: arrays[name] for name in arrays.files}
    drawn = sorted(path.name for path in (steps / "plots").iterdir())
    planes = {"basicpy": ["background", "flatfield"], "reference": ["background", "flatfield"], "skip": ["background"]}
    assert drawn == [f"t0_c0_{name}.png" for name in planes[method]]
    assert all((steps / "plots" / name).read_bytes().startswith(b"\x89PNG") for name in drawn)


def test_the_curves_of_a_model_are_drawn_as_a_run_draws_them(model, whole, tmp_path):
    assert_good(call("show-model", model, "--plots", "plots", cwd=tmp_path))
    for axis, plane in (("x", "xy"), ("y", "xz"), ("z", "yz")):
        drawn = (tmp_path / "plots" / f"t0_c0_curve_{axis}.png").read_bytes()
        assert drawn == (whole.results / f"{NAME}_corr_{plane}.png").read_bytes()


def test_refinement_in_steps_writes_the_probability_too(tile, tmp_path):
    (tmp_path / "fit.json").write_text(json.dumps({"enable_gmm_refinement": True}))
    options = ["--fitting-config", tmp_path / "fit.json"]
    assert_good(step("run", tile, tmp_path / "run", *options))
    steps = tmp_path / "steps"
    assert_good(step("estimate", tile, steps, *options))
    for part in (2, 0, 1):
        assert_good(step("apply", tile, steps, *options, "--part", f"{part}/3"))
    assert_good(step("finalize", tile, steps, *options))
    for image in ("", "mask/", "probability/"):
        expected, found = (files_below(folder / "out" / image / "SPIM.ome.zarr" / NAME) for folder in
                           (tmp_path / "run", steps))
        chunks = {path for path in expected if not path.endswith((".zattrs", "_checksums.npz"))}
        assert len(chunks) > 10 and sorted(found) == sorted(expected)
        assert [path for path in chunks if found[path] != expected[path]] == []


def test_a_probability_that_was_removed_is_made_by_estimate_as_finalize_says(tile, tmp_path):
    (tmp_path / "fit.json").write_text(json.dumps({"enable_gmm_refinement": True}))
    options = ["--fitting-config", tmp_path / "fit.json"]
    run = correct(tile, tmp_path / "run", *OPTIONS, *options)
    steps = tmp_path / "steps"
    assert_good(step("estimate", tile, steps, *options), step("apply", tile, steps, *options))
    shutil.rmtree(steps / "out/probability")
    refused = step("finalize", tile, steps, *options)
    assert refused.code == NOT_FOUND and len(refused.error_lines) == 1, refused.err
    assert "of probability are not done" in refused.err and "estimate again" in refused.err, refused.err
    assert_good(step("estimate", tile, steps, *options), step("finalize", tile, steps, *options))
    assert_same_as(run, steps)


def test_the_report_of_finalize_has_what_estimate_has_warned_of_while_it_learnt(tile, tmp_path):
    (tmp_path / "medians.json").write_text(json.dumps({"561": {"mean_of_medians": 50}}))
    options = ["--median-summary-path", tmp_path / "medians.json"]
    results = [step(command, tile, tmp_path, *options) for command in ("estimate", "apply", "finalize")]
    assert_good(*results)
    said = [sum("the median summary has no channel" in line for line in result.warnings) for result in results]
    assert said == [1, 0, 1]  # of many parts none says it again
    (record,) = read_json(tmp_path / "results/run_report.json")["tiles"]
    assert sum("the median summary has no channel" in warning for warning in record["warnings"]) == 1, record["warnings"]


def test_a_damaged_model_and_another_file_are_refused(model, tile, tmp_path):
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 4
    (tmp_path / "damaged.npz").write_bytes(content)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("damaged.npz", "other.npz", "text.npz"):
        result = call("show-model", name, cwd=tmp_path)
        assert result.code == BAD_INPUT and len(result.error_lines) == 1 and name in result.err
        result = call("run", "--zarr", tile, "--output", "out", "--model", name, cwd=tmp_path)
        assert result.code == BAD_INPUT and not (tmp_path / "out").exists()
    assert call("show-model", "none.npz", cwd=tmp_path).code == NOT_FOUND
    shown = json.loads(call("show-model", model, "--json", cwd=tmp_path).out)
    assert shown["volumes"][0]["key"] == "t0_c0"
