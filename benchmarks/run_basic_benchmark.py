#!/usr/bin/env python3
"""BaSiC: one inner iteration against the memory traffic it needs, and a fit against basicpy where PyPI is reachable.

Usage: run_basic_benchmark.py [--build BUILD] [--runs N] [--basicpy] [--profile FILE]
  --basicpy   also installs basicpy 1.2.0 (below build/oracles) and compares a fit of the same images
  --profile   writes what `perf` says of the iterations
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]

IMAGES = """
import numpy as np, sys, pathlib
random = np.random.default_rng(0)
y, x = np.mgrid[-1:1:512j, -1:1:512j]
light = (1 - 0.3 * y ** 2) * (1 - 0.3 * x ** 2)
images = (100 + random.gamma(2, 40, (100, 64, 64)).repeat(8, 1).repeat(8, 2)) * light
images = np.rint(images + random.normal(0, 3, images.shape)).astype(np.uint16)
"""
WRITE_IMAGES = IMAGES + """
import tifffile
for i, image in enumerate(images):
    tifffile.imwrite(pathlib.Path(sys.argv[1]) / f"{i:03}.tif", image)
"""
FIT = IMAGES + """
import time
from basicpy import BaSiC
basic = BaSiC(get_darkfield=False, smoothness_flatfield=0.1, smoothness_darkfield=0.1, sort_intensity=True,
              working_size=512, resize_mode="skimage")
start = time.perf_counter()
basic.fit(images.astype(np.float32))
seconds = time.perf_counter() - start
np.save(sys.argv[1], basic.flatfield)
print(seconds)
"""


def compare_with_basicpy(build):
    folder = ROOT / "build" / "oracles" / "basicpy-1.2.0"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "basicpy==1.2.0"], check=True)
        (folder / "installed").touch()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "in").mkdir()
        subprocess.run(["/usr/bin/python3", "-c", WRITE_IMAGES, scratch / "in"], check=True)
        config = scratch / "basic.json"
        config.write_text(json.dumps({"working_size": 512}))
        program = build / "src/flatfield/cli/exaspim-flatfield"
        start = time.perf_counter()
        subprocess.run([program, "basic", scratch / "in", "--output", scratch / "out", "--basic-config", config,
                        "--num-workers", "2"], check=True, capture_output=True)
        ours = time.perf_counter() - start
        theirs = float(subprocess.run([python, "-c", FIT, scratch / "theirs.npy"], check=True, capture_output=True,
                                      text=True).stdout.split()[-1])
        difference = subprocess.run(
            ["/usr/bin/python3", "-c", "import sys, numpy, tifffile; print(abs(tifffile.imread(sys.argv[1]) - "
             "numpy.load(sys.argv[2])).max())", scratch / "out" / "flatfield.tif", scratch / "theirs.npy"],
            check=True, capture_output=True, text=True).stdout.strip()
    print(f"100 frames of 512 x 512: {ours:.1f} s (files, baseline and correction included), basicpy 1.2.0 {theirs:.1f} s "
          f"(fit alone); largest difference of the flatfields {difference}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    arguments.add_argument("--runs", default=3, type=int)
    arguments.add_argument("--basicpy", action="store_true")
    arguments.add_argument("--profile", type=pathlib.Path)
    options = arguments.parse_args()
    command = options.build / "benchmarks" / "basic_iteration"
    runs = []
    for _ in range(options.runs):
        runs.append(json.loads(subprocess.run([command], check=True, capture_output=True, text=True).stdout))
        print(json.dumps(runs[-1]))
    ratios = sorted(run["ratio"] for run in runs)
    print(f"iteration / floor: median {statistics.median(ratios)} ({ratios[0]} to {ratios[-1]}), "
          f"peak memory {max(run['peak_memory_megabytes'] for run in runs):.0f} MB")
    if options.profile:
        with tempfile.TemporaryDirectory() as scratch:
            data = pathlib.Path(scratch) / "perf.data"
            subprocess.run(["perf", "record", "-q", "-o", data, command], check=True, stdout=subprocess.DEVNULL)
            report = subprocess.run(["perf", "report", "-i", data, "--stdio", "--percent-limit", "0.5", "--sort", "symbol"],
                                    check=True, capture_output=True, text=True).stdout
        rows = re.findall(r"^\s*(\d+\.\d+%)\s+\[(.)\]\s+(.*?)\s+-\s+-\s*$", report, re.M)
        names = [re.sub(r"flatfield::|\(anonymous namespace\)::", "", name)[:90] for _, _, name in rows]
        options.profile.write_text("".join(f"{share:>7}  {name}\n" for (share, _, _), name in zip(rows, names)))
    if options.basicpy:
        compare_with_basicpy(options.build)
    return 0


if __name__ == "__main__":
    sys.exit(main())
