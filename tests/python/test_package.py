"""What is installed: the program with its manual and completion, and a library that other programs find."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support.program import PROGRAM, REPOSITORY, read_json, read_levels
from support.tiles import phantom_tile

NAME = "tile_000001_ch_488.zarr"
BUILD = pathlib.Path(PROGRAM).parents[3]


def done(*command, **options):
    answer = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    done("cmake", "--install", BUILD, "--prefix", prefix)
    return prefix


def completed(installed, *words):
    """What bash offers for the last of the words."""
    script = installed / "share/bash-completion/completions/exaspim-flatfield"
    program = (f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
               "_exaspim_flatfield; echo \"${COMPREPLY[@]}\"")
    return done("bash", "-c", program).split()


def test_installed_program_runs_under_both_names(installed):
    version = done(installed / "bin/exaspim-flatfield", "--version")
    assert version == done(PROGRAM, "--version")
    assert "--num-workers" in done(installed / "bin/exaspim-flatfield-run", "--help")


def test_manual_has_every_command_with_its_options_and_every_exit_code(installed):
    page = (installed / "share/man/man1/exaspim-flatfield.1").read_text()
    for command in ["run", "estimate", "apply", "finalize", "plan", "verify", "inspect", "synth", "basic", "preview", "view"]:
        assert f"\n.SS {command}\n" in page
        for option in completed(installed, "exaspim-flatfield", command, "--"):
            assert option == "--help" or option.replace("-", "\\-") in page, option
    assert "\n.TP\n75\n" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_manual_is_troff_without_warnings(installed):
    answer = subprocess.run(["groff", "-man", "-Tutf8", "-ww", installed / "share/man/man1/exaspim-flatfield.1"],
                            capture_output=True, text=True)
    assert answer.returncode == 0 and answer.stderr == "" and len(answer.stdout) > 10000


@pytest.mark.parametrize("words, offered", [
    (["exaspim-flatfield", "ver"], {"verify"}),
    (["exaspim-flatfield", "run", "--num"], {"--num-workers"}),
    (["exaspim-flatfield-run", "--num"], {"--num-workers"}),
    (["exaspim-flatfield", "run", "--method", ""], {"reference", "basicpy", "fitting"}),
    (["exaspim-flatfield", "run", "--on-qc-fail", "b"], {"background-only"}),
    (["exaspim-flatfield", "run", "--zarr", ""], set()),  # bash offers files
    (["exaspim-flatfield", "verify", "--q"], {"--quick"})])
def test_completion_offers_what_fits(installed, words, offered):
    assert set(completed(installed, *words)) == offered


def test_program_of_its_own_finds_the_library_and_corrects_a_tile(installed, tmp_path):
    source = tmp_path / "example"
    shutil.copytree(REPOSITORY / "examples/cpp", source)
    environment = {**os.environ, "CMAKE_PREFIX_PATH": str(installed)}
    done("cmake", "-S", source, "-B", tmp_path / "build", "-G", "Ninja", env=environment)
    done("cmake", "--build", tmp_path / "build")
    tile = phantom_tile(tmp_path / "in", (48, 64, 80), (16, 32, 32), n_levels=4, name=NAME)
    done(tmp_path / "build/correct_tile", tile, tmp_path / "in" / "masks", tmp_path / "out", tmp_path / "results")
    assert len(read_levels(tmp_path / "out" / NAME)) == 3
    assert read_json(tmp_path / "results/run_report.json")["exit_code"] == 0


def test_program_of_its_own_computes_what_is_inline_in_headers_as_the_library_does(installed, tmp_path):
    done("cmake", "-S", REPOSITORY / "examples/cpp", "-B", tmp_path, "-G", "Ninja", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
         env={**os.environ, "CMAKE_PREFIX_PATH": str(installed)})
    (command,) = read_json(tmp_path / "compile_commands.json")
    assert "-ffp-contract=off" in command["command"].split()


def test_program_that_can_do_without_the_library_goes_on_where_a_dependency_is_missing(installed, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\nproject(optional LANGUAGES CXX)\nfind_package(exaspim_flatfield QUIET)\n"
        "if(NOT exaspim_flatfield_FOUND)\n  message(STATUS \"without: ${exaspim_flatfield_NOT_FOUND_MESSAGE}\")\nendif()\n")
    environment = {**os.environ, "CMAKE_PREFIX_PATH": str(installed), "PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": str(tmp_path)}
    said = done("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja", env=environment)
    assert "without: pkg-config does not find BLOSC" in said


def test_installed_headers_include_only_each_other_and_the_standard_library_and_define_no_macros(installed):
    folder = installed / "include"
    headers = sorted(folder.rglob("*.h"))
    assert folder / "flatfield/pipeline/run.h" in headers
    for header in headers:
        text = header.read_text()
        assert not re.search(r"^\s*#\s*define", text, re.M), header
        for own in re.findall(r'^\s*#\s*include "(.*)"', text, re.M):
            assert (folder / own).is_file(), f"{header}: {own}"
        for other in re.findall(r"^\s*#\s*include <(.*)>", text, re.M):
            assert re.fullmatch(r"[a-z_0-9]+|emmintrin\.h", other), f"{header}: {other}"  # the last is the compiler's


def test_library_without_tests_needs_no_eigen_and_can_be_linked_into_a_shared_object(tmp_path):
    done("cmake", "-S", REPOSITORY, "-B", tmp_path, "-G", "Ninja", "-DFLATFIELD_BUILD_TESTS=OFF",
         "-DFLATFIELD_BUILD_BENCHMARKS=OFF", "-DFLATFIELD_MPI=OFF", "-DFLATFIELD_CHARTS=OFF",
         "-DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON")
    commands = [command["command"].split() for command in read_json(tmp_path / "compile_commands.json")
                if "/src/flatfield/" in command["file"] and "/src/flatfield/cli/" not in command["file"]]
    assert len(commands) > 100 and all("-fPIC" in command for command in commands)
    assert "libeigen" not in (tmp_path / "CPackConfig.cmake").read_text().lower()
