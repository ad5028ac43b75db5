"""What this program writes, zarr-python reads voxel for voxel, and the other way round."""
import itertools
import json
import os
import pathlib

import numcodecs
import numpy as np
import pytest
import zarr

from probe import probe

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHARED = REPOSITORY / os.environ.get("FLATFIELD_SHARED", "../shared")

COMPRESSORS = [None,
               *({"id": "blosc", "cname": cname, "clevel": 5, "shuffle": shuffle, "blocksize": 0}
                 for cname in ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
                 for shuffle in (0, 1, 2)),
               {"id": "zstd", "level": 3}, {"id": "gzip", "level": 1}, {"id": "zlib", "level": 1},
               {"id": "lz4", "acceleration": 1}, {"id": "bz2", "level": 1}]
# What is read though it is never written.
READ_ONLY_IDS = {"lzma", "crc32", "adler32", "delta", "shuffle", "fixedscaleoffset", "astype", "quantize", "bitround"}
KNOWN_IDS = {config["id"] for config in COMPRESSORS if config} | READ_ONLY_IDS
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
          "float16", "float32", "float64", "complex64", "complex128"]
# Shape, chunks, and chunks that are left out: edge chunks, chunks larger than the array, whole
# chunks, more dimensions, and none.
GRIDS = [((5, 4, 3), (3, 4, 2), [(1, 0, 0)]),
         ((3, 2), (8, 5), []),
         ((4, 6), (2, 3), [(0, 0), (1, 1)]),
         ((1, 1, 3, 5, 7), (1, 1, 2, 2, 4), [(0, 0, 1, 0, 1)]),
         ((7,), (3,), [(2,)])]


def fill_values(dtype):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return [None, False, True]
    if kind == "i":
        return [None, 0, int(np.iinfo(dtype).min)]
    if kind == "u":
        return [None, 0, int(np.iinfo(dtype).max)]
    if kind == "f":
        return [None, 0.0, 1.5, "NaN", "Infinity", "-Infinity"]
    return [None, [0.0, 0.0], [1.5, -2.0]]


def as_number(fill, dtype):
    """The fill value as numpy knows it; null is zero here."""
    if isinstance(fill, list):
        return np.dtype(dtype).type(complex(float(fill[0]), float(fill[1])))
    return np.dtype(dtype).type(0 if fill is None else float(fill) if isinstance(fill, str) else fill)


def case(dtype, compressor, order, big_endian, separator, fill, grid, path):
    shape, chunks, missing = grid
    return {"path": str(path), "shape": shape, "chunks": chunks, "dtype": dtype, "order": order,
            "big_endian": big_endian, "separator": separator, "fill_value": fill,
            "compressor": compressor, "missing": missing}


def cases_of_compressor(compressor, folder):
    """Everything a compressor may have to do with; grids and fill values take turns."""
    product = itertools.product(DTYPES, "CF", (False, True), "./")
    for i, (dtype, order, big_endian, separator) in enumerate(product):
        fills = fill_values(dtype)
        # i // 8 counts the types, so that every type and order meets every grid.
        yield case(dtype, compressor, order, big_endian, separator, fills[i % len(fills)],
                   GRIDS[(i + i // 8) % len(GRIDS)], folder / f"a{i}")


def cases_of_types(folder):
    """Every fill value of every type, on every grid."""
    compressor = {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1, "blocksize": 0}
    i = 0
    for dtype in DTYPES:
        for fill, grid, order, big_endian in itertools.product(fill_values(dtype), GRIDS, "CF",
                                                               (False, True)):
            yield case(dtype, compressor, order, big_endian, "/", fill, grid, folder / f"a{i}")
            i += 1


def random_values(case, random):
    """Voxels of an array in native byte order, with the fill value where chunks are missing."""
    dtype = np.dtype(case["dtype"])
    values = random.integers(0, 2 if dtype.kind == "b" else 100, case["shape"]).astype(dtype)
    if dtype.kind in "fc":
        values[values == 7] = np.nan
    for index in case["missing"]:
        values[box(case, index)] = as_number(case["fill_value"], dtype)
    return values


def box(case, index):
    return tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, case["chunks"]))


def open_in_memory(path):
    """An array without the keys that this version of numcodecs does not know yet, and with zero where
    the fill value is null."""
    store = {file.relative_to(path).as_posix(): file.read_bytes()
             for file in path.rglob("*") if file.is_file()}
    meta = json.loads(store[".zarray"])
    for key in ("checksum", "typesize"):
        (meta["compressor"] or {}).pop(key, None)
    if meta["fill_value"] is None:
        meta["fill_value"] = 0
    store[".zarray"] = json.dumps(meta).encode()
    return zarr.Array(zarr.KVStore(store), read_only=True)


def native_bytes(array):
    array = np.asarray(array)
    return array.astype(array.dtype.newbyteorder("=")).tobytes()


def write_with_zarr_python(case, values):
    dtype = np.dtype(case["dtype"]).newbyteorder(">" if case["big_endian"] else "<")
    config = case["compressor"]
    fill = case["fill_value"]
    array = zarr.open_array(
        case["path"], mode="w", shape=case["shape"], chunks=case["chunks"], dtype=dtype,
        compressor=None if config is None else numcodecs.get_codec(config), order=case["order"],
        fill_value=None if fill is None else as_number(fill, case["dtype"]),
        dimension_separator=case["separator"])
    array[...] = values
    for index in case["missing"]:
        os.remove(pathlib.Path(case["path"]) / case["separator"].join(map(str, index)))


def names_and_cases(cases):
    return {f"a{i}": case for i, case in enumerate(cases)}


def check_what_is_written(cases):
    random = np.random.default_rng(1)
    cases = names_and_cases(cases)
    values = {name: random_values(case, random) for name, case in cases.items()}
    probe("write_zarr", {name: np.frombuffer(v.tobytes(), np.uint8) for name, v in values.items()},
          cases=cases)
    for name, case in cases.items():
        array = zarr.open_array(case["path"], mode="r")
        assert array.order == case["order"], case
        assert array.dtype == np.dtype(case["dtype"]).newbyteorder(">" if case["big_endian"] else "<")
        config = None if array.compressor is None else array.compressor.get_config()
        assert config == case["compressor"], case
        expected = values[name]
        found = np.array(array[...])
        if case["fill_value"] is None:
            assert array.fill_value is None
            for index in case["missing"]:  # undefined
                found[box(case, index)] = expected[box(case, index)]
        assert native_bytes(found) == expected.tobytes(), case
        files = sum(p.is_file() and p.name != ".zarray" for p in pathlib.Path(case["path"]).rglob("*"))
        assert files == array.nchunks - len(case["missing"]), case
        # zarr-python writes the same metadata, byte for byte.
        text = (pathlib.Path(case["path"]) / ".zarray").read_text()
        meta = json.loads(text)
        assert text == json.dumps(meta, indent=4, sort_keys=True, ensure_ascii=True,
                                  separators=(",", ": ")), text


def check_what_is_read(cases):
    random = np.random.default_rng(2)
    cases = names_and_cases(cases)
    values = {}
    for name, case in cases.items():
        values[name] = random_values(case, random)
        write_with_zarr_python(case, values[name])
    results = probe("read_zarr", paths={name: case["path"] for name, case in cases.items()})
    for name, case in cases.items():
        assert results[f"{name}_refusal"].tobytes() == b"", case
        assert results[name].tobytes() == values[name].tobytes(), case


@pytest.mark.parametrize("compressor", COMPRESSORS, ids=json.dumps)
def test_every_compressor_is_read_by_zarr_python(compressor, tmp_path):
    check_what_is_written(cases_of_compressor(compressor, tmp_path))


@pytest.mark.parametrize("compressor", COMPRESSORS, ids=json.dumps)
def test_every_compressor_of_zarr_python_is_read(compressor, tmp_path):
    check_what_is_read(cases_of_compressor(compressor, tmp_path))


def test_every_type_and_fill_value_is_read_by_zarr_python(tmp_path):
    check_what_is_written(cases_of_types(tmp_path))


def test_every_type_and_fill_value_of_zarr_python_is_read(tmp_path):
    check_what_is_read(cases_of_types(tmp_path))


@pytest.mark.parametrize("size", [10_000, 1_000_000])
@pytest.mark.parametrize("compressor", COMPRESSORS, ids=json.dumps)
def test_chunks_of_many_blocks(compressor, size, tmp_path):
    """Small chunks never reach the second block of a codec."""
    grid = ((size + 17,), (size,), [])
    check_what_is_written([case("uint16", compressor, "C", True, "/", 0, grid, tmp_path / "w")])
    check_what_is_read([case("float32", compressor, "C", False, ".", 0.0, grid, tmp_path / "r")])


def shared_arrays():
    return sorted(path.parent for path in SHARED.rglob(".zarray"))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no data in {SHARED}; set FLATFIELD_SHARED")
def test_arrays_of_other_people_are_read_or_refused_by_name():
    """Whatever zarr-python reads is read, except for what is documented as unsupported."""
    paths = {f"a{i}": path for i, path in enumerate(shared_arrays())}
    assert len(paths) > 50
    results = probe("read_zarr", paths={name: str(path) for name, path in paths.items()})
    compared = 0
    for name, path in paths.items():
        meta = json.loads((path / ".zarray").read_text())
        refusal = results[f"{name}_refusal"].tobytes().decode()
        numeric = isinstance(meta["dtype"], str) and meta["dtype"][1] in "biufc"
        ids = [config["id"] for config in [*(meta["filters"] or []), meta["compressor"]] if config]
        if not numeric or not KNOWN_IDS.issuperset(ids):
            assert refusal.startswith("unsupported: "), f"{path}: {refusal}"
            continue
        assert refusal == "", f"{path}: {refusal}"
        # bitround is not in this version of numcodecs; it leaves decoding nothing to do.
        if "bitround" not in ids:
            assert results[name].tobytes() == native_bytes(open_in_memory(path)[...]), path
        compared += 1
    assert compared > 40


def fixture_codecs():
    folder = SHARED / "data" / "conformance" / "numcodecs-fixture"
    for codec in ("blosc", "zstd", "gzip", "zlib", "lz4", "bz2"):
        yield from sorted((folder / codec).glob("codec.*"))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no data in {SHARED}; set FLATFIELD_SHARED")
def test_chunks_encoded_by_older_numcodecs_are_read(tmp_path):
    """The fixture of numcodecs keeps buffers that its earlier versions have written."""
    expected, paths = {}, {}
    for codec in fixture_codecs():
        for encoded in sorted(codec.glob("encoded.*.dat")):
            values = np.load(codec.parent / encoded.name.replace("encoded", "array").replace("dat", "npy"),
                             allow_pickle=True)
            if values.dtype.kind in "mM":
                values = values.view("i8")
            if values.dtype.kind not in "biufc":
                continue
            fortran = values.flags.f_contiguous and not values.flags.c_contiguous
            name = f"a{len(paths)}"
            paths[name] = str(tmp_path / name)
            os.mkdir(paths[name])
            meta = {"zarr_format": 2, "shape": values.shape, "chunks": values.shape,
                    "dtype": values.dtype.str, "order": "F" if fortran else "C", "fill_value": None,
                    "filters": None, "compressor": json.loads((codec / "config.json").read_text())}
            (pathlib.Path(paths[name]) / ".zarray").write_text(json.dumps(meta))
            key = ".".join("0" * values.ndim)
            (pathlib.Path(paths[name]) / key).write_bytes(encoded.read_bytes())
            expected[name] = native_bytes(values)
    assert len(paths) > 100
    results = probe("read_zarr", paths=paths)
    for name in paths:
        assert results[f"{name}_refusal"].tobytes() == b"", results[f"{name}_refusal"].tobytes()
        assert results[name].tobytes() == expected[name], paths[name]
