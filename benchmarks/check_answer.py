"""Checks a corrected tile before its time is measured: a fast wrong answer is worth nothing.

    check_answer.py TILE MASK_DIR CORRECTED MASK LEARNED

TILE is an unbinned OME-Zarr v2 input corrected with the default settings, CORRECTED and MASK are the
groups that `exaspim-flatfield run --dump-learned LEARNED` wrote. What was learnt is compared with
tests/golden/reference.py; random blocks of every level are recomputed from it and must be equal.
Needs numpy, scipy, scikit-image, zarr (v2) and tifffile. Exit code 1 where something disagrees.
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden"))
import reference  # noqa: E402
from agreement import disagreements  # noqa: E402

BLOCKS = 24
BLOCK_EDGE = 72


def random_box(random, shape):
    """Slices of a block of at most BLOCK_EDGE voxels along each axis."""
    starts = [int(random.integers(0, max(1, n - BLOCK_EDGE + 1))) for n in shape]
    return tuple(slice(a, min(a + BLOCK_EDGE, n)) for a, n in zip(starts, shape))


def read(array, box):
    return array[(0, 0) + box]


def mask_block(mask_low, shape, box):
    """docs/methods.md 4.2 for one block of the target level."""
    index = [np.minimum((2 * np.arange(b.start, b.stop) + 1) * small // (2 * big), small - 1)
             for b, small, big in zip(box, mask_low.shape, shape)]
    return mask_low[np.ix_(*index)]


def check_level_0(tile, corrected, mask, learned, random):
    """Level 0 and the mask, recomputed from the program's own learned quantities: must be equal."""
    raw = reference.open_level(tile, "0")
    out, mask_out = (reference.open_level(group, "0") for group in (corrected, mask))
    shape = raw.shape[2:]
    if out.shape != raw.shape or mask_out.shape != raw.shape:
        return [f"shapes {out.shape} and {mask_out.shape}, expected {raw.shape}"]
    ratio = reference.global_ratio(float(learned["g"][0]), reference.Settings())
    wrong, changed = [], 0
    for _ in range(BLOCKS):
        box = random_box(random, shape)
        inside = mask_block(learned["mask_low"], shape, box)
        values = read(raw, box)
        curves = [learned[f"curve_{name}"][b] if f"curve_{name}" in learned else None
                  for name, b in zip("zyx", box)]
        subtracted = reference.subtract(values, learned["background"][box[1:]])
        expected = reference.apply_curves(subtracted, inside != 0, curves, ratio)
        actual = read(out, box)
        changed += np.count_nonzero(actual != values)
        for name, a, b in (("level 0", actual, expected), ("mask", read(mask_out, box), inside)):
            if not np.array_equal(a, b):
                wrong.append(f"{name}: {np.count_nonzero(a != b)} of {a.size} voxels differ in {box}")
    return wrong if changed else wrong + ["level 0: no voxel was changed"]


def check_pyramid(corrected, n_levels, random):
    wrong = []
    for level in range(1, n_levels):
        finer, coarser = (reference.open_level(corrected, str(k)) for k in (level - 1, level))
        if coarser.shape[2:] != tuple(n // 2 for n in finer.shape[2:]):
            return [f"level {level}: shape {coarser.shape} from {finer.shape}"]
        for _ in range(max(4, BLOCKS // 4)):
            box = random_box(random, coarser.shape[2:])
            fine_box = tuple(slice(2 * b.start, 2 * b.stop) for b in box)
            expected = reference.next_level(read(finer, fine_box), -2)
            if not np.array_equal(read(coarser, box), expected):
                wrong.append(f"level {level}: voxels differ in {box}")
    return wrong


def main(tile, mask_dir, corrected, mask, learned_dir):
    random = np.random.default_rng(20)
    learned = {path.stem: np.load(path) for path in pathlib.Path(learned_dir).glob("*.npy")}
    expected = reference.learn(tile, mask_dir, reference.Settings())
    del expected["rejection_rounds"]
    wrong = disagreements(expected, {**learned, "g": learned["g"][0]}, is_binned=False)
    wrong += check_level_0(tile, corrected, mask, learned, random)
    n_levels = sum(path.name.isdigit() for path in pathlib.Path(corrected).iterdir())
    wrong += check_pyramid(corrected, n_levels, random)
    for line in wrong:
        print(f"wrong answer: {line}", file=sys.stderr)
    if not wrong:
        print(f"answer checked: learned quantities, {BLOCKS} blocks of level 0 and mask, {n_levels} levels")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
