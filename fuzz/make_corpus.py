#!/usr/bin/env python3
"""Makes the named inputs of fuzz/corpus: arrays that zarr-python 2, numcodecs and tifffile write (Debian's
python3-zarr, python3-tifffile), documents of Zarr v3, OME-NGFF and the configuration, and what is wrong with them.

Usage: fuzz/make_corpus.py [FOLDER]    writes FOLDER/TARGET/NAME (default: fuzz/corpus)
Inputs with a hexadecimal name were found by the fuzzers (fuzz/minimise) and are left alone.
"""
import gzip
import io
import json
import pathlib
import re
import struct
import sys
import types

import numcodecs
import numpy as np
import tifffile
import zarr

HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus"
gzip.time = types.SimpleNamespace(time=lambda: 0)  # which gzip writes into its header
RANDOM = np.random.RandomState(1)


def put(target, name, content):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def store(objects):
    """Keys and bytes as one input (store_input.h)."""
    out = b""
    for key, content in objects.items():
        if isinstance(content, (dict, list)):
            content = json.dumps(content)
        content = content if isinstance(content, bytes) else content.encode()
        assert b"\n--- " not in content, key
        out += (b"\n" if out else b"") + b"--- " + key.encode() + b"\n" + content
    return out


def values(shape, dtype):
    """Small numbers, which all codecs can make smaller."""
    return RANDOM.randint(0, 50, shape).astype(dtype)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


# ---- Zarr v2

def write_v2(name, dtype="<u2", shape=(5, 7), chunks=(3, 4), attributes=None, **options):
    objects = {}
    array = zarr.create(shape=shape, chunks=chunks, dtype=dtype, store=zarr.storage.KVStore(objects), **options)
    array[...] = values(shape, dtype)
    if attributes:
        array.attrs.update(attributes)
    put("zarr_v2", name, store(objects))


DOCUMENT_V2 = {"zarr_format": 2, "shape": [4, 6], "chunks": [4, 6], "dtype": "<u2", "order": "C", "fill_value": 3,
               "filters": None, "compressor": None}


def changed(document, **members):
    """A copy of a document with other members; ... leaves one out."""
    out = dict(document, **members)
    return {key: value for key, value in out.items() if value is not ...}


def document_v2(name, chunk=None, text=None, **members):
    objects = {".zarray": text or changed(DOCUMENT_V2, **members)}
    if chunk is not None:
        objects["0.0"] = chunk
    put("zarr_v2", name, store(objects))


def make_zarr_v2():
    for cname in ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"):
        write_v2(f"blosc_{cname}", compressor=numcodecs.Blosc(cname, 5, numcodecs.Blosc.BITSHUFFLE))
    write_v2("blosc_auto", dtype="|u1", compressor=numcodecs.Blosc("lz4", 5, numcodecs.Blosc.AUTOSHUFFLE))
    for codec in (numcodecs.Zstd(1), numcodecs.GZip(1), numcodecs.Zlib(1), numcodecs.LZ4(), numcodecs.BZ2(1),
                  numcodecs.LZMA()):
        write_v2(codec.codec_id, compressor=codec)
    for number, dtype in enumerate(("|b1", "|i1", "|u1", "<i2", ">u2", "<i4", ">u4", "<i8", ">u8", "<f2", ">f4",
                                    "<f8", "<c8", ">c16")):
        write_v2(f"dtype_{dtype[1:]}", dtype=dtype, compressor=None, order="CF"[number % 2],
                 dimension_separator="./"[number % 2], fill_value=1)
    write_v2("attributes", attributes={"a": [1, 2.5, None, True, "text"]}, compressor=None)
    write_v2("dimensions_0", shape=(), chunks=(), compressor=numcodecs.Zlib(1))
    write_v2("dimensions_4", shape=(2, 3, 2, 3), chunks=(1, 2, 2, 3), compressor=None, order="F")
    write_v2("delta", dtype="<i4", compressor=numcodecs.Zlib(1), filters=[numcodecs.Delta("<i4", "<i2")])
    write_v2("scaled", dtype="<f8", compressor=None,
             filters=[numcodecs.FixedScaleOffset(1.0, 10.0, "<f8", "<i2"), numcodecs.Shuffle(2)])
    write_v2("astype", dtype="<f4", compressor=None, filters=[numcodecs.AsType("<f2", "<f4")])
    write_v2("checksums", compressor=numcodecs.Zlib(1), filters=[numcodecs.CRC32(), numcodecs.Adler32()])
    document_v2("missing_chunk")
    document_v2("truncated_chunk", b"123")
    document_v2("long_chunk", b"1" * 60)
    document_v2("empty_chunk", b"")
    for name, dtype, value in (
            ("null", "<u2", None), ("negative", "<u2", -1), ("large", "|u1", 256), ("text", "<u2", "zero"),
            ("fraction", "<i4", 1.5), ("whole", "<i8", -3.0), ("huge", "<u8", 18446744073709551615),
            ("overflow", "<i8", 1e300), ("nan", "<f4", "NaN"), ("infinity", "<f8", "Infinity"),
            ("negative_infinity", "<f2", "-Infinity"), ("half_overflow", "<f2", 70000.0),
            ("float_overflow", "<f4", 1e39), ("bool", "|b1", True), ("bool_two", "|b1", 2),
            ("complex", "<c8", [1.5, "NaN"]), ("complex_16", "<c16", [1, 2]), ("complex_short", "<c16", [1]),
            ("complex_text", "<c8", ["x", 0])):
        document_v2(f"fill_{name}", dtype=dtype, fill_value=value)
    for name, members in {
            "format": {"zarr_format": 3}, "no_shape": {"shape": ...}, "no_dtype": {"dtype": ...},
            "shape_negative": {"shape": [-1, 6]}, "shape_text": {"shape": "4"}, "chunks_zero": {"chunks": [0, 6]},
            "chunks_fewer": {"chunks": [4]}, "chunks_more": {"chunks": [4, 6, 1]},
            "shape_huge": {"shape": [2**62, 2**62]}, "chunks_huge": {"chunks": [2**31, 2**31]},
            "chunks_overflow": {"chunks": [2**62, 4], "shape": [1, 1]}, "chunks_2_gib": {"chunks": [32768, 32767]},
            "dimensions_33": {"shape": [1] * 33, "chunks": [1] * 33}, "shape_empty": {"shape": [0, 6]},
            "dtype_structured": {"dtype": [["a", "<u2"]]}, "dtype_order": {"dtype": "u2"},
            "dtype_no_order": {"dtype": "|u2"}, "dtype_text": {"dtype": "<U4"}, "dtype_empty": {"dtype": ""},
            "order": {"order": "K"}, "order_long": {"order": "CF"}, "separator": {"dimension_separator": "-"},
            "compressor_unknown": {"compressor": {"id": "zfpy"}}, "compressor_text": {"compressor": "zlib"},
            "compressor_missing": {"compressor": ...}, "compressor_level": {"compressor": {"id": "zlib", "level": 2**40}},
            "compressor_lzma_raw": {"compressor": {"id": "lzma", "format": 3}},
            "checksum_location": {"filters": [{"id": "crc32", "location": "end"}]},
            "checksum_at_start": {"filters": [{"id": "crc32c", "location": "start"}]},
            "filter_unknown": {"filters": [{"id": "categorize"}]},
            "filter_text": {"filters": ["delta"]}, "filter_no_id": {"filters": [{}]},
            "filter_behind": {"filters": [{"id": "zlib"}, {"id": "delta", "dtype": "<u2"}]},
            "filter_scale_zero": {"filters": [{"id": "fixedscaleoffset", "dtype": "<f4", "scale": 0, "offset": 1}]},
            "filter_scale_text": {"filters": [{"id": "fixedscaleoffset", "dtype": "<f4", "scale": "1", "offset": 1}]},
            "filter_complex": {"filters": [{"id": "delta", "dtype": "<c8"}]},
            "filter_complex_default": {"dtype": "<c16", "fill_value": None, "filters": [{"id": "delta"}]},
            "filter_complex_encoded": {"filters": [{"id": "delta", "dtype": "<u2", "astype": "<c16"}]},
            "filter_float_integer": {"filters": [{"id": "delta", "dtype": "<f4", "astype": "<i4"}]},
            "filter_stride": {"filters": [{"id": "shuffle", "elementsize": 7}]},
            "filter_wider": {"filters": [{"id": "delta", "dtype": "|u1", "astype": "<u8"}] * 5},
            "filter_widest": {"filters": [{"id": "delta", "dtype": "|u1", "astype": "<u8"}] * 24},
            "filters_text": {"filters": "delta"},
            "compressors_many": {"filters": [{"id": "zlib"}] * 40, "compressor": {"id": "zlib"}},
            "unknown_member": {"extra": 1}}.items():
        document_v2(f"bad_{name}", bytes(48), **members)
    for name, shape in (("complex", [4, 6]), ("complex_large", [24, 40])):
        document_v2(f"delta_{name}", bytes(16 * shape[0] * shape[1]), dtype="<c16", fill_value=None, shape=shape,
                    chunks=shape, filters=[{"id": "delta"}])
    document_v2("bad_json", text='{"zarr_format": 2,')
    document_v2("bad_twice", text='{"zarr_format": 2, "zarr_format": 2}')
    document_v2("bad_deep", text="[" * 200)
    document_v2("bad_list", text="[1]")
    document_v2("bad_number", text='{"zarr_format": 1e999}')
    for dtype in ("<u2", "<f8", "|b1", "<f2", "<i8", "<u4"):
        size = int(dtype[2])
        document_v2(f"delta_{dtype[1:]}", bytes(24 * size), dtype=dtype, fill_value=None,
                    filters=[{"id": "delta", "dtype": dtype}])
    for decoded in ("|b1", "|i1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", ">f8"):
        document_v2(f"astype_{decoded[1:]}", values((24,), "<f8").tobytes(), dtype=decoded, fill_value=None,
                    filters=[{"id": "astype", "encode_dtype": "<f8", "decode_dtype": decoded}])
        document_v2(f"astype_{decoded[1:]}_integers", values((24,), "<i4").tobytes(), dtype=decoded, fill_value=None,
                    filters=[{"id": "astype", "encode_dtype": "<i4", "decode_dtype": decoded}])
    document_v2("astype_nan", np.array([np.nan, np.inf, -np.inf, 1e30] * 6).tobytes(), dtype="<i4",
                filters=[{"id": "astype", "encode_dtype": "<f8", "decode_dtype": "<i4"}])
    put("zarr_v2", "bad_attributes", store({".zarray": DOCUMENT_V2, ".zattrs": "[]"}))
    put("zarr_v2", "no_array", store({"0.0": b"1"}))
    put("zarr_v2", "no_keys", store({"../0": b"1"}))
    put("zarr_v2", "no_store", b"--")


# ---- single chunks and shards

def rows(table):
    """The rows of a table of miniature_arrays.h."""
    text = (HERE / "miniature_arrays.h").read_text()
    body = text[text.index(f"{table}{{"):]
    return [json.loads(row if row.startswith("[") else "{" + row + "}")
            for row in re.findall(r'R"\((.*)\)",?\n', body[:body.index("};")])]


def encode_v2(row, plain):
    data = plain
    for config in (row["filters"] or []) + ([row["compressor"]] if row["compressor"] else []):
        codec = numcodecs.get_codec(dict(config))
        data = codec.encode(data)
    return bytes(numcodecs.compat.ensure_bytes(data))


def make_zarr_chunks():
    for number, row in enumerate(rows("kChunkCodecs")):
        dtype = np.dtype(row["dtype"])
        plain = np.ascontiguousarray(np.sort(values((24, 40), dtype), axis=1))
        encoded = encode_v2(row, plain)
        put("zarr_chunks", f"row_{number:02}", bytes([number]) + encoded)
        put("zarr_chunks", f"row_{number:02}_short", bytes([number]) + encoded[:-5])
        put("zarr_chunks", f"row_{number:02}_long", bytes([number]) + encoded + b"12345")
        put("zarr_chunks", f"row_{number:02}_few", bytes([number]) + encode_v2(row, plain[:2]))
        put("zarr_chunks", f"row_{number:02}_many", bytes([number]) + encode_v2(row, np.vstack([plain, plain])))
        put("zarr_chunks", f"row_{number:02}_stub", bytes([number]) + encoded[:3])
    voxels = values((24, 40), "<u2")
    blocks = voxels.tobytes()
    numcodecs.blosc.use_threads = False
    for shuffle in (0, 1, 2):
        codec = numcodecs.Blosc("lz4", 5, shuffle, blocksize=256)
        put("zarr_chunks", f"blosc_blocks_{shuffle}", b"\0" + codec.encode(blocks))
        put("zarr_chunks", f"blosc_items_{shuffle}", b"\0" + codec.encode(voxels.view("<u4")))
        put("zarr_chunks", f"blosc_eights_{shuffle}", b"\0" + codec.encode(voxels.view("<u8")))
    put("zarr_chunks", "blosc_large_items",
        b"\0" + numcodecs.Blosc("lz4", 5, 0).encode(np.frombuffer(blocks, "V128")))
    put("zarr_chunks", "blosc_copied", b"\0" + numcodecs.Blosc("lz4", 0, 0).encode(blocks))
    put("zarr_chunks", "blosc_random", b"\0" + numcodecs.Blosc("lz4", 5, 1).encode(RANDOM.bytes(1920)))
    lz4 = encode_v2({"filters": None, "compressor": {"id": "lz4", "acceleration": 1}}, voxels)
    put("zarr_chunks", "lz4_claims_4_gib", bytes([9]) + b"\xff\xff\xff\xff" + lz4[4:])
    put("zarr_chunks", "lz4_claims_more", bytes([9]) + struct.pack("<I", 4000) + lz4[4:])
    put("zarr_chunks", "lz4_claims_less", bytes([9]) + struct.pack("<I", 1000) + lz4[4:])
    halves = blocks[:960], blocks[960:]
    for number, codec in ((6, numcodecs.Zstd(1)), (7, numcodecs.GZip(1)), (8, numcodecs.Zlib(1)),
                          (10, numcodecs.BZ2(1)), (11, numcodecs.LZMA())):
        put("zarr_chunks", f"members_{codec.codec_id}",
            bytes([number]) + b"".join(bytes(codec.encode(half)) for half in halves))
    put("zarr_chunks", "lzma_alone", bytes([11]) + bytes(numcodecs.LZMA(format=2).encode(blocks)))
    # The header of .lzma says how large the dictionary is: bytes 1 to 4.
    alone = bytearray(numcodecs.LZMA(format=2).encode(blocks))
    alone[1:5] = struct.pack("<I", 0x3000_0000)
    put("zarr_chunks", "lzma_dictionary", bytes([11]) + bytes(alone))


def codec_of(name):
    return {"zstd": numcodecs.Zstd(1), "gzip": numcodecs.GZip(1), "blosc": numcodecs.Blosc("lz4", 5, 1)}[name]


def encode_v3(codecs, array):
    """An independent encoder of what the rows of kShardCodecs use."""
    data = array
    for codec in codecs:
        name, configuration = codec["name"], codec.get("configuration", {})
        if name == "transpose":
            data = data.transpose(configuration["order"])
        elif name == "bytes":
            order = ">" if configuration.get("endian") == "big" else "<"
            data = np.ascontiguousarray(data).astype(data.dtype.newbyteorder(order)).tobytes()
        elif name == "sharding_indexed":
            data = encode_shard(configuration, data)
        elif name == "crc32c":
            data += crc32c(data)
        else:
            data = bytes(codec_of(name).encode(np.frombuffer(data, "<u2") if name == "blosc" else data))
    return data


def encode_shard(configuration, array, absent=(), change=lambda index: None):
    inner = configuration["chunk_shape"]
    grid = [n // m for n, m in zip(array.shape, inner)]
    at_start = configuration.get("index_location") == "start"
    index = np.full(grid + [2], 2**64 - 1, "<u8")
    offset = len(encode_v3(configuration["index_codecs"], index)) if at_start else 0
    chunks = b""
    for place in np.ndindex(*grid):
        if place in absent:
            continue
        box = tuple(slice(i * m, (i + 1) * m) for i, m in zip(place, inner))
        encoded = encode_v3(configuration["codecs"], array[box])
        index[place] = offset + len(chunks), len(encoded)
        chunks += encoded
    change(index)
    encoded_index = encode_v3(configuration["index_codecs"], index)
    return encoded_index + chunks if at_start else chunks + encoded_index


def make_zarr_shards():
    for number, codecs in enumerate(rows("kShardCodecs")):
        array = values((8, 12), "<u2")
        first = bytes([number])
        whole = encode_v3(codecs, array)
        put("zarr_shards", f"row_{number}", first + whole)
        put("zarr_shards", f"row_{number}_short", first + whole[:-3])
        put("zarr_shards", f"row_{number}_stub", first + whole[:9])
        if codecs[0]["name"] != "sharding_indexed":
            continue
        configuration, outer = codecs[0]["configuration"], codecs[1:]

        def damaged(name, change, absent=()):
            data = encode_shard(configuration, array, absent, change)
            for codec in outer:
                data = bytes(codec_of(codec["name"]).encode(data))
            put("zarr_shards", f"row_{number}_{name}", first + data)

        def set_entry(offset, length):
            def change(index):
                entry = index.reshape(-1, 2)[0]
                entry[0] = entry[0] if offset is None else offset
                entry[1] = entry[1] if length is None else length
            return change

        damaged("absent", lambda index: None, absent=((0, 0),))
        damaged("outside", set_entry(10**6, None))
        damaged("longer", set_entry(None, 10**6))
        damaged("overflow", set_entry(2**64 - 8, 100))
        damaged("same", lambda index: index.__setitem__(Ellipsis, index.reshape(-1, 2)[0]))
        damaged("no_offset", set_entry(2**64 - 1, None))


# ---- documents of Zarr v3

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
CRC = {"name": "crc32c"}
DOCUMENT_V3 = {"zarr_format": 3, "node_type": "array", "shape": [8, 12], "data_type": "uint16",
               "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 12]}},
               "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
               "fill_value": 3, "codecs": [BYTES], "attributes": {}}


def document_v3(name, chunk=None, key="c/0/0", **members):
    objects = {"zarr.json": changed(DOCUMENT_V3, **members)}
    if chunk is not None:
        objects[key] = chunk
    put("zarr_v3", name, store(objects))


def sharding(chunk_shape, codecs, index_codecs=(BYTES, CRC), **more):
    return {"name": "sharding_indexed", "configuration": {
        "chunk_shape": chunk_shape, "codecs": codecs, "index_codecs": list(index_codecs), **more}}


def grid_of(chunk_shape):
    return {"name": "regular", "configuration": {"chunk_shape": chunk_shape}}


def make_zarr_v3():
    array = values((8, 12), "<u2")
    zstd = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
    gzip = {"name": "gzip", "configuration": {"level": 1}}
    blosc = {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2,
                                                "blocksize": 0}}
    transpose = {"name": "transpose", "configuration": {"order": [1, 0]}}
    chains = {"plain": [BYTES], "crc": [BYTES, CRC], "zstd": [BYTES, zstd], "gzip_crc": [BYTES, gzip, CRC],
              "blosc": [BYTES, blosc], "transpose": [transpose, BYTES], "transpose_twice": [transpose, transpose, BYTES],
              "big": [{"name": "bytes", "configuration": {"endian": "big"}}],
              "shards": [sharding([4, 6], [BYTES, zstd])],
              "shards_start": [sharding([4, 6], [BYTES, zstd, CRC], (BYTES,), index_location="start")],
              "shards_nested": [sharding([4, 12], [sharding([2, 6], [BYTES, gzip])])],
              "shards_transposed": [transpose, sharding([6, 4], [transpose, BYTES])],
              "shards_sealed": [sharding([4, 6], [BYTES]), CRC]}
    for name, codecs in chains.items():
        document_v3(name, encode_v3(codecs, array), codecs=codecs)
    chunk = array[:4, :6]
    document_v3("chunks", encode_v3([BYTES], chunk), chunk_grid=grid_of([4, 6]), key="c/1/1")
    document_v3("keys_v2", encode_v3([BYTES], array), key="0.0", chunk_key_encoding={"name": "v2"})
    document_v3("keys_dots", encode_v3([BYTES], array), key="c.0.0",
                chunk_key_encoding={"name": "default", "configuration": {"separator": "."}})
    document_v3("dimensions_0", b"\1\0", key="c", shape=[], chunk_grid=grid_of([]))
    document_v3("dimensions_3", bytes(48), key="c/0/0/0", shape=[2, 3, 4], chunk_grid=grid_of([2, 3, 4]),
                codecs=[{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, BYTES])
    for order in ([0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0]):
        document_v3("transpose_" + "".join(map(str, order)), values((2, 3, 4), "<u2").tobytes(), key="c/0/0/0", shape=[2, 3, 4],
                    chunk_grid=grid_of([2, 3, 4]), codecs=[{"name": "transpose", "configuration": {"order": order}}, BYTES])
    document_v3("transpose_one", bytes(2), shape=[1, 1], chunk_grid=grid_of([1, 1]), codecs=[transpose, BYTES])
    document_v3("shards_large", shape=[8, 12], chunk_grid=grid_of([8192, 8192]), codecs=[sharding([1, 1], [BYTES])])
    document_v3("transpose_f", bytes(192), codecs=[{"name": "transpose", "configuration": {"order": "F"}}, BYTES])
    document_v3("transpose_c", bytes(192), codecs=[{"name": "transpose", "configuration": {"order": "C"}}, BYTES])
    document_v3("names", dimension_names=["y", None])
    document_v3("extension", extra={"must_understand": False})
    document_v3("short_names", bytes(96), data_type="uint8", codecs=["bytes"])
    for dtype, value in (("bool", True), ("bool", 1), ("int8", -5), ("uint8", 255), ("int16", -5), ("int32", -5),
                         ("uint32", 5), ("int64", -5), ("uint64", 2**64 - 1), ("float16", "0x7e00"), ("float16", 0.5),
                         ("float32", "0x7fc00000"), ("float32", "0x7fc"), ("float64", "0x7ff8000000000000"),
                         ("float64", "NaN"), ("complex64", [1.0, "-Infinity"]), ("complex128", ["0x7ff8000000000000", 2]),
                         ("complex64", 1), ("complex64", ["0x1", 1]), ("uint16", "0x10")):
        label = re.sub(r"[^a-zA-Z0-9]+", "_", f"{dtype}_{value}").strip("_")
        document_v3(f"type_{label}", data_type=dtype, fill_value=value, shape=[2, 2], chunk_grid=grid_of([2, 2]))
    for index, size in (("1", 1), ("2", 2), ("4", 4), ("8", 8)):
        dtype = {1: "uint8", 2: "uint16", 4: "float32", 8: "float64"}[size]
        document_v3(f"transpose_{index}", bytes(96 * size), data_type=dtype, codecs=[transpose, BYTES], fill_value=0)
    document_v3("transpose_16", bytes(96 * 16), data_type="complex128", codecs=[transpose, BYTES], fill_value=[0, 0])
    document_v3("numcodecs", bytes(numcodecs.Zlib(1).encode(array)),
                codecs=[BYTES, {"name": "numcodecs.zlib", "configuration": {"level": 1}}])
    for name, members in {
            "format": {"zarr_format": 2}, "node": {"node_type": "tree"}, "group": {"node_type": "group"},
            "no_shape": {"shape": ...}, "shape_negative": {"shape": [-1, 2]}, "shape_huge": {"shape": [2**62, 2**62]},
            "type_unknown": {"data_type": "r16"}, "type_configured": {"data_type": {"name": "uint16", "configuration": {"x": 1}}},
            "type_number": {"data_type": 5}, "grid_unknown": {"chunk_grid": {"name": "rectilinear"}},
            "grid_member": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 12], "x": 1}}},
            "grid_zero": {"chunk_grid": grid_of([0, 12])}, "grid_fewer": {"chunk_grid": grid_of([8])},
            "grid_huge": {"chunk_grid": grid_of([2**40, 2**40])}, "grid_2_gib": {"chunk_grid": grid_of([32768, 32767])},
            "keys_unknown": {"chunk_key_encoding": {"name": "hash"}},
            "keys_separator": {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "-"}}},
            "fill_missing": {"fill_value": ...}, "fill_null": {"fill_value": None}, "fill_text": {"fill_value": "1"},
            "names_fewer": {"dimension_names": ["y"]}, "names_numbers": {"dimension_names": [1, 2]},
            "names_more": {"dimension_names": ["z", "y", "x"]},
            "transformers": {"storage_transformers": [{"name": "x"}]}, "no_transformers": {"storage_transformers": []},
            "extension": {"extra": {"must_understand": True}}, "attributes": {"attributes": []},
            "codecs_text": {"codecs": "bytes"}, "codecs_empty": {"codecs": []}, "codecs_unknown": {"codecs": [BYTES, "zfp"]},
            "codecs_order": {"codecs": [CRC, BYTES]}, "codecs_twice": {"codecs": [BYTES, BYTES]},
            "codecs_behind": {"codecs": [BYTES, transpose]}, "codecs_sharding_behind": {"codecs": [BYTES, sharding([4, 6], [BYTES])]},
            "codec_member": {"codecs": [{"name": "bytes", "configuration": {"endian": "little", "x": 1}}]},
            "codec_extra": {"codecs": [{"name": "bytes", "x": 1}]},
            "no_endian": {"codecs": [{"name": "bytes"}]}, "endian": {"codecs": [{"name": "bytes", "configuration": {"endian": "middle"}}]},
            "transpose_fewer": {"codecs": [{"name": "transpose", "configuration": {"order": [0]}}, BYTES]},
            "transpose_twice": {"codecs": [{"name": "transpose", "configuration": {"order": [0, 0]}}, BYTES]},
            "transpose_outside": {"codecs": [{"name": "transpose", "configuration": {"order": [0, 9]}}, BYTES]},
            "transpose_empty": {"codecs": [{"name": "transpose", "configuration": {"order": []}}, BYTES]},
            "blosc_shuffle": {"codecs": [BYTES, {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "auto"}}]},
            "shards_indivisible": {"codecs": [sharding([3, 6], [BYTES])]}, "shards_fewer": {"codecs": [sharding([4], [BYTES])]},
            "shards_zero": {"codecs": [sharding([0, 6], [BYTES])]},
            "shards_many": {"chunk_grid": grid_of([2**20, 2**20]), "codecs": [sharding([1, 1], [BYTES])]},
            "shards_large_index": {"chunk_grid": grid_of([2**13, 2**13]), "codecs": [sharding([1, 1], [BYTES])]},
            "shards_nested_large": {"chunk_grid": grid_of([2**30, 2**30]),
                                    "codecs": [sharding([2**29, 2**29], [sharding([1, 1], [BYTES])])]},
            "index_compressed": {"codecs": [sharding([4, 6], [BYTES], (BYTES, zstd))]},
            "index_sharded": {"codecs": [sharding([4, 6], [BYTES], (sharding([1, 1, 2], [BYTES]),))]},
            "index_location": {"codecs": [sharding([4, 6], [BYTES], index_location="middle")]},
            "compressors_many": {"codecs": [BYTES] + [zstd] * 60},
    }.items():
        document_v3(f"bad_{name}", bytes(192), **members)


# ---- OME-NGFF

def axes(names):
    kinds = {"t": "time", "c": "channel"}
    return [{"name": name, "type": kinds.get(name, "space"), "unit": "micrometer"} for name in names]


def multiscale(names="zyx", paths=("0", "1"), **more):
    image = {"version": "0.4", "name": "tile", "axes": axes(names), "datasets": [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [2.0 ** i] * len(names)},
                                                     {"type": "translation", "translation": [0.5] * len(names)}]}
        for i, path in enumerate(paths)]}
    return changed(image, **more)


def level(shape, dtype="|u1"):
    objects = {}
    array = zarr.create(shape=shape, chunks=[1] * (len(shape) - 3) + [2, 2, 3], dtype=dtype, compressor=None,
                        store=zarr.storage.KVStore(objects))
    array[...] = values(shape, dtype)
    return objects


def group_v2(attributes, **levels):
    objects = {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
    for path, shape in levels.items():
        for key, content in level(*shape).items():
            objects[f"{path.strip('_')}/{key}"] = content
    return objects


def group_v3(ome, **more):
    return {"zarr.json": changed({"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}, **more)}


OMERO = {"channels": [{"color": "FFFFFF", "label": "a", "window": {"min": 0, "max": 9, "start": 0, "end": 9}}]}
PLATE = {"version": "0.4", "name": "p", "field_count": 1, "rows": [{"name": "A"}, {"name": "B"}],
         "columns": [{"name": "1"}], "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}],
         "acquisitions": [{"id": 0, "name": "a", "maximumfieldcount": 1, "starttime": 1, "endtime": 2}]}
WELL = {"version": "0.4", "images": [{"path": "0", "acquisition": 1}]}
LABEL = {"version": "0.4", "colors": [{"label-value": 1, "rgba": [0, 1, 2, 255]}], "properties": [{"label-value": 1}]}


def make_ome_image():
    def image(name, attributes, **levels):
        put("ome_image", name, store(group_v2(attributes, **levels)))

    two = {"_0": ((4, 5, 6), "|u1"), "_1": ((2, 3, 3), "|u1")}
    image("image_3", {"multiscales": [multiscale()], "omero": OMERO}, **two)
    image("image_16", {"multiscales": [multiscale(paths=("a/b",))]}, **{"a/b": ((3, 4, 5), "<u2")})
    image("image_5", {"multiscales": [multiscale("tczyx", ("0",))]}, _0=((1, 2, 3, 3, 4), "<u2"))
    image("image_no_axes", {"multiscales": [multiscale("tczyx", ("0",), axes=...)]}, _0=((1, 1, 2, 3, 4), "|u1"))
    image("image_names", {"multiscales": [multiscale(axes=["z", "y", "x"])]}, **two)
    image("image_old", {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]}, _0=((1, 1, 2, 3, 4), "|u1"))
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [2, 2, 2]}, {"type": "identity"}]}
    image("image_whole_scale", {"multiscales": [multiscale(**whole)]}, **two)
    image("labels", {"image-label": LABEL, "labels": ["a"], "multiscales": [multiscale()]}, **two)
    image("plate", {"plate": PLATE})
    image("well", {"well": WELL})
    image("other", {"a": 1})
    for name, image_members in {
            "axes_other": {"axes": axes("qzyx")}, "axes_order": {"axes": axes("xyz")}, "axes_twice": {"axes": axes("zyy")},
            "axes_one": {"axes": axes("x")}, "axes_two": multiscale("yx"), "axes_six": multiscale("abczyx"),
            "axes_text": {"axes": "zyx"}, "axes_number": {"axes": [1, 2, 3]}, "axes_empty": {"axes": []},
            "axes_nameless": {"axes": [{"type": "space"}] * 3}, "name": {"name": 5}, "datasets": {"datasets": []},
            "datasets_missing": {"datasets": ...}, "datasets_text": {"datasets": ["0"]}, "version": {"version": "0.3"},
            "path_out": {"datasets": [{"path": "../0"}]}, "path_missing": {"datasets": [{}]},
            "path_number": {"datasets": [{"path": 1}]}, "path_absent": {"datasets": [{"path": "9"}]},
            "scale_zero": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0, 1, 1]}]}]},
            "scale_short": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1]}]}]},
            "scale_text": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": ["1", 1, 1]}]}]},
            "scale_huge": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1e300] * 3}] * 2}]},
            "scale_twice": {"datasets": [{"path": "0"}, {"path": "0"}]},
            "transformation": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "affine"}]}]},
            "transformation_text": {"datasets": [{"path": "0", "coordinateTransformations": ["scale"]}]},
    }.items():
        image(f"bad_{name}", {"multiscales": [multiscale(**image_members)]}, _0=((2, 3, 4), "|u1"))
    image("bad_multiscales", {"multiscales": {}})
    image("bad_multiscales_empty", {"multiscales": []})
    image("bad_multiscales_text", {"multiscales": ["x"]})
    image("bad_level_axes", {"multiscales": [multiscale()]}, _0=((1, 2, 3, 4), "|u1"))
    image("bad_level_empty", {"multiscales": [multiscale()]}, _0=((0, 3, 4), "|u1"))
    image("bad_omero", {"multiscales": [multiscale()], "omero": {"channels": [{"color": 5, "window": {}}, 1]}}, **two)
    image("bad_omero_list", {"multiscales": [multiscale()], "omero": []}, **two)
    image("bad_label", {"image-label": {"version": "9", "colors": [{"label-value": 1}, {"label-value": 1, "rgba": [256]}, 3],
                                        "properties": [{"label-value": "1"}, 2]}})
    image("bad_labels", {"image-label": [], "labels": 3})
    wells = [{"path": "A/1", "rowIndex": 7, "columnIndex": 0}, {"path": "A1", "rowIndex": -1}, {"path": 1}, 5,
             {"path": "B/1", "rowIndex": 0, "columnIndex": 0}]
    bad_plate = changed(PLATE, wells=wells, rows=[{"name": "A B"}, {"name": "A B"}, 1], field_count=0,
                        acquisitions=[{"id": -1}, 1])
    image("bad_plate", {"plate": bad_plate})
    image("bad_plate_list", {"plate": []})
    image("bad_well", {"well": {"images": [{"path": "0 0", "acquisition": "x"}, 1]}})
    image("bad_well_text", {"well": "x"})
    put("ome_image", "bad_group", store({".zgroup": "{", ".zattrs": "{}"}))
    put("ome_image", "bad_attributes", store({".zgroup": {"zarr_format": 2}, ".zattrs": "[]"}))
    put("ome_image", "array", store(level((2, 3, 4))))
    put("ome_image", "nothing", b"")
    put("ome_image", "no_metadata", store({"a/b": "c"}))

    ome = {"version": "0.5", "multiscales": [multiscale(version=...)]}
    array = changed(DOCUMENT_V3, shape=[2, 3, 4], chunk_grid=grid_of([2, 3, 4]), data_type="uint8",
                    dimension_names=["z", "y", "x"])
    levels = {"0/zarr.json": array, "0/c/0/0/0": bytes(range(24)), "1/zarr.json": array}
    put("ome_image", "image_v05", store(dict(group_v3(dict(ome, omero=OMERO)), **levels)))
    put("ome_image", "plate_v05", store(group_v3({"version": "0.5", "plate": changed(PLATE, version=...)})))
    put("ome_image", "bad_plate_v05", store(group_v3({"version": "0.5", "plate": bad_plate})))
    put("ome_image", "well_v05", store(group_v3({"version": "0.5", "well": WELL})))
    put("ome_image", "label_v05", store(group_v3({"version": "0.5", "image-label": LABEL})))
    put("ome_image", "bad_v05", store(group_v3({"version": "0.4", "series": ["a"], "bioformats2raw.layout": 3})))
    put("ome_image", "bad_ome", store(group_v3("x")))
    cache = {"kind": "inline", "must_understand": False, "metadata": {"0": array}}
    for name, members in {"cache": {"consolidated_metadata": cache},
                          "cache_kind": {"consolidated_metadata": changed(cache, kind="other")},
                          "cache_text": {"consolidated_metadata": changed(cache, metadata="x")},
                          "node": {"node_type": "tree"}, "attributes": {"attributes": 5}, "extra": {"extra": 5},
                          "array": {"node_type": "array"}, "format": {"zarr_format": 4}}.items():
        put("ome_image", f"group_{name}", store(group_v3(ome, **members)))


# ---- configurations

def make_configuration():
    run = {"zarr": "a.zarr", "output": "out", "method": "fitting", "flatfield_path": None, "mask_dir": "m", "res": 0,
           "num_workers": 2, "memory_limit": "16GiB", "n_levels": 7, "results_dir": "r", "save_outputs": True,
           "fitting_config": "f.json", "basic_config": "b.json", "median_summary_path": "s", "overwrite": False,
           "skip_flat_field": False, "skip_bkg_sub": False, "pedestal": 0.0, "use_reference_bkg": False,
           "is_binned": False, "binned_channel": 488, "background_smoothing_sigma": 1.0,
           "background_final_smoothing_sigma": 2, "estimation_res": "3", "on_qc_fail": "warn", "corrected_rank": -2,
           "output_chunks": [64, 64, 64], "output_zarr_format": 3, "corrected_shard_size": [512, 512, 512],
           "mask_shard_size": "none", "probability_shard_size": 256, "write_empty_chunks": True,
           "output_codec": "blosc-zstd", "output_codec_level": 1, "metadata_schema": 2, "log_level": 20,
           "log_format": "json", "s3_endpoint": "http://x", "s3_region": "us-west-2", "s3_anonymous": False,
           "s3_request_payer": False, "s3_sse": "aws:kms:key", "s3_acl": "private", "s3_concurrency": 8,
           "s3_max_attempts": 3, "tile_paths": ["a", "b"], "fitting": {"gaussian_sigma": 1}, "basic": {"rho": 2},
           "worker_mode": "x"}
    fitting = {"med_factor_binned": 2.0, "gaussian_sigma": 1, "profile_percentile": 50, "profile_min_voxels": 10,
               "limits_x": [0.2, 5], "limits_y": None, "limits_z": [1, 1], "global_ratio_limits": [0.1, 2],
               "median_summary_path": None, "probability_model": "gmm", "enable_gmm_refinement": True,
               "gmm_n_components": 3, "probability_ramp_eps": 0.1}
    basic = {"fitting_mode": "ladmap", "get_darkfield": True, "epsilon": 0.1, "max_iterations": 5, "rho": 1.5,
             "working_size": [64, 32], "resize_mode": "jax", "autotune": False, "max_frames": 10}
    documents = {"run": run, "fitting": fitting, "basic": basic, "empty": {},
                 "folder": {"input": "i", "output": "o", "timelapse": "additive", "output_type": "float32"},
                 "synth": {"output": "o", "shape": [4, 5, 6], "chunks": [2, 2, 2], "n_levels": 2, "seed": 3},
                 "json": [None, True, False, 0, -1, 2**63, -2**63, 2**64 - 1, 1.5, -0.0, 1e300, "\u00e9\n\t\"", {"a": {}}]}
    others = (None, True, "x", -1, 1.5, [1], [1, 2, 3], [1, 2, 3, 4], {}, 2**64 - 1, ["a", 1], "none", "5,6", 99)
    keys = ("limits_x", "limits_z", "global_ratio_limits", "probability_model", "gaussian_sigma", "probability_ramp_eps",
            "fitting_mode", "working_size", "rho", "epsilon", "max_frames", "get_darkfield", "tile_paths", "output_chunks",
            "corrected_shard_size", "memory_limit", "corrected_rank", "log_level", "s3_sse", "res", "write_empty_chunks",
            "output_zarr_format", "fitting", "basic", "method", "zarr", "overwrite", "num_workers")
    for i, key in enumerate(keys):  # each with some of the others, all of them with one another
        for j in range(4):
            documents[f"{key}_{j}"] = {key: others[(i + 4 * j) % len(others)]}
    for name, members in {"no_zarr": {"zarr": None}, "no_output": {"output": None}, "no_mask": {"mask_dir": ""},
                          "no_results": {"results_dir": ""}, "no_flatfield": {"method": "reference"},
                          "fitting_skip": {"skip_bkg_sub": True}, "pedestal": {"pedestal": 5},
                          "reference": {"method": "basicpy", "skip_bkg_sub": True, "use_reference_bkg": True},
                          "codec_level": {"output_codec_level": 99}, "codec_none": {"output_codec": "none"},
                          "skip": {"skip_flat_field": True}, "unknown": {"outputs": 1},
                          "unused": {"method": "reference", "flatfield_path": "f"}}.items():
        documents[f"check_{name}"] = changed(dict(run, tile_paths=None), **members)
    for name, document in documents.items():
        put("configuration", name, json.dumps(document))
    for name, text in {"gib": "16GiB", "half": "0.5T", "kilo": "1k", "size_zero": "0", "size_text": "16X", "list": "1,2,3",
                       "list_bad": "1,,3", "number": "-2.5", "infinity": "inf", "true": "true", "level": "warning",
                       "rank": "mean", "none": "none", "empty": "", "word": "fitting", "large": "1e400"}.items():
        put("configuration", f"text_{name}", text)


# ---- answers of S3

def make_xml_answers():
    for name, text in {
            "listing_size": "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>",
            "listing_endless": "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "listing_encoding": "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key><Size>1</Size>"
                                "</Contents></ListBucketResult>",
            "error_response": "<ErrorResponse><Error><Code>A</Code><Message>B</Message></Error></ErrorResponse>",
            "role_keyless": "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId></Credentials>"
                            "</AssumeRoleResult></AssumeRoleResponse>",
            "upload_nameless": "<InitiateMultipartUploadResult/>", "deep": "<a>" * 40, "type": "<!DOCTYPE a><a/>",
            "html": "<html><body>", "text": "no XML"}.items():
        put("xml_answers", name, text)


# ---- TIFF

def make_tiff_image():
    def image(name, array, **options):
        file = io.BytesIO()
        file.name = "image.tif"
        tifffile.imwrite(file, array, metadata=None, software=False, **options)
        put("tiff_image", name, file.getvalue())
        return file.getvalue()

    plain = image("uint8", values((5, 7), "u1"))
    image("uint16", values((5, 7), "u2"))
    image("big_endian", values((5, 7), ">u2"), byteorder=">")
    image("pages", values((3, 5, 7), "u1"), photometric="minisblack")
    image("float32", values((5, 7), "f4"))
    image("float64", values((5, 7), "f8"))
    image("int16", values((5, 7), "i2"))
    image("bits", values((5, 9), "u1") > 20)
    image("strips", values((9, 7), "u1"), rowsperstrip=2)
    image("tiles", values((20, 21), "u1"), tile=(16, 16))
    image("bigtiff", values((5, 7), "u1"), bigtiff=True)
    image("rgb", values((5, 7, 3), "u1"), photometric="rgb")
    try:
        image("zlib", values((5, 7), "u1"), compression="zlib")
        image("zlib_tiles", values((20, 21), "u2"), tile=(16, 16), compression="zlib")
    except (ValueError, KeyError):  # older tifffile without a codec library
        pass
    file = io.BytesIO()
    tifffile.imwrite(file, values((3, 4, 5), "u1"), imagej=True, metadata={"axes": "ZYX"})
    stack = file.getvalue()
    put("tiff_image", "imagej", stack)
    # As ImageJ writes stacks larger than 4 GiB: one page, and the planes behind it.
    file = io.BytesIO()
    tifffile.imwrite(file, values((4, 5), "u1"), metadata=None, software=False,
                     description="ImageJ=1.53\nimages=3\n")
    one_page = file.getvalue()
    put("tiff_image", "imagej_planes", one_page + bytes(40))
    put("tiff_image", "imagej_short", one_page)
    put("tiff_image", "short", plain[:-9])
    put("tiff_image", "header", plain[:8])
    put("tiff_image", "no_tiff", b"II*")


if __name__ == "__main__":
    make_zarr_v2()
    make_zarr_chunks()
    make_zarr_shards()
    make_zarr_v3()
    make_ome_image()
    make_configuration()
    make_xml_answers()
    make_tiff_image()
