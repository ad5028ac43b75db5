"""Dask: lazy corrected arrays, and apply on a cluster of processes, one of which is killed on the way."""
import json
import os
import signal

import dask
import dask.array
import distributed
import numpy as np
import pytest
import zarr

from support.module import flatfield
from support.program import call, read_json

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
    elsewhere = flatfield.open_tile(phantom / NAME, s3_endpoint="http://127.0.0.1:9")
    assert flatfield_dask.dask_array(elsewhere, model).name != lazy.name
    assert flatfield_dask.dask_array(phantom / NAME, model, chunks=np.array((64, 64, 144))).name == coarse.name


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


def test_a_lazy_array_of_a_relative_place_is_computed_in_other_folders(phantom, corrected, client, monkeypatch):
    monkeypatch.chdir(phantom)
    model = flatfield.estimate(zarr=NAME, mask_dir="masks")
    written = zarr.open_array(str(corrected / "out" / "SPIM.ome.zarr" / NAME / "0"), mode="r")[0, 0]
    for tile in (NAME, flatfield.open_tile(NAME)):
        lazy = flatfield_dask.dask_array(tile, model)
        np.testing.assert_array_equal(client.compute(lazy[70:75]).result(), written[70:75])
        assert lazy.name == flatfield_dask.dask_array(phantom / NAME, model).name
    lazy = flatfield_dask.dask_array(NAME, model)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(lazy[:3].compute(scheduler="threads"), written[:3])


def test_relative_places_are_those_of_the_client_in_files_too(phantom, client, tmp_path, monkeypatch):
    """The workers were started in another folder."""
    (tmp_path / "medians.json").write_text(json.dumps({"488": {"mean_of_medians": 77.0}}))
    (tmp_path / "fitting.json").write_text(json.dumps({"median_summary_path": "medians.json"}))
    monkeypatch.chdir(tmp_path)
    config = dict(tile_paths=[os.path.relpath(phantom / NAME)], output="out/SPIM.ome.zarr", n_levels=5,
                  mask_dir=os.path.relpath(phantom / "masks"), results_dir="told", fitting_config="fitting.json")
    (tmp_path / "run.json").write_text(json.dumps(config))
    flatfield.estimate(config="run.json")
    report = flatfield_dask.apply(client=client, parts=2, progress=None, config="run.json")
    assert report == read_json(tmp_path / "told" / "run_report.json") and not (tmp_path / "results").exists()
    flatfield.run(config="run.json", output="at_once/SPIM.ome.zarr")
    assert contents(tmp_path / "out") == contents(tmp_path / "at_once")


def test_keywords_win_over_the_file_on_workers_too(phantom, corrected, client, tmp_path):
    options = options_for(phantom, tmp_path)
    (tmp_path / "fitting.json").write_text(json.dumps({"gaussian_sigma": 4}))
    (tmp_path / "run.json").write_text(json.dumps({"fitting_config": str(tmp_path / "fitting.json"), "n_levels": 2}))
    options.update(config=tmp_path / "run.json", fitting={})
    flatfield.estimate(**options)
    flatfield_dask.apply(client=client, parts=2, progress=None, **options)
    assert contents(tmp_path / "out") == contents(corrected / "out")


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


@pytest.mark.parametrize("grow", [lambda cluster: cluster.scale(1), lambda cluster: cluster.adapt(minimum=0, maximum=1)],
                         ids=["scaled", "adaptive"])
def test_parts_are_counted_once_a_worker_has_started(phantom, tmp_path, grow):
    options = options_for(phantom, tmp_path)
    flatfield.estimate(**options)
    shares = []
    with distributed.LocalCluster(n_workers=0, threads_per_worker=3, processes=True, dashboard_address=":0") as cluster, \
            distributed.Client(cluster) as client:
        grow(cluster)
        flatfield_dask.apply(client=client, progress=lambda *step: shares.append(step), **options)
    assert shares[-1] == (12, 12)


def test_a_task_that_is_interrupted_is_tried_again_by_the_same_worker(phantom, tmp_path, monkeypatch):
    """Dask ends a worker whose task raises KeyboardInterrupt."""
    options = options_for(phantom, tmp_path)
    flatfield.estimate(**options)
    calls = []

    def interrupted_once(apply):
        def step(**options):
            calls.append(options.get("part"))
            if len(calls) == 1:
                raise flatfield.errors.InterruptedRunError("asked to stop")
            return apply(**options)
        return step

    monkeypatch.setattr(flatfield.pipeline, "apply", interrupted_once(flatfield.apply))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster, \
            distributed.Client(cluster) as client:
        before = list(client.nthreads())
        report = flatfield_dask.apply(client=client, parts=2, progress=None, **options)
        assert list(client.nthreads()) == before
        assert report["tiles"][0]["status"] == "corrected" and len(calls) == 3
        calls.clear()
        with pytest.raises(flatfield.FlatfieldError, match="asked to stop") as caught:
            flatfield_dask.apply(client=client, parts=1, retries=0, progress=None, **options)
        assert (caught.value.code, caught.value.exit_code) == ("interrupted", 75)


def test_the_share_of_a_task_is_not_an_option(phantom, client, tmp_path):
    (tmp_path / "run.json").write_text('{"part": "0/2"}')
    for given in (dict(part="0/2"), dict(config=tmp_path / "run.json")):
        with pytest.raises(flatfield.errors.UsageError, match="part: the items are dealt out"):
            flatfield_dask.apply(client=client, **given, **options_for(phantom, tmp_path))


def test_every_place_that_an_option_names_is_made_absolute():
    """Those of fitting_config and basic_config are read before."""
    keys = [line.split("|") for line in call("options", "--keys", cwd="/").out.split("## `")[1].splitlines()]
    places = {row[1].strip(" `") for row in keys if len(row) > 3 and row[2].strip() in ("folder", "file")}
    assert places - {"fitting_config", "basic_config"} == set(flatfield_dask._PLACES) and len(places) > 6
