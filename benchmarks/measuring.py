"""What all benchmarks need: tiles, measured calls of the program, and a table of bars with their verdicts."""
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TILE = "tile_000000_ch_488.zarr"
MEGABYTE = 1e6
MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Call:
    """What a call of a program took."""
    cpu: float        # seconds, user and system
    wall: float
    peak_bytes: int   # maximum resident size, as the kernel counts it
    read_bytes: int   # by system calls, from wherever
    written_bytes: int
    out: str


def measured(command, group=None, environment=None):
    """Calls a program that must go well, with the disk quiet at the start; `group` is a memory group to be in,
    `environment` is added to its own."""
    os.sync()
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, **(environment or {})}, preexec_fn=group.enter if group else None)
    output = process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter() - start
    io = dict(line.split(": ") for line in pathlib.Path(f"/proc/{process.pid}/io").read_text().splitlines())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(str(word) for word in command)}")
    return Call(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024, int(io["rchar"]), int(io["wchar"]),
                output)


class Table:
    """Bars: what was measured, what it must be, and whether it is."""

    def __init__(self):
        self.rows = []

    def add(self, bar, what, value, limit, text, at_least=False):
        passed = value >= limit if at_least else value <= limit
        self.rows.append((bar, what, text, f"{'>=' if at_least else '<='} {limit:g}", "ok" if passed else "MISSED"))
        print("  ".join(self.rows[-1]), flush=True)

    def note(self, bar, what, text):
        self.rows.append((bar, what, text, "", "not measured"))
        print("  ".join(self.rows[-1]), flush=True)

    def print(self):
        widths = [max(len(row[i]) for row in self.rows) for i in range(5)] if self.rows else []
        print()
        for row in self.rows:
            print("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip())

    @property
    def missed(self):
        return any(row[-1] == "MISSED" for row in self.rows)


def spread(values, unit=""):
    if len(values) == 1:
        return f"{values[0]:.3f}{unit}"
    return f"{statistics.median(values):.3f}{unit} ({min(values):.3f} to {max(values):.3f}, n = {len(values)})"


def bytes_below(folder, chunks_only=False):
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*")
               if path.is_file() and not (chunks_only and (path.name[0] == "." or path.name == "zarr.json")))


class Programs:
    def __init__(self, build):
        self.program = pathlib.Path(build).resolve() / "src/flatfield/cli/exaspim-flatfield"
        self.floor = pathlib.Path(build).resolve() / "benchmarks/floor"
        for program in (self.program, self.floor):
            if not program.exists():
                sys.exit(f"{program} does not exist: build it, or name the build folder with --build")


class Tile:
    """A phantom tile in a folder of its own, and corrections of it beside it."""

    def __init__(self, programs, folder, shape, chunks="128,128,128", levels=5, workers=2, options=()):
        self.programs, self.folder, self.shape, self.chunks = programs, pathlib.Path(folder), shape, chunks
        self.levels, self.workers = levels, workers
        self.path, self.masks = self.folder / "synth" / TILE, self.folder / "synth" / "masks"
        self.v2_path = self.path
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        measured([programs.program, "synth", self.folder / "synth", "--shape", shape, "--chunks", chunks,
                  "--n-levels", levels, "--seed", 1, "--num-workers", os.cpu_count(), *options])

    @property
    def voxel_bytes(self):
        z, y, x = (int(n) for n in self.shape.split(","))
        return 2 * z * y * x

    def corrected(self, name):
        return self.folder / name / "corrected" / TILE

    def mask(self, name):
        return self.folder / name / "mask" / "corrected" / TILE

    def results(self, name):
        return self.folder / name / "results"

    def report(self, name):
        return json.loads((self.results(name) / "run_report.json").read_text())["tiles"][0]

    def as_v3(self):
        """The same voxels as Zarr v3 with shards of 512 x 512 x 512; the input of what is run from now on."""
        measured([self.programs.program, "run", "--zarr", self.path, "--output", self.folder / "v3" / TILE,
                  "--skip-flat-field", "--skip-bkg-sub", "--corrected-rank", "mean", "--n-levels", self.levels,
                  "--num-workers", os.cpu_count(), "--output-zarr-format", 3, "--log-level", "WARNING",
                  "--results-dir", self.folder / "v3" / "results"])
        self.path = self.folder / "v3" / TILE

    def options(self, name, workers=None):
        return ["--zarr", self.path, "--output", self.folder / name / "corrected", "--method", "fitting",
                "--mask-dir", self.masks, "--results-dir", self.results(name), "--n-levels", self.levels,
                "--num-workers", workers or self.workers, "--log-level", "WARNING"]

    def settle(self):
        """The same page cache for all that is compared: the tile, and, where this may be asked for, nothing else. What a
        page costs that is written depends on where the kernel must take it from."""
        os.sync()
        try:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        except OSError:
            pass
        for path in self.path.rglob("*"):
            if path.is_file():
                with open(path, "rb", buffering=0) as file:
                    while file.read(1 << 22):
                        pass

    def run(self, name, *extra, workers=None, group=None, launcher=()):
        """One correction into FOLDER/NAME, which is made anew; `launcher` are the words before the program's."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        self.settle()
        return measured([*launcher, self.programs.program, "run", *self.options(name, workers), *extra], group)

    def plan(self, name, *extra):
        """Of a run that makes it anew: what an earlier one has finished there would be skipped."""
        words = [self.programs.program, "plan", *self.options(name), "--overwrite", "--json", *extra]
        return json.loads(measured(words).out)["tiles"][0]

    def run_floor(self, name, workers=None):
        """`floor` on what the correction NAME wrote."""
        target = self.folder / "floor"
        shutil.rmtree(target, ignore_errors=True)
        self.settle()
        # Its buffers lie in huge pages too, where the system offers them.
        output = measured([self.programs.floor, self.path, self.corrected(name), self.mask(name), target,
                           workers or self.workers], environment={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}).out
        shutil.rmtree(target)
        return json.loads(output)

    def checksums(self, name):
        """Of the content of every level of a correction and its mask, whatever their format."""
        documents = [json.loads(measured([self.programs.program, "inspect", group, "--checksum", "--json"]).out)
                     for group in (self.corrected(name), self.mask(name))]
        found = []

        def collect(value):
            if isinstance(value, dict):
                found.extend(str(v) for k, v in value.items() if k in ("checksum", "sha256"))
                value = list(value.values())
            if isinstance(value, list):
                for item in value:
                    collect(item)

        collect(documents)
        if not found:
            sys.exit("inspect --checksum says no checksums")
        return found

    def check_answer(self, name):
        """Against the formulas in numpy; Zarr v2."""
        result = subprocess.run([sys.executable, str(HERE / "check_answer.py"), self.path, self.masks,
                                 self.corrected(name), self.mask(name), self.folder / name / "learned"])
        if result.returncode != 0:
            sys.exit("the answer is wrong: nothing is measured")

    def remove(self):
        shutil.rmtree(self.folder)


class MemoryGroup:
    """A control group with a limit of memory, of version 1 or 2; `available` is false where none can be made."""

    def __init__(self, limit_bytes):
        self.folder = None
        for root, limit in ((pathlib.Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
                            (pathlib.Path("/sys/fs/cgroup"), "memory.max")):
            folder = root / f"exaspim_flatfield_benchmark_{os.getpid()}"
            try:
                folder.mkdir()
                (folder / limit).write_text(str(limit_bytes))
                self.folder = folder
                return
            except OSError:
                if folder.exists():
                    folder.rmdir()

    @property
    def available(self):
        return self.folder is not None

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        if self.folder:
            self.folder.rmdir()
