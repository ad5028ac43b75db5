"""The command line program: ``python -m exaspim_flatfield run ...`` is ``exaspim-flatfield run ...``."""
import os
import pathlib
import sys


def _become(name):
    """Replaces this process by the native program; `name` says which of its names it was called by."""
    program = pathlib.Path(__file__).with_name("bin") / "exaspim-flatfield"
    os.execv(program, [name, *sys.argv[1:]])


def main():
    _become("exaspim-flatfield")


def main_run():
    _become("exaspim-flatfield-run")


if __name__ == "__main__":
    main()
