"""Correction with Dask: a tile as a lazy corrected array, and the items of apply() on the workers of a cluster.

Needs dask, and for apply() distributed. The workers need this package, and the input and output in the same place: on
shared storage or S3.
"""
import contextlib
import hashlib
import logging
import os
import sys
import threading
import uuid
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

import numpy

from . import _native, errors, pipeline

__all__ = ["apply", "dask_array"]

_log = logging.getLogger("exaspim_flatfield")

# What another attempt does not mend.
_LASTING = (errors.UsageError, errors.NotFoundError, errors.BadInputError, errors.UnsupportedError,
            errors.OutputExistsError, errors.DoesNotFitError, errors.QualityError)

# Options that name a place each.
_PLACES = ("zarr", "output", "flatfield_path", "mask_dir", "results_dir", "median_summary_path", "model")


def _absolute(location):
    return str(location) if "://" in str(location) else os.path.abspath(location)


@contextlib.contextmanager
def _task():
    """In a thread of a worker an interruption is an error: Dask ends a worker whose task raises KeyboardInterrupt."""
    try:
        yield
    except errors.InterruptedRunError as interruption:
        if threading.current_thread() is threading.main_thread():
            raise
        raise errors.error_of(interruption) from None


def _corrected_chunk(shared, t, c, block_info=None):
    tile, model = shared
    box = tuple(slice(*ends) for ends in block_info[None]["array-location"])
    with _task():
        return _native.correct_block(model, box, tile=tile, t=t, c=c)


def dask_array(tile: Union["_native.Tile", pipeline.Location], model: Union["_native.Model", pipeline.Location], *,
               t: int = 0, c: int = 0, chunks: Optional[Sequence[int]] = None):
    """The corrected volume of a tile as a dask array of uint16 (z, y, x): nothing is read or computed before it is asked for.

    Its values are those that apply() writes to level 0. ``tile`` and ``model``: opened, or their locations. ``t``, ``c``:
    which time point and channel. ``chunks``: voxels (z, y, x) of its chunks; default: those of the tile. Larger ones make
    smaller graphs: multiples of the tile's chunks are read best.
    """
    import dask
    import dask.array

    if not isinstance(tile, _native.Tile):
        tile = _native.open_tile(_absolute(tile))
    if not isinstance(model, _native.Model):
        model = _native.read_model(model)
    shape = tile.shape(model.level)
    if model.shape != shape:
        model = model.resized(shape)
    chunks = dask.array.core.normalize_chunks(tuple(tile.chunks(model.level) if chunks is None else chunks), shape=shape)
    content = hashlib.sha256(model.to_bytes())
    content.update(repr((_absolute(tile.location), model.level, shape, t, c, chunks)).encode())
    content.update(repr(tile.__getstate__()).encode())  # with the server that it is on
    name = content.hexdigest()[:32]
    # One object that all chunks share: a worker gets it once.
    shared = dask.delayed((tile, model), name="flatfield-model-" + name, traverse=False)
    return dask.array.map_blocks(_corrected_chunk, shared, t, c, name="flatfield-" + name, chunks=chunks,
                                 dtype=numpy.uint16, meta=numpy.empty((0, 0, 0), numpy.uint16))


def _resolved(options):
    """Options as tasks get them: with those of files, and places that mean the same in whatever folder a worker runs."""
    settings = {key: value for key, value in _native._resolved(options).items() if value is not None}
    if "part" in settings:
        raise errors.UsageError("part: the items are dealt out by parts=N")
    # What these files hold is in "fitting" and "basic".
    for key in ("fitting_config", "basic_config"):
        settings.pop(key, None)
    summary = settings["fitting"]["median_summary_path"]
    if settings["method"] == "fitting" and summary is not None:
        settings.setdefault("median_summary_path", summary)
    settings.setdefault("results_dir", "results")
    for key in _PLACES:
        if key in settings:
            settings[key] = _absolute(settings[key])
    if "tile_paths" in settings:
        settings["tile_paths"] = [_absolute(tile) for tile in settings["tile_paths"]]
    # What a file or the environment says of these is for all of this machine.
    for key in ("num_workers", "memory_limit"):
        settings.pop(key, None)
        if options.get(key) is not None:
            settings[key] = options[key]
    return settings


def _fair_share(options):
    """Options of a task: one thread, and its share of what its worker may hold, where nothing else was asked for."""
    import distributed

    options = {"num_workers": 1, **options}
    worker = distributed.get_worker()
    limit = getattr(worker, "memory_manager", worker).memory_limit
    if limit and options.get("memory_limit") is None:
        # 0.6: where Dask begins to be concerned about a worker's memory.
        options["memory_limit"] = int(0.6 * limit / max(1, worker.state.nthreads))
    return options


def _apply_part(options, part):
    with _task():
        return pipeline.apply(**_fair_share(options), part=part)


def _finalize(options):
    with _task():
        return pipeline.finalize(**_fair_share(options))


def _show(done, parts):
    """A bar on the last line of a terminal."""
    if not sys.stderr.isatty():
        return
    filled = 30 * done // parts
    sys.stderr.write(f"\rapply [{'#' * filled}{'.' * (30 - filled)}] {done} of {parts} parts" + "\n" * (done == parts))
    sys.stderr.flush()


def _attempts(client, options, parts, retries):
    """Yields the report of each part as it is done. A part that is lost or fails is tried again."""
    import distributed

    tries = dict.fromkeys(range(parts), 0)

    def submit(i):
        part = "" if parts == 1 else f"{i}/{parts}"
        return client.submit(_apply_part, options, part, pure=False, key=f"flatfield-apply-{i}-{uuid.uuid4().hex}")

    running = {submit(i): i for i in tries}
    waiting = distributed.as_completed(list(running))
    try:
        for future in waiting:
            i = running.pop(future)
            error = future.exception() if future.status == "error" else None
            if future.status == "finished":
                yield future.result()
                continue
            tries[i] += 1
            if isinstance(error, _LASTING) or tries[i] > retries:
                raise error or errors.InternalError(f"part {i} of {parts} was lost {tries[i]} times")
            _log.warning("part %d of %d is tried again: %s", i, parts, error or future.status)
            again = submit(i)
            running[again] = i
            waiting.add(again)
    finally:
        client.cancel(list(running))


def apply(*, client, parts: Optional[int] = None, retries: int = 3, finalize: bool = True,
          progress: Optional[Callable[[int, int], Any]] = _show, **options: Any) -> Union[Dict[str, Any], List[Dict[str, Any]]]:
    """apply() of one tile in parts on the workers of a Dask cluster, then finalize() on one of them.

    ``client``: a distributed.Client of any cluster (LocalCluster, dask-jobqueue, Kubernetes, ...). ``options``: those of
    pipeline.apply(), the same as estimate() was called with, or with the ``model`` that it has written. Files of options are
    read here, and relative paths are those of this process; places must mean the same on all workers.

    ``parts``: into how many the items are dealt out; default: four for each thread of the workers that are there, once the
    first is. Where more are on their way, ``client.wait_for_workers(n)`` before this, or ``parts``, sees to it that all are
    used. A task takes one thread and its share of its worker's memory, unless the arguments ``num_workers`` and
    ``memory_limit`` say otherwise.

    Workers may come and go: what was done stays done, so a part that is lost with its worker is gone on with elsewhere, up
    to ``retries`` times beyond those of Dask. ``progress(done, parts)`` is called after each part; by default a terminal
    shows a bar; None = nothing. Returns the run report of finalize, or with ``finalize=False`` those of the parts.
    Raises what a part could not be done for; the same call goes on where it was.
    """
    options = _resolved(options)
    if parts is None:
        if not client.nthreads():
            # Not wait_for_workers: a cluster that adapts itself starts none without work.
            client.submit(int, pure=False).result()
        parts = 4 * max(1, sum(client.nthreads().values()))
    if parts < 1:
        raise errors.UsageError(f"parts: expected at least 1, found {parts}")
    reports = []
    for report in _attempts(client, options, parts, retries):
        reports.append(report)
        _log.info("apply: %d of %d parts done", len(reports), parts)
        if progress is not None:
            progress(len(reports), parts)
    if not finalize:
        return reports
    return client.submit(_finalize, options, pure=False, retries=retries).result()
