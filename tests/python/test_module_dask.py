"""Dask: lazy corrected arrays, and apply on a cluster of processes, one of which is killed on the way."""
import os
import signal

import dask
import dask.array
import distributed
import numpy as np
import pytest
import zarr

from support.module import flatfield
from support.program import read_json

import exaspim_flatfield.dask as flatfield_dask  # noqa: E402  (the package's path is set by support.module)

NAME = "tile_000000_ch_488.zarr"
# A LocalCluster forgets a worker that does not come back in time; how fast it does is not what is tested.
dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    flatfield.synthesize(folder, shape=[136, 130, 150], chunks=[8, 8, 24], n_levels=4)
    return folder


def options_for(phantom, folder):
    return dict(zarr=phantom / NAME, output=folder / "out" / "SPIM.ome.zarr", mask_dir=phantom / "masks",
                results_dir=folder / "results", n_levels=5)


@pytest.fixture(scope="module")
def corrected(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    flatfield.run(**options_for(phantom, folder))
    return folder


def contents(folder):
    """Every file of the outputs by its relative path, but for those that hold times, and their checksums."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in (".zattrs", ".exaspim_flatfield_checksums.npz")}


@pytest.fixture(scope="module")
def client():
    """A cluster of two processes, which are started again when they die."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
                                  memory_limit="2GB") as cluster, distributed.Client(cluster) as client:
        yield client


# ---------------------------------------------------------------------------------------------


def test_a_lazy_array_is_the_written_voxels(phantom, corrected):
    model = flatfield.estimate(zarr=phantom / NAME, mask_dir=phantom / "masks")
    lazy = flatfield_dask.dask_array(phantom / NAME, model)
    written = zarr.open_array(str(corrected / "out" / "SPIM.ome.zarr" / NAME / "0"), mode="r")[0, 0]
    assert isinstance(lazy, dask.array.Array) and lazy.shape == written.shape and lazy.dtype == np.uint16
    assert lazy.chunksize == (8, 8, 24)
    np.testing.assert_array_equal(lazy[20:31, 5:99, 140].compute(scheduler="threads"), written[20:31, 5:99, 140])
    np.testing.assert_array_equal(lazy[::40, ::3, -1].compute(scheduler="synchronous"), written[::40, ::3, -1])
    coarse = flatfield_dask.dask_array(flatfield.open_tile(phantom / NAME), model, chunks=(64, 64, 144))
    assert coarse.numblocks == (3, 3, 2) and coarse.name != lazy.name
    np.testing.assert_array_equal(coarse.compute(scheduler="threads"), written)
    assert flatfield_dask.dask_array(phantom / NAME, model).name == lazy.name


def test_nothing_is_read_before_it_is_asked_for(phantom, tmp_path):
    """A tile all of whose chunks but one are damaged: that one can be corrected."""
    model = flatfield.estimate(zarr=phantom / NAME, mask_dir=phantom / "masks")
    other = flatfield.synthesize(tmp_path, shape=[136, 130, 150], chunks=[8, 8, 24], n_levels=1)
    for chunk in (path for path in (tmp_path / NAME / "0").rglob("*") if path.is_file() and path.name[0] != "."):
        if not str(chunk).endswith("/0/0/3/2/1"):
            chunk.write_bytes(b"damaged")
    lazy = flatfield_dask.dask_array(other, model)
    assert lazy[24:32, 16:24, 24:48].compute(scheduler="threads").shape == (8, 8, 24)
    with pytest.raises(flatfield.errors.BadInputError):
        lazy[23, 16, 24].compute(scheduler="threads")


def test_lazy_arrays_are_computed_on_a_cluster(phantom, corrected, client):
    model = flatfield.estimate(zarr=phantom / NAME, mask_dir=phantom / "masks")
    written = zarr.open_array(str(corrected / "out" / "SPIM.ome.zarr" / NAME / "0"), mode="r")[0, 0]
    lazy = flatfield_dask.dask_array(phantom / NAME, model, chunks=(68, 65, 75))
    np.testing.assert_array_equal(client.compute(lazy).result(), written)
    assert client.compute(lazy.max()).result() == written.max()


def test_a_cluster_writes_what_run_writes_though_a_worker_is_killed(phantom, corrected, client, tmp_path):
    options = options_for(phantom, tmp_path)
    flatfield.estimate(**options)
    killed, steps = [], []

    def kill_one(done, parts):
        steps.append((done, parts))
        if not killed:
            busy = [address for address, tasks in client.processing().items() if tasks]
            killed.append(client.run(os.getpid, workers=busy[:1])[busy[0]])
            os.kill(killed[0], signal.SIGKILL)

    report = flatfield_dask.apply(client=client, parts=12, progress=kill_one, **options)
    assert len(killed) == 1 and killed[0] not in client.run(os.getpid).values()
    assert steps == [(i + 1, 12) for i in range(12)]
    assert report["tiles"][0]["status"] == "corrected"
    written = contents(tmp_path / "out")
    assert len(written) > 500 and written == contents(corrected / "out")
    assert flatfield.verify(tmp_path / "out" / "SPIM.ome.zarr" / NAME, all=True)["good"]


def test_workers_that_die_again_and_again_get_their_parts_done(phantom, corrected, tmp_path):
    """Every worker kills itself after its 20th item, and so do those that take its place: each gets some done."""
    options = options_for(phantom, tmp_path)
    flatfield.estimate(**options)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
                                  env={"FLATFIELD_KILL_AT": "item.noted:20"}) as mortal, distributed.Client(mortal) as client:
        reports = flatfield_dask.apply(client=client, parts=2, retries=5, finalize=False, progress=None, **options)
    items = [report["tiles"][0]["items"] for report in reports]
    assert [count["total"] for count in items] == [50, 50]  # half of those of the tile and of the mask
    assert sum(count["found"] for count in items) >= 20  # done by workers that died
    flatfield.finalize(**options)
    assert contents(tmp_path / "out") == contents(corrected / "out")


def test_what_another_attempt_does_not_mend_is_raised(phantom, client, tmp_path):
    with pytest.raises(flatfield.errors.NotFoundError, match="estimate first"):
        flatfield_dask.apply(client=client, parts=3, **options_for(phantom, tmp_path))
    with pytest.raises(flatfield.errors.UsageError, match="n_levels"):
        flatfield_dask.apply(client=client, parts=1, **{**options_for(phantom, tmp_path), "n_levels": 0})
    with pytest.raises(flatfield.errors.UsageError, match="parts"):
        flatfield_dask.apply(client=client, parts=0, **options_for(phantom, tmp_path))


def test_a_model_from_elsewhere_is_applied_without_an_estimate(phantom, corrected, client, tmp_path):
    options = options_for(phantom, tmp_path)
    flatfield.estimate(**{**options, "output": None, "model": tmp_path / "m.npz"})
    shares = []
    flatfield_dask.apply(client=client, model=tmp_path / "m.npz", progress=lambda *step: shares.append(step), **options)
    assert shares[-1] == (8, 8)  # four for each thread
    written = zarr.open_array(str(tmp_path / "out" / "SPIM.ome.zarr" / NAME / "0"), mode="r")[...]
    np.testing.assert_array_equal(written, zarr.open_array(str(corrected / "out" / "SPIM.ome.zarr" / NAME / "0"), mode="r")[...])
    assert read_json(tmp_path / "results" / "run_report.json")["tiles"][0]["status"] == "corrected"
