"""How much memory a program takes, as the kernel counts it."""
import os
import subprocess


def peak_resident_bytes(*words, cwd):
    """Calls a program that must go well; the maximum resident size of its process."""
    process = subprocess.Popen([str(word) for word in words], cwd=cwd, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    with process.stderr:
        messages = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, messages
    return usage.ru_maxrss * 1024
