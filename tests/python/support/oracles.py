"""Python environments with packages that Debian does not have, for comparisons that need them."""
import functools
import json
import shutil
import subprocess

import pytest

from support.program import REPOSITORY


def oracle(requirement):
    """The Python of an environment with a package of PyPI, e.g. "numpy==2.2.0"; made below build/oracles when it is
    first asked for. The test is skipped where that cannot be done.
    """
    return environment(requirement.replace("==", "-"), [requirement])


def environment(name, requirements):
    """The same with several packages, as build/oracles/NAME."""
    folder = REPOSITORY / "build" / "oracles" / name
    python = folder / "bin" / "python"
    install(folder, (("/usr/bin/python3", "-m", "venv", "--clear", str(folder)),
                     (str(python), "-m", "pip", "install", "--quiet", "--retries", "1", *requirements)))
    return python


def node_oracle(requirement):
    """The folder of an environment with a package of npm, e.g. "zarrita@0.5.4", in which `node` finds it. The test
    is skipped where that cannot be made.
    """
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    folder = REPOSITORY / "build" / "oracles" / requirement.replace("@", "-")
    folder.mkdir(parents=True, exist_ok=True)
    install(folder, (("npm", "install", "--silent", "--fetch-retries", "1", "--prefix", str(folder), requirement),))
    return folder


def install(folder, commands):
    """Skips the test where that fails."""
    missing = why_not_installed(folder, commands)
    if missing:
        pytest.skip(missing)


@functools.cache  # a server that does not answer is waited for once
def why_not_installed(folder, commands):
    """Makes a folder by commands, unless it is whole already; why that cannot be done, or None."""
    finished = folder / "installed"  # so that an environment that was half made is made again
    if finished.exists():
        return None
    for command in commands:
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return f"{folder.name} could not be installed in time"
        if made.returncode != 0:
            return f"{folder.name} cannot be installed here: {made.stderr.strip().splitlines()[-1:]}"
    finished.touch()
    return None


def ask_node(folder, program, value):
    """Runs a JavaScript module that reads JSON from its input and prints JSON; what it printed."""
    done = subprocess.run(["node", "--input-type=module", "--eval", program], input=json.dumps(value), cwd=folder,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(python, program, value):
    """Runs a Python program that reads JSON from its input and prints JSON; what it printed."""
    done = subprocess.run([str(python), "-c", program], input=json.dumps(value), capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
