"""Provenance records against the schema they are made for, and against examples of both forms."""
import pytest

from support.oracles import ask, oracle
from support.program import correct, read_json, shared_data
from support.tiles import phantom_tile

NAME = "tile_000001_ch_488.zarr"
VERSIONS = ["2.0.5", "2.7.1"]

VALIDATE = """
import json, sys
from aind_data_schema.core.processing import DataProcess
record = json.load(sys.stdin)
print(json.dumps(json.loads(DataProcess.model_validate(record).model_dump_json())))
"""
VALIDATE_WITH_OTHERS = """
import json, sys
from aind_data_schema.core.processing import Processing
processing = json.load(sys.stdin)
print(json.dumps(len(Processing.model_validate(processing).data_processes)))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Corrections with either form of the record, by schema."""
    folder = tmp_path_factory.mktemp("provenance")
    tile = phantom_tile(folder / "in", (24, 32, 32), (16, 16, 16), n_levels=4)
    return {schema: correct(tile, folder / str(schema), "--metadata-schema", schema, "--memory-limit", "2G")
            for schema in (1, 2)}


@pytest.fixture(scope="module")
def record(made):
    return read_json(made[2].results / f"flatfield_data_process_{NAME}.json")


def structure(value):
    """Keys and types of a record, without what the parameters hold."""
    if isinstance(value, dict):
        return {key: "any" if key == "parameters" else structure(member) for key, member in value.items()}
    if isinstance(value, list):
        return [structure(value[0])] if value else []
    return type(value).__name__


def assert_within(found, example, where=""):
    """Every key of `found` is one of the example's, with a value of the same type (or null in the example)."""
    if isinstance(found, dict):
        for key, member in found.items():
            assert key in example, f"{where}.{key}"
            assert_within(member, example[key], f"{where}.{key}")
    elif isinstance(found, list) and found and example:
        assert_within(found[0], example[0], f"{where}[0]")
    else:
        assert found == example or "NoneType" in (found, example) or {found, example} == {"int", "float"}, where


@pytest.mark.parametrize("version", VERSIONS)
def test_record_is_valid_and_loses_nothing(record, version):
    python = oracle(f"aind-data-schema=={version}")
    kept = ask(python, VALIDATE, record)
    assert {key: kept[key] for key in record if key not in ("code", "resources", "start_date_time", "end_date_time")} \
        == {key: record[key] for key in record if key not in ("code", "resources", "start_date_time", "end_date_time")}
    assert kept["code"]["parameters"] == record["code"]["parameters"]


@pytest.mark.parametrize("version", VERSIONS)
def test_record_of_a_key_too_many_is_refused_by_the_schema(record, version):
    python = oracle(f"aind-data-schema=={version}")
    with pytest.raises(AssertionError, match="extra"):
        ask(python, VALIDATE, {**record, "novelty": 1})


def test_record_fits_into_a_whole_processing(record):
    processing = read_json(shared_data("golden/metadata/processing.v2.6.0.json"))
    python = oracle("aind-data-schema==2.6.0")
    (before,) = [p for p in processing["data_processes"] if p["name"] == record["name"]] or [None]
    processing["data_processes"] = [record if p is before else p for p in processing["data_processes"]]
    assert ask(python, VALIDATE_WITH_OTHERS, processing) == len(processing["data_processes"])


@pytest.mark.parametrize("schema, example", [
    (1, "process_flatfield_correction_tile_000001_ch_488.zarr.v1.json"),
    (2, "flatfield_data_process_tile_000001_ch_488.zarr.v2.json")])
def test_record_has_the_structure_of_the_example(made, schema, example):
    name = f"process_out_{NAME}.json" if schema == 1 else f"flatfield_data_process_{NAME}.json"
    found = structure(read_json(made[schema].results / name))
    expected = structure(read_json(shared_data(f"golden/metadata/{example}")))
    assert_within(found, expected)
    if schema == 1:
        assert list(found) == list(expected)


def test_record_says_what_was_given_to_the_run(record):
    assert record["resources"]["ram"] == 2.0 and record["resources"]["ram_unit"] == "Gigabyte"
    assert record["code"]["parameters"]["memory_limit"] == 2 << 30
    assert record["start_date_time"] <= record["end_date_time"]
