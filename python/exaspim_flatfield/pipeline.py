"""The steps of a correction, as the commands of the command line do them, with the same options.

Options are keyword arguments named as the keys of a configuration file (docs/configuration.md): ``zarr``, ``output``,
``method``, ``mask_dir``, ``n_levels``, ``num_workers``, ``memory_limit``, ``results_dir``, ``model``, ``overwrite``, ...;
the options of a method are ``fitting=dict(...)`` or ``basic=dict(...)``. They win over those of the file ``config``, and of the
``fitting_config`` or ``basic_config`` that it names. None is the same as leaving one out. Paths may be pathlib paths, and
``s3://`` URLs where the command line takes them. They need not be UTF-8 (``os.fsdecode``), but JSON is: in reports, records and
``Model.tile`` the character U+FFFD stands for what is not.

What is said on the way goes to ``logging.getLogger("exaspim_flatfield")`` (a record's ``event`` is that of the JSON log). Errors are raised: see
:mod:`exaspim_flatfield.errors`. In the main thread an interrupt (Ctrl-C, SIGTERM) ends a step between two items with
InterruptedRunError, a kind of KeyboardInterrupt and not of FlatfieldError; the same call goes on where it was.
"""
import logging
import pathlib
import tempfile
from typing import Any, Callable, Dict, Optional, Union

from . import _native

__all__ = ["apply", "estimate", "finalize", "plan", "run", "synthesize", "verify"]

Progress = Callable[[str, int, int], Any]
Location = Union[str, "pathlib.PurePath"]

_log = logging.getLogger("exaspim_flatfield")
_log.addHandler(logging.NullHandler())


def _say(level: int, event: str, message: str) -> None:
    _log.log(level, "%s", message, extra={"event": event})


def _run(step: str, options: Dict[str, Any], progress: Optional[Progress]) -> Dict[str, Any]:
    return _native._run(step, options, _say, progress)


def run(*, progress: Optional[Progress] = None, **options: Any) -> Dict[str, Any]:
    """Corrects a tile, or the tiles of a batch (``tile_paths=[...]``): estimate, apply and finalize in one.

    ``progress(stage, done_bytes, total_bytes)`` is called after each item; what it raises ends the run between two items
    and is raised from here. Returns the run report (what stands in ``results_dir/run_report.json``). An output that is
    finished is left as it is, an unfinished one is gone on with.
    """
    return _run("run", options, progress)


def estimate(*, progress: Optional[Progress] = None, **options: Any) -> "_native.Model":
    """Learns the correction of a tile: the first step of run(). Returns the Model.

    With ``model=FILE`` it is written there; with ``output`` it is left beside the output, for apply() and finalize() with
    the same options; with neither it is in memory only, and so are the reports, but for a ``results_dir`` that is given.
    Raises OutputExistsError where the output is finished already, unless ``model`` is given.
    """
    settings = _native._resolved(options)
    s3 = {key: value for key, value in settings.items() if key.startswith("s3_")}
    if settings["model"] is None and settings["output"] is None:
        with tempfile.TemporaryDirectory(prefix="exaspim_flatfield_") as folder:
            options = {**options, "model": folder + "/model.npz"}
            if settings["results_dir"] is None and options.get("results_dir") is None:
                options["results_dir"] = folder
            _run("estimate", options, progress)
            return _native.read_model(options["model"])
    location = _native._model_location(options)
    _run("estimate", options, progress)
    return _native.read_model(location, **s3)


def apply(*, progress: Optional[Progress] = None, **options: Any) -> Dict[str, Any]:
    """Corrects a tile, or with ``part="I/N"`` a share of its items: the second step of run(). Returns the run report.

    Shares may be corrected at the same time, in any order, on any machines. exaspim_flatfield.dask.apply() does it on a
    Dask cluster.
    """
    return _run("apply", options, progress)


def finalize(*, progress: Optional[Progress] = None, **options: Any) -> Dict[str, Any]:
    """Writes the levels above the items and the metadata: the last step of run(). Returns the run report.

    Raises NotFoundError that says which items are missing, if any are.
    """
    return _run("finalize", options, progress)


def plan(**options: Any) -> Dict[str, Any]:
    """What run() with the same options would do: ``{"tiles": [...]}`` with what it would read, write and take.

    Of a tile ``is_finished`` says that run() would skip it, and ``items_done`` how many items of an unfinished output it would
    find done (None: it would begin afresh). Raises DoesNotFitError, which names the smallest limit that works, where the work
    does not fit into the memory, and OutputExistsError where run() would. Of several tiles, one that run() would fail at
    has only ``tile`` and ``error``, and the others their plans.
    """
    return _native._plan(options, _say)


def verify(location: Location, *, quick: bool = False, all: bool = False, workers: int = 1,
           num_workers: Optional[int] = None, **s3: Any) -> Dict[str, Any]:
    """Checks an image that was written by this program: every object is as it was written, each level made of the one below.

    ``quick`` looks at sizes only, ``all`` at every block of the pyramid instead of a sample. ``workers``, or ``num_workers``
    as in the steps of a run: threads. ``s3``: options of S3, e.g. ``s3_anonymous=True``. Returns a dict: ``good``,
    ``problems`` and ``notes`` (texts), ``objects`` (that were read), ``blocks`` (that were held against the level below) and
    ``blocks_in_all``. Raises what keeps it from being checked.
    """
    return _native._verify(location, quick, all, workers if num_workers is None else num_workers, s3)


def synthesize(output: Location, **options: Any) -> str:
    """Makes a phantom tile with known illumination below the local folder ``output``: returns its path.

    Beside it are ``masks/`` and the truth (NAME.truth.json). Options: ``name``, ``shape``, ``chunks``, ``n_levels``,
    ``seed``, ``is_binned``, ``background``, ``foreground``, ``illumination``, ``noise``, ``num_workers``, ``overwrite``;
    as those of ``exaspim-flatfield synth``.
    """
    return _native._synthesize(output, options)
