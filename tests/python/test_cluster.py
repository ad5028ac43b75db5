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

import pytest

from support.program import PROGRAM, REPOSITORY, call, files_below
from support.s3 import serve
from support.tiles import phantom_tile
from test_invariance import NAME

DOCUMENT = (REPOSITORY / "docs/cluster.md").read_text()
FAKES = pathlib.Path(__file__).parent / "support" / "schedulers"


def example(heading):
    """The lines of the code block below a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    return re.findall(r"^```\w*\n(.*?)^```", section, re.M | re.S)[0]


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
                       "JOBS": str(tmp_path / "jobs")}
        made = subprocess.run(["bash", "-euo", "pipefail", "-c", lines], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, timeout=300, check=False)
        assert made.returncode == 0, made.stderr
        return made
    return run


def options(tile):
    return f"--zarr {tile} --output out --mask-dir {tile.parent / 'masks'} --n-levels 5 --results-dir results"


def with_options(lines, text):
    """The example with its OPTIONS replaced; these are still given in the same place."""
    replaced, count = re.subn(r"^OPTIONS=.*$", f"OPTIONS={text}", lines, flags=re.M)
    assert count == 1
    return replaced


def jobs_of(tmp_path):
    return [json.loads(line) for line in (tmp_path / "jobs").read_text().splitlines()]


def test_the_slurm_example_corrects_a_tile(tile, whole, shell, tmp_path):
    shell(with_options(example("Slurm"), shlex.quote(options(tile))))
    jobs = jobs_of(tmp_path)
    assert len(jobs) == 1 + 16 + 1
    assert [job["SLURM_ARRAY_TASK_ID"] for job in jobs] == ["", *map(str, range(16)), ""]
    assert fixed_images(files_below(tmp_path / "out")) == whole


def test_the_aws_batch_example_corrects_a_tile(tile, whole, shell, tmp_path):
    with serve() as server:
        server.control(forget=True, load={"bucket": str(tile.parent)})
        words = ["--zarr", f"s3://bucket/{NAME}", "--output", "s3://bucket/out", "--mask-dir", "s3://bucket/masks/",
                 "--n-levels", "5"]
        shell(with_options(example("AWS Batch"), "'" + ",".join(f'"{word}"' for word in words) + "'"), server.environment())
        found = {path: content for path, content in server.objects("bucket", "out").items()
                 if not path.startswith("artifacts/")}
    assert len(jobs_of(tmp_path)) == 1 + 16 + 1
    assert fixed_images(found) == whole


def test_the_example_for_any_scheduler_corrects_a_tile(tile, whole, shell, tmp_path):
    shell(f"OPTIONS={shlex.quote(options(tile))}\n{example('Any other scheduler')}")
    assert len(jobs_of(tmp_path)) == 16
    assert fixed_images(files_below(tmp_path / "out")) == whole


def test_the_steps_of_the_nextflow_example_correct_a_tile(tile, whole, shell, tmp_path):
    """Without Nextflow itself: the commands of its processes, in the order of its workflow."""
    lines = example("Nextflow")
    scripts = dict(re.findall(r'^process (\w+) \{.*?script: "(.*?)"', lines, re.M | re.S))
    (workflow,) = re.findall(r"^workflow \{\n(.*?)^\}", lines, re.M | re.S)
    steps = re.findall(r"^  (\w+)\(", workflow, re.M)
    assert set(steps) == set(scripts) and len(steps) == 3
    (parts,) = re.findall(r"^params.parts = (\d+)$", lines, re.M)
    values = {"params.options": options(tile), "task.cpus": "2", "params.parts": parts}
    for step in steps:
        for part in range(int(parts)) if "${part}" in scripts[step] else [0]:
            shell(re.sub(r"\$\{(.*?)\}", lambda name, part=part: {**values, "part": str(part)}[name[1]], scripts[step]))
    assert fixed_images(files_below(tmp_path / "out")) == whole


def test_the_mpirun_example_corrects_a_tile(tile, whole, shell, tmp_path):
    from support.processes import ENVIRONMENT, has_mpi
    if not has_mpi() or shutil.which("mpirun") is None:
        pytest.skip("the program was built without MPI, or there is no mpirun")
    lines = example("mpirun").replace("ppr:1:node", "ppr:4:node").replace("--num-workers 16", "--num-workers 1")
    assert lines != example("mpirun")
    shell(f"OPTIONS={shlex.quote(options(tile))}\n{lines}", {**os.environ, **ENVIRONMENT})
    assert fixed_images(files_below(tmp_path / "out")) == whole
