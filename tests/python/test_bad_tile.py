"""A tile that cannot be read: one line that says what is wrong with it, and no output that looks finished."""
import json
import shutil

import numcodecs
import numpy as np
import pytest
import zarr

from support.program import BAD_INPUT, NOT_FOUND, UNSUPPORTED, USAGE, attempt, correct, read_json, read_volume
from support.refusal import CHUNKS, NAME, assert_refused, tile  # noqa: F401
from support.tiles import phantom, phantom_tile, write_mask, write_tile

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
