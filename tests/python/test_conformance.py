"""Other people's arrays are read to the bytes that others read, or refused by name (shared conformance data)."""
import json

import numcodecs
import numpy as np
import pytest

from probe import probe
from support.program import SHARED, UNSUPPORTED, call, shared_data

CONFORMANCE = SHARED / "data" / "conformance"


def entries():
    manifest = CONFORMANCE / "manifest.json"
    return json.loads(manifest.read_text()) if manifest.exists() else [{"path": "manifest.json", "format": 0}]


# Arrays that the manifest's own reader did not know the codec of, and the arrays of the same writer
# and content that it did.
ALSO_READ = {"zarrs/v3_zarr_python/array_adler32.zarr": "zarrs/v3_zarr_python/array_none.zarr"}


def path_of(entry):
    """Its path, as the name of a test; pytest gives what is no entry where there is none."""
    return entry["path"] if isinstance(entry, dict) else "none"


def known_hash(entry):
    """The hash of an entry; none where it cannot be read."""
    same = ALSO_READ.get(entry["path"], entry["path"])
    (found,) = [other for other in entries() if other["path"] == same]
    return found.get("sha256_c_order_le")


def feature(entry):
    """The codec, data type or extension that this program does not read, and so must name."""
    dtype = entry["dtype"]
    if isinstance(dtype, dict):
        return dtype["name"]
    if dtype in ("string", "variable_length_bytes") or dtype[1:2] in "SUO":
        return dtype
    if entry["format"] == 2:
        return entry["compressor"]["id"]
    unknown = [codec["name"] for codec in entry["codecs"]
               if codec["name"] not in ("bytes", "transpose", "zstd", "blosc", "gzip")]
    return unknown[0]


@pytest.mark.parametrize("entry", entries(), ids=path_of)
def test_every_array_is_read_to_its_hash_or_refused_by_name(entry, tmp_path):
    path = shared_data("data/conformance") / entry["path"]
    if not path.exists():
        pytest.skip("the manifest lists it, but the data do not hold it")
    # The manifest describes the metadata of one format; some arrays have both.
    result = call("inspect", path, "--checksum", "--json", "--zarr-format", entry["format"], cwd=tmp_path)
    expected = known_hash(entry)
    if expected:
        assert result.code == 0, result.err
        described = json.loads(result.out)
        assert described["sha256"] == expected
        assert described["shape"] == entry["shape"]
        assert (described["shards"] or described["chunks"]) == entry["chunks"]
    else:
        assert result.code == UNSUPPORTED, result.err
        (line,) = result.error_lines
        assert feature(entry) in line and str(path) in line, line


@pytest.mark.parametrize("entry", [e for e in entries() if e["path"].startswith("zarrs/v3/") and e["format"] == 2],
                         ids=path_of)
def test_arrays_with_metadata_of_both_formats_are_the_same_in_both(entry, tmp_path):
    path = shared_data("data/conformance") / entry["path"]
    first, second = (call("inspect", path, "--checksum", "--json", "--zarr-format", n, cwd=tmp_path) for n in (2, 3))
    assert first.code == second.code
    if first.code == 0:
        assert json.loads(first.out)["sha256"] == json.loads(second.out)["sha256"]
    default = call("inspect", path, "--json", cwd=tmp_path)
    if default.code == 0:
        assert json.loads(default.out)["zarr_format"] == 3


def test_groups_of_both_formats_are_described(tmp_path):
    """Consolidated metadata, implicit groups, spaces in names; what cannot be read is named where it is."""
    root = shared_data("data/conformance")
    for name in ("zarrita.js/v3/data.zarr", "zarrita.js/v2/data.zarr", "zarrs/hierarchy.zarr", "zarrs/issue_287.zarr",
                 "zarrs/array_write_read.zarr", "ome2024-ngff-challenge/hcs.zarr", "n5-zarr/shardExamples/test.zarr"):
        result = call("inspect", root / name, "--json", cwd=tmp_path)
        assert result.code == 0, result.err
        assert call("inspect", root / name, cwd=tmp_path).code == 0
        described = json.loads(result.out)
        assert described["node"] == "group"
        listed = {f"{name}/{path}" for path in paths_of(described)}
        expected = {entry["path"] for entry in entries() if entry["path"].startswith(name + "/")}
        assert expected <= listed


def paths_of(node):
    yield node["path"]
    for child in node.get("children", []):
        yield from paths_of(child)


# ---------------------------------------------------------------------------------------------
# numcodecs vectors: each encoded buffer is the only chunk of an array of Zarr v2

FILTERS = {"delta", "shuffle", "fixedscaleoffset", "astype", "quantize"}
REFUSED = {"base64", "packbits"}
LZMA_RAW = 3


def vectors():
    """(codec id, encoded file, original array, configuration) of all vectors."""
    for config in sorted((CONFORMANCE / "numcodecs-fixture").rglob("config.json")):
        for encoded in sorted(config.parent.glob("encoded.*.dat")):
            array = config.parent.parent / f"array.{encoded.name.split('.')[1]}.npy"
            yield json.loads(config.read_text()), encoded, np.load(array, allow_pickle=True)


def decoded_bytes(config, encoded):
    """What numcodecs decodes; its crc32c needs a package of its own."""
    data = encoded.read_bytes()
    if config["id"] == "crc32c":
        return data[:-4]
    known = {key: value for key, value in config.items() if key != "checksum"}  # Debian's does not know it
    return np.asarray(numcodecs.get_codec(known).decode(data)).tobytes()


def element_type(config, array):
    if config["id"] in FILTERS - {"shuffle"}:
        return config.get("dtype") or config["decode_dtype"]
    return array.dtype.str if array.dtype.kind in "biuf" else "|u1"


def test_every_vector_of_numcodecs_is_decoded_or_refused_by_name(tmp_path):
    shared_data("data/conformance/numcodecs-fixture")
    paths, expected, refused = {}, {}, {}
    for number, (config, encoded, array) in enumerate(vectors()):
        folder = tmp_path / str(number)
        folder.mkdir()
        dtype = np.dtype(element_type(config, array))
        shape = [array.nbytes // dtype.itemsize]
        as_filter = config["id"] in FILTERS | {"packbits", "base64"}
        (folder / ".zarray").write_text(json.dumps({
            "zarr_format": 2, "shape": shape, "chunks": shape, "dtype": dtype.str, "order": "C", "fill_value": 0,
            "filters": [config] if as_filter else None, "compressor": None if as_filter else config}))
        (folder / "0").write_bytes(encoded.read_bytes())
        paths[str(number)] = str(folder)
        if config["id"] in REFUSED or config.get("format") == LZMA_RAW:
            refused[str(number)] = config["id"]
        else:
            expected[str(number)] = (encoded, decoded_bytes(config, encoded))
    results = probe("read_zarr", paths=paths)
    assert len(expected) > 400 and len(refused) > 10
    for number, (encoded, content) in expected.items():
        refusal = bytes(results[f"{number}_refusal"]).decode()
        assert refusal == "" and bytes(results[number]) == content, f"{encoded}: {refusal}"
    for number, name in refused.items():
        refusal = bytes(results[f"{number}_refusal"]).decode()
        assert refusal.startswith("unsupported: ") and name in refusal, refusal


# ---------------------------------------------------------------------------------------------
# OME-NGFF: what the suites of the specification call valid or not

def ngff_cases():
    for suite in sorted((CONFORMANCE / "ngff-spec").glob("*/tests/*_suite.json")):
        for test in json.loads(suite.read_text())["tests"]:
            yield pytest.param(suite.parent.parent.name, suite.name.startswith("strict"), test,
                               id=f"{suite.parent.parent.name} {suite.stem} {test['formerly']}")


@pytest.mark.parametrize("version, strict, test", ngff_cases())
def test_inspect_agrees_with_the_suites_of_ngff(version, strict, test, tmp_path):
    if version == "0.4":
        (tmp_path / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
        (tmp_path / ".zattrs").write_text(json.dumps(test["data"]))
    else:
        (tmp_path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group",
                                                        "attributes": test["data"]}))
    result = call("inspect", tmp_path, "--json", cwd=tmp_path)
    assert result.code == 0, result.err
    found = json.loads(result.out).get("ngff", {"problems": ["nothing of NGFF"], "advice": []})
    wrong = found["problems"] + (found["advice"] if strict else [])
    assert (wrong == []) == test["valid"], wrong
