#!/usr/bin/python3
"""How much slower a correction is with its input and output on S3 than on local folders.

    run_s3_benchmark.py WORK [--build build/release] [--shape 1024,1024,1024] [--pairs 5] [--format 2]

Makes a phantom tile in the folder WORK and corrects it on local folders and against `memory_s3`, a server in memory
on loopback; every object that the S3 run has written is compared with the file of the local one. Then runs pairs of
the two in alternating order, and prints the medians of the paired ratios of MB/s (10^6 bytes of level-0 voxels) and of
the CPU seconds of the program itself, user and system; beside them those of the server, which shares the machine with
what is measured. With each pair a third run goes that does not sign (--s3-anonymous), and so does not hash what it
sends, as over https: what it costs less is what SHA-256 costs.
Exit code 1: wrong bytes, or a median that is beyond --throughput or --cpu.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import urllib.parse
import urllib.request

from measuring import HERE, MEGABYTE, TILE, measured, spread

BUCKET = "data"
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """`memory_s3` with the files of a folder as objects."""

    def __init__(self, process):
        self.process = process
        self.url = f"http://127.0.0.1:{process.stdout.readline().split()[-1]}"

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return answer.read()

    def keys(self, prefix):
        found, token = [], ""
        while True:
            page = self._get(f"/{BUCKET}?list-type=2&prefix={urllib.parse.quote(prefix)}"
                             f"&continuation-token={urllib.parse.quote(token)}").decode()
            found += re.findall("<Key>(.*?)</Key>", page)
            token = "".join(re.findall("<NextContinuationToken>(.*?)<", page))
            if not token:
                return found

    def read(self, key):
        return self._get(f"/{BUCKET}/{urllib.parse.quote(key)}")


class Benchmark:
    def __init__(self, options):
        self.options = options
        self.work = options.work.resolve()
        self.program = options.build / "src/flatfield/cli/exaspim-flatfield"

    def make_tile(self):
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        measured([self.program, "synth", self.work / "input", "--shape", self.options.shape, "--chunks",
                  self.options.chunks, "--n-levels", self.options.n_levels, "--seed", 1])

    @contextlib.contextmanager
    def serve(self):
        with subprocess.Popen([self.options.build / "benchmarks/memory_s3", "--delay",
                               str(self.options.delay), f"{BUCKET}={self.work / 'input'}"],
                              text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            yield Server(process)
            process.stdin.close()

    def correct(self, root, target, *extra):
        """One correction of the tile below `root`; what it cost."""
        limit = ["--memory-limit", self.options.memory_limit] if self.options.memory_limit else []
        return measured([self.program, "run", "--zarr", f"{root}/{TILE}", "--output", f"{target}/corrected",
                         "--mask-dir", f"{root}/masks", "--results-dir", self.work / "results", "--n-levels",
                         self.options.n_levels, "--num-workers", self.options.workers, "--output-zarr-format",
                         self.options.format, "--log-level", "WARNING", *limit, *extra])

    def run_local(self):
        """A correction on local folders: what it cost."""
        shutil.rmtree(self.work / "out", ignore_errors=True)
        return self.correct(self.work / "input", self.work / "out"), 0.0

    def run_s3(self, *extra, check=None):
        """A correction against a new server: what it cost, and the CPU seconds of the server."""
        with self.serve() as server:
            os.environ["AWS_ENDPOINT_URL_S3"] = server.url
            before = server.cpu_seconds()
            cost = self.correct(f"s3://{BUCKET}", f"s3://{BUCKET}/out", *extra)
            if check:
                check(server)
            return cost, server.cpu_seconds() - before

    def check(self, server):
        """Every object that was written is the file that the local run has written."""
        out = self.work / "out"
        files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
        keys = sorted(key[len("out/"):] for key in server.keys("out/") if "/artifacts/" not in f"/{key}")
        if files != keys:
            sys.exit(f"wrong answer: objects and files differ: {sorted(set(files) ^ set(keys))[:5]}")
        for name in files:
            found, expected = server.read(f"out/{name}"), (out / name).read_bytes()
            if name.rsplit("/", 1)[-1] in (".zattrs", "zarr.json") and b"exaspim_flatfield" in expected:
                continue  # the record of how the output came about
            if name.endswith("/.exaspim_flatfield_checksums.npz"):
                continue  # that record's checksum is among them
            if found != expected:
                sys.exit(f"wrong answer: {name} differs")
        print(f"answer checked: {len(files)} objects are the files of the local run", flush=True)

    def voxel_bytes(self):
        z, y, x = (int(n) for n in self.options.shape.split(","))
        return 2 * z * y * x


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path, help="working folder, which is made anew; needs 3 times the tile")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build" / "release")
    parser.add_argument("--shape", default="1024,1024,1024", help="of the tile, Z,Y,X")
    parser.add_argument("--chunks", default="128,128,128", help="of the tile, Z,Y,X")
    parser.add_argument("--n-levels", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--format", type=int, default=2, help="Zarr format of the output; 3 has shards of 512^3")
    parser.add_argument("--memory-limit", help="of the program, e.g. 1G; the peak is compared with it")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--delay", type=int, default=0, help="milliseconds by which every answer of the server is late")
    parser.add_argument("--throughput", type=float, default=0.7, help="smallest ratio of MB/s that passes")
    parser.add_argument("--cpu", type=float, default=1.25, help="largest ratio of CPU seconds that passes")
    options = parser.parse_args()
    os.environ.update({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
                       "no_proxy": "127.0.0.1"})
    benchmark = Benchmark(options)
    print(f"tile {options.shape}, chunks {options.chunks}, {options.n_levels} levels, {options.workers} workers, "
          f"Zarr v{options.format}, {benchmark.voxel_bytes() / 1e9:.2f} GB", flush=True)
    benchmark.make_tile()
    benchmark.run_local()
    benchmark.run_s3(check=benchmark.check)

    runs = {"local": [], "S3": [], "S3 unsigned": []}
    for pair in range(options.pairs):
        for kind in list(runs) if pair % 2 == 0 else reversed(list(runs)):
            runs[kind].append(benchmark.run_local() if kind == "local" else
                              benchmark.run_s3(*(["--s3-anonymous"] if kind == "S3 unsigned" else [])))
        print(f"pair {pair + 1}: " + "; ".join(
            f"{kind} {run[-1][0].cpu:.2f} s CPU, {run[-1][0].wall:.2f} s wall" for kind, run in runs.items()), flush=True)
    megabytes = benchmark.voxel_bytes() / MEGABYTE
    for kind, costs in runs.items():
        print(f"{kind:12} {spread([cost.cpu for cost, _ in costs], ' s CPU')}; "
              f"{spread([megabytes / cost.wall for cost, _ in costs], ' MB/s')}; "
              f"peak {max(cost.peak_bytes for cost, _ in costs) / MEGABYTE:.0f} MB")
    print(f"server       {spread([server for _, server in runs['S3']], ' s CPU')}")
    failed = []
    for kind in ("S3", "S3 unsigned"):
        pairs = [(s3, local) for (s3, _), (local, _) in zip(runs[kind], runs["local"])]
        cpu = [s3.cpu / local.cpu for s3, local in pairs]
        rate = [local.wall / s3.wall for s3, local in pairs]
        print(f"{kind} / local: MB/s {spread(rate)}; CPU seconds {spread(cpu)}")
        if kind == "S3" and statistics.median(rate) < options.throughput:
            failed.append(f"the median ratio of MB/s is below {options.throughput}")
        if kind == "S3" and statistics.median(cpu) > options.cpu:
            failed.append(f"the median ratio of CPU seconds is above {options.cpu}")
    report = json.loads((benchmark.work / "results/run_report.json").read_text())
    print(f"stages of the last run  {json.dumps(report['tiles'][0].get('stages'))}")
    shutil.rmtree(benchmark.work)
    if failed:
        sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()
