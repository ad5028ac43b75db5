"""Calls of the package that are interrupted, and tiles that vanish while they are read."""
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading

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
