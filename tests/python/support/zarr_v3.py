"""OME-Zarr 0.5 written with numpy and the standard library alone: Zarr v3 with shards and without, byte for byte as the
specification has it, by none of the programs under test.
"""
import gzip
import itertools
import json
import pathlib
import struct

import numpy as np
import zarr

ABSENT = 2 ** 64 - 1


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def _boxes(shape, step):
    """Index and slices of the boxes of a grid."""
    for index in itertools.product(*(range(-(-n // s)) for n, s in zip(shape, step))):
        yield index, tuple(slice(i * s, i * s + s) for i, s in zip(index, step))


def _encode(voxels, chunk):
    """A chunk, padded at the edge of the array: big-endian, compressed with gzip. None if it is all zeros."""
    if not voxels.any():
        return None
    whole = np.zeros(chunk, voxels.dtype.newbyteorder(">"))
    whole[tuple(slice(n) for n in voxels.shape)] = voxels
    return gzip.compress(whole.tobytes(), 1, mtime=0)


def _encode_shard(voxels, chunk, shard, index_at_end):
    """The chunks in the reverse of their order, and an index before or behind them. None if all are zeros."""
    places = []
    for _, box in _boxes(shard, chunk):
        part = voxels[box]
        places.append(_encode(part, chunk) if part.size else None)
    if not any(places):
        return None
    size = 16 * len(places) + 4
    offset = 0 if index_at_end else size
    index, body = [(ABSENT, ABSENT)] * len(places), b""
    for number, encoded in reversed(list(enumerate(places))):
        if encoded is not None:
            index[number] = (offset + len(body), len(encoded))
            body += encoded
    packed = b"".join(struct.pack("<QQ", *entry) for entry in index)
    packed += crc32c(packed)
    return body + packed if index_at_end else packed + body


def write_array(path, voxels, chunk, shard=None, index_at_end=True):
    """An array of any number of axes; chunks of zeros, the fill value, are left out."""
    path = pathlib.Path(path)
    path.mkdir(parents=True)
    codecs = [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "gzip", "configuration": {"level": 1}}]
    if shard:
        index_codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        codecs = [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": list(chunk), "codecs": codecs, "index_codecs": index_codecs,
            "index_location": "end" if index_at_end else "start"}}]
    (path / "zarr.json").write_text(json.dumps({
        "zarr_format": 3, "node_type": "array", "shape": list(voxels.shape), "data_type": voxels.dtype.newbyteorder("=").name, "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard or chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "codecs": codecs,
        "dimension_names": list("tczyx")[-voxels.ndim:], "attributes": {}}))
    for index, box in _boxes(voxels.shape, shard or chunk):
        content = _encode_shard(voxels[box], chunk, shard, index_at_end) if shard else _encode(voxels[box], chunk)
        if content is not None:
            file = path.joinpath("c", *map(str, index))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def convert_tile(source, target, chunk, shard=None, index_at_end=True):
    """Writes an OME-Zarr 0.4 tile with the axes t, c, z, y, x as OME-Zarr 0.5; `chunk` and `shard` are (z, y, x)."""
    source, target = pathlib.Path(source), pathlib.Path(target)
    attributes = json.loads((source / ".zattrs").read_text())
    multiscales = attributes.pop("multiscales")
    for dataset in multiscales[0]["datasets"]:
        voxels = zarr.open_array(str(source / dataset["path"]), mode="r")[...]
        write_array(target / dataset["path"], voxels, (1, 1, *chunk), (1, 1, *shard) if shard else None, index_at_end)
    multiscales[0].pop("version", None)
    ome = {"version": "0.5", "multiscales": multiscales}
    if "omero" in attributes:
        ome["omero"] = attributes.pop("omero")
    (target / "zarr.json").write_text(json.dumps(
        {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome, **attributes}}))
    return target
