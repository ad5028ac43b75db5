"""Runs what README.md shows below "Use", one command after another, with the installed program. Usage: first_hour.py FOLDER"""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

from support.documented import commands_of, fenced, prepare, run_command  # noqa: E402


def main():
    # What a shell starts in the background ignores SIGINT, and so would `view`, which is interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir()
    prepare(folder)
    for block in fenced("README.md", below="Use"):
        for command in commands_of(block):
            print(f"$ {command}", flush=True)
            run_command(command, folder)
    report = folder / "RESULTS" / "tile_000001_ch_488.zarr_report.html"
    print(f"the report has {report.stat().st_size} bytes")


if __name__ == "__main__":
    main()
