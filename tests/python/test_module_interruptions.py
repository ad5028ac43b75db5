"""Calls of the package that are interrupted, and tiles that vanish while they are read."""
import functools
import http.server
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from support.module import flatfield
from support.module_tile import contents, corrected, image_of, options_for, tile  # noqa: F401

errors = flatfield.errors


@pytest.fixture
def interruptible():
    """Ctrl-C as in a terminal: shells start programs in the background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_run_between_two_items(tile, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        flatfield.run(progress=lambda *step: os.kill(os.getpid(), signal.SIGINT), **options_for(tile, tmp_path))
    assert isinstance(caught.value, errors.InterruptedRunError) and caught.value.exit_code == 75
    assert signal.getsignal(signal.SIGINT) is before
    # The request is forgotten.
    assert flatfield.run(**options_for(tile, tmp_path))["tiles"][0]["status"] == "corrected"


@pytest.mark.usefixtures("interruptible")
def test_who_goes_on_after_any_exception_does_not_go_on_after_an_interrupt(tile, tmp_path):
    begun = []

    def correct_two_tiles():
        for i in range(2):
            begun.append(i)
            try:
                flatfield.run(progress=lambda *step: os.kill(os.getpid(), signal.SIGINT), **options_for(tile, tmp_path / str(i)))
            except Exception:
                pass

    with pytest.raises(errors.InterruptedRunError) as caught:
        correct_two_tiles()
    assert begun == [0]
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert isinstance(error, KeyboardInterrupt) and not isinstance(error, Exception)
        assert (error.code, error.exit_code) == ("interrupted", 75) and error.message in str(error)
        assert (error.where, error.remedy) == (caught.value.where, caught.value.remedy)


@pytest.fixture
def endless_tile(tmp_path):
    """64 million chunks of one voxel, none of which is there: minutes to look for them."""
    tile = tmp_path / "tile_000001_ch_488.zarr"
    (tile / "0").mkdir(parents=True)
    documents = {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"multiscales": [{"version": "0.4", "axes": [{"name": name, "type": "space"} for name in "zyx"],
                                     "datasets": [{"path": "0", "coordinateTransformations": [
                                         {"type": "scale", "scale": [1, 1, 1]}]}]}]},
        "0/.zarray": {"zarr_format": 2, "shape": [400] * 3, "chunks": [1] * 3, "dtype": "|u1", "compressor": None,
                      "fill_value": 0, "order": "C", "filters": None}}
    for name, document in documents.items():
        (tile / name).write_text(json.dumps(document))
    return tile


@pytest.mark.parametrize("call_it", [
    lambda tile: flatfield.open_tile(tile).read(workers=2),
    lambda tile: flatfield.plan(zarr=tile, output=tile.parent / "out", method="reference", skip_flat_field=True, res="0"),
], ids=["read", "plan"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_what_takes_long(endless_tile, call_it):
    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call_it(endless_tile)
    timer.join()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_comes_too_late_is_not_lost(tile):
    """Each call has one piece of work, and most of the time is spent within one."""
    image = flatfield.open_tile(tile)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(10 ** 5):
            image.read((slice(0, 4), slice(0, 4), slice(0, 4)))
    timer.join()


def test_a_signal_that_is_ignored_stays_ignored(tile):
    program = f"""
import signal, threading, os
import support.module
flatfield = support.module.flatfield
signal.signal(signal.SIGINT, signal.SIG_IGN)
image = flatfield.open_tile({str(tile)!r})
stop = threading.Event()
sender = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGINT) or stop.wait(0.001) for _ in range(200)])
sender.start()
while sender.is_alive():
    image.read()
print("went on")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                            cwd=os.path.dirname(__file__))
    assert result.stdout == "went on\n", result.stderr


def test_a_process_that_is_forked_from_a_run_is_ended_by_a_signal(tile, tmp_path):
    statuses = []

    def fork_and_end(stage, done, total):
        if statuses:
            return
        ready, begun = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(begun, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        statuses.append(os.waitpid(child, 0)[1])
        os.close(ready)
        os.close(begun)

    assert flatfield.run(progress=fork_and_end, **options_for(tile, tmp_path))["tiles"][0]["status"] == "corrected"
    assert statuses == [signal.SIGTERM]  # killed by it


class Vanishing(http.server.SimpleHTTPRequestHandler):
    """A web server of a folder, without the first chunk that is asked for. Where `with_all`, nothing is there from then on."""
    with_all = False
    missing = None

    def send_head(self):
        if Vanishing.missing is None and self.path.rpartition("/")[2].isdigit():
            Vanishing.missing = self.path
        if self.path == Vanishing.missing or (Vanishing.missing and Vanishing.with_all):
            self.send_error(404)
            return None
        return super().send_head()

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("with_all", [False, True], ids=["chunk", "tile"])
def test_a_tile_that_vanishes_while_it_is_read_is_an_error_and_a_chunk_that_is_absent_is_none(with_all, tile, monkeypatch):
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(Vanishing, "with_all", with_all)
    monkeypatch.setattr(Vanishing, "missing", None)
    handler = functools.partial(Vanishing, directory=os.path.dirname(tile))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = flatfield.open_tile(f"http://127.0.0.1:{server.server_address[1]}/{os.path.basename(tile)}")
        if with_all:
            with pytest.raises(errors.ReadError, match="vanished"):
                there.read()
        else:
            voxels = there.read()
            expected = flatfield.open_tile(tile).read()
            assert not voxels[:16, :32, :48].any() and expected[:16, :32, :48].any()
            assert (voxels[16:] == expected[16:]).all()
        server.shutdown()


@pytest.mark.parametrize("what", ["tile", "chunk"])
def test_a_tile_that_vanishes_while_it_is_corrected_is_an_error_and_nothing_looks_finished(what, tile, corrected, tmp_path):
    mine = tmp_path / os.path.basename(tile)
    shutil.copytree(tile, mine)
    options = {**options_for(tile, tmp_path), "zarr": mine}
    taken = mine if what == "tile" else mine / "0/0/0/5/3/2"
    away = tmp_path / "away"

    def take(stage, done, total):
        if not away.exists():
            os.rename(taken, away)

    with pytest.raises(errors.FlatfieldError, match="vanished" if what == "tile" else "changed while"):
        flatfield.run(progress=take, **options)
    image = image_of(tmp_path, tile)
    assert "multiscales" not in json.loads((image / ".zattrs").read_text() if (image / ".zattrs").exists() else "{}")
    os.rename(away, taken)
    with pytest.raises(errors.OutputExistsError, match="not to be gone on with"):
        flatfield.run(**options)
    options["overwrite"] = True
    assert flatfield.run(**options)["tiles"][0]["status"] == "corrected"
    assert contents(image) == contents(image_of(corrected[0], tile))


def test_an_apply_step_gives_up_what_it_made_of_a_tile_that_changed(tile, tmp_path):
    mine = tmp_path / os.path.basename(tile)
    shutil.copytree(tile, mine)
    options = {**options_for(tile, tmp_path), "zarr": mine}
    flatfield.estimate(**options)
    with pytest.raises(errors.BadInputError, match="changed while"):
        flatfield.apply(progress=lambda *step: os.utime(mine / "0/0/0/5/3/2", (1, 1)), **options)
    with pytest.raises(errors.OutputExistsError, match="not to be gone on with"):
        flatfield.finalize(**options)
