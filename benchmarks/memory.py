"""Bar 4: the peak of memory keeps to the limit, whatever the tile, and the limit costs little time."""
import shutil
import statistics

from measuring import MEBIBYTE, MemoryGroup, Tile, spread

LIMIT = 512 * MEBIBYTE
TOLERANCE = 64 * MEBIBYTE
GROUP_ROOM = 256 * MEBIBYTE


def within_limit(table, tile, kind, count):
    extra = ["--output-zarr-format", "3" if kind == "v3" else "2"]
    tight, loose = [], []
    for _ in range(count):
        tight.append(tile.run("tight", *extra, "--memory-limit", "512M"))
        loose.append(tile.run("loose", *extra, "--memory-limit", "16G"))
    if tile.checksums("tight") != tile.checksums("loose"):
        raise SystemExit("the answer is wrong: the memory limit changes it")
    peak = max(call.peak_bytes for call in tight)
    table.add("4", f"{kind}: peak within 512M, MiB", peak / MEBIBYTE, (LIMIT + TOLERANCE) / MEBIBYTE,
              f"{peak / MEBIBYTE:.0f} MiB")
    ratios = [a.wall / b.wall for a, b in zip(tight, loose)]
    table.add("4", f"{kind}: wall 512M / 16G", statistics.median(ratios), 1.3, spread(ratios))
    group = MemoryGroup(LIMIT + GROUP_ROOM)
    if not group.available:
        table.note("4", f"{kind}: in a memory group of 768 MiB", "no control group can be made here")
        return
    try:
        call = tile.run("tight", *extra, "--memory-limit", "512M", group=group)
        table.add("4", f"{kind}: peak in a memory group of 768 MiB", call.peak_bytes / MEBIBYTE,
                  (LIMIT + TOLERANCE) / MEBIBYTE, f"{call.peak_bytes / MEBIBYTE:.0f} MiB, {call.wall:.0f} s")
    finally:
        group.remove()


def binned(table, programs, options, count):
    """Statistics at level 0: the level is streamed within 1G. What is held beside the mask does not grow with it."""
    tile = Tile(programs, options.work / "binned", options.memory_shape, levels=1, options=("--is-binned",))
    limits = {"tight": "1G", "loose": "16G"}
    calls = {name: [] for name in limits}
    floors = []
    for pair in range(count):
        for name in limits if pair % 2 == 0 else reversed(limits):
            calls[name].append(tile.run(name, "--is-binned", "--memory-limit", limits[name]))
            if name == "tight":
                floors.append(tile.run_floor("tight")["cpu_seconds"])
    if tile.checksums("tight") != tile.checksums("loose"):
        raise SystemExit("the answer is wrong: the memory limit changes it")
    peak = max(call.peak_bytes for call in calls["tight"]) / MEBIBYTE
    table.add("4", "binned: peak within 1G, MiB", peak, 1024 + TOLERANCE / MEBIBYTE, f"{peak:.0f} MiB")
    ratios = [tight.wall / loose.wall for tight, loose in zip(calls["tight"], calls["loose"])]
    table.add("4", "binned: wall 1G / 16G", statistics.median(ratios), 1.3, spread(ratios))
    ratios = [call.cpu / floor for call, floor in zip(calls["tight"], floors)]
    table.add("4", "binned: CPU 1G / floor", statistics.median(ratios), 6, spread(ratios))
    if not options.keep:
        tile.remove()


def run_planes(table, programs, options):
    """The peak does not grow with the number of planes: medians, as what comes too early for its shard varies."""
    count = max(1, options.pairs // 3)
    print(f"== planes: tile {options.planes_shape}, and of 2 and 4 times the planes, 2 workers, {count} runs each", flush=True)
    z, y, x = (int(n) for n in options.planes_shape.split(","))
    from_shards = ["v3 from v3"] if "v3" in options.kinds else []
    peaks, smallest = {}, {}
    for factor in (1, 2, 4):
        tile = Tile(programs, options.work / "planes", f"{factor * z},{y},{x}")
        for kind in options.kinds + from_shards:
            if kind in from_shards:
                shutil.rmtree(tile.folder / "out", ignore_errors=True)  # as large as the tile
                tile.as_v3()
                shutil.rmtree(tile.v2_path)
            extra = ["--output-zarr-format", "2" if kind == "v2" else "3", "--memory-limit", "512M"]
            smallest.setdefault(kind, []).append(tile.plan("out", *extra)["smallest_memory_limit_bytes"] / MEBIBYTE)
            found = [tile.run("out", *extra).peak_bytes / MEBIBYTE for _ in range(count)]
            print(f"  {factor * z} planes, {kind}: peaks {' '.join(f'{peak:.0f}' for peak in found)} MiB", flush=True)
            peaks.setdefault(kind, []).append(statistics.median(found))
        tile.remove()
    for kind in peaks:
        for what, values in (("peak within 512M", peaks[kind]), ("smallest limit that works", smallest[kind])):
            table.add("4", f"{kind}: {what}, with 4 times the planes / with as many", values[2] / values[0], 1.1,
                      " ".join(f"{value:.0f}" for value in values) + " MiB")


def run(table, programs, options):
    print(f"== memory: tile {options.memory_shape}, 2 workers", flush=True)
    count = max(1, options.pairs // 3)
    binned(table, programs, options, count)
    tile = Tile(programs, options.work / "memory", options.memory_shape)
    for kind in options.kinds:
        within_limit(table, tile, kind, count)
    if not options.keep:
        tile.remove()
