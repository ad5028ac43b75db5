"""scripts/demo: where its files go, in a copy of the project whose build and program are stand-ins."""
import os
import shutil
import subprocess

import pytest

from support.program import REPOSITORY

PROGRAM = 'if [ "$1" = synth ]; then mkdir -p "$2"; fi\nprintf "%s\\n" "$@"'


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts/demo", folder / "scripts")
    (folder / "scripts/packages.sh").write_text("BUILD_PACKAGES=none\nneed_packages() { :; }\n")
    (folder / "scripts/demo_numbers.py").write_text("import sys\nprint(sys.argv[1])\n")
    write_script(folder / "build/demo-release/src/flatfield/cli/exaspim-flatfield", PROGRAM)
    return folder


def demo(project, *words, builds=True):
    """The script called from a folder beside the project; that folder."""
    caller, stand_ins = project.parent / "caller", project.parent / "bin"
    caller.mkdir()
    for name in ("cmake", "ninja"):
        write_script(stand_ins / name, "exit 0" if builds else "exit 1")
    done = subprocess.run([project / "scripts/demo", *words], cwd=caller, text=True, capture_output=True,
                          env={**os.environ, "PATH": f"{stand_ins}:{os.environ['PATH']}"})
    return caller, done


def test_files_go_to_the_folder_that_the_caller_means_and_are_found_from_there(project):
    caller, done = demo(project, "my files")
    assert done.returncode == 0, done.stderr
    assert (caller / "my files").is_dir() and not (project / "my files").exists()
    printed = [line for line in done.stdout.splitlines() if "my files" in line]
    assert len(printed) >= 5
    assert [line for line in printed if not (caller / line).is_relative_to(caller / "my files")] == []


def test_without_a_folder_files_go_to_the_build_of_the_project_and_are_found_from_where_the_caller_is(project):
    caller, done = demo(project)
    assert done.returncode == 0, done.stderr
    assert list(caller.iterdir()) == []
    assert (caller / done.stdout.splitlines()[-1]).samefile(project / "build/demo")


def test_the_log_of_a_build_that_failed_is_found_from_where_the_caller_is(project):
    caller, done = demo(project, builds=False)
    assert done.returncode == 1
    assert (caller / done.stderr.splitlines()[-1].rsplit(" ", 1)[1]).samefile(project / "build/demo-build.log")
