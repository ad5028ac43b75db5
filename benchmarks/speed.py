"""Bars 1, 2, 3 and 5: how much more a correction takes than the floor, in the same run.

Pairs of `exaspim-flatfield run` and `floor` in alternating order; medians of the paired ratios. CPU seconds of `run`
are those of the whole process, user and system; those of `floor` are of its counted batches.
"""
import statistics

import numpy as np

from measuring import Tile, bytes_below, spread

LIMITS = {"v2": {"cpu": 1.20, "wall": 1.25}, "v3": {"cpu": 1.30, "wall": 1.35}}


def pairs(tile, name, count, *extra, workers=None):
    runs, floors = [], []
    for pair in range(count):
        for what in ("run", "floor") if pair % 2 == 0 else ("floor", "run"):
            if what == "run":
                runs.append(tile.run("measured", *extra, workers=workers))
            else:
                floors.append(tile.run_floor(name, workers))
        print(f"  pair {pair + 1}: run {runs[-1].cpu:.2f} s CPU, {runs[-1].wall:.2f} s; floor "
              f"{floors[-1]['cpu_seconds']:.2f} s CPU, {floors[-1]['wall_seconds']:.2f} s", flush=True)
    return runs, floors


def other_share(report):
    """Share of the CPU time that is neither codec nor I/O."""
    stages = report["stages"]
    useful = sum(stages[name]["cpu_seconds"] for name in ("read", "decode", "encode", "write"))
    return 1 - useful / report["cpu_seconds"]


def background_share(tile, learned):
    """Share of level 0, in stored bytes, of the chunks that hold a plane of the background image."""
    depth = int(tile.chunks.split(",")[0])
    rows = {int(z) // depth for z in np.load(learned / "target_planes.npy")}
    level = tile.v2_path / "0"
    return sum(bytes_below(level / "0" / "0" / str(row)) for row in rows) / bytes_below(level, chunks_only=True)


def traffic(table, tile, kind, name, call):
    """Bar 3. What the kernel counts is compared, so that no reading goes unseen."""
    level_0 = bytes_below(tile.path / "0", chunks_only=True)
    estimation = bytes_below(tile.path / "3", chunks_only=True)
    report = tile.report(name)
    output = bytes_below(tile.corrected(name)) + bytes_below(tile.mask(name))
    carries = report["bytes_written"] - output
    table.add("3", f"{kind}: carries / output", carries / output, 0.02, f"{carries / output:.4f}")
    background = background_share(tile, tile.folder / name / "learned") * level_0
    must = estimation + background + max(0, carries)
    # Libraries, masks, configuration: what the kernel counts beside the tile.
    table.add("3", f"{kind}: bytes read, less estimation level, background and carries / level 0",
              (report["bytes_read"] - must) / level_0, 1.02, f"{(report['bytes_read'] - must) / level_0:.4f}")
    unseen = call.read_bytes - report["bytes_read"]
    table.add("3", f"{kind}: read by the process beside that / level 0", unseen / level_0, 0.02,
              f"{unseen / level_0:.4f}")


def compare(table, tile, kind, count):
    runs, floors = pairs(tile, "checked", count, *(["--output-zarr-format", "3"] if kind == "v3" else []))
    limits = LIMITS[kind]
    cpu = [run.cpu / floor["cpu_seconds"] for run, floor in zip(runs, floors)]
    wall = [run.wall / floor["wall_seconds"] for run, floor in zip(runs, floors)]
    table.add("1", f"{kind}: CPU run / floor", statistics.median(cpu), limits["cpu"], spread(cpu))
    table.add("1", f"{kind}: wall run / floor", statistics.median(wall), limits["wall"], spread(wall))
    share = other_share(tile.report("measured"))
    table.add("2", f"{kind}: CPU neither codec nor I/O", share, 0.15, f"{share:.3f}")
    stages = tile.report("measured")["stages"]
    print("  stages of the last run: "
          + ", ".join(f"{name} {stage['cpu_seconds']:.2f} s" for name, stage in stages.items())
          + f"; peak {runs[-1].peak_bytes / 1e6:.0f} MB")


def measure_scaling(table, tile, kind, count):
    """Bar 5: one worker against two, of the run and of the floor; in alternating order, so that a machine that
    grows faster or slower meanwhile favours neither."""
    extra = ["--output-zarr-format", "3"] if kind == "v3" else []
    ratios = []
    for sample in range(count):
        wall = {}
        calls = [("run", 1), ("run", 2), ("floor", 1), ("floor", 2)]
        for what, workers in calls if sample % 2 == 0 else reversed(calls):
            wall[what, workers] = (tile.run("measured", *extra, workers=workers).wall if what == "run"
                                   else tile.run_floor("checked", workers)["wall_seconds"])
        run, floor = (wall[what, 1] / wall[what, 2] for what in ("run", "floor"))
        ratios.append(run / floor)
        print(f"  1 to 2 workers, sample {sample + 1}: run {run:.3f}, floor {floor:.3f}", flush=True)
    table.add("5", f"{kind}: scaling of run / of floor", statistics.median(ratios), 0.95, spread(ratios), at_least=True)


def checked_tile(programs, options, kind):
    """A tile, what the correction of it took, which went well; the answer is in "checked"."""
    print(f"== tile {options.shape}, {kind}, chunks {options.chunks}", flush=True)
    tile = Tile(programs, options.work / f"speed_{kind}", options.shape, options.chunks)
    learned = tile.folder / "checked" / "learned"
    call = tile.run("checked", "--dump-learned", learned)
    tile.check_answer("checked")
    if kind == "v3":
        expected = tile.checksums("checked")
        tile.as_v3()
        call = tile.run("checked", "--output-zarr-format", "3", "--dump-learned", learned)
        if tile.checksums("checked") != expected:
            raise SystemExit("the answer is wrong: v3 holds other voxels than v2")
        print("answer checked: the same voxels as v2")
    return tile, call


def run(table, programs, options):
    for kind in options.kinds:
        tile, call = checked_tile(programs, options, kind)
        traffic(table, tile, kind, "checked", call)
        compare(table, tile, kind, options.pairs)
        if not options.keep:
            tile.remove()


def run_scaling(table, programs, options):
    for kind in options.kinds:
        tile, _ = checked_tile(programs, options, kind)
        measure_scaling(table, tile, kind, options.pairs)
        if not options.keep:
            tile.remove()
