"""`aws batch submit-job`, as far as docs/cluster.md uses it: starts a job at once, and waits for it.

The command of a job is what the image is given behind its ENTRYPOINT, $ENTRYPOINT as JSON.
"""
import argparse
import json
import os
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("service", choices=["batch"])
parser.add_argument("operation", choices=["submit-job"])
for option in ("--job-queue", "--job-definition", "--job-name", "--container-overrides"):
    parser.add_argument(option, required=True)
parser.add_argument("--query", choices=["jobId"])
parser.add_argument("--output", choices=["text"])
parser.add_argument("--array-properties", default="")
parser.add_argument("--retry-strategy")
parser.add_argument("--depends-on", default="")
asked = parser.parse_args()

log = os.environ["JOBS"]
jobs = [json.loads(line) for line in open(log)] if os.path.exists(log) else []
if asked.depends_on:
    assert any(done["id"] == asked.depends_on.removeprefix("jobId=") for done in jobs), asked.depends_on
number = f"job-{len({done['id'] for done in jobs}) + 1}"
entrypoint = json.loads(os.environ["ENTRYPOINT"])
size = int(asked.array_properties.removeprefix("size=")) if asked.array_properties else 0
for task in range(size) if size else [None]:
    array = {} if task is None else {"AWS_BATCH_JOB_ARRAY_INDEX": str(task)}
    done = subprocess.run(entrypoint + json.loads(asked.container_overrides)["command"], env={**os.environ, **array}, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    with open(log, "a") as file:
        file.write(json.dumps({"id": number}) + "\n")
print(number)
