"""How much memory a program takes, as the kernel counts it."""
import subprocess
import sys

# The kernel counts what a process held before it became another program too, so the caller must be a small one.
CALLER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak_resident_bytes(*words, cwd):
    """Calls a program that must go well; the maximum resident size of its process."""
    finished = subprocess.run([sys.executable, "-S", "-c", CALLER, *map(str, words)], cwd=cwd, text=True,
                              capture_output=True)
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout) * 1024
