"""Slurm's scontrol, as far as docs/cluster.md uses it: `requeue JOB`, which sbatch.py looks for when the job has ended."""
import os
import pathlib
import sys

operation, job = sys.argv[1:]
assert operation == "requeue"
pathlib.Path(f"{os.environ['JOBS']}.requeue").write_text(job)
