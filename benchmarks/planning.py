"""Bar 7: what `plan` says against what `run` takes, on two tiles of different shape and codec."""
from measuring import Tile

LIMITS = {"bytes": 0.05, "memory": 0.20, "CPU seconds": 0.20, "wall seconds": 0.30}
RUNS = 5


def errors(planned, report, call):
    total = planned["total"]
    moved = report["bytes_read"] + report["bytes_written"]
    return {"bytes": abs(total["bytes_read"] + total["bytes_written"] - moved) / moved,
            "memory": abs(planned["peak_memory_bytes"] - call.peak_bytes) / call.peak_bytes,
            "CPU seconds": abs(total["cpu_seconds"] - call.cpu) / call.cpu,
            "wall seconds": abs(total["wall_seconds"] - call.wall) / call.wall}


def run(table, programs, options):
    for shape, chunks, extra in ((options.plan_shapes[0], "128,128,128", []),
                                 (options.plan_shapes[1], "64,128,128",
                                  ["--output-codec", "zstd", "--output-zarr-format", "3"])):
        what = f"{shape} {' '.join(extra[1:2]) or 'blosc-zstd'}"
        print(f"== plan: tile {what}, 2 workers", flush=True)
        tile = Tile(programs, options.work / "plan", shape, chunks)
        found = []
        for _ in range(RUNS):
            planned = tile.plan("out", *extra)
            call = tile.run("out", *extra)
            found.append(errors(planned, tile.report("out"), call))
            print(f"  {call.cpu:.1f} s CPU (planned {planned['total']['cpu_seconds']:.1f}), {call.wall:.1f} s "
                  f"({planned['total']['wall_seconds']:.1f}), {call.peak_bytes / 1e6:.0f} MB "
                  f"({planned['peak_memory_bytes'] / 1e6:.0f}); off by "
                  + ", ".join(f"{name} {100 * error:.1f} %" for name, error in found[-1].items()), flush=True)
        for name, limit in LIMITS.items():
            # Four of five: the second largest error.
            second = sorted(error[name] for error in found)[-2]
            table.add("7", f"{what}: {name}, error in four of five", second, limit, f"{100 * second:.1f} %")
        if not options.keep:
            tile.remove()
