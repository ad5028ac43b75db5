"""packaging/, cmake/: the recipes of images and of charts, run with stand-ins for what installs, fetches and builds."""
import os
import re
import shutil
import subprocess

import pytest

from support.program import REPOSITORY


def dockerfile():
    """The commands of the stage that builds."""
    stage = (REPOSITORY / "packaging/Dockerfile").read_text().split("\nFROM ")[1]
    return "\n".join(re.findall(r"^RUN ((?:.*\\\n)*.*)$", stage, re.M))


def definition():
    """The commands of the stage that builds."""
    return re.search(r"^%post\n((?:[ \t].*\n)+)", (REPOSITORY / "packaging/exaspim-flatfield.def").read_text(), re.M).group(1)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts/packages.sh", folder / "scripts")
    return folder


def packages_of(steps, project):
    """The packages that the commands ask for, which are said to be there. A build of another place fails, as with cmake."""
    stand_ins, asked = project.parent / "bin", project.parent / "asked"
    stand_ins.mkdir()
    for name, text in {"dpkg-query": f'for name; do :; done\necho "$name" >>"{asked}"\nprintf installed',
                       "cmake": "test ! -e build/release/CMakeCache.txt", "cpack": "exit 0"}.items():
        (stand_ins / name).write_text(f"#!/bin/sh\n{text}\n")
        (stand_ins / name).chmod(0o755)
    done = subprocess.run(["sh", "-ec", steps.replace("/project", str(project))], cwd=project, text=True, capture_output=True,
                          env={**os.environ, "PATH": f"{stand_ins}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stdout + done.stderr
    return asked.read_text().split()


@pytest.mark.parametrize("steps", [dockerfile, definition])
def test_images_install_what_cpack_needs(project, steps):
    assert "cpack --config" in steps()
    assert {"g++", "file", "dpkg-dev"} <= set(packages_of(steps(), project))


def test_the_apptainer_definition_builds_a_checkout_that_was_built_in(project):
    (project / "build/release").mkdir(parents=True)
    (project / "build/release/CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/home/somebody/project\n")
    packages_of(definition(), project)


def charts(folder, npm):
    """The library that a build folder compiles in, where npm is these commands."""
    stand_in = folder / "npm"
    stand_in.write_text(f"#!/bin/sh\n{npm}\n")
    stand_in.chmod(0o755)
    done = subprocess.run(["cmake", f"-DPROJECT_SOURCE_DIR={REPOSITORY}", f"-DPROJECT_BINARY_DIR={folder}",
                           f"-DFLATFIELD_NPM={stand_in}", "-P", str(REPOSITORY / "cmake/chart_library.cmake")],
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "chart_library/library.js").read_text()


def test_the_library_of_charts_is_fetched_again_where_it_was_removed(tmp_path):
    fetching = ("mkdir -p node_modules/uplot/dist\ncd node_modules/uplot\necho licence >LICENSE\n"
                "echo plots >dist/uPlot.iife.min.js\necho style >dist/uPlot.min.css")
    assert "plots" in charts(tmp_path, fetching)
    assert "plots" in charts(tmp_path, "exit 1")  # it is there
    shutil.rmtree(tmp_path / "chart_library/node_modules")
    assert charts(tmp_path, "exit 1") == ""
    assert "plots" in charts(tmp_path, fetching)


def test_the_test_of_the_packages_and_the_readme_know_what_cpack_needs():
    for name in ("tests/bare_machine/run_package", "README.md"):
        text = (REPOSITORY / name).read_text()
        assert "cpack --config" in text and "$PACKAGE_PACKAGES" in text, name
