"""Inputs of the fuzz targets of Zarr: arrays of v2, single chunks and shards, documents of v3."""
import gzip
import json
import re
import struct

import numcodecs
import numpy as np
import zarr

from corpus_inputs import HERE, RANDOM, crc32c, put, store, values

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
