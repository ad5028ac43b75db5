"""Slurm's sbatch, as far as docs/cluster.md uses it: starts a job at once, and waits for it."""
import argparse
import json
import os
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--parsable", action="store_true")
parser.add_argument("--requeue", action="store_true")
for option in ("--array", "--cpus-per-task", "--mem", "--signal", "--nodes", "--ntasks-per-node"):
    parser.add_argument(option)
parser.add_argument("--dependency", default="")
parser.add_argument("--wrap", required=True)
asked = parser.parse_args()

log = os.environ["JOBS"]
jobs = [json.loads(line) for line in open(log)] if os.path.exists(log) else []
if asked.dependency:
    condition, job = asked.dependency.split(":")
    assert condition == "afterok" and any(done["id"] == int(job) for done in jobs), asked.dependency
number = len({done["id"] for done in jobs}) + 1
first, last = map(int, asked.array.split("-")) if asked.array else (0, -1)
for task in range(first, last + 1) if asked.array else [None]:
    array = {} if task is None else {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MIN": str(first),
                                     "SLURM_ARRAY_TASK_MAX": str(last), "SLURM_ARRAY_TASK_STEP": "1",
                                     "SLURM_ARRAY_TASK_COUNT": str(last - first + 1)}
    done = subprocess.run(["bash", "-c", asked.wrap], env={**os.environ, **array}, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    with open(log, "a") as file:
        file.write(json.dumps({"id": number, "SLURM_ARRAY_TASK_ID": array.get("SLURM_ARRAY_TASK_ID", "")}) + "\n")
print(number if asked.parsable else f"Submitted batch job {number}")
