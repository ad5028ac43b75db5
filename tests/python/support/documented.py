"""The commands that the documents show, and a folder in which those of README.md run as they are written.

Needs nothing but the standard library, so that a bare machine can use it (tests/bare_machine).
"""
import pathlib
import random
import re
import shlex
import signal
import struct
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))]
SHELLS = ("", "bash", "sh", "shell", "console")

TILES = ["tile_000001_ch_488.zarr", "tile_000002_ch_488.zarr"]
# What is too large for the tiles of a test.
REPLACED = {"0:512,2000:4000,2000:4000": "0:40,16:64,20:200", "--num-workers 16": "--num-workers 2",
            "--shape 256,256,256": "--shape 48,48,48",
            # At its usual size of 512 x 512 a fit takes minutes.
            "basic IMAGES": "basic IMAGES --basic-config basic.json"}


def fenced(document, languages=SHELLS, below=None):
    """The fenced blocks of a document, or of the part below a heading, in one of the languages, as text."""
    text = (REPOSITORY / document).read_text()
    if below is not None:
        (text,) = re.findall(rf"^## {below}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [text for language, text in blocks if language in languages]


def commands_of(block):
    """The commands of a block: continued lines joined, without comments. A block with a script in it is one command."""
    if block.startswith("#!"):
        return [block.strip()]
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    return [command for command in (re.sub(r"(^|\s)#\s.*$", "", line).strip() for line in lines) if command]


def write_image(path, rows):
    """An uncompressed TIFF of rows of uint16."""
    height, width = len(rows), len(rows[0])
    pixels = b"".join(struct.pack(f"<{width}H", *row) for row in rows)
    tags = [(256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 3, height), (279, 4, len(pixels))]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    header = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    path.write_bytes(header + pixels + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0")


def prepare(folder, program="exaspim-flatfield"):
    """What README.md takes for granted: tiles in DIR, their masks in MASKS, 2-D images in IMAGES."""
    for seed, name in enumerate(TILES):
        subprocess.run([program, "synth", "DIR", "--name", name, "--shape", "64,64,224", "--chunks", "32,32,64", "--n-levels", "4",
                        "--seed", str(seed)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (folder / "DIR" / "masks").rename(folder / "MASKS")
    (folder / "basic.json").write_text('{"working_size": 48}')
    (folder / "IMAGES").mkdir()
    noise = random.Random(0)
    for i in range(8):
        write_image(folder / "IMAGES" / f"{i}.tif",
                    [[int((200 + 20 * i) * (1 - abs(y - 20) / 60) * noise.uniform(0.9, 1.1)) for _ in range(48)] for y in range(40)])


def run_command(command, folder, environment=None):
    """Runs a command of a document; what it said, or AssertionError. `view` is asked to stop once it serves."""
    for long, short in REPLACED.items():
        command = command.replace(long, short)
    words = shlex.split(command)
    if words[1:2] == ["view"]:
        process = subprocess.Popen([*words, "--port", "0"], cwd=folder, env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Serving"):
                process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0 and any(line.startswith("Serving") for line in said), "".join(said)
        return "".join(said)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, text=True, timeout=100,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout
