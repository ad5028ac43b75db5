#!/usr/bin/python3
"""What sharding costs: CPU seconds of writing and reading a volume with shards and without (benchmarks/volume_io.cpp).

    run_shard_benchmark.py WORK [--build build/release] [--shape 512,1024,1024] [--pairs 5] [--others VENV]

Makes a phantom tile in the folder WORK and prints the medians of the paired ratios sharded / plain. What is read back
is compared with what was written, every time. With --others, a folder of a Python virtual environment that has
tensorstore and zarr >= 3, the same volume is also written and read by these, with and without shards; their times
stand beside ours, of the same voxels, chunks, codec and number of threads.
Exit code 1: a wrong answer, or the median ratio of CPU seconds of writing or reading is above --limit.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

from measuring import HERE, TILE, measured, spread

OTHERS = '''
import json, os, resource, shutil, sys, time
task = json.load(sys.stdin)
import numpy as np
voxels = np.fromfile(task["voxels"], np.uint16).reshape(task["shape"])
chunks, shards = task["chunks"], task["shards"]

def cost(work):
    os.sync()
    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime
    before, start = cpu(), time.perf_counter()
    result = work()
    return result, cpu() - before, time.perf_counter() - start

def with_tensorstore(path, sharded):
    import tensorstore as ts
    blosc = {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "typesize": 2}}
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, blosc]
    if sharded:
        codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": chunks, "codecs": codecs}}]
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}, "metadata": {
        "shape": list(voxels.shape), "data_type": "uint16", "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shards if sharded else chunks}}},
        "context": {"data_copy_concurrency": {"limit": task["workers"]}, "file_io_sync": False}}
    store = ts.open(spec, create=True).result()
    return lambda: store.write(voxels).result(), lambda: store.read(order="C").result()

def with_zarr(path, sharded):
    import zarr
    zarr.config.set({"threading.max_workers": task["workers"]})
    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=2)
    array = zarr.create_array(path, shape=voxels.shape, dtype="uint16", chunks=tuple(chunks),
                              shards=tuple(shards) if sharded else None, compressors=codec, zarr_format=3)
    def write():
        array[...] = voxels
    return write, lambda: array[...]

out = []
for i in range(2 * task["pairs"]):
    sharded = i % 4 in (1, 2)
    path = task["folder"] + "/" + ("sharded" if sharded else "plain")
    shutil.rmtree(path, ignore_errors=True)
    write, read = {"tensorstore": with_tensorstore, "zarr": with_zarr}[task["library"]](path, sharded)
    _, write_cpu, write_wall = cost(write)
    found, read_cpu, read_wall = cost(read)
    assert np.array_equal(found, voxels), "what is read is not what was written"
    del found
    out.append({"sharded": sharded, "write_cpu": write_cpu, "write_wall": write_wall, "read_cpu": read_cpu,
                "read_wall": read_wall})
    shutil.rmtree(path)
print(json.dumps({"plain": [r for r in out if not r["sharded"]], "sharded": [r for r in out if r["sharded"]]}))
'''


def report(name, rounds):
    """Prints the costs; the median ratios of CPU seconds of writing and reading."""
    ratios = {}
    for what in ("write", "read"):
        pairs = [(p[f"{what}_cpu"], s[f"{what}_cpu"]) for p, s in zip(rounds["plain"], rounds["sharded"])]
        ratios[what] = statistics.median(s / p for p, s in pairs)
        print(f"{name:14} {what:5}  plain {spread([p for p, _ in pairs], ' s CPU')};  "
              f"sharded {spread([s for _, s in pairs], ' s CPU')}")
        print(f"{'':14} {what:5}  sharded / plain {spread([s / p for p, s in pairs])}; wall seconds "
              f"{statistics.median(r[what + '_wall'] for r in rounds['plain']):.2f} and "
              f"{statistics.median(r[what + '_wall'] for r in rounds['sharded']):.2f}", flush=True)
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path, help="working folder; needs up to 4 times the volume's size")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build" / "release")
    parser.add_argument("--shape", default="512,1024,1024", help="of the volume, Z,Y,X")
    parser.add_argument("--chunks", default="128,128,128", help="Z,Y,X")
    parser.add_argument("--shard-edge", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.15, help="largest ratio of CPU seconds that passes")
    parser.add_argument("--others", type=pathlib.Path, help="virtual environment with tensorstore and zarr >= 3")
    options = parser.parse_args()
    folder = options.work.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "arrays").mkdir(parents=True)
    tile = folder / TILE
    measured([options.build / "src/flatfield/cli/exaspim-flatfield", "synth", folder, "--shape", options.shape,
              "--chunks", options.chunks, "--n-levels", 1, "--seed", 1])
    print(f"volume {options.shape}, chunks {options.chunks}, shards {options.shard_edge}^3, {options.workers} workers",
          flush=True)
    output = measured([options.build / "benchmarks/volume_io", tile, folder / "arrays", options.shard_edge,
                       options.workers, options.pairs]).out
    rounds = json.loads(output)
    stored = {name: rounds[name][0]["stored_bytes"] for name in ("plain", "sharded")}
    print(f"{rounds['bytes'] / 1e6:.0f} MB of voxels, stored {stored}")
    ratios = report("this program", rounds)
    shutil.rmtree(folder / "arrays")
    if options.others:
        import zarr
        voxels = folder / "voxels"
        zarr.open_array(str(tile / "0"), mode="r")[0, 0].tofile(voxels)
        for library in ("tensorstore", "zarr"):
            task = {"library": library, "voxels": str(voxels), "shape": [int(n) for n in options.shape.split(",")],
                    "chunks": [int(n) for n in options.chunks.split(",")], "shards": [options.shard_edge] * 3,
                    "folder": str(folder / "arrays"), "workers": options.workers, "pairs": options.pairs}
            done = subprocess.run([options.others / "bin/python", "-c", OTHERS], input=json.dumps(task), text=True,
                                  stdout=subprocess.PIPE, check=True)
            report(library, json.loads(done.stdout))
    shutil.rmtree(folder)
    if max(ratios.values()) > options.limit:
        sys.exit(f"a median ratio of CPU seconds is above {options.limit}")


if __name__ == "__main__":
    main()
