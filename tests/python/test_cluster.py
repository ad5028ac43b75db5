"""The examples of docs/cluster.md do what they say: their shell lines are run, with schedulers that start jobs here."""
import json
import os
import pathlib
import re
import shlex
import shutil
import stat
import subprocess
import sys
import types

import pytest

from support.program import PROGRAM, REPOSITORY, USAGE, call, files_below, read_json
from support.s3 import serve
from support.tiles import phantom_tile
from test_invariance import NAME

DOCUMENT = (REPOSITORY / "docs/cluster.md").read_text()
OTHER = "tile_000002_ch_488.zarr"
FAKES = pathlib.Path(__file__).parent / "support" / "schedulers"


def example(heading, which=0):
    """The lines of a code block below a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    return re.findall(r"^```\w*\n(.*?)^```", section, re.M | re.S)[which]


def entry_point():
    """What the image of packaging/Dockerfile puts in front of a command, as JSON."""
    (words,) = re.findall(r"^ENTRYPOINT (\[.*\])$", (REPOSITORY / "packaging/Dockerfile").read_text(), re.M)
    return words


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("tile"), (100, 70, 80), (16, 16, 16), n_levels=4, name=NAME)


@pytest.fixture(scope="module")
def whole(tile, tmp_path_factory):
    """The outputs of one run."""
    folder = tmp_path_factory.mktemp("whole")
    made = call("run", "--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks", "--n-levels", 5, cwd=folder)
    assert made.code == 0, made.err
    return fixed_images(files_below(folder / "out"))


def fixed_images(files):
    """Every object of the corrected tile and of its mask, but for those that tell how they came about."""
    return {path: content for path, content in files.items() if not path.endswith((".zattrs", "_checksums.npz"))}


def tile_of(files, name=NAME):
    """Of the files of an output those of a tile, by their paths within it."""
    found = {path.removeprefix(f"{name}/"): content for path, content in files.items() if path.startswith(f"{name}/")}
    assert found
    return found


def corrected(folder, name):
    """The corrected tile of an example that writes to FOLDER/corrected."""
    return tile_of(fixed_images(files_below(folder / "corrected")), name)


@pytest.fixture
def shell(tmp_path):
    """Runs lines of a shell in which the schedulers are those of support/schedulers, and the program is found."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for fake in FAKES.glob("*.py"):
        target = commands / fake.stem
        target.write_text(f"#!{sys.executable}\n{fake.read_text()}")
        target.chmod(target.stat().st_mode | stat.S_IXUSR)
    (commands / PROGRAM.name).symlink_to(PROGRAM)

    def run(lines, env=None):
        environment = {**(os.environ if env is None else env), "PATH": f"{commands}:{os.environ['PATH']}",
                       "JOBS": str(tmp_path / "jobs"), "ENTRYPOINT": entry_point()}
        made = subprocess.run(["bash", "-euo", "pipefail", "-c", lines], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, timeout=300, check=False)
        assert made.returncode == 0, made.stderr
        return made
    return run


def options(tile):
    return f"--zarr {tile} --output out --mask-dir {tile.parent / 'masks'} --n-levels 5 --results-dir results"


def replaced(lines, values):
    """The example with what is too large for a test, or is elsewhere in it, replaced; all of that is still there."""
    for long, short in values.items():
        assert long in lines, long
        lines = lines.replace(long, short)
    return lines


def jobs_of(tmp_path):
    return [json.loads(line) for line in (tmp_path / "jobs").read_text().splitlines()]


def two_tiles(tile, folder):
    """The tile under two names, with a mask for each in the folder `masks`."""
    (mask,) = (tile.parent / "masks").iterdir()
    (folder / "masks").mkdir(parents=True)
    for name in (NAME, OTHER):
        (folder / name).symlink_to(tile)
        (folder / "masks" / f"{name}_pred.tif").symlink_to(mask)


@pytest.fixture
def slurm(tile, shell, tmp_path):
    """Runs the example for Slurm on two tiles in tmp_path/data."""
    data = tmp_path / "data"
    two_tiles(tile, data)
    (tmp_path / "step.sh").write_text(replaced(example("Slurm", 1), {"--num-workers 16": "--num-workers 2", "60G": "1G"}))
    lines = replaced(example("Slurm"), {"/data/": f"{data}/", "--n-levels 7": "--n-levels 5"})
    return lambda **environment: shell(lines, {**os.environ, **environment})


def test_the_slurm_example_corrects_tiles(slurm, whole, tmp_path):
    slurm()
    assert [(job["id"], job["SLURM_ARRAY_TASK_ID"]) for job in jobs_of(tmp_path)] == [
        (3 * tile + step, task) for tile in range(2)
        for step, tasks in ((1, [""]), (2, map(str, range(16))), (3, [""])) for task in tasks]
    for name in (NAME, OTHER):
        assert corrected(tmp_path / "data", name) == tile_of(whole)
        results = tmp_path / "data" / "results" / name.removesuffix(".zarr")
        for folder in (results, *(results / f"part_{part}_of_16" for part in range(16))):
            (record,) = read_json(folder / "run_report.json")["tiles"]
            assert record["tile"] == name


def test_a_part_of_the_slurm_example_that_runs_out_of_time_goes_on(slurm, whole, tmp_path):
    (tmp_path / "bin" / PROGRAM.name).unlink()
    (tmp_path / "bin" / PROGRAM.name).write_text(SLOW.format(python=sys.executable, program=str(PROGRAM)))
    (tmp_path / "bin" / PROGRAM.name).chmod(0o755)
    slurm(OUT_OF_TIME="3")
    ended = [(job["SLURM_ARRAY_TASK_ID"], job["code"]) for job in jobs_of(tmp_path) if job["id"] == 2]
    assert ended == [("0", 0), ("1", 0), ("2", 0), ("3", 75), *((str(part), 0) for part in range(3, 16))]
    assert corrected(tmp_path / "data", NAME) == tile_of(whole)


# A program whose part 3 does nothing until it is told to stop, the first time.
SLOW = """#!{python}
import os, pathlib, signal, sys, time
busy = pathlib.Path(os.environ["JOBS"] + ".busy")
if os.environ.get("SLURM_ARRAY_TASK_ID") == "3" and not busy.exists():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    busy.touch()
    time.sleep(60)
os.execv({program!r}, sys.argv)
"""


def test_part_auto_is_for_even_arrays(tile, tmp_path):
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "8",
                   "SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": "3"}
    words = ["--zarr", tile, "--output", "out", "--mask-dir", tile.parent / "masks"]
    assert call("estimate", *words, cwd=tmp_path).code == 0
    assert call("apply", *words, "--part", "auto", cwd=tmp_path, env=environment).code == USAGE
    assert call("apply", *words, "--part", "7/16", cwd=tmp_path, env=environment).code == 0


def test_parts_of_several_tiles_make_what_one_run_makes(tile, whole, tmp_path):
    two_tiles(tile, tmp_path)
    (tmp_path / "batch.json").write_text(json.dumps({"tile_paths": [NAME, OTHER]}))
    words = ["--config", "batch.json", "--output", "out", "--mask-dir", "masks", "--n-levels", 5]
    for step in (["estimate"], *(["apply", "--part", f"{part}/2"] for part in range(2)), ["finalize"]):
        made = call(*step, *words, cwd=tmp_path)
        assert made.code == 0, made.err
    for name in (NAME, OTHER):
        assert tile_of(fixed_images(files_below(tmp_path / "out")), name) == tile_of(whole)
    report = read_json(tmp_path / "results" / "part_1_of_2" / "run_report.json")
    assert [record["tile"] for record in report["tiles"]] == [NAME, OTHER]


def test_the_aws_batch_example_corrects_a_tile(tile, whole, shell, tmp_path):
    shutil.copytree(tile, tmp_path / "stored" / "in" / "tile_000001_ch_488.zarr")
    shutil.copytree(tile.parent / "masks", tmp_path / "stored" / "masks")
    lines = replaced(example("AWS Batch"), {'"--n-levels","7"': '"--n-levels","5"', '"--num-workers","16"': '"--num-workers","2"'})
    with serve() as server:
        server.control(forget=True, load={"bucket": str(tmp_path / "stored")})
        shell(lines, server.environment())
        found = server.objects("bucket", "out/SPIM.ome.zarr/tile_000001_ch_488.zarr")
    assert len(jobs_of(tmp_path)) == 1 + 16 + 1
    assert fixed_images(found) == tile_of(whole)


def test_the_example_for_any_scheduler_corrects_a_tile(tile, whole, shell, tmp_path):
    shell(f"OPTIONS={shlex.quote(options(tile))}\n{example('Any other scheduler')}")
    assert len(jobs_of(tmp_path)) == 16
    assert fixed_images(files_below(tmp_path / "out")) == whole


def test_the_steps_of_the_nextflow_example_correct_a_tile(tile, whole, shell, tmp_path):
    """Without Nextflow itself: the commands of its processes, in the order of its workflow."""
    lines = example("Nextflow")
    processes = dict(re.findall(r"^process (\w+) \{\n(.*?)^\}", lines, re.M | re.S))
    (workflow,) = re.findall(r"^workflow \{\n(.*?)^\}", lines, re.M | re.S)
    steps = re.findall(r"^  (\w+)\(", workflow, re.M)
    assert set(steps) == set(processes) and len(steps) == 3
    (parts,) = re.findall(r"^params.parts = (\d+)$", lines, re.M)
    for step in steps:
        (script,) = re.findall(r'^  script: "(.*)"$', processes[step], re.M)
        # A process that does not ask for CPUs has one.
        cpus = (*re.findall(r"^  cpus (\d+)$", processes[step], re.M), "1")[0]
        assert cpus == "16" and re.search(r"^  memory '\d+ GB'$", processes[step], re.M)
        values = {"params.options": options(tile), "task.cpus": "2", "params.parts": parts}
        for part in range(int(parts)) if "${part}" in script else [0]:
            shell(re.sub(r"\$\{(.*?)\}", lambda name, part=part: {**values, "part": str(part)}[name[1]], script))
    assert fixed_images(files_below(tmp_path / "out")) == whole


def test_the_dask_example_deals_out_parts_to_all_its_workers(monkeypatch):
    """Without Dask itself: in what order its lines call what they call. A worker is there when it was waited for."""
    asked, there, done = [], [0], []

    class Cluster:
        def __init__(self, cores, processes, memory):
            assert (cores, processes) == (16, 1) and memory

        def __enter__(self):
            return self

        def __exit__(self, *_):
            there[0] = 0

        def scale(self, jobs):
            asked.append(jobs)

    class Client(Cluster):
        def __init__(self, cluster):
            assert isinstance(cluster, Cluster)

        def wait_for_workers(self, count):
            assert count <= sum(asked)  # else it waits for ever
            there[0] = count

    def apply(client, **_):
        done.append(("apply", there[0]))

    package = types.ModuleType("exaspim_flatfield")
    package.estimate = lambda **_: done.append(("estimate", there[0]))
    package.dask = types.ModuleType("exaspim_flatfield.dask")
    package.dask.apply = apply
    queue, distributed = types.ModuleType("dask_jobqueue"), types.ModuleType("distributed")
    queue.SLURMCluster, distributed.Client = Cluster, Client
    for module in (package, package.dask, queue, distributed):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(example("Dask"), "docs/cluster.md", "exec"), {})  # noqa: S102
    assert done == [("estimate", 0), ("apply", 16)]


def test_the_mpirun_example_corrects_a_tile(tile, whole, shell, tmp_path):
    from support.processes import ENVIRONMENT, has_mpi
    if not has_mpi() or shutil.which("mpirun") is None:
        pytest.skip("the program was built without MPI, or there is no mpirun")
    lines = example("mpirun").replace("ppr:1:node", "ppr:4:node").replace("--num-workers 16", "--num-workers 1")
    assert lines != example("mpirun")
    shell(f"OPTIONS={shlex.quote(options(tile))}\n{lines}", {**os.environ, **ENVIRONMENT})
    assert fixed_images(files_below(tmp_path / "out")) == whole
