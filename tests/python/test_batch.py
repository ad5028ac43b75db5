"""Several tiles in one run: from a configuration file or a tile list, with some that fail."""
import json
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from support.program import NOT_FOUND, TILES_FAILED, USAGE, call, looks_finished, read_json, read_levels, read_volume
from support.tiles import phantom, write_mask, write_tile

SHAPE, CHUNKS = (24, 40, 40), (16, 32, 32)


def make_tile(folder, name, seed=0):
    counts, mask = phantom(SHAPE, seed)
    write_mask(folder / "masks" / f"asset_{name}_pred.tif", mask[::2, ::2, ::2])
    return write_tile(folder / "in" / name, counts, CHUNKS, n_levels=4)


def write_config(folder, tiles):
    (folder / "run.json").write_text(json.dumps({
        "tile_paths": [str(tile) for tile in tiles], "output": str(folder / "out" / "SPIM.ome.zarr"),
        "mask_dir": str(folder / "masks"), "results_dir": str(folder / "results"), "num_workers": 2}))


def run_batch(folder, tiles, *options, cwd=None):
    write_config(folder, tiles)
    return call("run", "--config", folder / "run.json", *options, cwd=cwd or folder)


def records(folder):
    return {record["tile"]: record for record in read_json(folder / "results" / "run_report.json")["tiles"]}


def test_of_24_tiles_three_are_bad_and_21_are_corrected(tmp_path):
    names = [f"tile_{i:06}_ch_488.zarr" for i in range(24)]
    tiles = [make_tile(tmp_path, name, seed=i) for i, name in enumerate(names)]
    chunk = tiles[3] / "0" / "0" / "0" / "0" / "0" / "0"
    good_chunk = chunk.read_bytes()
    chunk.write_bytes(good_chunk[:-100])
    shutil.rmtree(tiles[11])
    empty = np.zeros((4, 4, 4), np.uint8)
    tifffile.imwrite(tmp_path / "masks" / f"asset_{names[17]}_pred.tif", empty, photometric="minisblack")
    bad = {names[3]: ("bad_input", "/0"), names[11]: ("not_found", names[11]), names[17]: ("bad_input", "no foreground")}

    result = run_batch(tmp_path, reversed(tiles))
    assert result.code == TILES_FAILED, result.err
    report = records(tmp_path)
    assert list(report) == names, "in sorted order"
    for name in names:
        corrected = tmp_path / "out" / "SPIM.ome.zarr" / name
        if name in bad:
            code, reason = bad[name]
            assert report[name]["status"] == "failed" and report[name]["error_code"] == code, report[name]
            assert reason in report[name]["reason"]
            assert not looks_finished(corrected)
        else:
            assert report[name]["status"] == "corrected" and report[name]["reason"] is None
            assert looks_finished(corrected)
            assert (tmp_path / "results" / f"flatfield_data_process_{name}.json").exists()
        assert (tmp_path / "results" / f"config_{name}.json").exists()
    whole = read_json(tmp_path / "results" / "run_report.json")
    assert whole["exit_code"] == TILES_FAILED
    assert whole["counts"] == {"corrected": 21, "background_only": 0, "skipped": 0, "failed": 3}
    assert sum("24 tiles: 21 corrected" in line for line in result.err.splitlines()) == 1

    # Once the bad ones are mended, the same command does what is left.
    chunk.write_bytes(good_chunk)
    for index in (11, 17):
        make_tile(tmp_path, names[index], seed=index)
    again = run_batch(tmp_path, tiles)
    assert again.code == 0, again.err
    statuses = {name: record["status"] for name, record in records(tmp_path).items()}
    assert statuses == {name: "corrected" if name in bad else "skipped" for name in names}


def test_channels_of_a_tile_share_the_mask_of_the_first(tmp_path):
    counts, mask = phantom(SHAPE)
    write_mask(tmp_path / "masks" / "asset_tile_000001_ch_488.zarr_pred.tif", mask[::2, ::2, ::2])
    first = counts.copy()
    first[:, :20] = 0  # v_low is 0 there: not in the mask of the first channel
    tiles = [write_tile(tmp_path / "in" / name, array, CHUNKS, n_levels=2)
             for name, array in [("tile_000001_ch_488.zarr", first), ("tile_000001_ch_561.zarr", counts)]]
    assert run_batch(tmp_path, tiles, "--estimation-res", 1).code == 0
    masks = [read_volume(tmp_path / "out" / "mask" / "SPIM.ome.zarr" / tile.name) for tile in tiles]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not masks[0][:, :20].any() and masks[0][:, 20:].any()


def channels(folder, first):
    """Two channels of a tile, the first with the voxels given; the mask of both."""
    counts, mask = phantom(SHAPE)
    write_mask(folder / "masks" / "tile_000001_ch_488.tif", mask[::2, ::2, ::2])
    return [write_tile(folder / "in" / name, array, CHUNKS, n_levels=2)
            for name, array in [("tile_000001_ch_488.zarr", first), ("tile_000001_ch_561.zarr", counts)]], mask


def masks_of(folder, tiles):
    return [read_volume(folder / "out" / "mask" / "SPIM.ome.zarr" / tile.name) for tile in tiles]


def test_channels_share_the_mask_of_the_first_that_an_earlier_run_has_finished(tmp_path):
    first = phantom(SHAPE)[0]
    first[:, :20] = 0
    tiles, _ = channels(tmp_path, first)
    assert run_batch(tmp_path, tiles[:1], "--estimation-res", 1).code == 0
    made = run_batch(tmp_path, tiles, "--estimation-res", 1)
    assert made.code == 0 and "mask of their own" not in made.err, made.err
    masks = masks_of(tmp_path, tiles)
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not masks[1][:, :20].any() and masks[1].any()


def test_a_mask_in_the_results_that_is_not_that_of_the_finished_channel_is_not_shared(tmp_path):
    tiles, mask = channels(tmp_path, phantom(SHAPE)[0])
    assert run_batch(tmp_path, tiles[:1], "--estimation-res", 1).code == 0
    (old,) = masks_of(tmp_path, tiles[:1])
    mask[:, :20] = False
    write_mask(tmp_path / "masks" / "tile_000001_ch_488.tif", mask[::2, ::2, ::2])
    assert run_batch(tmp_path, tiles[:1], "--estimation-res", 1, "--overwrite", "--results-dir", "others").code == 0
    made = run_batch(tmp_path, tiles, "--estimation-res", 1)
    assert made.code == 0 and sum("is not known as the mask of the finished tile" in line for line in made.warnings) == 1
    masks = masks_of(tmp_path, tiles)
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[1], old)


def test_a_blank_channel_has_no_mask_to_share(tmp_path):
    counts, mask = phantom(SHAPE)
    write_mask(tmp_path / "masks" / "tile_000001_ch_405.tif", mask[::2, ::2, ::2])
    tiles = [write_tile(tmp_path / "in" / name, array, CHUNKS, n_levels=4)
             for name, array in [("tile_000001_ch_405.zarr", np.zeros_like(counts)), ("tile_000001_ch_488.zarr", counts)]]
    assert run_batch(tmp_path, tiles).code == 0
    assert [records(tmp_path)[tile.name]["status"] for tile in tiles] == ["background_only", "corrected"]


def test_a_batch_runs_within_the_smallest_limit_of_its_first_tile(tmp_path):
    """That knows of the mask that is kept for the second, 3 MiB that can hardly be compressed."""
    shape = (48, 512, 1024)
    counts, _ = phantom(shape)
    write_mask(tmp_path / "masks" / "tile_000001_ch_488.tif", np.random.default_rng(1).random(shape) < 0.6)
    tiles = [write_tile(tmp_path / "in" / f"tile_000001_ch_{channel}.zarr", counts, (16, 128, 128), n_levels=1)
             for channel in (488, 561)]
    options = ["--is-binned", "--background-smoothing-sigma", 0]
    write_config(tmp_path, tiles)
    planned = call("plan", "--config", tmp_path / "run.json", "--json", *options, cwd=tmp_path)
    first, second = (tile["smallest_memory_limit_bytes"] for tile in json.loads(planned.out)["tiles"])
    assert first >= second + 3 * 2 ** 20
    made = run_batch(tmp_path, tiles, *options, "--memory-limit", first)
    assert made.code == 0, made.err
    assert {record["status"] for record in records(tmp_path).values()} == {"corrected"}


def test_tiles_are_taken_from_the_first_tile_list(tmp_path):
    tiles = [make_tile(tmp_path, f"tile_{i:06}_ch_488.zarr") for i in range(2)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tile_list.json").write_text(json.dumps({
        "tile_paths": [str(tile) for tile in tiles], "output_zarr": str(tmp_path / "out" / "SPIM.ome.zarr"),
        "method": "fitting", "resolution": "1", "binned_channel": None}))
    (tmp_path / "code").mkdir()
    result = call("run", "--mask-dir", tmp_path / "masks", cwd=tmp_path / "code")
    assert result.code == 0, result.err
    for tile in tiles:
        corrected = read_volume(tmp_path / "out" / "SPIM.ome.zarr" / tile.name)
        assert corrected.shape == tuple(n // 2 for n in SHAPE)
    assert (tmp_path / "code" / "results" / "run_report.json").exists()


def test_a_resolved_configuration_repeats_the_run_of_its_tile(tmp_path):
    tiles = [make_tile(tmp_path, f"tile_{i:06}_ch_488.zarr", seed=i) for i in range(2)]
    assert run_batch(tmp_path, tiles, "--n-levels", 2).code == 0
    again = call("run", "--config", tmp_path / "results" / f"config_{tiles[1].name}.json", "--output",
                 tmp_path / "again", "--results-dir", tmp_path / "results_again", cwd=tmp_path)
    assert again.code == 0, again.err
    before = read_levels(tmp_path / "out" / "SPIM.ome.zarr" / tiles[1].name)
    after = read_levels(tmp_path / "again" / tiles[1].name)
    assert list(before) == list(after) == ["0", "1"]
    for level, volume in before.items():
        np.testing.assert_array_equal(after[level], volume)
    assert [path.name for path in (tmp_path / "again").iterdir()] == [tiles[1].name]


def test_tiles_of_one_name_are_refused(tmp_path):
    first = make_tile(tmp_path, "tile_000001_ch_488.zarr")
    result = run_batch(tmp_path, [first, tmp_path / "elsewhere" / first.name])
    assert result.code == USAGE and "same name" in result.err
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_named_like_one_of_several_tiles_is_refused(tmp_path):
    tiles = [make_tile(tmp_path, f"tile_{i:06}_ch_488.zarr", seed=i) for i in range(2)]
    for tile in tiles:
        result = run_batch(tmp_path, tiles, "--output", f"{tmp_path / 'out' / tile.name}/")
        assert result.code == USAGE and "named like a tile of the batch" in result.err, result.err
        assert not (tmp_path / "out").exists()
    alone = run_batch(tmp_path, tiles[:1], "--output", tmp_path / "out" / tiles[0].name)
    assert alone.code == 0 and looks_finished(tmp_path / "out" / tiles[0].name), alone.err


def test_a_single_tile_ends_with_its_own_exit_code(tmp_path):
    (tmp_path / "masks").mkdir()
    assert run_batch(tmp_path, [tmp_path / "tile_000001_ch_488.zarr"]).code == NOT_FOUND


def test_batches_report_after_every_tile(tmp_path):
    tiles = [make_tile(tmp_path, f"tile_{i:06}_ch_488.zarr") for i in range(2)]
    result = run_batch(tmp_path, tiles, "--log-format", "json")
    events = [json.loads(line) for line in result.err.splitlines()]
    finished = [event for event in events if event["event"] == "tile_finished"]
    assert [event["tile"] for event in finished] == [tile.name for tile in tiles]
    assert [event["corrected"] for event in events if event["event"] == "run_finished"] == [2]


@pytest.mark.parametrize("lost", [0, 1])
def test_overlap_residual_of_tiles_at_known_positions_falls(lost, tmp_path):
    """Two tiles of one scene, 24 voxels of overlap, each seen under the same uneven light; also of an odd number of rows and
    columns, which the coarser level of the input rounds up and that of the output down."""
    random = np.random.default_rng(5)
    scene = 400 + 150 * np.kron(random.random((6, 10, 20)), np.ones((8, 8, 8)))[:48, :80, :136]
    light = (1 - 0.5 * np.linspace(0, 1, 80))[None, None, :]
    tiles, starts = [], [0, 56]
    for i, start in enumerate(starts):
        counts = 100 + scene[:, :, start:start + 80] * light
        counts[:5] = 100 + random.normal(0, 2, (5, 80, 80))
        mask = np.ones(counts.shape, bool)
        mask[:5] = False
        name = f"tile_{i:06}_ch_488.zarr"
        write_mask(tmp_path / "masks" / f"asset_{name}_pred.tif", mask)
        tiles.append(write_tile(tmp_path / "in" / name, np.rint(counts).astype(np.uint16), CHUNKS, n_levels=2))
        group = zarr.open_group(str(tiles[-1]))
        if lost:
            group.create_dataset("0", data=np.rint(counts).astype(np.uint16)[None, None, :, :-lost, :-lost],
                                 chunks=(1, 1, *CHUNKS), dimension_separator="/", fill_value=0, overwrite=True)
        multiscales = group.attrs["multiscales"]
        for dataset in multiscales[0]["datasets"]:
            dataset["coordinateTransformations"][1]["translation"][4] += start * 0.748
        group.attrs["multiscales"] = multiscales
    result = run_batch(tmp_path, tiles, "--estimation-res", 1, "--n-levels", 2)
    assert result.code == 0, result.err
    overlap = read_json(tmp_path / "results" / "run_report.json")["overlap"]
    assert overlap["pairs"] == 1 and overlap["tiles"][0]["tiles"] == [tile.name for tile in tiles]
    assert overlap["tiles"][0]["voxels"] == 24 * 40 * 12
    assert overlap["residual_before"] > 0.3 and overlap["residual_after"] < 0.1, overlap
    without_levels = run_batch(tmp_path, tiles, "--estimation-res", 1, "--overwrite")
    assert without_levels.code == 0
    overlap = read_json(tmp_path / "results" / "run_report.json")["overlap"]
    assert overlap["residual_before"] > 0.3 and overlap["residual_after"] is None
