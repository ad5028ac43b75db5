"""Slurm's sbatch, as far as docs/cluster.md uses it: starts a job at once, and waits for it.

Where $OUT_OF_TIME names an array task, its time is up when it makes $JOBS.busy, once: it is told so as --signal says, and killed
if it does not end. What `scontrol requeue` asks for is started again.
"""
import argparse
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--parsable", action="store_true")
parser.add_argument("--requeue", action="store_true")
for option in ("--array", "--cpus-per-task", "--mem", "--signal", "--time", "--nodes", "--ntasks-per-node"):
    parser.add_argument(option)
parser.add_argument("--dependency", default="")
parser.add_argument("--wrap")
parser.add_argument("script", nargs=argparse.REMAINDER)
asked = parser.parse_args()
command = ["sh", "-c", asked.wrap] if asked.wrap else ["bash", *asked.script]
if not asked.wrap:
    lines = pathlib.Path(asked.script[0]).read_text().splitlines()
    assert lines[0].startswith("#!")
    written = [word for line in lines if line.startswith("#SBATCH ") for word in shlex.split(line)[1:]]
    parser.parse_args(written, asked)
    parser.parse_args(sys.argv[1:], asked)  # the command line wins
assert asked.time, "a job without --time has that of the partition"

log = os.environ["JOBS"]
jobs = [json.loads(line) for line in open(log)] if os.path.exists(log) else []
if asked.dependency:
    condition, job = asked.dependency.split(":")
    assert condition == "afterok" and any(done["id"] == int(job) for done in jobs), asked.dependency
number = max((done["id"] for done in jobs), default=0) + 1
busy, step, requeued = (pathlib.Path(f"{log}.{name}") for name in ("busy", "step", "requeue"))


def end_of_time(process):
    """As Slurm does: the signal goes to the steps that srun has started, with B: to the shell of the job instead."""
    while not busy.exists() and process.poll() is None:
        time.sleep(0.01)
    target, name = (asked.signal or "").split("@")[0].rpartition(":")[::2]
    if target == "B":
        process.send_signal(getattr(signal, f"SIG{name}"))
    elif name and step.exists():
        os.kill(int(step.read_text()), getattr(signal, f"SIG{name}"))
    try:
        process.wait(20 if name else 0.1)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def run_job(environment, is_late):
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    if is_late:
        end_of_time(process)
    return process.wait()


first, last = map(int, asked.array.split("-")) if asked.array else (0, -1)
for task in range(first, last + 1) if asked.array else [None]:
    array = {} if task is None else {"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(task),
                                     "SLURM_ARRAY_TASK_MIN": str(first), "SLURM_ARRAY_TASK_MAX": str(last),
                                     "SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": str(last - first + 1)}
    # Of an array, one task has the number of the whole.
    name = f"{number}" if task is None else f"{number}_{task}"
    environment = {**os.environ, "SLURM_JOB_ID": f"{number}", "SLURM_CPUS_PER_TASK": asked.cpus_per_task or "1", **array}
    is_late = task is not None and str(task) == os.environ.get("OUT_OF_TIME") and not busy.exists()
    for attempt in range(3):
        requeued.unlink(missing_ok=True)
        code = run_job(environment, is_late and attempt == 0)
        with open(log, "a") as file:
            file.write(json.dumps({"id": number, "SLURM_ARRAY_TASK_ID": array.get("SLURM_ARRAY_TASK_ID", ""),
                                   "code": code}) + "\n")
        if not (asked.requeue and requeued.exists() and requeued.read_text() == name):
            break
    if code != 0:
        sys.exit(f"job {name} ended with {code}: what waits for it with afterok never starts")
print(number if asked.parsable else f"Submitted batch job {number}")
