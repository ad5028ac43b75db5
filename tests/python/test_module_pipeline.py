"""The package's tiles, models and steps of a run against the command line and the files that it writes."""
import gc
import json
import logging
import math
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import zarr

from support.module import flatfield
from support.module_tile import FITTING, contents, corrected, image_of, options_for, tile  # noqa: F401
from support.program import call, read_json

errors = flatfield.errors


@pytest.fixture(scope="module")
def model(tile):
    return flatfield.estimate(zarr=tile, mask_dir=os.path.join(os.path.dirname(tile), "masks"), fitting=FITTING)


def level(image, name="0"):
    return zarr.open_array(str(image / name), mode="r")[0, 0]


# ---------------------------------------------------------------------------------------------
# Tiles


def test_a_tile_is_what_its_metadata_say(tile):
    opened = flatfield.open_tile(tile)
    assert opened.location == tile and opened.name == "tile_000000_ch_488.zarr"
    assert opened.levels == ["0", "1", "2", "3"] and opened.volumes() == (1, 1)
    assert (opened.shape(), opened.shape("2")) == ((96, 128, 144), (24, 32, 36))
    assert opened.chunks() == (16, 32, 48) and opened.dtype() == np.uint16
    assert opened.scale("1") == tuple(2 * s for s in opened.scale()) and opened.translation() == (0, 0, 0)
    assert opened.attributes == json.loads(open(tile + "/.zattrs").read())
    assert pickle.loads(pickle.dumps(opened)).shape() == opened.shape()


@pytest.mark.parametrize("box", [None, np.s_[:, :, :], np.s_[3:17, 30:70, 40:144], np.s_[5, -1, 7:9], np.s_[-10:, :1, 47:49]])
def test_boxes_are_read_as_numpy_cuts_them(tile, box):
    opened = flatfield.open_tile(tile)
    expected = zarr.open_array(tile + "/0", mode="r")[0, 0]
    if box is not None:
        expected = expected[tuple(b if isinstance(b, slice) else slice(b, b + 1 or None) for b in box)]
    for workers in (1, 3):
        found = opened.read(box, workers=workers)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("box", [np.s_[::2, :, :], np.s_[0:0, :, :], np.s_[200:, :, :], np.s_[96, 0, 0], np.s_[:, :], 3, "zyx"])
def test_boxes_that_are_none_are_refused(tile, box):
    with pytest.raises(errors.UsageError):
        flatfield.open_tile(tile).read(box)


@pytest.mark.parametrize("index", [dict(c=-1), dict(c=1), dict(t=-1), dict(t=7)])
def test_volumes_that_are_not_there_are_refused(tile, index):
    with pytest.raises(errors.UsageError, match="there is no time point"):
        flatfield.open_tile(tile).read(**index)


def test_errors_have_the_text_of_the_command_line(tile, tmp_path):
    def same(call_package, *words):
        with pytest.raises(flatfield.FlatfieldError) as caught:
            call_package()
        result = call(*words, cwd=tmp_path)
        assert result.code == caught.value.exit_code
        assert any(line.endswith(str(caught.value)) for line in result.err.splitlines()), (str(caught.value), result.err)
        return caught.value

    missing = str(tmp_path / "tile_000009_ch_488.zarr")
    error = same(lambda: flatfield.open_tile(missing),
                 "run", "--zarr", missing, "--output", "out", "--method", "basicpy", "--results-dir", "r2")
    assert isinstance(error, FileNotFoundError) and error.code == "not_found" and missing in error.where
    masks = str(tmp_path)
    same(lambda: flatfield.run(zarr=missing, output="out", mask_dir=masks, results_dir=tmp_path / "r"),
         "run", "--zarr", missing, "--output", "out", "--mask-dir", masks, "--results-dir", "r2")
    same(lambda: flatfield.run(zarr=tile, output=tmp_path / "out", results_dir=tmp_path / "r"),
         "run", "--zarr", tile, "--output", "out")
    same(lambda: flatfield.finalize(zarr=tile, output=tmp_path / "o", method="basicpy", results_dir=tmp_path / "r"),
         "finalize", "--zarr", tile, "--output", tmp_path / "o", "--method", "basicpy", "--results-dir", "r2")
    same(lambda: flatfield.verify(missing), "verify", missing)
    same(lambda: flatfield.run(zarr=tile, output=tmp_path / "o", method="basicpy", memory_limit="20M",
                               results_dir=tmp_path / "r"),
         "run", "--zarr", tile, "--output", tmp_path / "o", "--method", "basicpy", "--memory-limit", "20M", "--results-dir", "r2")


@pytest.mark.parametrize("call_it, said", [
    (lambda: flatfield.open_tile(5), "location: expected a text or a path, found a value of type int"),
    (lambda: flatfield.open_tile(b"a.zarr"), "location: expected a text or a path, found a value of type bytes"),
    (lambda: flatfield.open_tile("\ud800.zarr"), "location: this text cannot be written as UTF-8"),
    (lambda: flatfield.read_model(["m.npz"]), "location: expected a text or a path, found a value of type list"),
    (lambda: flatfield.verify(None), "location: expected a text or a path, found a value of type NoneType"),
    (lambda: flatfield.synthesize(0.5), "output: expected a text or a path, found a value of type float")])
def test_what_is_no_location_is_refused(call_it, said):
    with pytest.raises(errors.UsageError, match=said):
        call_it()


def test_an_option_of_a_phantom_that_is_none_is_left_out(tmp_path):
    options = dict(shape=[48, 70, 90], chunks=[16, 32, 32], n_levels=2)
    left_out = flatfield.synthesize(tmp_path / "a", **options)
    given = flatfield.synthesize(tmp_path / "b", name=None, seed=None, noise=None, overwrite=None, **options)
    assert os.path.basename(given) == os.path.basename(left_out)
    assert contents(pathlib.Path(given)) == contents(pathlib.Path(left_out)) != {}


def test_a_place_whose_name_is_not_utf8_is_worked_in(tile, corrected, tmp_path):
    folder = pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9"))
    mine = folder / os.path.basename(tile)
    shutil.copytree(tile, mine)
    with os.scandir(os.fsencode(folder)) as entries:
        (entry,) = entries
    for location in (str(mine), mine, entry):
        opened = flatfield.open_tile(location)
        assert (opened.location, opened.name) == (str(mine), mine.name)
        assert pickle.loads(pickle.dumps(opened)).shape() == opened.shape()
    with pytest.raises(errors.NotFoundError) as caught:
        flatfield.open_tile(folder / "nothing.zarr")
    assert str(folder) in caught.value.where and str(folder) in str(caught.value)

    options = {**options_for(tile, folder), "zarr": mine}
    assert flatfield.estimate(**{**options, "output": None, "model": folder / "m.npz"}).volume().ratio > 0
    assert flatfield.run(**options)["tiles"][0]["status"] == "corrected"
    image = image_of(folder, tile)
    assert contents(image) == contents(image_of(corrected[0], tile))
    assert flatfield.verify(image)["good"]
    # JSON is text: what cannot be said in it stands as the character for that.
    assert read_json(folder / "results" / f"config_{mine.name}.json")["zarr"] == str(tmp_path / "\ufffd" / mine.name)


@pytest.mark.parametrize("options, said", [
    (dict(n_level=3), "unknown option n_level: did you mean n_levels?"), (dict(n_levels=0), "n_levels: expected"),
    (dict(n_levels="many"), "n_levels: expected"), (dict(fitting=dict(gausian_sigma=1)), "gaussian_sigma"),
    (dict(zarr=object()), "cannot be an option"), (dict(dry_run=True), "plan()"), (dict(part="9/3"), "--part"),
    (dict(fitting=dict(gaussian_sigma=math.inf)), "fitting.gaussian_sigma: expected a finite number, found inf"),
    (dict(fitting=dict(limits_x=[0.5, np.float32(np.nan)])), "fitting.limits_x: expected a finite number, found nan"),
    (dict(zarr="\ud800.zarr"), "zarr: this text cannot be written as UTF-8")])
def test_options_that_make_no_sense_are_refused_by_name(tile, tmp_path, options, said):
    with pytest.raises(errors.UsageError) as caught:
        flatfield.run(**{**options_for(tile, tmp_path), **options})
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


BASIC = dict(working_size=32, max_reweight_iterations=1)


@pytest.mark.parametrize("method, key, given, other", [("fitting", "gaussian_sigma", FITTING, 3.0),
                                                       ("basicpy", "working_size", BASIC, 48)])
def test_options_of_a_method_win_over_the_file_that_a_configuration_names(tile, tmp_path, method, key, given, other):
    name = method.removesuffix("py")
    (tmp_path / "method.json").write_text(json.dumps({**given, key: other}))
    (tmp_path / "run.json").write_text(json.dumps({"method": method, name + "_config": str(tmp_path / "method.json")}))
    options = dict(zarr=tile, mask_dir=os.path.join(os.path.dirname(tile), "masks"), config=tmp_path / "run.json")
    learnt_with = flatfield.estimate(**options, **{name: given}).document["configuration"][name]
    assert learnt_with[key] == given[key]
    assert flatfield.estimate(**options).document["configuration"][name][key] == other
    with pytest.raises(errors.UsageError, match=f"{name}, {name}_config: expected one of them"):
        flatfield.estimate(**options, **{name: given, name + "_config": tmp_path / "method.json"})


# ---------------------------------------------------------------------------------------------
# Runs


def test_run_writes_what_the_command_line_writes(tile, corrected, tmp_path):
    folder, report = corrected
    (record,) = report["tiles"]
    assert record["status"] == "corrected" and report["exit_code"] == 0
    assert report == read_json(folder / "results" / "run_report.json")
    (tmp_path / "fitting.json").write_text(json.dumps(FITTING))
    result = call("run", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--n-levels", 3,
                  "--mask-dir", os.path.join(os.path.dirname(tile), "masks"), "--fitting-config", "fitting.json", cwd=tmp_path)
    assert result.code == 0, result.err
    for kind in ("", "mask"):
        written = contents(image_of(folder, tile, kind))
        assert len(written) > 10 and written == contents(image_of(tmp_path, tile, kind))


def test_estimate_apply_and_finalize_are_a_run(tile, corrected, tmp_path):
    options = options_for(tile, tmp_path)
    learnt = flatfield.estimate(**options)
    assert learnt.volume().ratio > 0
    for part in (1, 0, 2):
        report = flatfield.apply(**options, part=f"{part}/3")
        assert report["tiles"][0]["status"] == "applied"
        assert (tmp_path / "results" / f"part_{part}_of_3" / "run_report.json").exists()
    flatfield.finalize(**options)
    assert contents(image_of(tmp_path, tile)) == contents(image_of(corrected[0], tile))
    assert flatfield.run(**options)["tiles"][0]["status"] == "skipped"


def write_config(folder, **options):
    (folder / "run.json").write_text(json.dumps(options, default=str))
    return folder / "run.json"


def test_a_configuration_file_says_where_the_steps_leave_what_they_made(tile, corrected, tmp_path):
    config = write_config(tmp_path, **options_for(tile, tmp_path))
    learnt = flatfield.estimate(config=config)
    assert learnt.volume().ratio > 0 and (tmp_path / "results" / "run_report.json").exists()
    flatfield.apply(config=config)
    flatfield.finalize(config=config)
    assert contents(image_of(tmp_path, tile)) == contents(image_of(corrected[0], tile))


def test_a_model_goes_where_a_configuration_file_says(tile, tmp_path):
    options = {**options_for(tile, tmp_path), "output": None}
    learnt = flatfield.estimate(config=write_config(tmp_path, **options, model=tmp_path / "models"))
    written = tmp_path / "models" / (os.path.basename(tile) + ".npz")
    assert written.read_bytes() == learnt.to_bytes()
    in_memory = flatfield.estimate(config=write_config(tmp_path / "models", **{**options, "results_dir": tmp_path / "other"}))
    assert in_memory.volume().ratio == learnt.volume().ratio and (tmp_path / "other" / "run_report.json").exists()


def test_a_finished_output_is_not_learnt_from_again(tile, corrected, tmp_path):
    subprocess.run(["cp", "-r", corrected[0] / "out", tmp_path], check=True)
    options = options_for(tile, tmp_path)
    with pytest.raises(errors.OutputExistsError, match="finished already.*model=FILE.*overwrite=True") as caught:
        flatfield.estimate(**options)
    assert (caught.value.code, caught.value.exit_code) == ("output_exists", 6)
    assert caught.value.where == str(image_of(tmp_path, tile))
    assert flatfield.estimate(**options, model=tmp_path / "m.npz").volume().ratio > 0
    assert flatfield.estimate(**options, overwrite=True).volume().ratio > 0


def test_progress_is_called_and_what_is_said_is_logged(tile, tmp_path, caplog, capfd):
    seen = []
    with caplog.at_level(logging.INFO, logger="exaspim_flatfield"):
        flatfield.run(progress=lambda *step: seen.append(step), **options_for(tile, tmp_path))
    for stage in ("corrected", "mask"):
        steps = [step for step in seen if step[0] == stage]
        done = [step[1] for step in steps]
        assert done == sorted(done) and done[-1] == steps[-1][2] > 0
    assert any(message.startswith("planes kept: ") for message in caplog.messages)
    assert {record.levelno for record in caplog.records} <= {logging.INFO, logging.WARNING}
    out, err = capfd.readouterr()
    assert out == "" and not [line for line in err.splitlines() if "INFO" in line and "exaspim" not in line]


class Enough(Exception):
    pass


def test_a_callback_that_raises_ends_the_run_and_the_same_call_goes_on(tile, corrected, tmp_path):
    def stop(stage, done, total):
        raise Enough(stage)

    with pytest.raises(Enough, match="corrected"):
        flatfield.run(progress=stop, **options_for(tile, tmp_path))
    report = flatfield.run(**options_for(tile, tmp_path))
    assert report["tiles"][0]["status"] == "corrected" and report["tiles"][0]["items"]["found"] >= 1
    assert contents(image_of(tmp_path, tile)) == contents(image_of(corrected[0], tile))


def test_a_callback_that_raises_ends_a_batch_before_the_next_tile_is_touched(tile, tmp_path):
    other = tmp_path / "tile_000009_ch_488.zarr"
    shutil.copytree(tile, other)
    options = {**options_for(tile, tmp_path), "zarr": None, "skip_flat_field": True}
    flatfield.run(**options, tile_paths=[tile, other])
    finished = contents(image_of(tmp_path, other))

    def stop(stage, done, total):
        raise Enough(stage)

    with pytest.raises(Enough):
        flatfield.run(progress=stop, overwrite=True, **options, tile_paths=[tile, other])
    assert contents(image_of(tmp_path, other)) == finished


def test_runs_in_threads_do_not_disturb_each_other(tile, corrected, tmp_path):
    ended = []
    threads = [threading.Thread(target=lambda i=i: ended.append(
        flatfield.run(num_workers=2, **options_for(tile, tmp_path / str(i)))["exit_code"])) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [0, 0, 0]
    for i in range(3):
        assert contents(image_of(tmp_path / str(i), tile)) == contents(image_of(corrected[0], tile))


@pytest.mark.parametrize("level", ["ERROR", "CRITICAL"])
def test_failures_are_raised_whatever_is_logged(tile, tmp_path, level):
    missing = str(tmp_path / "tile_000009_ch_488.zarr")
    with pytest.raises(errors.NotFoundError):
        flatfield.run(**{**options_for(tile, tmp_path), "zarr": missing, "log_level": level})


def test_a_batch_says_how_many_tiles_failed(tile, tmp_path):
    missing = str(tmp_path / "tile_000009_ch_488.zarr")
    with pytest.raises(errors.TilesFailedError, match="1 tiles failed, the first with") as caught:
        flatfield.run(**{**options_for(tile, tmp_path), "zarr": None, "tile_paths": [tile, missing]})
    assert caught.value.exit_code == 11
    counts = read_json(tmp_path / "results" / "run_report.json")["counts"]
    assert (counts["corrected"], counts["failed"]) == (1, 1)


def test_plan_says_what_run_would_write_and_writes_nothing(tile, tmp_path):
    (planned,) = flatfield.plan(**options_for(tile, tmp_path))["tiles"]
    result = call("plan", "--json", "--zarr", tile, "--output", tmp_path / "out" / "SPIM.ome.zarr", "--n-levels", 3,
                  "--mask-dir", os.path.join(os.path.dirname(tile), "masks"), cwd=tmp_path)
    (expected,) = json.loads(result.out)["tiles"]
    assert planned.keys() == expected.keys() and not (tmp_path / "out").exists()


def test_verify_finds_a_flipped_byte(tile, corrected, tmp_path):
    folder, _ = corrected
    image = image_of(folder, tile)
    good = flatfield.verify(image, all=True, workers=2)
    assert good["good"] and good["problems"] == [] and good["objects"] > 10 and good["blocks"] == good["blocks_in_all"] > 0
    subprocess.run(["cp", "-r", image, tmp_path / "copy"], check=True)
    chunk = tmp_path / "copy" / "0" / "0" / "0" / "1" / "1" / "1"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    bad = flatfield.verify(tmp_path / "copy", num_workers=2)
    assert not bad["good"] and "1/1/1" in bad["problems"][0]


@pytest.mark.parametrize("options, said", [
    (dict(n_levels=3), "unknown option n_levels"), (dict(num_worker=8), "unknown option num_worker"),
    (dict(s3_anonymus=True), "did you mean s3_anonymous?"), (dict(num_workers=0), "workers: expected 1 to 1024")])
def test_what_verify_does_not_know_is_refused(tile, corrected, options, said):
    with pytest.raises(errors.UsageError) as caught:
        flatfield.verify(image_of(corrected[0], tile), **options)
    assert said in str(caught.value)


@pytest.mark.parametrize("words", [["--version"], ["run", "--zarr", "nowhere.zarr", "--output", "o", "--method", "basicpy"],
                                   ["verify", "nowhere"]])
def test_the_module_is_the_command_line(words, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    module = subprocess.run([sys.executable, "-m", "exaspim_flatfield", *words], cwd=tmp_path, text=True,
                            capture_output=True, env=environment)
    program = call(*words, cwd=tmp_path)
    cut = len("2026-01-01T00:00:00.000000Z")
    ends = [[line[cut:] if line.startswith("20") else line for line in text.splitlines() if " s (" not in line]
            for text in (module.stderr, program.err)]
    assert (module.returncode, module.stdout, ends[0]) == (program.code, program.out, ends[1])


# ---------------------------------------------------------------------------------------------
# Models


def test_a_model_is_what_its_file_holds(tile, model, tmp_path):
    written = flatfield.estimate(**{**options_for(tile, tmp_path), "output": None, "model": tmp_path / "m.npz"})
    with np.load(tmp_path / "m.npz") as file:
        arrays = {name[len("t0_c0/"):]: file[name] for name in file.files if name.startswith("t0_c0/")}
        document = json.loads(bytes(file["model.json"]))
    assert written.document == document and written.tile == tile and written.shape == (96, 128, 144)
    assert written.volumes == [(0, 0)] and (written.level, written.estimation_level) == ("0", "3")
    for found in (written.volume(), flatfield.read_model(tmp_path / "m.npz").volume(), model.volume()):
        for name in ("background", "curve_z", "curve_y", "curve_x", "profile_z", "profile_y", "profile_x"):
            np.testing.assert_array_equal(getattr(found, name), arrays[name])
        shape = document["volumes"][0]["mask_shape"]
        np.testing.assert_array_equal(found.mask, np.unpackbits(arrays["mask"], axis=-1, count=shape[2], bitorder="little"))
        assert found.ratio == np.float32(document["volumes"][0]["fit"]["ratio"])
        assert found.flatfield is None and found.darkfield is None and found.reason is None
        assert found.background_planes == document["volumes"][0]["background_planes"]["kept"]
        assert found.quality == document["volumes"][0]["quality"] and not found.background.flags.writeable


def test_corrected_blocks_are_the_written_voxels(tile, corrected, model):
    written = level(image_of(corrected[0], tile))
    for box in [np.s_[:, :, :], np.s_[10:50, 20:100, 5:140], np.s_[95, 127, 143]]:
        expected = written[tuple(b if isinstance(b, slice) else slice(b, b + 1) for b in box)]
        for workers in (1, 4):
            np.testing.assert_array_equal(flatfield.correct_block(model, box, workers=workers), expected)
        raw = flatfield.open_tile(tile).read(box)
        np.testing.assert_array_equal(flatfield.correct_block(model, box, raw, workers=3), expected)
        np.testing.assert_array_equal(flatfield.correct_block(model, box, np.asfortranarray(raw)), expected)
        wide = np.zeros((raw.shape[0] + 2, raw.shape[1] + 3, raw.shape[2] + 1), np.uint16)
        view = wide[1:-1, 2:-1, :-1]
        view[...] = raw
        np.testing.assert_array_equal(flatfield.correct_block(model, box, view), expected)
        assert flatfield.correct_block(model, box, raw, out=raw, workers=2) is raw
        np.testing.assert_array_equal(raw, expected)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(flatfield.correct_block(copy, np.s_[7, :, :], tile=tile), written[7:8])


def test_volumes_of_a_model_outlive_it(model):
    copy = pickle.loads(pickle.dumps(model))
    background = copy.volume().background
    before = background.copy()
    del copy
    gc.collect()
    np.testing.assert_array_equal(background, before)


def test_a_model_for_another_shape_is_the_one_that_apply_makes(tile, model, tmp_path):
    other = flatfield.synthesize(tmp_path, name="tile_000007_ch_488.zarr", shape=[80, 100, 150], chunks=[40, 50, 50],
                                 n_levels=4, seed=5)
    (tmp_path / "m.npz").write_bytes(model.to_bytes())
    flatfield.run(zarr=other, output=tmp_path / "out", model=tmp_path / "m.npz", results_dir=tmp_path / "r")
    written = level(tmp_path / "out" / "tile_000007_ch_488.zarr")
    with pytest.raises(errors.UsageError, match="resized"):
        flatfield.correct_block(model, tile=other)
    np.testing.assert_array_equal(flatfield.correct_block(model.resized((80, 100, 150)), tile=other), written)
    for found in (flatfield.read_model(tmp_path / "m.npz", (80, 100, 150)), pickle.loads(pickle.dumps(model.resized((80, 100, 150))))):
        assert found.shape == (80, 100, 150)
        np.testing.assert_array_equal(flatfield.correct_block(found, np.s_[3, :, :], tile=other), written[3:4])


@pytest.mark.parametrize("change", [
    dict(raw=np.zeros((2, 2, 2), np.uint16)), dict(raw=np.zeros((1, 128, 144), np.float32)), dict(t=1), dict(workers=0),
    dict(raw=np.zeros((1, 128, 144), np.uint16), out=np.zeros((1, 128, 144), np.uint8)),
    dict(out=np.zeros((1, 144, 128), np.uint16)), dict(out=np.zeros((1, 128, 288), np.uint16)[:, :, ::2]),
    dict(raw=np.zeros((1, 128, 144), np.uint16), tile="x")])
def test_blocks_that_do_not_fit_are_refused(model, change):
    with pytest.raises(errors.UsageError):
        flatfield.correct_block(model, np.s_[0, :, :], **change)


def test_files_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(errors.NotFoundError):
        flatfield.read_model(tmp_path / "nothing.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(errors.BadInputError, match="other.npz"):
        flatfield.read_model(tmp_path / "other.npz")


# ---------------------------------------------------------------------------------------------
# Copies

MEASURE = """
import os, re, sys
import numpy as np
import exaspim_flatfield as flatfield

def now():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def peak():
    # Not getrusage: its maximum is also that of the process that started this one.
    status = open("/proc/self/status").read()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1)) * 1024

model = flatfield.read_model(sys.argv[1], (64, 1024, 1024))
mode = sys.argv[2]
raw = np.full((64, 1024, 1024), 100, np.uint16)  # 128 MiB
out = np.zeros((64, 1024, 1024), np.uint16)
out[...] = 1
small = np.zeros((1, 1024, 1024), np.uint16)
flatfield.correct_block(model, np.s_[:1, :, :], small, out=small)
before = now()
if mode == "raw":
    result = flatfield.correct_block(model, None, raw)
elif mode == "out":
    result = flatfield.correct_block(model, None, raw, out=out)
elif mode == "in place":
    result = flatfield.correct_block(model, None, raw, out=raw)
print(peak() - before)
"""


@pytest.mark.parametrize("mode, arrays", [("raw", 1), ("out", 0), ("in place", 0)])
def test_correcting_an_array_copies_nothing(model, tmp_path, mode, arrays):
    (tmp_path / "m.npz").write_bytes(model.to_bytes())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    grown = int(subprocess.run([sys.executable, "-c", MEASURE, tmp_path / "m.npz", mode], text=True, capture_output=True,
                               env=environment, check=True).stdout)
    array_bytes = 64 * 1024 * 1024 * 2
    # Nothing beside the result, if that is new, but for what threads hold.
    assert grown < arrays * array_bytes + (8 << 20), grown


def test_reading_and_correcting_a_tile_holds_one_array(tmp_path):
    tile = flatfield.synthesize(tmp_path, shape=[64, 1024, 1024], chunks=[32, 64, 64], n_levels=4)
    model = flatfield.estimate(zarr=tile, method="basicpy", basic=dict(working_size=32, max_reweight_iterations=1))
    (tmp_path / "m.npz").write_bytes(model.to_bytes())
    program = MEASURE.split("raw = np")[0] + """
flatfield.correct_block(model, np.s_[:32, :64, :64])
before = now()
result = flatfield.correct_block(model, workers=2)
print(peak() - before)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    grown = int(subprocess.run([sys.executable, "-c", program, tmp_path / "m.npz", "tile"], text=True, capture_output=True,
                               env=environment, check=True).stdout)
    assert grown < 64 * 1024 * 1024 * 2 + (8 << 20), grown
