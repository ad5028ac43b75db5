"""What goes wrong is said in one line, with the exit code of its kind, and never leaves an output that looks finished."""
import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr

from support.program import (BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, PROGRAM, READ_FAILED, UNSUPPORTED, USAGE,
                             WRITE_FAILED, attempt, call, correct, files_below, looks_finished, read_json,
                             read_levels, read_volume)
from support.tiles import phantom, phantom_tile, write_mask, write_tile

NAME = "tile_000001_ch_488.zarr"


@pytest.fixture
def tile(tmp_path):
    """A small unbinned tile of four levels with its mask in the folder beside it."""
    return phantom_tile(tmp_path / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)


def assert_refused(attempted, code, *words):
    """The exit code, one line that holds the words in their order, and no output that looks finished."""
    assert attempted.result.code == code, attempted.result.err
    assert len(attempted.result.error_lines) == 1, attempted.result.err
    (line,) = attempted.result.error_lines
    assert_in_order(line, words)
    assert not looks_finished(attempted.corrected) and not looks_finished(attempted.mask)
    report = attempted.results / "run_report.json"
    if report.exists():
        assert read_json(report)["exit_code"] == code
        assert attempted.report["status"] == "failed" and attempted.report["reason"] in line


def assert_in_order(line, words):
    place = 0
    for word in map(str, words):
        assert word in line[place:], f'"{word}" is not in its place in: {line}'
        place = line.index(word, place) + len(word)


# ---------------------------------------------------------------------------------------------
# The tile


def test_tile_that_is_missing_is_named(tile, tmp_path):
    missing = tile.parent / "tile_000002_ch_488.zarr"
    assert_refused(attempt(missing, tmp_path / "run", masks=tile.parent / "masks"), NOT_FOUND,
                   "no tile", missing, "check")


def test_file_in_the_place_of_a_tile_is_no_tile(tile, tmp_path):
    file = tile.parent / "tile_000002_ch_488.zarr"
    file.write_text("not a folder")
    assert_refused(attempt(file, tmp_path / "run"), NOT_FOUND, "no tile", file, "check")


def test_level_that_is_missing_is_named_with_the_levels_there_are(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", "--res", 9), NOT_FOUND, '"9"', tile, "0, 1, 2, 3")


def test_estimation_level_that_is_missing_is_named_with_the_levels_there_are(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", "--estimation-res", "s0"), NOT_FOUND, '"s0"', tile, "0, 1, 2, 3")


def test_level_of_the_metadata_without_an_array_is_named(tile, tmp_path):
    shutil.rmtree(tile / "3")
    assert_refused(attempt(tile, tmp_path / "run"), NOT_FOUND, "no Zarr array", tile / "3", ".zarray")


def test_folder_that_is_no_zarr_is_refused(tile, tmp_path):
    for file in (".zgroup", ".zattrs"):
        (tile / file).unlink()
    assert_refused(attempt(tile, tmp_path / "run"), BAD_INPUT, "not a Zarr group", tile, ".zattrs")


def test_array_in_the_place_of_a_tile_is_refused(tile, tmp_path):
    assert_refused(attempt(tile / "0", tmp_path / "run", masks=False), USAGE, "--mask-dir")
    assert_refused(attempt(tile / "0", tmp_path / "run", "--skip-flat-field", masks=False), BAD_INPUT,
                   "array", tile / "0", "folder above")


def test_group_that_is_no_image_is_refused(tile, tmp_path):
    (tile / ".zattrs").unlink()
    assert_refused(attempt(tile, tmp_path / "run"), BAD_INPUT, "multiscales", "not an OME-Zarr image", tile)


def test_unfinished_output_is_no_input(tile, tmp_path):
    (tile / ".zattrs").write_text('{"omero": {}}')
    assert_refused(attempt(tile, tmp_path / "run"), BAD_INPUT, "multiscales", "unfinished", tile)


def test_group_of_zarr_format_3_that_is_no_image_is_refused(tile, tmp_path):
    shutil.rmtree(tile)
    tile.mkdir()
    (tile / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    assert_refused(attempt(tile, tmp_path / "run"), BAD_INPUT, "multiscales", tile)


def test_features_of_zarr_format_3_that_are_not_read_are_refused_by_name(tile, tmp_path):
    (tile / "0" / "zarr.json").write_text(json.dumps({
        "zarr_format": 3, "node_type": "array", "shape": [1, 1, 32, 40, 48], "data_type": "uint16", "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 1, 16, 16, 16]}},
        "chunk_key_encoding": "default", "codecs": [{"name": "zfpy"}]}))
    assert_refused(attempt(tile, tmp_path / "run"), UNSUPPORTED, "zfpy", tile / "0" / "zarr.json")


@pytest.mark.parametrize("dtype, code", [("<f4", UNSUPPORTED), ("<i2", UNSUPPORTED), ("<u4", UNSUPPORTED),
                                         ("|b1", UNSUPPORTED), ("<c8", UNSUPPORTED)])
def test_element_types_that_cannot_be_corrected_are_refused(tile, tmp_path, dtype, code):
    write_tile(tile, np.ones((32, 40, 48), dtype), (16, 16, 16))
    assert_refused(attempt(tile, tmp_path / "run"), code, np.dtype(dtype).name, tile / "0", "convert")


@pytest.mark.parametrize("axes", ["tzcyx", "cyxz", "yx", "txyz"])
def test_axes_in_another_order_are_refused(tile, tmp_path, axes):
    attributes = read_json(tile / ".zattrs")
    attributes["multiscales"][0]["axes"] = [{"name": name} for name in axes]
    for dataset in attributes["multiscales"][0]["datasets"]:
        dataset["coordinateTransformations"] = [{"type": "scale", "scale": [1.0] * len(axes)}]
    (tile / ".zattrs").write_text(json.dumps(attributes))
    assert_refused(attempt(tile, tmp_path / "run"), UNSUPPORTED, "axes", tile)


def edited(path, change):
    document = read_json(path)
    change(document)
    path.write_text(json.dumps(document))


def of_image(change):
    return lambda attributes: change(attributes["multiscales"][0])


BROKEN_TEXT = [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'"text"', b'{"a": 1} {"b": 2}', b"[" * 100000]
BROKEN_ATTRIBUTES = {
    "multiscales_is_an_object": lambda a: a.update(multiscales={}),
    "multiscales_is_empty": lambda a: a.update(multiscales=[]),
    "multiscales_is_null": lambda a: a.update(multiscales=None),
    "image_is_a_number": lambda a: a.update(multiscales=[3]),
    "no_datasets": of_image(lambda image: image.pop("datasets")),
    "datasets_are_empty": of_image(lambda image: image.update(datasets=[])),
    "path_is_a_number": of_image(lambda image: image["datasets"][0].update(path=0)),
    "path_leads_out_of_the_tile": of_image(lambda image: image["datasets"][0].update(path="../0")),
    "scale_is_a_text": of_image(lambda image: image["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": ["1"] * 5}])),
    "scale_is_too_short": of_image(lambda image: image["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": [1.0] * 3}])),
    "scale_is_zero": of_image(lambda image: image["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": [0.0] * 5}])),
    "no_scale": of_image(lambda image: [d.pop("coordinateTransformations") for d in image["datasets"]]),
    "unknown_transformation": of_image(lambda image: image["datasets"][0].update(
        coordinateTransformations=[{"type": "affine"}])),
    "axes_are_numbers": of_image(lambda image: image.update(axes=[0, 1, 2, 3, 4])),
    "axis_twice": of_image(lambda image: image["axes"][0].update(name="c")),
}
BROKEN_ARRAYS = {
    "shape_is_negative": {"shape": [1, 1, -32, 40, 48]}, "shape_is_text": {"shape": "32"},
    "shape_is_too_large": {"shape": [1, 1, 2 ** 62, 2 ** 62, 48]}, "no_voxels": {"shape": [1, 1, 0, 40, 48]},
    "fewer_axes": {"shape": [32, 40, 48], "chunks": [16, 16, 16]},
    "chunks_are_zero": {"chunks": [1, 1, 0, 16, 16]}, "chunks_are_missing": {"chunks": None},
    "chunks_are_fewer": {"chunks": [16, 16, 16]}, "chunks_are_huge": {"chunks": [1, 1, 2 ** 40, 2 ** 40, 2 ** 40]},
    "dtype_is_unknown": {"dtype": "<u3"}, "dtype_without_order": {"dtype": "u2"}, "dtype_is_structured": {
        "dtype": [["a", "<u2"]]},
    "order_is_unknown": {"order": "Z"}, "format_is_unknown": {"zarr_format": 7},
    "compressor_is_unknown": {"compressor": {"id": "lzma9"}}, "compressor_is_text": {"compressor": "blosc"},
    "filters": {"filters": [{"id": "packbits"}]},
    "fill_value_is_text": {"fill_value": "none"}, "fill_value_is_too_large": {"fill_value": 65536},
    "separator_is_unknown": {"dimension_separator": "-"},
}


@pytest.mark.parametrize("file", [".zattrs", "0/.zarray"])
@pytest.mark.parametrize("text", BROKEN_TEXT, ids=range(len(BROKEN_TEXT)))
def test_metadata_that_are_no_json_object_are_refused(tile, tmp_path, file, text):
    (tile / file).write_bytes(text)
    assert_refused(attempt(tile, tmp_path / "run"), BAD_INPUT, tile)


@pytest.mark.parametrize("name", BROKEN_ATTRIBUTES)
def test_attributes_of_wrong_form_are_refused(tile, tmp_path, name):
    edited(tile / ".zattrs", BROKEN_ATTRIBUTES[name])
    attempted = attempt(tile, tmp_path / "run")
    assert attempted.result.code in (BAD_INPUT, UNSUPPORTED)
    assert_refused(attempted, attempted.result.code, tile)


@pytest.mark.parametrize("name", BROKEN_ARRAYS)
def test_array_metadata_of_wrong_form_are_refused(tile, tmp_path, name):
    edited(tile / "0" / ".zarray", lambda document: document.update(BROKEN_ARRAYS[name]))
    attempted = attempt(tile, tmp_path / "run")
    assert attempted.result.code in (BAD_INPUT, UNSUPPORTED)
    assert_refused(attempted, attempted.result.code, tile)


# Chunks that are read while the tile is learnt from, and while it is corrected.
CHUNKS = ["3/0/0/0/0/0", "0/0/0/1/2/2"]


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("length", [0, 7, 16, 100, -1])
def test_truncated_chunk_is_named(tile, tmp_path, chunk, length):
    content = (tile / chunk).read_bytes()
    (tile / chunk).write_bytes(content[:length])
    assert_refused(attempt(tile, tmp_path / "run", "--num-workers", 2), BAD_INPUT, tile / chunk, "copy it again")


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("content", [b"\x00" * 500, b"\xff" * 500, b"text " * 40])
def test_chunk_that_is_no_chunk_is_named(tile, tmp_path, chunk, content):
    (tile / chunk).write_bytes(content)
    assert_refused(attempt(tile, tmp_path / "run", "--num-workers", 2), BAD_INPUT, tile / chunk, "copy it again")


@pytest.mark.parametrize("codec", ["zstd", "gzip", "zlib", "bz2"])
def test_chunk_with_flipped_bytes_is_named(tmp_path, codec):
    tile = phantom_tile(tmp_path / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME,
                        compressor=numcodecs.get_codec({"id": codec}))
    chunk = tile / CHUNKS[0]
    content = bytearray(chunk.read_bytes())
    content[0:8] = bytes(255 - byte for byte in content[0:8])
    chunk.write_bytes(content)
    assert_refused(attempt(tile, tmp_path / "run"), BAD_INPUT, chunk, "copy it again")


def test_missing_chunks_are_the_fill_value(tmp_path):
    counts, mask = phantom((32, 40, 48))
    tile = write_tile(tmp_path / "in" / NAME, counts, (16, 16, 16), fill_value=300)
    write_mask(tmp_path / "in" / "masks" / f"{NAME}.tif", mask)
    full = write_tile(tmp_path / "full" / NAME, counts, (16, 16, 16))
    for chunk in [(0, 0, 0), (1, 2, 2), (1, 1, 1)]:
        (tile / "0" / "0" / "0" / "/".join(map(str, chunk))).unlink()
        z, y, x = (slice(16 * i, 16 * i + 16) for i in chunk)
        zarr.open_array(str(full / "0"))[0, 0, z, y, x] = 300
    masks = tmp_path / "in" / "masks"
    with_missing = correct(tile, tmp_path / "a", "--is-binned", masks=masks)
    with_values = correct(full, tmp_path / "b", "--is-binned", masks=masks)
    np.testing.assert_array_equal(read_volume(with_missing.corrected), read_volume(with_values.corrected))
    assert len(list((with_missing.corrected / "0" / "0" / "0").rglob("*"))) == 2 + 2 * 3 + 2 * 3 * 3


# ---------------------------------------------------------------------------------------------
# Permissions


@pytest.fixture
def public_folder():
    """A folder that another user can enter."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def without_privileges(folder):
    """Options of `subprocess.run` for a user whom permissions bind; `folder` is made writable for that user."""
    if os.geteuid() != 0:
        return {}
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 65534, 65534)
    options = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        subprocess.run([str(PROGRAM), "--version"], check=True, capture_output=True, **options)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("root reads everything, and another user cannot start the program")
    return options


@pytest.mark.parametrize("path", [".zattrs", "0/.zarray", "0/0/0/0/0/0", "3/0/0/0/0/0", "masks", "mask file"])
def test_input_that_may_not_be_read_is_named(public_folder, path):
    tile = phantom_tile(public_folder / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    masks = tile.parent / "masks"
    locked = {"masks": masks, "mask file": next(masks.iterdir())}.get(path, tile / path)
    options = without_privileges(public_folder)
    locked.chmod(0)
    assert_refused(attempt(tile, public_folder / "run", **prepared(public_folder / "run", options), **options),
                   READ_FAILED, locked, "permissions")
    locked.chmod(0o755)


def prepared(folder, options):
    """Makes the folder of a run for the user of the run."""
    folder.mkdir()
    if options:
        os.chown(folder, options["user"], options["group"])
    return {}


def test_output_that_may_not_be_written_is_named(public_folder):
    tile = phantom_tile(public_folder / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    options = without_privileges(public_folder)
    prepared(public_folder / "run", options)
    (public_folder / "run" / "out").mkdir(mode=0o555)
    assert_refused(attempt(tile, public_folder / "run", **options), WRITE_FAILED,
                   public_folder / "run" / "out", "permissions")


def test_results_directory_that_may_not_be_written_is_named(public_folder):
    tile = phantom_tile(public_folder / "in", (32, 40, 48), (16, 16, 16), n_levels=4, name=NAME)
    options = without_privileges(public_folder)
    prepared(public_folder / "run", options)
    (public_folder / "run" / "results").mkdir(mode=0o555)
    assert_refused(attempt(tile, public_folder / "run", **options), WRITE_FAILED, "results")


# ---------------------------------------------------------------------------------------------
# The mask


def replace_mask(tile, write):
    (file,) = (tile.parent / "masks").iterdir()
    write(file)
    return file


FLAT = np.ones((4, 20, 24))


@pytest.mark.parametrize("write, code, words", [
    pytest.param(lambda file: tifffile.imwrite(file, FLAT.astype(np.float32), photometric="minisblack"), UNSUPPORTED, ["float"], id="float"),
    pytest.param(lambda file: tifffile.imwrite(file, np.ones((4, 20, 24, 3), np.uint8), photometric="rgb"),
                 UNSUPPORTED, ["3 per pixel"], id="rgb"),
    pytest.param(lambda file: tifffile.imwrite(file, FLAT.astype(np.uint32), photometric="minisblack"), UNSUPPORTED, ["uint32"], id="uint32"),
    pytest.param(lambda file: file.write_text("not a TIFF"), BAD_INPUT, ["not a TIFF"], id="text"),
    pytest.param(lambda file: file.write_bytes(b""), BAD_INPUT, ["not a TIFF"], id="no bytes"),
    pytest.param(lambda file: file.write_bytes(file.read_bytes()[:len(file.read_bytes()) // 2]), BAD_INPUT, ["TIFF"],
                 id="truncated"),
    pytest.param(lambda file: write_mask(file, 0 * FLAT), BAD_INPUT, ["foreground"], id="empty"),
])
def test_mask_of_the_wrong_kind_is_named(tile, tmp_path, write, code, words):
    file = replace_mask(tile, write)
    assert_refused(attempt(tile, tmp_path / "run"), code, *words, file, ": ")


def test_folder_in_the_place_of_a_mask_is_not_taken_for_it(tile, tmp_path):
    file = replace_mask(tile, lambda path: path.unlink())
    file.mkdir()
    assert correct(tile, tmp_path / "run").report["status"] == "background_only"


def test_mask_folder_that_is_missing_is_named(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", masks=tmp_path / "nowhere"), NOT_FOUND,
                   "--mask-dir", tmp_path / "nowhere", "check")


def test_fitting_without_a_mask_folder_is_refused(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", masks=False), USAGE, "--mask-dir", "--skip-flat-field")


def test_fitting_without_background_subtraction_is_refused(tile, tmp_path):
    assert_refused(attempt(tile, tmp_path / "run", "--skip-bkg-sub"), USAGE, "--skip-bkg-sub", "--skip-flat-field")


def test_tile_name_without_identifier_is_refused(tile, tmp_path):
    nameless = tile.rename(tile.parent / "brain_ch_488.zarr")
    assert_refused(attempt(nameless, tmp_path / "run"), USAGE, "identifier", "brain_ch_488.zarr", "tile_000001_ch_488")


def background_subtracted(tile, run):
    background = tifffile.imread(run.results / f"{tile.name}_bkg.tif")
    raw = read_volume(tile).astype(np.float32)
    return np.rint(np.maximum(raw - background, 0)).astype(np.uint16)


def test_tile_without_a_mask_is_warned_about_and_its_background_subtracted(tile, tmp_path):
    replace_mask(tile, lambda file: file.rename(file.with_name("asset_tile_000002_ch_488.zarr_pred.tif")))
    run = correct(tile, tmp_path / "run", "--save-outputs")
    assert run.report["status"] == "background_only" and "no mask" in run.report["reason"]
    assert [line for line in run.result.warnings if "no mask" in line and "background subtraction only" in line]
    expected = background_subtracted(tile, run)
    planes = read_json(run.results / f"{tile.name}_bkg_slice_indices.json")
    # A plane of level 3 covers [3.5 + 8 i, 11.5 + 8 i) of level 0.
    target = sorted({z for i in planes for z in range(8 * i + 3, min(8 * i + 12, 32))})
    raw = read_volume(tile)[target]
    np.testing.assert_array_equal(tifffile.imread(run.results / f"{tile.name}_bkg.tif"), np.median(raw, axis=0))
    np.testing.assert_array_equal(read_volume(run.corrected), expected)
    assert looks_finished(run.corrected) and not run.mask.exists()


# ---------------------------------------------------------------------------------------------
# What is at the place of the output


def test_finished_output_is_kept_with_a_notice(tile, tmp_path):
    run = correct(tile, tmp_path / "run")
    before = files_below(run.folder / "out")
    stamps = {path: path.stat().st_mtime_ns for path in (run.folder / "out").rglob("*")}
    again = correct(tile, tmp_path / "run", "--n-levels", 2)
    assert "finished already" in again.result.err and "skipped" in again.result.err
    assert again.report["status"] == "skipped" and again.report["reason"]
    assert files_below(run.folder / "out") == before
    assert {path: path.stat().st_mtime_ns for path in (run.folder / "out").rglob("*")} == stamps


@pytest.mark.parametrize("product", ["corrected", "mask"])
def test_unfinished_output_is_refused_without_overwrite(tile, tmp_path, product):
    run = correct(tile, tmp_path / "run")
    for group in (run.corrected, run.mask):
        (group / ".zattrs").unlink()
    if product == "mask":
        shutil.rmtree(run.corrected)
    before = files_below(run.folder / "out")
    assert_refused(attempt(tile, tmp_path / "run"), OUTPUT_EXISTS, "unfinished", getattr(run, product), "--overwrite")
    assert files_below(run.folder / "out") == before


@pytest.mark.parametrize("finished", [True, False])
def test_overwrite_leaves_no_object_of_the_old_output(tile, tmp_path, finished):
    fresh = correct(tile, tmp_path / "fresh", "--n-levels", 2)
    old = correct(tile, tmp_path / "run", "--n-levels", 5, "--output-chunks", "5,7,9")
    if not finished:
        for group in (old.corrected, old.mask):
            (group / ".zattrs").unlink()
    new = correct(tile, tmp_path / "run", "--n-levels", 2, "--overwrite")
    expected, actual = files_below(fresh.folder / "out"), files_below(new.folder / "out")
    assert list(actual) == list(expected)
    assert [path for path in actual if not path.endswith((".zattrs", "_checksums.npz"))
            and actual[path] != expected[path]] == []
    assert looks_finished(new.corrected) and looks_finished(new.mask)


def test_overwrite_leaves_no_mask_where_the_new_run_has_none(tile, tmp_path):
    correct(tile, tmp_path / "run")
    replace_mask(tile, lambda file: file.unlink())
    run = correct(tile, tmp_path / "run", "--overwrite")
    assert run.report["status"] == "background_only"
    assert files_below(run.mask) == {}


def test_overwrite_that_fails_while_it_learns_leaves_the_output_as_it_was(tile, tmp_path):
    before = files_below(correct(tile, tmp_path / "run").folder / "out")
    (tile / CHUNKS[1]).write_bytes(b"damaged")
    made = attempt(tile, tmp_path / "run", "--overwrite")
    assert made.result.code == BAD_INPUT and str(tile / CHUNKS[1]) in made.result.error_lines[0]
    assert files_below(made.folder / "out") == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize("product", ["corrected", "mask"])
def test_something_that_is_no_zarr_is_never_deleted(tile, tmp_path, options, product):
    run = correct(tile, tmp_path / "run")
    group = getattr(run, product)
    # With --overwrite the other output is an old one.
    shutil.rmtree(group if options else run.folder / "out")
    (group / "thesis").mkdir(parents=True)
    (group / "thesis" / "chapter.txt").write_text("years of work")
    before = files_below(run.folder / "out")
    attempted = attempt(tile, tmp_path / "run", *options)
    assert attempted.result.code == OUTPUT_EXISTS and len(attempted.result.error_lines) == 1
    assert_in_order(attempted.result.error_lines[0], ["not a Zarr", group, "another --output"])
    assert files_below(run.folder / "out") == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_file_in_the_place_of_the_output_is_never_deleted(tile, tmp_path, options):
    output = tmp_path / "run" / "out" / "SPIM.ome.zarr"
    output.mkdir(parents=True)
    (output / NAME).write_text("years of work")
    attempted = attempt(tile, tmp_path / "run", *options)
    assert attempted.result.code in (OUTPUT_EXISTS, WRITE_FAILED)
    assert len(attempted.result.error_lines) == 1
    assert_in_order(attempted.result.error_lines[0], [output / NAME])
    assert (output / NAME).read_text() == "years of work"


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize("output", ["in", f"in/{NAME}", f"in/{NAME}/0", f"in/{NAME}/out/{NAME}", f"link/{NAME}",
                                    f"in/../in/{NAME}/"])
def test_output_at_or_inside_the_input_is_refused(tile, tmp_path, options, output):
    (tmp_path / "link").symlink_to(tile.parent)
    before = files_below(tmp_path / "in")
    result = call("run", "--zarr", f"in/{NAME}", "--output", output, "--mask-dir", "in/masks", *options, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], ["input", "another --output"])
    assert files_below(tmp_path / "in") == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_output_that_holds_the_input_is_refused(tile, tmp_path, options):
    folder = tmp_path / "holder" / NAME
    folder.mkdir(parents=True)
    inner = tile.rename(folder / NAME)
    before = files_below(folder)
    result = call("run", "--zarr", inner, "--output", folder, "--mask-dir", tmp_path / "in" / "masks", *options,
                  cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert files_below(folder) == before


@pytest.mark.parametrize("results", [NAME, f"{NAME}/results"])
def test_results_directory_inside_the_input_is_refused(tile, tmp_path, results):
    before = files_below(tile)
    result = call("run", "--zarr", tile, "--output", tmp_path / "out", "--mask-dir", tile.parent / "masks",
                  "--results-dir", tile.parent / results, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], ["results", tile, "another --results-dir"])
    assert files_below(tile) == before


@pytest.mark.parametrize("name", [".", ".."])
def test_tile_without_a_name_of_its_own_is_refused(tile, tmp_path, name):
    (tile / "0" / "inner").mkdir()
    cwd = {".": tile, "..": tile / "0"}[name]
    result = call("run", "--zarr", name, "--output", tmp_path / "out", "--results-dir", tmp_path / "results",
                  "--skip-flat-field", "--overwrite", cwd=cwd)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------
# The disk


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)], capture_output=True,
                           text=True)
    if mount.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_said_and_leaves_an_unfinished_output(tmp_path, tiny_disk):
    tile = phantom_tile(tmp_path / "in", (64, 96, 96), (32, 32, 32), n_levels=4, name=NAME)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "out").symlink_to(tiny_disk)
    assert_refused(attempt(tile, tmp_path / "run", "--output-codec", "none"), WRITE_FAILED, "No space", "disk is full")


def test_file_size_limit_is_said_and_leaves_an_unfinished_output(tmp_path):
    tile = phantom_tile(tmp_path / "in", (64, 96, 96), (32, 32, 32), n_levels=4, name=NAME)
    attempted = attempt(tile, tmp_path / "run", "--output-codec", "none",
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
    assert_refused(attempted, WRITE_FAILED, "File too large", attempted.corrected / "0", "ulimit -f")


# ---------------------------------------------------------------------------------------------
# Options


@pytest.mark.parametrize("typed, nearest", [("--num-worker", "--num-workers"), ("--masks-dir", "--mask-dir"),
                                            ("--nlevels=3", "--n-levels"), ("--outputs", "--output"),
                                            ("--skip-flatfield", "--skip-flat-field"), ("--over-write", "--overwrite")])
def test_unknown_option_is_answered_with_the_nearest_known_one(tile, tmp_path, typed, nearest):
    assert_refused(attempt(tile, tmp_path / "run", typed), USAGE, f"unknown option {typed.split('=')[0]}",
                   f"did you mean {nearest}?")
    assert not (tmp_path / "run" / "results").exists()


@pytest.mark.parametrize("words, said", [
    (["--zzzzzzzzzz"], "unknown option --zzzzzzzzzz"), (["stray"], "unexpected argument stray"),
    (["--res"], "--res"), (["--overwrite=perhaps"], "--overwrite"), (["--res", "0", "--res", "1"], "--res"),
    (["-n", "3"], "unknown option -n")])
def test_words_that_are_no_option_are_named(tile, tmp_path, words, said):
    assert_refused(attempt(tile, tmp_path / "run", *words), USAGE, said)


@pytest.mark.parametrize("words", [[], ["runn"], ["--zarr", "x"], ["inspect"], ["inspect", "a", "b"]])
def test_call_without_a_known_command_is_refused(tmp_path, words):
    result = call(*words, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1 and result.out == ""
    assert_in_order(result.error_lines[0], ["--help"])


@pytest.mark.parametrize("missing", ["--zarr", "--output"])
def test_option_that_is_needed_is_named(tile, tmp_path, missing):
    given = {"--zarr": tile, "--output": "out", "--mask-dir": tile.parent / "masks"}
    words = [word for option, value in given.items() if option != missing for word in (option, value)]
    result = call("run", *words, cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1
    assert_in_order(result.error_lines[0], [missing, "missing"])


OUT_OF_RANGE = [("--num-workers", ["0", "-1", "1025", "1.5", "two", "", "9999999999999999999999"]),
                ("--n-levels", ["0", "33", "-1", "x"]),
                ("--corrected-rank", ["8", "-9", "1.0", "median", ""]),
                ("--background-smoothing-sigma", ["-0.1", "1001", "nan", "inf", "-inf", "wide", ""]),
                ("--background-final-smoothing-sigma", ["-1", "10001", "nan"]),
                ("--output-chunks", ["0,16,16", "16,16", "16,16,16,16", "16,16,4097", "-1,16,16", "a,b,c", "16;16;16",
                                     "1.5,16,16", ""]),
                ("--output-codec", ["blosc", "ZSTD", "lzma", ""]),
                ("--output-codec-level", ["10", "-1", "65538", "fast"]),
                ("--log-level", ["LOUD", "5", "60", ""]),
                ("--log-format", ["xml", ""]),
                ("--method", ["basicpi", "FITTING", ""])]


@pytest.mark.parametrize("option, value", [(option, value) for option, values in OUT_OF_RANGE for value in values])
def test_value_out_of_range_is_named_with_its_option(tile, tmp_path, option, value):
    attempted = attempt(tile, tmp_path / "run", f"{option}={value}")
    assert attempted.result.code == USAGE and len(attempted.result.error_lines) == 1, attempted.result.err
    assert_in_order(attempted.result.error_lines[0], [option, value] if value else [option])
    assert not attempted.corrected.exists()


@pytest.mark.parametrize("codec, level", [("zstd", 0), ("zstd", 23), ("gzip", 10), ("bz2", 0), ("lz4", 0),
                                          ("blosc-lz4", 10)])
def test_level_that_a_codec_does_not_have_is_refused(tile, tmp_path, codec, level):
    assert_refused(attempt(tile, tmp_path / "run", "--output-codec", codec, "--output-codec-level", level), USAGE,
                   "--output-codec-level", codec, level, "choose")


SYNTH_OUT_OF_RANGE = [("--shape", ["0,8,8", "8,8", "2000000,8,8"]), ("--chunks", ["0,8,8", "5000,8,8"]),
                      ("--n-levels", ["0", "33"]), ("--seed", ["-1", "4294967296"]),
                      ("--background", ["-1", "60001"]), ("--foreground", ["-1", "nan"]),
                      ("--illumination", ["0.91", "-0.1"]), ("--noise", ["-1", "101"]), ("--num-workers", ["0"]),
                      ("--name", ["", ".", "..", "a/b", "/tmp/x"])]


@pytest.mark.parametrize("option, value", [(option, value) for option, values in SYNTH_OUT_OF_RANGE for value in values])
def test_value_out_of_range_of_a_phantom_is_named_with_its_option(tmp_path, option, value):
    result = call("synth", "made", f"{option}={value}", cwd=tmp_path)
    assert result.code == USAGE and len(result.error_lines) == 1, result.err
    assert_in_order(result.error_lines[0], [option])
    assert list(tmp_path.iterdir()) == []


def test_phantom_never_replaces_what_is_no_zarr(tmp_path):
    folder = tmp_path / "made" / NAME
    folder.mkdir(parents=True)
    (folder / "chapter.txt").write_text("years of work")
    for options in ([], ["--overwrite"]):
        result = call("synth", "made", "--name", NAME, "--shape", "8,8,8", *options, cwd=tmp_path)
        assert result.code == OUTPUT_EXISTS and len(result.error_lines) == 1, result.err
        assert (folder / "chapter.txt").read_text() == "years of work"


def with_fitting_config(tmp_path, content):
    path = tmp_path / "fitting.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("key, nearest", [("med_factor_unbined", "med_factor_unbinned"), ("limit_x", "limits_x"),
                                          ("spline_smooting", "spline_smoothing")])
def test_unknown_key_of_the_fitting_configuration_is_answered_with_the_nearest_known_one(tile, tmp_path, key, nearest):
    path = with_fitting_config(tmp_path, {key: 1})
    assert_refused(attempt(tile, tmp_path / "run", "--fitting-config", path), USAGE, key, f'did you mean "{nearest}"?',
                   path)


@pytest.mark.parametrize("key, values", [
    ("med_factor_binned", [-1, "2", None, True]), ("med_factor_unbinned", [-0.5]), ("gaussian_sigma", [-1, []]),
    ("profile_percentile", [-1, 100.5, "50"]), ("profile_min_voxels", [-1, 2.5, 1e30]), ("spline_smoothing", [-1]),
    ("limits_x", [[0, 1], [2, 1], [1], [1, 2, 3], "1", [-1, 1], ["a", "b"], 5]), ("limits_y", [[0.0, 1.0]]),
    ("limits_z", [{}]), ("global_factor_binned", [-1]), ("global_factor_unbinned", [-1, False]),
    ("global_ratio_limits", [[1, 1], [2, 1], 3]), ("exclude_background_planes_from_mask", [1, "true", None])])
def test_value_out_of_range_in_the_fitting_configuration_is_named_with_its_key(tile, tmp_path, key, values):
    for value in values:
        path = with_fitting_config(tmp_path, {key: value})
        assert_refused(attempt(tile, tmp_path / "run", "--fitting-config", path), USAGE, f"{key}: expected", path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"gaussian_sigma": NaN}', '{"gaussian_sigma": 1,}'])
def test_fitting_configuration_that_is_no_json_object_is_refused(tile, tmp_path, text):
    path = with_fitting_config(tmp_path, text)
    attempted = attempt(tile, tmp_path / "run", "--fitting-config", path)
    assert attempted.result.code in (USAGE, BAD_INPUT)
    assert_refused(attempted, attempted.result.code, path)


@pytest.mark.parametrize("path", ["nowhere.json", "."])
def test_fitting_configuration_that_is_no_file_is_named(tile, tmp_path, path):
    assert_refused(attempt(tile, tmp_path / "run", "--fitting-config", tmp_path / path), NOT_FOUND,
                   "configuration", tmp_path / path, "check")


def test_more_levels_than_a_volume_can_have_are_warned_about(tile, tmp_path):
    run = correct(tile, tmp_path / "run", "--n-levels", 12)
    assert [line for line in run.result.warnings if "--n-levels 12" in line and "at most 5" in line]
    assert list(read_levels(run.corrected)) == ["0", "1", "2", "3", "4"]


# ---------------------------------------------------------------------------------------------
# Tiles that are poor, but tiles


def test_both_skips_rewrite_the_tile_with_a_notice(tile, tmp_path):
    run = correct(tile, tmp_path / "run", "--skip-flat-field", "--skip-bkg-sub", "--n-levels", 2, masks=False)
    assert "--skip-flat-field and --skip-bkg-sub" in run.result.err
    np.testing.assert_array_equal(read_volume(run.corrected), read_volume(tile))
    assert list(read_levels(run.corrected)) == ["0", "1"] and not run.mask.exists()


def test_skipping_the_flatfield_subtracts_the_background_only(tile, tmp_path):
    run = correct(tile, tmp_path / "run", "--skip-flat-field", "--save-outputs", masks=False)
    np.testing.assert_array_equal(read_volume(run.corrected), background_subtracted(tile, run))
    assert not run.mask.exists()


def poor_tile(tmp_path, counts, mask=None, **options):
    tile = write_tile(tmp_path / "in" / NAME, counts, (16, 16, 16), **options)
    write_mask(tmp_path / "in" / "masks" / f"{NAME}.tif", np.ones(counts.shape) if mask is None else mask)
    return tile


@pytest.mark.parametrize("value", [0, 1, 100, 65535])
@pytest.mark.parametrize("n_levels", [1, 4])
def test_constant_tile_becomes_zero_with_a_warning(tmp_path, value, n_levels):
    tile = poor_tile(tmp_path, np.full((32, 32, 32), value, np.uint16), n_levels=n_levels)
    run = correct(tile, tmp_path / "run", "--n-levels", 3)
    assert run.report["status"] == "background_only" and "mask is empty" in run.report["reason"]
    assert [line for line in run.result.warnings if "background subtraction only" in line]
    assert not any(voxels.any() for voxels in read_levels(run.corrected).values())
    assert looks_finished(run.mask) and not read_volume(run.mask).any()


def test_saturated_tile_is_corrected_without_wrapping(tmp_path):
    counts, mask = phantom((32, 40, 48))
    counts[mask] = 65535
    tile = poor_tile(tmp_path, counts, mask)
    config = with_fitting_config(tmp_path, {"global_factor_binned": 1e6})
    run = correct(tile, tmp_path / "run", "--is-binned", "--fitting-config", config, "--n-levels", 3)
    written = read_volume(run.corrected)
    assert (written[read_volume(run.mask) == 1] == 65535).all()
    np.testing.assert_array_equal(read_volume(run.mask), mask)
    # Of tissue alone every window is saturated, of background alone none is.
    assert (written[~mask] < 1000).all()


@pytest.mark.parametrize("shape", [(1, 40, 48), (40, 1, 48), (40, 48, 1), (1, 1, 48), (2, 2, 2), (1, 1, 1), (3, 3, 3)])
@pytest.mark.parametrize("binned", [True, False])
def test_volume_of_few_planes_is_corrected(tmp_path, shape, binned):
    counts = np.random.default_rng(1).integers(100, 1000, shape).astype(np.uint16)
    tile = poor_tile(tmp_path, counts)
    run = correct(tile, tmp_path / "run", *["--is-binned"] * binned, "--n-levels", 3, "--save-outputs")
    assert run.report["status"] in ("corrected", "background_only")
    assert read_volume(run.corrected).shape == read_volume(run.mask).shape == shape
    if run.report["status"] == "background_only":
        np.testing.assert_array_equal(read_volume(run.corrected), background_subtracted(tile, run))


def test_tile_of_uint8_is_corrected_like_one_of_uint16(tmp_path):
    counts, mask = phantom((32, 40, 48), tissue=80)
    assert counts.max() < 256
    wide = correct(poor_tile(tmp_path / "a", counts, mask), tmp_path / "wide", "--is-binned", "--n-levels", 3)
    narrow = correct(poor_tile(tmp_path / "b", counts.astype(np.uint8), mask), tmp_path / "narrow", "--is-binned",
                     "--n-levels", 3)
    for level, voxels in read_levels(wide.corrected).items():
        np.testing.assert_array_equal(read_levels(narrow.corrected)[level], voxels)
    assert read_volume(narrow.corrected).dtype == np.uint16
    np.testing.assert_array_equal(read_volume(narrow.mask), read_volume(wide.mask))
