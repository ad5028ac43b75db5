"""`pip install .` into an environment of its own with what is newest on PyPI, and the tests of the package there.

Skipped where PyPI cannot be reached. By default the wheel is built upon the libraries of the build folder, and the tests on
numpy arrays are run; with FLATFIELD_LONG=1 everything is built, and all tests of the package are run.
"""
import os
import pathlib
import shutil
import subprocess

import pytest

from support.oracles import environment
from support.program import PROGRAM, REPOSITORY, call

LONG = bool(os.environ.get("FLATFIELD_LONG"))
BUILD = pathlib.Path(PROGRAM).parents[3]
ORACLES = ["numpy>=2", "scipy", "scikit-image", "scikit-learn", "zarr>=3", "tifffile", "pytest", "hypothesis"]
DASK = ["dask[array]", "distributed"]
QUICK_TESTS = ["test_module_numerics.py", "test_module_methods.py"]
LONG_TESTS = ["test_module_pipeline.py", "test_module_interruptions.py", "test_module_s3.py", "test_module_dask.py"]


def done(*command, **options):
    answer = subprocess.run([str(word) for word in command], text=True, capture_output=True, **options)
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]
    return answer.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment in which the wheel is installed."""
    python = environment("wheel", ORACLES + DASK)
    folder = tmp_path_factory.mktemp("wheel")
    options = []
    if not LONG:
        done("cmake", "--install", BUILD, "--prefix", folder / "installed")
        options = ["--config-settings=cmake.define.FLATFIELD_USE_INSTALLED=ON",
                   f"--config-settings=cmake.define.exaspim_flatfield_ROOT={folder / 'installed'}"]
    done(python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", *options, REPOSITORY, cwd=folder)
    return python


def test_the_wheel_installs_the_programs(python, tmp_path):
    for name, words in (("exaspim-flatfield", ["--version"]), ("exaspim-flatfield-run", ["--help"])):
        program = python.parent / name
        assert program.exists()
        expected = call(*(["run"] if name.endswith("run") else []), *words, cwd=tmp_path)
        assert done(program, *words, cwd=tmp_path) == expected.out
    where = done(python, "-c", "import exaspim_flatfield as e, numpy; print(e.__file__, numpy.__version__)", cwd=tmp_path)
    assert str(python.parents[1]) in where and int(where.split()[1].split(".")[0]) >= 2
    assert (pathlib.Path(where.split()[0]).parent / "_native.pyi").exists()


def test_a_module_that_does_not_know_numpy_2_refuses_it(python, tmp_path):
    path = {**os.environ, "PYTHONPATH": str(BUILD.resolve() / "python")}
    asked = subprocess.run([python, "-c", "import exaspim_flatfield"], cwd=tmp_path, env=path, text=True, capture_output=True)
    if asked.returncode == 0:
        pytest.skip("the build folder's module was made with a pybind11 that knows numpy 2")
    assert "ImportError: exaspim_flatfield was built with pybind11 2." in asked.stderr and "numpy below 2" in asked.stderr


@pytest.mark.parametrize("test", QUICK_TESTS + (LONG_TESTS if LONG else []))
def test_the_tests_of_the_package_pass_on_what_is_newest(python, test, tmp_path):
    # A copy of the tests alone: the package must be the installed one.
    shutil.copytree(REPOSITORY / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "python", tmp_path / "python")
    out = done(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "tests" / "python" / test, cwd=tmp_path,
               env={**os.environ, "FLATFIELD_PACKAGE": "installed", "FLATFIELD_BUILD": str(BUILD.resolve()), "PYTHONPATH": ""})
    assert " passed" in out and " failed" not in out
