"""What this program writes as Zarr v3, others read voxel for voxel, and the other way round.

The others are zarr-python 3 and tensorstore from PyPI and zarrita from npm; where these cannot be reached, their tests
are skipped. Outputs are OME-NGFF 0.5 as its schemas have it.
"""
import hashlib
import json

import jsonschema
import numpy as np
import pytest

from support.oracles import ask, ask_node, node_oracle, oracle
from support.program import call, correct, files_below, read_json, read_levels, shared_data
from support.tiles import phantom_tile

ZARR = "zarr==3.1.3"
TENSORSTORE = "tensorstore==0.1.78"
ZARRITA = "zarrita@0.5.4"
LAYOUTS = {
    "plain": ("--corrected-shard-size", "none", "--mask-shard-size", "none"),
    "dividing": ("--corrected-shard-size", "32", "--mask-shard-size", "64,32,32"),
    "not dividing": ("--corrected-shard-size", "48,32,48", "--mask-shard-size", "48"),
}


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return phantom_tile(tmp_path_factory.mktemp("tile"), (50, 70, 66), (16, 16, 16), n_levels=4)


@pytest.fixture(scope="module")
def runs(tile, tmp_path_factory):
    """The correction of the tile in every layout, and in Zarr v2."""
    folder = tmp_path_factory.mktemp("runs")
    options = ("--n-levels", 4, "--num-workers", 2)
    made = {name: correct(tile, folder / name, *options, "--output-zarr-format", 3, *layout)
            for name, layout in LAYOUTS.items()}
    return {"v2": correct(tile, folder / "v2", *options), **made}


def expected_digests(runs):
    """Digests of all levels of the corrected tile and the mask, by path below a run."""
    out = {}
    for kind in ("corrected", "mask"):
        for level, voxels in read_levels(getattr(runs["v2"], kind)).items():
            out[f"{kind}/{level}"] = digest(voxels)
    return out


def level_paths(run):
    return {f"{kind}/{level['path']}": str(getattr(run, kind) / level["path"])
            for kind in ("corrected", "mask")
            for level in read_json(getattr(run, kind) / "zarr.json")["attributes"]["ome"]["multiscales"][0]["datasets"]}


READ_WITH_ZARR = """
import hashlib, json, sys, zarr
paths = json.load(sys.stdin)
print(json.dumps({n: hashlib.sha256(zarr.open_array(p, mode="r")[...].tobytes()).hexdigest() for n, p in paths.items()}))
"""
READ_WITH_TENSORSTORE = """
import hashlib, json, sys, tensorstore as ts
def read(path):
    store = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}).result()
    return hashlib.sha256(store.read(order="C").result().tobytes()).hexdigest()
print(json.dumps({n: read(p) for n, p in json.load(sys.stdin).items()}))
"""
READ_WITH_ZARRITA = """
import * as zarr from "zarrita"; import { FileSystemStore } from "@zarrita/storage"; import { createHash } from "crypto";
import { readFileSync } from "fs";
const out = {};
for (const [name, path] of Object.entries(JSON.parse(readFileSync(0)))) {
  const array = await zarr.open.v3(zarr.root(new FileSystemStore(path)), { kind: "array" });
  const { data } = await zarr.get(array);
  out[name] = createHash("sha256").update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).digest("hex");
}
console.log(JSON.stringify(out));
"""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reader", ["this program", "zarr-python", "tensorstore", "zarrita"])
def test_others_read_what_is_written(runs, layout, reader, tmp_path):
    paths = level_paths(runs[layout])
    if reader == "zarr-python":
        found = ask(oracle(ZARR), READ_WITH_ZARR, paths)
    elif reader == "tensorstore":
        found = ask(oracle(TENSORSTORE), READ_WITH_TENSORSTORE, paths)
    elif reader == "zarrita":
        found = ask_node(node_oracle(ZARRITA), READ_WITH_ZARRITA, paths)
    else:
        found = {name: json.loads(call("inspect", path, "--json", "--checksum", cwd=tmp_path).out)["sha256"]
                 for name, path in paths.items()}
    assert found == expected_digests(runs)


def schema_validator(name):
    schemas = shared_data("data/conformance/ngff-spec/0.5/schemas")
    documents = [read_json(path) for path in schemas.glob("*.schema")]
    store = {document["$id"]: document for document in documents if "$id" in document}
    schema = read_json(schemas / name)
    return jsonschema.Draft202012Validator(schema, resolver=jsonschema.RefResolver.from_schema(schema, store=store))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["corrected", "mask"])
@pytest.mark.parametrize("schema", ["image.schema", "strict_image.schema", "ome_zarr.schema"])
def test_outputs_are_ngff_0_5(runs, layout, kind, schema):
    attributes = read_json(getattr(runs[layout], kind) / "zarr.json")["attributes"]
    assert attributes["ome"]["version"] == "0.5"
    assert list(attributes) == ["ome", "exaspim_flatfield", *(["exaspim_flatfield_outcome"] if kind == "corrected" else [])]
    schema_validator(schema).validate(attributes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_name_their_dimensions_and_have_the_shards_that_were_asked_for(runs, layout):
    levels = {path: read_json(runs[layout].corrected / path / "zarr.json") for path in "0123"}
    assert all(level["dimension_names"] == list("tczyx") for level in levels.values())
    shards = [level["chunk_grid"]["configuration"]["chunk_shape"][2:] for level in levels.values()]
    assert shards == {"plain": [[16, 16, 16], [16, 16, 16], [12, 16, 16], [6, 8, 8]],
                      "dividing": [[32, 32, 32], [32, 32, 32], [12, 32, 16], [6, 8, 8]],
                      "not dividing": [[48, 32, 48], [32, 32, 48], [12, 32, 16], [6, 8, 8]]}[layout]
    names = [codec["name"] for codec in levels["0"]["codecs"]]
    assert names == (["bytes", "blosc"] if layout == "plain" else ["sharding_indexed"])
    keys = {path.relative_to(runs[layout].corrected / "3").as_posix()
            for path in (runs[layout].corrected / "3").rglob("*") if path.is_file()}
    assert keys == {"zarr.json", "c/0/0/0/0/0"}


def test_the_metadata_of_both_formats_say_the_same(runs):
    v2 = read_json(runs["v2"].corrected / ".zattrs")
    v3 = read_json(runs["plain"].corrected / "zarr.json")["attributes"]["ome"]
    (image,), (new,) = v2["multiscales"], v3["multiscales"]
    assert {key: value for key, value in image.items() if key != "version"} == new
    assert v2["omero"] == v3["omero"]


def test_a_v3_output_is_skipped_replaced_and_corrected_again(runs, tile, tmp_path):
    again = correct(tile, runs["dividing"].folder, "--output-zarr-format", 3)
    assert again.report["status"] == "skipped"
    # The format follows the tile: a v3 output that is corrected again stays v3, and its attributes stay.
    second = correct(runs["dividing"].corrected, tmp_path / "second", "--skip-flat-field", masks=False)
    attributes = read_json(second.corrected / "zarr.json")["attributes"]
    assert attributes["ome"]["version"] == "0.5" and "omero" in attributes["ome"]
    back = correct(runs["dividing"].corrected, tmp_path / "back", "--skip-flat-field", "--output-zarr-format", 2,
                   masks=False)
    written = read_json(back.corrected / ".zattrs")
    assert "ome" not in written and written["multiscales"][0]["version"] == "0.4"
    replaced = correct(runs["dividing"].corrected, tmp_path / "second", "--skip-flat-field", "--overwrite",
                       "--output-zarr-format", 2, masks=False)
    assert not list(replaced.corrected.rglob("zarr.json"))


@pytest.mark.parametrize("options", [("--output-zarr-format", 2),
                                     ("--output-zarr-format", 3, "--corrected-shard-size", "none"),
                                     ("--output-zarr-format", 3, "--corrected-shard-size", "48,32,48",
                                      "--mask-shard-size", "16")])
def test_chunks_of_zeros_may_be_left_out(runs, tile, options, tmp_path):
    full = correct(tile, tmp_path / "full", "--n-levels", 4, *options)
    run = correct(tile, tmp_path / "run", "--n-levels", 4, *options, "--write-empty-chunks", "false")
    for kind in ("corrected", "mask"):
        described = json.loads(call("inspect", getattr(run, kind), "--json", "--checksum", cwd=tmp_path).out)
        assert {f"{kind}/{child['path']}": child["sha256"] for child in described["children"]} \
            == {name: content for name, content in expected_digests(runs).items() if name.startswith(kind)}
    bytes_of = {name: sum(len(content) for path, content in files_below(made.mask / "0").items() if "zar" not in path)
                for name, made in (("run", run), ("full", full))}
    assert 0 < bytes_of["run"] < bytes_of["full"]


def test_codecs_that_zarr_v3_does_not_have_are_refused_before_anything_is_written(tile, tmp_path):
    result = call("run", "--zarr", tile, "--output", "out", "--results-dir", "results", "--mask-dir",
                  tile.parent / "masks", "--output-zarr-format", 3, "--output-codec", "lz4", cwd=tmp_path)
    assert result.code == 2 and "lz4" in result.error_lines[0]
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------
# The other way round

# Shards within shards are tensorstore's: zarr-python 3.1 cannot write those that have empty chunks.
WRITE_WITH_ZARR = """
import hashlib, json, sys, warnings, numpy as np, zarr
from zarr.codecs import (BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec)
warnings.simplefilter("ignore")
root = json.load(sys.stdin)
little, big, crc = BytesCodec(endian="little"), BytesCodec(endian="big"), Crc32cCodec()
def sharding(chunks, codecs, location="end", index=(little, crc)):
    return ShardingCodec(chunk_shape=chunks, codecs=codecs, index_codecs=index, index_location=location)
chains = {
    "bytes": [little], "big": [big], "gzip": [little, GzipCodec(level=3)], "zstd": [little, ZstdCodec(level=3, checksum=True)],
    "blosc": [little, BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=4)],
    "crc": [big, crc], "many": [little, BloscCodec(typesize=4), GzipCodec(level=1), ZstdCodec(), crc],
    "transpose": [TransposeCodec(order=(2, 0, 1)), big, GzipCodec(level=1)],
    "twice": [TransposeCodec(order=(2, 0, 1)), TransposeCodec(order=(1, 0, 2)), little],
    "shards": [sharding((4, 4, 4), [little, ZstdCodec()])],
    "start": [sharding((2, 4, 8), [TransposeCodec(order=(1, 2, 0)), big, crc], "start", (big,))],
    "shards and crc": [sharding((4, 4, 4), [little, ZstdCodec()]), crc],
    "shards and gzip": [sharding((8, 8, 4), [little], "start"), GzipCodec(level=1)],
    "transposed shards": [TransposeCodec(order=(2, 1, 0)), sharding((4, 4, 8), [little, crc], "start")],
}
keys = [("default", "/"), ("default", "."), ("v2", "/"), ("v2", ".")]
random, out, n = np.random.default_rng(1), {}, 0
for name, codecs in chains.items():
    for dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
                  "float64", "complex64", "complex128"):
        kind, n = np.dtype(dtype).kind, n + 1
        fill = {"b": True, "i": -5, "u": 7, "f": [float("nan"), float("-inf"), 1.5][n % 3], "c": 1 - 2j}[kind]
        values = random.integers(0, 2 if kind == "b" else 100, (13, 9, 17)).astype(dtype)
        encoding, separator = keys[n % 4]
        meta = zarr.core.metadata.v3.ArrayV3Metadata(
            shape=values.shape, data_type=zarr.dtype.parse_dtype(dtype, zarr_format=3),
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": (8, 8, 8)}},
            chunk_key_encoding={"name": encoding, "configuration": {"separator": separator}}, fill_value=fill,
            codecs=codecs, attributes={}, dimension_names=["a", None, "c"])
        store = zarr.storage.LocalStore(f"{root}/{n}")
        # Whole shards with missing chunks cannot be written by it where another codec surrounds them.
        with zarr.config.set({"array.write_empty_chunks": len(codecs) > 1}):
            array = zarr.Array(zarr.AsyncArray(metadata=meta, store_path=zarr.storage.StorePath(store)))
        zarr.core.sync.sync(array._async_array._save_metadata(meta, ensure_parents=False))
        array[:8] = values[:8]  # the other shards are missing, and read as the fill value
        values[8:] = np.array(fill, dtype)
        out[f"{name} {dtype}"] = [str(n), hashlib.sha256(values.tobytes()).hexdigest()]
print(json.dumps(out))
"""

WRITE_WITH_TENSORSTORE = """
import hashlib, json, sys, numpy as np, tensorstore as ts
root, out = json.load(sys.stdin), {}
little = {"name": "bytes", "configuration": {"endian": "little"}}
index = [little, {"name": "crc32c"}]
def sharding(chunks, codecs, location="end"):
    return {"name": "sharding_indexed", "configuration": {"chunk_shape": chunks, "codecs": codecs,
            "index_codecs": index, "index_location": location}}
blosc = {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": 2}}
transpose = {"name": "transpose", "configuration": {"order": [2, 1, 0]}}
chains = {"plain": [transpose, little, blosc], "shards": [sharding([4, 4, 4], [transpose, little, blosc])],
          "start": [sharding([8, 4, 2], [little, {"name": "zstd", "configuration": {"level": 1}}], "start")],
          "nested": [sharding([4, 4, 8], [sharding([2, 2, 4], [little, {"name": "gzip", "configuration": {"level": 1}}])])]}
random = np.random.default_rng(2)
for name, codecs in chains.items():
    values = random.integers(0, 1000, (13, 9, 17)).astype("uint16")
    values[:4, :4, :4] = 0  # chunks of the fill value are left out
    store = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{root}/{name}"}, "metadata": {
        "shape": list(values.shape), "data_type": "uint16", "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 8, 8]}}}}, create=True).result()
    store.write(values).result()
    out[name] = [name, hashlib.sha256(values.tobytes()).hexdigest()]
print(json.dumps(out))
"""


@pytest.mark.parametrize("requirement, program", [(ZARR, WRITE_WITH_ZARR), (TENSORSTORE, WRITE_WITH_TENSORSTORE)],
                         ids=["zarr-python", "tensorstore"])
def test_what_others_write_is_read(requirement, program, tmp_path):
    written = ask(oracle(requirement), program, str(tmp_path))
    result = call("inspect", tmp_path, "--json", "--checksum", cwd=tmp_path)
    assert result.code == 0, result.err
    found = {child["path"]: child.get("sha256", child.get("error")) for child in json.loads(result.out)["children"]}
    assert {name: found[path] for name, (path, _) in written.items()} \
        == {name: content for name, (_, content) in written.items()}


WRITE_TILE = """
import json, sys, numpy as np, zarr
task = json.load(sys.stdin)
group = zarr.open_group(task["path"], mode="w", zarr_format=3)
datasets = []
for k, file in enumerate(task["levels"]):
    level = np.load(file)
    chunks = tuple(min(c, n) for c, n in zip((1, 1, 16, 16, 16), level.shape))
    shards = tuple(c * s for c, s in zip(chunks, (1, 1, 2, 3, 2))) if task["sharded"] else None
    array = group.create_array(str(k), shape=level.shape, dtype=level.dtype, chunks=chunks, shards=shards,
                               dimension_names=list("tczyx"))
    array[...] = level
    datasets.append({"path": str(k), "coordinateTransformations": task["transformations"][k]})
axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}] + [{"name": n, "type": "space"} for n in "zyx"]
group.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": "tile", "axes": axes, "datasets": datasets}]}
zarr.consolidate_metadata(group.store)
print("{}")
"""


@pytest.mark.parametrize("sharded", [False, True])
def test_a_tile_that_zarr_python_wrote_is_corrected_to_the_same_voxels(runs, tile, sharded, tmp_path):
    levels = read_levels(tile)
    files = []
    for path, voxels in levels.items():
        files.append(str(tmp_path / f"{path}.npy"))
        np.save(files[-1], voxels)
    copy = tmp_path / "v3" / tile.name
    (image,) = read_json(tile / ".zattrs")["multiscales"]
    ask(oracle(ZARR), WRITE_TILE, {"path": str(copy), "levels": files, "sharded": sharded, "transformations": [
        dataset["coordinateTransformations"] for dataset in image["datasets"]]})
    run = correct(copy, tmp_path / "run", "--n-levels", 4, masks=tile.parent / "masks")
    assert read_json(run.corrected / "zarr.json")["attributes"]["ome"]["version"] == "0.5"
    described = json.loads(call("inspect", run.corrected, "--json", "--checksum", cwd=tmp_path).out)
    found = {f"corrected/{child['path']}": child["sha256"] for child in described["children"]}
    assert found == {name: content for name, content in expected_digests(runs).items()
                     if name.startswith("corrected/")}
