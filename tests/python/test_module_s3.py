"""The package on S3, with a server that only its options name, and on a web server within its own process."""
import os
import subprocess
import sys

import numpy as np
import pytest

from support.module import flatfield
from support.s3 import KEYS, serve

errors = flatfield.errors
NAME = "tile_000000_ch_488.zarr"


@pytest.fixture
def server(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_") or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    with serve() as running:
        yield running


def test_what_is_learnt_on_a_server_of_the_options_is_read_there(server, tmp_path):
    flatfield.synthesize(tmp_path / "in", name=NAME, shape=[48, 70, 90], chunks=[16, 32, 32], n_levels=4)
    server.control(load={"bucket": str(tmp_path / "in")})
    s3 = dict(s3_endpoint=server.url, s3_region="us-east-1")
    options = dict(zarr=f"s3://bucket/{NAME}", output="s3://bucket/out", mask_dir="s3://bucket/masks", n_levels=2,
                   results_dir=tmp_path / "results", **s3)
    learnt = flatfield.estimate(**options)
    flatfield.estimate(**options, model="s3://bucket/m.npz")
    read = flatfield.read_model("s3://bucket/m.npz", **s3)
    assert read.volume().ratio == learnt.volume().ratio > 0
    raw = flatfield.open_tile(tmp_path / "in" / NAME).read()
    expected = flatfield.correct_block(read, None, raw)
    np.testing.assert_array_equal(flatfield.correct_block(read, **s3), expected)
    np.testing.assert_array_equal(flatfield.correct_block(read, tile=options["zarr"], **s3), expected)
    with pytest.raises(errors.UsageError, match="unknown option n_levels"):
        flatfield.read_model("s3://bucket/m.npz", n_levels=2)
    with pytest.raises(errors.UsageError, match="unknown option worker"):
        flatfield.correct_block(read, None, raw, worker=2)
    for named_otherwise in (dict(raw=raw), dict(tile=flatfield.open_tile(options["zarr"], **s3))):
        with pytest.raises(errors.UsageError, match="the tile is open already, or is not read"):
            flatfield.correct_block(read, s3_endpoint=server.url, **named_otherwise)


ANSWERS_ITSELF = """
import functools, http.server, sys, threading
import numpy as np
import support.module
flatfield = support.module.flatfield
folder, name, model = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = flatfield.open_tile(f"{folder}/{name}")
there = flatfield.open_tile(f"http://127.0.0.1:{server.server_address[1]}/{name}")
for ask in ("shape", "chunks", "dtype", "volumes"):
    assert getattr(there, ask)() == getattr(here, ask)(), ask
np.testing.assert_array_equal(there.read(), here.read())
model = flatfield.read_model(model)
np.testing.assert_array_equal(flatfield.correct_block(model, tile=there), flatfield.correct_block(model, tile=here))
print("answered")
"""


def test_a_thread_of_the_same_process_can_serve_a_tile(tmp_path):
    """With Python's lock held while it waits for an answer, the package would wait for itself."""
    folder = tmp_path / "in"
    tile = flatfield.synthesize(folder, name=NAME, shape=[48, 70, 90], chunks=[16, 32, 32], n_levels=4)
    flatfield.estimate(zarr=tile, mask_dir=folder / "masks", model=tmp_path / "m.npz", results_dir=tmp_path / "results")
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("AWS_") and "proxy" not in name.lower()}
    result = subprocess.run([sys.executable, "-c", ANSWERS_ITSELF, folder, NAME, tmp_path / "m.npz"], capture_output=True,
                            text=True, timeout=60, cwd=os.path.dirname(os.path.abspath(__file__)), env=environment)
    assert result.stdout == "answered\n", result.stderr
