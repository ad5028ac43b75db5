"""The output does not depend on how the work was shared out; the pyramid is what its definition says."""
import hashlib
import io
import json
import re

import numpy as np
import pytest
import scipy.stats
import zarr

from support.program import call, correct, files_below, read_levels
from support.tiles import mean_levels, phantom_tile, write_tile

WORKERS = [1, 2, 3, 7]
NAME = "tile_000001_ch_488.zarr"

# Shape, chunks and levels of tiles whose items (4 x 4 x 4 chunks) do not fit: see ARCHITECTURE.md, "Items".
GEOMETRIES = {
    "several_items_and_carries_twice": ((300, 270, 290), (32, 32, 32), 7),
    "odd_chunks": ((131, 97, 118), (15, 15, 15), 6),
    "unequal_chunks_and_odd_axes": ((75, 211, 157), (5, 48, 22), 6),
    "chunks_larger_than_the_coarse_levels": ((150, 70, 260), (24, 40, 64), 6),
    "slab_chunks": ((66, 130, 75), (1, 64, 64), 5),
}


# ---------------------------------------------------------------------------------------------
# Workers

# What may differ between two runs inside a provenance record: times, host, execution options.
FREE_FACTS = ["start_date_time", "end_date_time", "resources"]
FREE_OPTIONS = ["num_workers"]


def without_free_facts(record):
    assert set(FREE_FACTS) < set(record) and set(FREE_OPTIONS) < set(record["code"]["parameters"])
    fixed = {key: value for key, value in record.items() if key not in FREE_FACTS}
    parameters = {key: value for key, value in record["code"]["parameters"].items() if key not in FREE_OPTIONS}
    return {**fixed, "code": {**record["code"], "parameters": parameters}}


def fixed_group_attributes(content):
    attributes = json.loads(content)
    return {**attributes, "exaspim_flatfield": without_free_facts(attributes["exaspim_flatfield"])}


def fixed_checksums(content):
    """The checksums, but for those of the documents that hold the provenance record."""
    with np.load(io.BytesIO(content)) as held:
        checksums = {name: held[name] for name in held.files}
    document = json.loads(checksums.pop("checksums.json"))
    del document["documents"][".zattrs"]
    return document, {name: array.tobytes() for name, array in checksums.items()}


def fixed_report(content):
    (tile,) = json.loads(content)["tiles"]
    measured = {"seconds", "cpu_seconds", "stage_cpu_seconds_total", "stages", "peak_memory_bytes", "plan"}
    assert measured < set(tile)
    return {key: value for key, value in tile.items() if key not in measured}


def fixed_page(content):
    """The pictures and charts."""
    data = content.decode().split('id="report-data">', 1)[1].split("</script>", 1)[0]
    return json.loads(data)["volumes"]


def fixed_configuration(content):
    return {key: value for key, value in json.loads(content).items() if key not in FREE_OPTIONS}


def fixed_log(content):
    """The messages without their times, the progress, and the figures of the last line."""
    messages = [re.sub(r"^\S+ ", "", line) for line in content.decode().splitlines()]
    return [re.sub(r"corrected in .*", "", line) for line in messages if not re.search(r"\d+ MB/s|planned", line)]


GROUP = rf"out/((mask|probability)/)?SPIM\.ome\.zarr/{re.escape(NAME)}"
# Every file of a run by its path, and what of it two runs have in common.
CATEGORIES = {
    rf"{GROUP}/\.zgroup|{GROUP}/\d+/\.zarray": bytes,
    rf"{GROUP}/\d+(/\d+){{5}}": bytes,
    rf"{GROUP}/0/\.exaspim_flatfield_checksums\.npz": fixed_checksums,
    rf"{GROUP}/\.zattrs": fixed_group_attributes,
    r"learned/\w+\.npy": bytes,
    rf"results/{re.escape(NAME)}(_bkg\.tif|_bkg_slice_indices\.json|_corr_curves\.json|_corr_(xy|xz|yz)\.png)": bytes,
    rf"results/fitting_config_{re.escape(NAME)}\.json": bytes,
    rf"results/{re.escape(NAME)}_mask_low_res\.zarr/.*": bytes,
    rf"results/config_{re.escape(NAME)}\.json": fixed_configuration,
    rf"results/flatfield_data_process_{re.escape(NAME)}\.json": lambda content: without_free_facts(json.loads(content)),
    rf"results/{re.escape(NAME)}_report\.html": fixed_page,
    r"results/run_report\.json": fixed_report,
    r"results/exaspim_flatfield\.log": fixed_log,
}


def fixed_part(path, content):
    """What of a file must not differ between two runs."""
    matching = [fixed for pattern, fixed in CATEGORIES.items() if re.fullmatch(pattern, path)]
    assert len(matching) == 1, f"{path} is in {len(matching)} categories of files"
    return matching[0](content)


@pytest.fixture(scope="module")
def runs_of(tmp_path_factory):
    """The corrections of a phantom of a geometry by the number of workers, made when they are first asked for."""
    made = {}

    def get(geometry):
        if geometry not in made:
            shape, chunks, n_levels = GEOMETRIES[geometry]
            folder = tmp_path_factory.mktemp(geometry)
            tile = phantom_tile(folder, shape, chunks, n_levels=4, name=NAME, mask_factor=4)
            made[geometry] = {workers: correct(tile, folder / str(workers), "--num-workers", workers, "--n-levels",
                                               n_levels, "--save-outputs", "--dump-learned", "learned")
                              for workers in WORKERS}
        return made[geometry]
    return get


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_number_of_workers_changes_no_byte_but_times_and_host(runs_of, geometry):
    fixed = {}
    for workers, run in runs_of(geometry).items():
        assert run.report["status"] == "corrected"
        fixed[workers] = {path: fixed_part(path, content) for path, content in files_below(run.folder).items()}
    first = fixed[WORKERS[0]]
    assert all(any(re.fullmatch(pattern, path) for path in first) for pattern in CATEGORIES)
    for workers in WORKERS[1:]:
        assert list(fixed[workers]) == list(first)
        assert [path for path in first if fixed[workers][path] != first[path]] == []


def test_number_of_workers_changes_no_byte_of_a_phantom(tmp_path):
    made = []
    for workers in WORKERS:
        folder = tmp_path / str(workers)
        folder.mkdir()
        call("synth", "made", "--shape", "70,150,90", "--chunks", "16,16,16", "--n-levels", 5,
             "--num-workers", workers, cwd=folder)
        made.append({path: content for path, content in files_below(folder).items()
                     if not path.endswith((".truth.json", "/.zattrs"))})
    assert len(made[0]) > 300
    assert all(other == made[0] for other in made[1:])


@pytest.mark.parametrize("geometry, shards", [("odd_chunks", ("45", "60,45,30")), ("several_items_and_carries_twice",
                                              ("96,64,64", "128")), ("slab_chunks", ("16,128,64", "none"))])
def test_number_of_workers_changes_no_byte_of_shards(geometry, shards, runs_of, tmp_path):
    shape, chunks, n_levels = GEOMETRIES[geometry]
    tile = phantom_tile(tmp_path, shape, chunks, n_levels=4, name=NAME, mask_factor=4)
    made = {}
    for workers in WORKERS:
        run = correct(tile, tmp_path / str(workers), "--num-workers", workers, "--n-levels", n_levels,
                      "--output-zarr-format", 3, "--corrected-shard-size", shards[0], "--mask-shard-size", shards[1])
        made[workers] = {path: content for path, content in files_below(run.folder / "out").items()
                         if not path.endswith((f"{NAME}/zarr.json", "_checksums.npz"))}
    assert len(made[1]) > 10 and all(re.search(r"/\d+/(zarr\.json|c(/\d+){5})$", path) for path in made[1])
    assert all(other == made[1] for other in made.values())
    # And the voxels are those of chunks that are objects.
    for kind in ("corrected", "mask"):
        expected = read_levels(getattr(runs_of(geometry)[1], kind))
        result = call("inspect", getattr(run, kind), "--json", "--checksum", cwd=tmp_path)
        found = {child["path"]: child["sha256"] for child in json.loads(result.out)["children"]}
        assert found == {path: hashlib.sha256(level.tobytes()).hexdigest() for path, level in expected.items()}


def test_comparison_of_runs_refuses_a_file_of_no_category():
    with pytest.raises(AssertionError, match="0 categories"):
        fixed_part(f"out/SPIM.ome.zarr/{NAME}/.exaspim_flatfield_scratch/carry_3/0/0/0", b"")


# ---------------------------------------------------------------------------------------------
# Chunks and codecs


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small tile and its correction with the input's chunks."""
    folder = tmp_path_factory.mktemp("small")
    tile = phantom_tile(folder, (45, 70, 83), (16, 16, 16), n_levels=4, name=NAME)
    return tile, read_levels(correct(tile, folder / "run", "--n-levels", 4).corrected)


CODEC_LEVELS = [("blosc-zstd", 0), ("blosc-zstd", 9), ("blosc-lz4", 1), ("blosc-lz4hc", 9), ("blosc-blosclz", 5),
                ("blosc-zlib", 1), ("blosc-snappy", 1), ("zstd", 1), ("zstd", 22), ("gzip", 0), ("gzip", 9),
                ("zlib", 6), ("lz4", 1), ("bz2", 9), ("none", 0)]


@pytest.mark.parametrize("codec, level", CODEC_LEVELS)
def test_codec_changes_no_voxel(small, tmp_path, codec, level):
    tile, expected = small
    run = correct(tile, tmp_path, "--n-levels", 4, "--output-codec", codec, "--output-codec-level", level)
    compressor = zarr.open_array(str(run.corrected / "0"), mode="r").compressor
    named = "none" if compressor is None else f"blosc-{compressor.cname}" if compressor.codec_id == "blosc" \
        else compressor.codec_id
    assert named == codec
    assert_levels_equal(read_levels(run.corrected), expected)


def test_every_codec_of_the_help_is_tried(tmp_path):
    (listed,) = re.findall(r"\[(blosc-zstd[^\]]*)\]", " ".join(call("run", "--help", cwd=tmp_path).out.split()))
    assert set(listed.split(", ")) == {codec for codec, _ in CODEC_LEVELS}


@pytest.mark.parametrize("chunks", ["1,64,64", "45,70,83", "7,9,11", "32,8,5", "5,6,4", "64,64,64", "4096,4096,4096"])
def test_chunk_shape_of_the_output_changes_no_voxel(small, tmp_path, chunks):
    tile, expected = small
    run = correct(tile, tmp_path, "--n-levels", 4, "--output-chunks", chunks)
    for level, voxels in expected.items():
        asked = (1, 1, *(int(length) for length in chunks.split(",")))
        written = zarr.open_array(str(run.corrected / level), mode="r").chunks
        assert written == tuple(min(a, n) for a, n in zip(asked, voxels.shape))
    assert_levels_equal(read_levels(run.corrected), expected)


def assert_levels_equal(actual, expected):
    assert list(actual) == list(expected)
    for level, voxels in expected.items():
        np.testing.assert_array_equal(actual[level], voxels, err_msg=f"level {level}")


# ---------------------------------------------------------------------------------------------
# Pyramid


def next_level(volume, rank):
    """The level after a volume (z, y, x), from the definition of each way to make it."""
    if rank == "mean":
        return mean_levels(volume, 2)[1]
    z, y, x = (n // 2 for n in volume.shape)
    windows = volume[:2 * z, :2 * y, :2 * x].reshape(z, 2, y, 2, x, 2).transpose(0, 2, 4, 1, 3, 5)
    windows = windows.reshape(z, y, x, 8)
    if rank == "mode":  # scipy's: the smallest of several most frequent values
        return scipy.stats.mode(windows, axis=-1, keepdims=False).mode
    return np.sort(windows, axis=-1)[..., rank]


def assert_pyramid(group, rank, expected_levels):
    levels = {path: voxels[0, 0] for path, voxels in read_levels(group).items()}
    assert len(levels) == expected_levels
    expected = levels["0"]
    for k in range(1, expected_levels):
        expected = next_level(expected, rank)
        np.testing.assert_array_equal(levels[str(k)], expected, err_msg=f"level {k}")
    folders = {path.name for path in group.iterdir() if path.is_dir()}
    assert folders == set(levels), "scratch objects are left"
    assert {path.name for path in group.iterdir() if path.is_file()} == {".zattrs", ".zgroup"}


@pytest.mark.parametrize("rank", [*range(-8, 8), "mean", "mode"])
def test_every_level_is_reduced_from_the_one_before(tmp_path, rank):
    # Few different values, so that the most frequent one is often one of several.
    counts = np.random.default_rng(7).integers(0, 5, (67, 70, 75)).astype(np.uint16) * 13001
    tile = write_tile(tmp_path / NAME, counts, (8, 8, 8))
    run = correct(tile, tmp_path / "run", "--skip-flat-field", "--skip-bkg-sub", f"--corrected-rank={rank}",
                  "--n-levels", 6, "--num-workers", 2, masks=False)
    np.testing.assert_array_equal(read_levels(run.corrected)["0"][0, 0], counts)
    assert_pyramid(run.corrected, rank, 6)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_levels_of_every_geometry_are_reduced_from_the_one_before(runs_of, geometry):
    run = runs_of(geometry)[WORKERS[-1]]
    assert_pyramid(run.corrected, -2, GEOMETRIES[geometry][2])
    assert_pyramid(run.mask, "mode", 1)
