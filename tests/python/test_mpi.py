"""Several processes that do a run together by mpirun make what one process makes."""
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import tifffile

from support.killing import noted_items
from support.processes import ENVIRONMENT, has_mpi, mpirun
from support.program import BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, PROGRAM, READ_FAILED, USAGE, call, files_below, read_json, read_levels
from support.tiles import phantom, phantom_tile, write_mask, write_tile
from test_invariance import FREE_OPTIONS, NAME, fixed_log, without_free_facts

RANKS = [1, 2, 3]


@pytest.fixture(scope="module", autouse=True)
def needs_mpi():
    if not has_mpi():
        pytest.skip("the program was built without MPI, or there is no mpirun")


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("tile"), (100, 80, 90), (16, 16, 16), n_levels=4, name=NAME)


def fixed_report(content):
    """What the report of a tile says that does not depend on who did what."""
    report = json.loads(content)
    measured = {"seconds", "cpu_seconds", "stage_cpu_seconds_total", "stages", "peak_memory_bytes", "plan", "processes",
                "bytes_read", "bytes_written"}  # what is at the edge of a share is read twice, metadata are written by all
    return {**report, "tiles": [{key: value for key, value in tile.items() if key not in measured}
                                for tile in report["tiles"]]}


def fixed_attributes(content):
    """A group's attributes without what its provenance says of time and host."""
    document = json.loads(content)
    attributes = document.get("attributes", document)
    if "exaspim_flatfield" in attributes:
        attributes["exaspim_flatfield"] = without_free_facts(attributes["exaspim_flatfield"])
    return document


def fixed(path, content):
    """What of a file two runs have in common."""
    name = path.rsplit("/", 1)[-1]
    if name == "run_report.json":
        return fixed_report(content)
    if name == "exaspim_flatfield.log":
        return [line for line in fixed_log(content) if not re.search(r"the estimation level is |MB read", line)]
    if name in (".zattrs", "zarr.json"):
        return fixed_attributes(content)
    if name.startswith("flatfield_data_process_"):
        return without_free_facts(json.loads(content))
    if name.startswith("config_"):
        return {key: value for key, value in json.loads(content).items() if key not in FREE_OPTIONS}
    if name.endswith("_checksums.npz"):
        return checksums(content)
    if name.endswith("_report.html"):  # its pictures and charts
        return json.loads(content.decode().split('id="report-data">', 1)[1].split("</script>", 1)[0])["volumes"]
    return content


def checksums(content):
    """The checksums, but for those of the documents that hold the provenance record."""
    with np.load(io.BytesIO(content)) as held:
        arrays = {name: held[name] for name in held.files}
    document = json.loads(arrays.pop("checksums.json"))
    for name in (".zattrs", "zarr.json"):
        document["documents"].pop(name, None)
    return document, {name: array.tobytes() for name, array in arrays.items()}


def assert_same(expected_folder, folder, without=()):
    expected, found = ({path: content for path, content in files_below(where).items() if not path.endswith(without)}
                       for where in (expected_folder, folder))
    assert sorted(found) == sorted(expected)
    assert [path for path in expected if fixed(path, found[path]) != fixed(path, expected[path])] == []


def words_of(tile, kind, folder):
    """The options of a run of each kind; its files go to `folder`."""
    folder.mkdir(exist_ok=True, parents=True)

    def config(name, **options):
        (folder / name).write_text(json.dumps(options))
        return folder / name
    masks = ["--mask-dir", tile.parent / "masks"]
    if kind == "fitting":
        return [*masks, "--dump-learned", "learned"]
    if kind == "streamed":
        masks.append("--is-binned")  # so that the level that is learnt from is large
        return [*masks, "--memory-limit", smallest_limit(tile, masks, folder)]
    if kind == "ramp":
        return [*masks, "--fitting-config", config("f.json", enable_gmm_refinement=True, profile_percentile=40,
                                                   exclude_background_planes_from_mask=True)]
    if kind == "mixture":
        return [*masks, "--fitting-config", config("f.json", enable_gmm_refinement=True, gmm_n_components=2,
                                                   probability_model="gmm", erosion_radius=1, gmm_max_samples=500)]
    if kind == "basicpy":
        return [*masks, "--method", "basicpy", "--basic-config", config("b.json", working_size=16, get_darkfield=True,
                                                                        max_reweight_iterations=2)]
    if kind == "basicpy without a flatfield":  # none is found where the frames are all zero
        return ["--method", "basicpy", "--pedestal", 60000, "--skip-bkg-sub",
                "--basic-config", config("b.json", working_size=16)]
    if kind == "reference":
        y, x = np.mgrid[-1:1:80j, -1:1:90j]
        tifffile.imwrite(folder / "flatfield.tif", (900 * (1 - 0.4 * y ** 2 - 0.1 * x)).astype(np.float32))
        return ["--method", "reference", "--flatfield-path", folder / "flatfield.tif"]
    if kind == "shards":
        return [*masks, "--output-zarr-format", 3, "--corrected-shard-size", 32, "--mask-shard-size", "64,32,32"]
    assert kind == "background"
    return ["--skip-flat-field"]


def smallest_limit(tile, options, folder):
    """The least memory that the program says two workers can do with."""
    result = call("plan", *common(tile, *options), "--num-workers", 2, "--json", cwd=folder)
    assert result.code == 0, result.err
    return json.loads(result.out)["tiles"][0]["smallest_memory_limit_bytes"]


def common(tile, *options):
    return ["--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results", "--n-levels", 6,
            "--save-outputs", *options]


KINDS = ["fitting", "streamed", "ramp", "mixture", "basicpy", "basicpy without a flatfield", "reference", "shards",
         "background"]


@pytest.mark.parametrize("kind", KINDS)
def test_processes_make_what_one_process_makes(kind, tile, tmp_path):
    options = common(tile, *words_of(tile, kind, tmp_path / "options"))
    alone = tmp_path / "alone"
    alone.mkdir()
    made = call("run", *options, "--num-workers", 2, cwd=alone)
    assert made.code == 0, made.err
    for ranks in RANKS if kind == "fitting" else RANKS[1:]:
        folder = tmp_path / str(ranks)
        folder.mkdir()
        # As many as the memory is for, where that is tight.
        workers = 2 if kind == "streamed" else 1 + ranks % 2
        shared = mpirun(ranks, "run", *options, "--num-workers", workers, cwd=folder)
        assert shared.code == 0, shared.err
        assert_same(alone, folder)
        (record,) = read_json(folder / "results/run_report.json")["tiles"]
        assert record["processes"] == ranks
        assert ("the estimation level is streamed" in shared.err) == (kind == "streamed")
        # Only one of them speaks.
        assert sum("tile_finished" in line or ": corrected in" in line for line in shared.err.splitlines()) <= 1


def test_processes_share_a_batch_of_tiles_of_several_channels(tmp_path):
    """Channels share their mask, neighbours are compared where they overlap, and a bad tile leaves the others."""
    folder = tmp_path / "in"
    for z in range(2):
        for channel in (488, 561):
            counts, mask = phantom((48, 56, 64), seed=z)
            write_mask(folder / "masks" / f"tile_{z:06}_ch_488_mask.tif", mask)
            write_tile(folder / f"tile_{z:06}_ch_{channel}.zarr", counts + channel - 488, (16, 16, 16), n_levels=4)
    bad = folder / "tile_000001_ch_561.zarr/0/0/0/1/1/1"
    bad.write_bytes(bad.read_bytes()[:-9])
    (tmp_path / "run.json").write_text(json.dumps({
        "tile_paths": [str(path) for path in sorted(folder.glob("tile_*"))], "output": "out",
        "mask_dir": str(folder / "masks"), "n_levels": 3, "save_outputs": True}))
    for where in ("alone", "shared"):
        (tmp_path / where).mkdir()
    alone = call("run", "--config", tmp_path / "run.json", cwd=tmp_path / "alone")
    shared = mpirun(3, "run", "--config", tmp_path / "run.json", cwd=tmp_path / "shared")
    assert alone.code == shared.code == 11, shared.err
    assert len(shared.error_lines) == len(alone.error_lines)
    # How far the tile that failed came is not told, nor are seconds and megabytes (the page of the batch has both).
    unfinished = "tile_000001_ch_561.zarr"
    for path, content in files_below(tmp_path / "alone").items():
        if unfinished in path or path.endswith(("run_report.json", ".log", "results/index.html")):
            continue
        assert fixed(path, (tmp_path / "shared" / path).read_bytes()) == fixed(path, content), path
    reports = [read_json(tmp_path / where / "results/run_report.json") for where in ("alone", "shared")]
    assert reports[0]["counts"] == reports[1]["counts"] and reports[0]["overlap"] == reports[1]["overlap"]
    assert [tile["status"] for tile in reports[1]["tiles"]] == ["corrected", "corrected", "corrected", "failed"]


@pytest.mark.parametrize("damaged", ["0/0/0/5/4/5", "3/0/0/0/0/0"])
def test_an_error_of_one_process_is_one_line_and_the_same_command_finishes_when_it_is_mended(damaged, tile, tmp_path):
    shutil.copytree(tile.parent, tmp_path / "in")
    mine = tmp_path / "in" / NAME
    options = common(mine, "--mask-dir", tmp_path / "in/masks")
    chunk = mine / damaged
    good = chunk.read_bytes()
    chunk.write_bytes(good[:-20])
    (tmp_path / "shared").mkdir()
    result = mpirun(3, "run", *options, cwd=tmp_path / "shared")
    assert result.code == BAD_INPUT, result.err
    assert len(result.error_lines) == 1 and str(chunk) in result.error_lines[0], result.err
    chunk.write_bytes(good)
    result = mpirun(2, "run", *options, cwd=tmp_path / "shared")
    assert result.code == 0, result.err
    (tmp_path / "alone").mkdir()
    assert call("run", *options, cwd=tmp_path / "alone").code == 0
    assert_same(tmp_path / "alone", tmp_path / "shared", ("run_report.json", ".log"))


@pytest.mark.parametrize("option", ["--config", "--mask-dir"])
@pytest.mark.parametrize("rank", [0, 1])
def test_what_one_process_cannot_read_ends_all(option, rank, tile, tmp_path):
    """As on a machine of several that lacks a file."""
    there = tile.parent / "masks"
    if option == "--config":
        there = tmp_path / "there.json"
        there.write_text("{}")
    program = tmp_path / "program"
    program.write_text(f"""#!/bin/sh
if [ "${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}" = {rank} ]; then place=/nonexistent; else place='{there}'; fi
exec '{PROGRAM}' "$@" {option} "$place"
""")
    program.chmod(0o755)
    result = mpirun(2, "run", *common(tile), cwd=tmp_path, program=program)
    assert result.code in (NOT_FOUND, READ_FAILED), result.err
    assert len([line for line in result.err.splitlines() if "/nonexistent" in line]) == 1, result.err


@pytest.mark.parametrize("point", ["learn.end:1", "item.object:100", "item.noted:4", "carry.written:1", "finish.attributes:1"])
def test_processes_that_were_killed_are_gone_on_with_by_any_number_of_them(point, tile, tmp_path):
    options = common(tile, "--mask-dir", tile.parent / "masks")
    shared = tmp_path / "shared"
    shared.mkdir()
    killed = mpirun(3, "run", *options, cwd=shared, env={**os.environ, "FLATFIELD_KILL_AT": point})
    assert killed.code != 0
    noted = noted_items(shared)
    result = mpirun(2, "run", *options, cwd=shared)
    assert result.code == 0, result.err
    (record,) = read_json(shared / "results/run_report.json")["tiles"]
    assert record["items"]["found"] == noted
    assert record["items"]["done"] + noted == record["items"]["total"]
    assert record["items"]["repeated"] <= 3
    (tmp_path / "alone").mkdir()
    assert call("run", *options, cwd=tmp_path / "alone").code == 0
    assert_same(tmp_path / "alone", shared, ("run_report.json", ".log"))
    again = mpirun(2, "run", *options, cwd=shared)
    assert again.code == 0 and "finished already" in again.err
    other = mpirun(2, "run", *options, "--corrected-rank", "mean", "--overwrite", cwd=shared)
    assert other.code == 0, other.err


def test_a_probability_that_was_removed_is_made_again_by_processes(tile, tmp_path):
    (tmp_path / "fitting.json").write_text(json.dumps({"enable_gmm_refinement": True}))
    options = common(tile, "--mask-dir", tile.parent / "masks", "--fitting-config", tmp_path / "fitting.json")
    for folder in ("alone", "shared"):
        (tmp_path / folder).mkdir()
    shared = tmp_path / "shared"
    killed = mpirun(3, "run", *options, cwd=shared, env={**os.environ, "FLATFIELD_KILL_AT": "carry.written:1"})
    assert killed.code != 0
    shutil.rmtree(shared / "out/probability")
    noted = noted_items(shared)
    result = mpirun(2, "run", *options, cwd=shared)
    assert result.code == 0, result.err
    (record,) = read_json(shared / "results/run_report.json")["tiles"]
    assert record["items"]["found"] == noted > 0
    assert call("run", *options, cwd=tmp_path / "alone").code == 0
    assert_same(tmp_path / "alone", shared, ("run_report.json", ".log"))


def test_steps_and_parts_are_shared_too(tile, tmp_path):
    options = common(tile, "--mask-dir", tile.parent / "masks")
    for folder in ("alone", "shared"):
        (tmp_path / folder).mkdir()
    assert call("run", *options, cwd=tmp_path / "alone").code == 0
    for step in (["estimate"], ["apply", "--part", "1/2"], ["apply", "--part", "0/2"], ["finalize"]):
        result = mpirun(2, step[0], *options, *step[1:], cwd=tmp_path / "shared")
        assert result.code == 0, result.err
    shutil.rmtree(tmp_path / "shared/results/part_0_of_2")
    shutil.rmtree(tmp_path / "shared/results/part_1_of_2")
    assert_same(tmp_path / "alone", tmp_path / "shared", ("run_report.json", ".log"))


def test_what_is_there_and_what_is_wrong_is_told_once(tile, tmp_path):
    (tmp_path / "out/SPIM.ome.zarr" / NAME).mkdir(parents=True)
    (tmp_path / "out/SPIM.ome.zarr" / NAME / "mine.txt").write_text("something else")
    result = mpirun(3, "run", *common(tile, "--skip-flat-field"), cwd=tmp_path)
    assert result.code == OUTPUT_EXISTS and len(result.error_lines) == 1, result.err
    result = mpirun(3, "run", "--zarr", tile, "--no-such-option", cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    result = mpirun(2, "inspect", tile, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1 and "without mpirun" in result.err
    # Processes with different work.
    result = mpirun(2, "inspect", tile, cwd=tmp_path, env={**os.environ, "FLATFIELD_ALONE": "1"})
    assert result.code == 0, result.err


WITHOUT_THREADS = """
int PMPI_Init_thread(int* count, char*** words, int required, int* provided);
int MPI_Init_thread(int* count, char*** words, int required, int* provided) {
  const int result = PMPI_Init_thread(count, words, required, provided);
  *provided = 0;
  return result;
}
"""


def test_an_mpi_that_does_not_allow_for_threads_is_told_once(tile, tmp_path):
    (tmp_path / "without_threads.c").write_text(WITHOUT_THREADS)
    library = tmp_path / "without_threads.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "without_threads.c"], check=True)
    result = mpirun(2, f"LD_PRELOAD={library}", PROGRAM, "run", *common(tile, "--skip-flat-field"), cwd=tmp_path, program="env")
    assert result.code == USAGE, result.err
    assert len(result.error_lines) == 1 and "does not allow for threads" in result.error_lines[0], result.err
    assert "finalize" not in result.err.lower(), result.err  # what mpirun says of processes that do not end MPI


def test_processes_of_the_starter_of_another_mpi_are_refused(tile, tmp_path):
    """It says how many they are, but each finds itself alone: all would write the same places."""
    environment = {**os.environ, **ENVIRONMENT, "PMI_SIZE": "4"}
    options = common(tile, "--skip-flat-field")
    result = call("run", *options, cwd=tmp_path, env=environment)
    assert result.code == USAGE, result.err
    assert len(result.error_lines) == 1 and "do not find each other" in result.error_lines[0], result.err
    assert "FLATFIELD_ALONE=1" in result.error_lines[0] and list(tmp_path.iterdir()) == []
    result = call("run", *options, cwd=tmp_path, env={**environment, "FLATFIELD_ALONE": "1"})
    assert result.code == 0, result.err


def test_after_a_signal_to_mpirun_the_run_is_gone_on_with(tmp_path):
    tile = phantom_tile(tmp_path / "in", (100, 80, 90), (8, 8, 8), n_levels=4, name=NAME)  # 36 items
    options = common(tile, "--mask-dir", tile.parent / "masks")
    words = ["mpirun", "-n", "2", PROGRAM, "run", *options]
    with subprocess.Popen([str(word) for word in words], cwd=tmp_path, text=True, stderr=subprocess.PIPE,
                          env={**os.environ, **ENVIRONMENT}) as process:
        while noted_items(tmp_path) == 0 and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    if process.returncode == 0 or list(tmp_path.glob("out/*/*/.zattrs")):
        pytest.skip("the run was over before the signal came")
    result = mpirun(2, "run", *options, cwd=tmp_path)
    assert result.code == 0, result.err
    assert read_json(tmp_path / "results/run_report.json")["tiles"][0]["items"]["found"] > 0
    (tmp_path / "alone").mkdir()
    assert call("run", *options, cwd=tmp_path / "alone").code == 0
    found = read_levels(tmp_path / "out/SPIM.ome.zarr" / NAME)
    for level, voxels in read_levels(tmp_path / "alone/out/SPIM.ome.zarr" / NAME).items():
        np.testing.assert_array_equal(found[level], voxels)
