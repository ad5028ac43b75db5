"""Every command that README.md and docs/ show is run: here as it is written, or by the test that is named here."""
import ast
import os
import re
import shutil

import numpy as np
import pytest

from support.documented import DOCUMENTS, REPLACED, commands_of, fenced, prepare, run_command
from support.module import flatfield
from support.program import PROGRAM, REPOSITORY, call
from support.s3 import serve

# Commands that are not run here: the test that runs them, and why it is another.
CLUSTER = "tests/python/test_cluster.py"
BARE = "tests/bare_machine"
ELSEWHERE = {
    "scripts/demo": (f"{BARE}/run", "scripts/demo", "installs packages and builds"),
    "cmake --install build/demo-release --component program": (f"{BARE}/run", "cmake --install", "writes to /usr/local"),
    "cmake --preset release -DFLATFIELD_BUILD_TESTS=OFF -DFLATFIELD_BUILD_BENCHMARKS=OFF":
        (f"{BARE}/run_package", "-DFLATFIELD_BUILD_TESTS=OFF -DFLATFIELD_BUILD_BENCHMARKS=OFF", "builds"),
    "cmake --build --preset release": (f"{BARE}/run_package", "cmake --build", "builds"),
    "cmake --install build/release --prefix /usr/local":
        ("tests/python/test_package.py", '"--install", BUILD, "--prefix", prefix', "writes to /usr/local"),
    "cpack --config build/release/CPackConfig.cmake": (f"{BARE}/run_package", "cpack --config", "needs a whole build"),
    "exaspim-flatfield estimate $OPTIONS": (CLUSTER, "example('Any other scheduler')", "OPTIONS are the reader's"),
    "exaspim-flatfield apply    $OPTIONS --part I/N": (CLUSTER, "example('Any other scheduler')", "OPTIONS are the reader's"),
    "exaspim-flatfield finalize $OPTIONS": (CLUSTER, "example('Any other scheduler')", "OPTIONS are the reader's"),
    "mpirun --map-by ppr:1:node --bind-to none exaspim-flatfield run $OPTIONS --num-workers 16":
        (CLUSTER, 'example("mpirun")', "needs MPI"),
    "benchmarks/run WORK": ("scripts/test", "benchmarks/run build", "half an hour; the test is of one small shape"),
    "benchmarks/run WORK --only speed --kinds v2 --pairs 3": ("scripts/test", "--only speed", "minutes; the test is of one small shape"),
}
# Whole blocks whose commands belong together.
BLOCKS_ELSEWHERE = {
    ("docs/cluster.md", "#!/bin/bash\n# submit.sh"): (CLUSTER, 'example("Slurm")', "needs Slurm; run with stand-ins"),
    ("docs/cluster.md", "#!/bin/bash\n#SBATCH"): (CLUSTER, 'example("Slurm", 1)', "needs Slurm; run with stand-ins"),
    ("docs/cluster.md", "OPTIONS='"): (CLUSTER, 'example("AWS Batch")', "needs AWS; run with stand-ins"),
    ("docs/cluster.md", "exaspim-flatfield estimate $OPTIONS &&"): (CLUSTER, "example('Any other scheduler')", "needs GNU parallel"),
}
# Commands that no test runs.
NOWHERE = {"benchmarks/profile WORK": "needs linux-perf and its rights"}
S3 = "exaspim-flatfield run --zarr s3://BUCKET/"


def shown():
    """(document, command) of everything that is shown, without the blocks that another test runs."""
    for document in DOCUMENTS:
        for block in fenced(document):
            if not any(document == where and block.startswith(start) for where, start in BLOCKS_ELSEWHERE):
                for command in commands_of(block):
                    yield document, command


RUN_HERE = ("exaspim-flatfield run ", "exaspim-flatfield view ", "exaspim-flatfield preview ", "exaspim-flatfield plan ",
            "exaspim-flatfield verify ", "exaspim-flatfield estimate --zarr ", "exaspim-flatfield apply --zarr ",
            "exaspim-flatfield finalize --zarr ", "exaspim-flatfield show-model ", "exaspim-flatfield basic ",
            "exaspim-flatfield synth ", "exaspim-flatfield inspect ", "echo '{")


def is_run_here(document, command):
    return document == "README.md" and command.startswith(RUN_HERE)


def test_every_command_is_run_here_or_by_the_test_that_is_named():
    unknown = [(document, command) for document, command in shown()
               if not is_run_here(document, command) and command not in ELSEWHERE and command not in NOWHERE]
    assert unknown == [], "run it here, or name the test that does"


def test_the_tables_name_commands_that_are_shown_and_tests_that_are_there():
    commands = {command for _, command in shown()}
    assert (set(ELSEWHERE) | set(NOWHERE)) - commands == set()
    for document, start in BLOCKS_ELSEWHERE:
        assert [block for block in fenced(document) if block.startswith(start)] != [], start
    for path, text, reason in (*ELSEWHERE.values(), *BLOCKS_ELSEWHERE.values()):
        assert text in (REPOSITORY / path).read_text(), f"{path} does not say {text}"
        assert reason
    everything = "\n".join(commands)
    assert [text for text in REPLACED if text not in everything] == []


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as README.md takes it for granted, and the environment in which the program is found."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "bin").mkdir()
    (folder / "bin" / PROGRAM.name).symlink_to(PROGRAM)
    prepare(folder, PROGRAM)
    return folder, {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def test_the_commands_of_the_readme_run_as_they_are_written_one_after_another(place):
    folder, environment = place
    commands = [command for document, command in shown() if is_run_here(document, command) and not command.startswith(S3)]
    assert len(commands) >= 20
    for command in commands:
        run_command(command, folder, environment)
    for made in ("OUT/tile_000001_ch_488.zarr/5", "RESULTS/tile_000001_ch_488.zarr_report.html", "mask/OUT/tile_000001_ch_488.zarr",
                 "OUT/tile_000001_ch_488_preview.zarr", "RESULTS3/index.html", "OUT5/tile_000002_ch_488.zarr", "OUT6/tile_000001_ch_488.zarr",
                 "CORRECTED/flatfield.tif", "PLOTS/t0_c0_curve_z.png", "PHANTOM/tile_000000_ch_488.zarr"):
        assert (folder / made).exists(), made


def test_the_command_for_s3_runs_as_it_is_written(place, tmp_path):
    folder, environment = place
    (command,) = [command for _, command in shown() if command.startswith(S3)]
    with serve() as server:
        stored = tmp_path / "stored"
        shutil.copytree(folder / "DIR", stored / "in")
        shutil.copytree(folder / "MASKS", stored / "masks")
        server.control(forget=True, load={"BUCKET": str(stored)})
        run_command(command, tmp_path, {**server.environment(), "PATH": environment["PATH"]})
        assert ".zattrs" in server.objects("BUCKET", "out/tile_000001_ch_488.zarr")


def test_the_python_of_the_readme_runs_as_it_is_written(place, tmp_path, monkeypatch):
    folder, _ = place
    for name in os.listdir(folder / "DIR"):
        (tmp_path / name).symlink_to(folder / "DIR" / name)
    (tmp_path / "masks").symlink_to(folder / "MASKS")
    monkeypatch.chdir(tmp_path)
    (block,) = fenced("README.md", ("python",))
    images = np.random.default_rng(0).uniform(90, 110, (8, 32, 32)) * np.linspace(0.7, 1.3, 32)
    names = {"images": images}
    smaller = block.replace("num_workers=16", "num_workers=2").replace("get_darkfield=True", "get_darkfield=True, working_size=32")
    exec(compile(smaller, "README.md", "exec"), names)  # noqa: S102
    assert names["ef"] is flatfield and names["block"].shape == (64, 64, 100)
    assert (tmp_path / "out" / "tile_000001_ch_488.zarr" / "5").exists()


def test_other_python_can_be_parsed():
    for document in DOCUMENTS:
        for block in fenced(document, ("python",)):
            ast.parse(block)


def test_commands_within_the_text_have_options_that_are_there():
    for document in DOCUMENTS:
        text = re.sub(r"^```.*?^```$", "", (REPOSITORY / document).read_text(), flags=re.M | re.S)
        for words in re.findall(r"`exaspim-flatfield ([a-z][^`]*)`", text):
            command, *rest = words.split()
            if command == "COMMAND":
                continue
            helped = call(command, "--help", cwd=REPOSITORY)
            assert helped.code == 0, f"{document}: {words}"
            for flag in (word for word in rest if word.startswith("--")):
                assert flag in helped.out, f"{document}: {words}"
