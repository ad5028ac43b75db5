"""Runs the command line program, and reads what it wrote.

$FLATFIELD_BUILD is the build folder (default build/release), $FLATFIELD_SHARED the folder with other
people's data (default ../shared); both relative to the repository.
"""
import dataclasses
import json
import os
import pathlib
import subprocess

import pytest
import zarr

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = (REPOSITORY / os.environ.get("FLATFIELD_BUILD", "build/release")
           / "src/flatfield/cli/exaspim-flatfield")
SHARED = REPOSITORY / os.environ.get("FLATFIELD_SHARED", "../shared")

# Exit codes, one per kind of error (src/flatfield/core/error.cpp).
USAGE, NOT_FOUND, BAD_INPUT, UNSUPPORTED, OUTPUT_EXISTS, WRITE_FAILED, READ_FAILED = 2, 3, 4, 5, 6, 7, 8
QUALITY_FAILED, TILES_FAILED = 10, 11


def shared_data(name):
    """A file or folder of the shared data; the test is skipped where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no shared data at {path}: set FLATFIELD_SHARED")
    return path


@dataclasses.dataclass(frozen=True)
class Result:
    """How a call of the program ended."""
    code: int
    out: str
    err: str

    @property
    def error_lines(self):
        return [line for line in self.err.splitlines()
                if " ERROR " in line or line.startswith("exaspim-flatfield: error:")]

    @property
    def warnings(self):
        return [line for line in self.err.splitlines() if " WARNING " in line]


def call(*words, cwd, program=PROGRAM, **options):
    """Calls the program; a signal or a defect that it reports of itself fails the test."""
    assert PROGRAM.exists(), f"{PROGRAM} does not exist: build it, or set FLATFIELD_BUILD"
    finished = subprocess.run([str(word) for word in (program, *words)], cwd=cwd, text=True,
                              capture_output=True, timeout=300, **options)
    result = Result(finished.returncode, finished.stdout, finished.stderr)
    assert result.code >= 0, f"ended by signal {-result.code}\n{result.err}"
    for sign_of_a_defect in ("please report this", "terminate called", "AddressSanitizer", "runtime error:"):
        assert sign_of_a_defect not in result.err, result.err
    return result


@dataclasses.dataclass(frozen=True)
class Correction:
    """A run on a tile in a folder of its own: the outputs are below FOLDER/out, the reports in FOLDER/results."""
    folder: pathlib.Path
    tile: str
    result: Result

    @property
    def corrected(self):
        return self.folder / "out" / "SPIM.ome.zarr" / self.tile

    @property
    def mask(self):
        return self.folder / "out" / "mask" / "SPIM.ome.zarr" / self.tile

    @property
    def probability(self):
        return self.folder / "out" / "probability" / "SPIM.ome.zarr" / self.tile

    @property
    def results(self):
        return self.folder / "results"

    @property
    def report(self):
        """The tile's record in the run report."""
        (record,) = read_json(self.results / "run_report.json")["tiles"]
        return record

    @property
    def quality(self):
        """The QC block of a tile of one volume."""
        (block,) = self.report["qc"].values()
        return block

    @property
    def numbers(self):
        """The values of its quality numbers."""
        return {name: number["value"] for name, number in self.quality["numbers"].items()}


def attempt(tile, folder, *options, masks=None, **subprocess_options):
    """Corrects `tile`; paths are given relative to `folder`, so that they are the same in every folder.

    Without `masks` the masks are those beside the tile.
    """
    folder.mkdir(exist_ok=True, parents=True)
    mask_options = ["--mask-dir", masks or tile.parent / "masks"] if masks is not False else []
    result = call("run", "--zarr", tile, "--output", "out/SPIM.ome.zarr", "--results-dir", "results",
                  *mask_options, *options, cwd=folder, **subprocess_options)
    return Correction(folder, tile.name, result)


def correct(tile, folder, *options, **keywords):
    """`attempt`, which must go well."""
    correction = attempt(tile, folder, *options, **keywords)
    assert correction.result.code == 0, correction.result.err
    return correction


def read_json(path):
    return json.loads(pathlib.Path(path).read_text())


def read_levels(group):
    """Every level that the multiscales metadata of a group names, finest first, by path."""
    datasets = zarr.open_group(str(group), mode="r").attrs["multiscales"][0]["datasets"]
    return {d["path"]: zarr.open_array(str(pathlib.Path(group) / d["path"]), mode="r")[...]
            for d in datasets}


def read_volume(group, level="0"):
    """A level of a group with one volume, as (z, y, x)."""
    (volume,) = read_levels(group)[level][0]
    return volume


def looks_finished(group):
    attributes = group / ".zattrs"
    return attributes.exists() and "multiscales" in attributes.read_text()


def files_below(folder):
    """Every file below a folder, by its relative path; its content."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if not path.is_dir()}
