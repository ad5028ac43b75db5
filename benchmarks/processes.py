"""What sharing a run costs: two processes of one worker by mpirun against one process of two workers.

Pairs in alternating order; medians of the paired ratios. CPU seconds are those of all processes, mpirun among them.
"""
import shutil
import statistics

from measuring import Tile, spread

LIMIT = 1.15
# As root, on few CPUs, and without each process bound to one of them.
MPIRUN = ["env", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
          "mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2"]


def run(table, programs, options):
    if shutil.which("mpirun") is None:
        table.note("8", "two processes / one: there is no mpirun", "")
        return
    print(f"== processes: tile {options.processes_shape}, chunks {options.chunks}", flush=True)
    tile = Tile(programs, options.work / "processes", options.processes_shape, options.chunks)
    tile.run("checked", "--dump-learned", tile.folder / "checked" / "learned")
    tile.check_answer("checked")
    expected = tile.checksums("checked")
    tile.run("measured", workers=1, launcher=MPIRUN)
    if tile.checksums("measured") != expected:
        raise SystemExit("the answer is wrong: two processes make other voxels than one")
    one, two = [], []
    for pair in range(options.pairs):
        for runs in (one, two) if pair % 2 == 0 else (two, one):
            runs.append(tile.run("measured") if runs is one else tile.run("measured", workers=1, launcher=MPIRUN))
        print(f"  pair {pair + 1}: one process {one[-1].cpu:.2f} s CPU, {one[-1].wall:.2f} s; two {two[-1].cpu:.2f} s CPU, "
              f"{two[-1].wall:.2f} s", flush=True)
    for what in ("cpu", "wall"):
        ratios = [getattr(b, what) / getattr(a, what) for a, b in zip(one, two)]
        table.add("8", f"{what}, two processes of one worker / one of two", statistics.median(ratios), LIMIT, spread(ratios))
    if not options.keep:
        tile.remove()
