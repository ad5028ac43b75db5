"""Slurm's srun within a job, as far as docs/cluster.md uses it: starts one step, which gets the signals of the job."""
import argparse
import os
import pathlib
import subprocess
import sys

parser = argparse.ArgumentParser()
# Since Slurm 22.05 a step does not take this from its job, and has one CPU without it.
parser.add_argument("--cpus-per-task", required=True)
parser.add_argument("command", nargs=argparse.REMAINDER)
asked = parser.parse_args()
assert os.environ["SLURM_JOB_ID"] and int(asked.cpus_per_task) <= int(os.environ["SLURM_CPUS_PER_TASK"])

step = pathlib.Path(f"{os.environ['JOBS']}.step")
reader, writer = os.pipe()  # the command starts when its number is written down
process = subprocess.Popen(["sh", "-c", f'read go <&{reader}; exec "$@"', "step", *asked.command], pass_fds=[reader])
step.write_text(str(process.pid))
os.write(writer, b"go\n")
code = process.wait()
step.unlink()
sys.exit(code if code >= 0 else 128 - code)
