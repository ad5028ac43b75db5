"""Runs of the program that are killed, and what they leave."""
import os
import signal
import subprocess

from support.program import PROGRAM, read_json
from test_invariance import fixed_part

SCRATCH = ".exaspim_flatfield_scratch"

# Where a run can be killed (CONTRIBUTING.md, "Fail points"), by stage, with how often a run of the tile of these tests
# passes each: images are the low-resolution mask, the mask, the corrected one.
STAGES = {
    "learn": {"learn.begin": 1, "learn.end": 1, "learn.written": 1},
    "apply": {"item.object": 500},
    "between object and ledger": {"item.written": 20},
    "after the ledger": {"item.noted": 20},
    "second stage": {"carry.object": 6, "carry.written": 1, "carry.noted": 1},
    "finalize": {"finish.checksums": 3, "finish.attributes": 3},
}


def noted_items(folder):
    """Entries of the ledgers of the outputs below a folder, also while a run makes and removes folders there."""
    try:
        return len(list(folder.glob(f"out/**/{SCRATCH}/items/*/*/*/*.json")))
    except FileNotFoundError:
        return noted_items(folder)


def start(words, cwd, kill_at="", env=None):
    """Runs the program to its end, which may be that of a SIGKILL. Returns its exit code and standard error."""
    environment = dict(os.environ if env is None else env)
    if kill_at:
        environment["FLATFIELD_KILL_AT"] = kill_at
    finished = subprocess.run([str(word) for word in (PROGRAM, *words)], cwd=cwd, text=True, capture_output=True,
                              timeout=300, env=environment, check=False)
    assert finished.returncode >= 0 or finished.returncode == -signal.SIGKILL, finished.stderr
    return finished.returncode, finished.stderr


def kill_after(words, cwd, seconds, env=None):
    """Runs the program for that long, if it does not end before."""
    with subprocess.Popen([str(word) for word in (PROGRAM, *words)], cwd=cwd, env=env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.returncode


def random_point(chance, stage):
    """A fail point of a stage, passed uniformly often."""
    name, passes = chance.choice(list(STAGES[stage].items()))
    return f"{name}:{chance.randint(1, passes)}"


def fixed_output(files):
    """What of the files of an output must not differ between two runs: all of it, but for times and the host."""
    return {path: fixed_part(path, content) for path, content in files.items()}


def check_items(results, noted, workers, late=0):
    """What the last run did again is no more than what was under way when the ones before were killed.

    `late` entries may have arrived after those that were noted were counted.
    """
    (record,) = read_json(results / "run_report.json")["tiles"]
    if record["status"] == "skipped":
        return 0
    items = record["items"]
    assert noted <= items["found"] <= noted + late, (items, noted)
    assert items["done"] + items["found"] == items["total"], items
    assert items["repeated"] <= workers, items
    return items["repeated"]
