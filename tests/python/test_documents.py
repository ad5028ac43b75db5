"""The documents say what the program does."""
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("FLATFIELD_BUILD", "build/release")).resolve()
PROGRAM = BUILD / "src/flatfield/cli/exaspim-flatfield"
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def printed(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=True).stdout


def test_the_readme_holds_the_tables_of_options_that_the_program_prints():
    held = re.search(r"<!-- options: .*? -->\n(.*?)<!-- end of options -->", README, re.S).group(1)
    assert held.strip() == printed("options").strip()


def test_the_configuration_reference_holds_the_tables_of_keys_that_the_program_prints():
    held = re.search(r"<!-- keys: .*? -->\n(.*?)<!-- end of keys -->", CONFIGURATION, re.S).group(1)
    assert held.strip() == printed("options", "--keys").strip()


def test_the_help_lists_every_option_of_the_readme():
    tables = re.findall(r"^\| option of `(\w+)` .*?\n\n", README, re.M | re.S)
    assert tables == ["run", "basic"]
    for command in tables:
        table = re.search(rf"^\| option of `{command}` .*?\n\n", README, re.M | re.S).group(0)
        flags = re.findall(r"^\| `(--[a-z0-9-]+)` ", table, re.M)
        assert len(flags) > 5
        assert [flag for flag in flags if flag not in printed(command, "--help")] == []


def test_the_readme_holds_the_exit_codes_that_the_program_prints():
    held = re.search(r"^## Exit codes\n\n(.*?)\n\n", README, re.M | re.S).group(1)
    assert held.strip() == printed("options", "--exit-codes").strip()


def test_every_file_that_the_documents_name_exists():
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]:
        for path in re.findall(r"`((?:scripts|tools|tests|benchmarks|pipeline|methods|execution|zarr|storage|"
                               r"config|ome|core|report|cli)/[a-z_/.]+)`", (ROOT / name).read_text()):
            places = [ROOT / path, ROOT / "src/flatfield" / path]
            found = any(p.exists() or p.with_suffix(".cpp").exists() for p in places)
            assert found, f"{name} names {path}"


def test_the_script_of_the_tests_runs_every_test_in_python():
    patterns = re.findall(r"tests/python/(test_[\w*]+\.py)", (ROOT / "scripts/test").read_text())
    assert len(patterns) > 40
    for path in (ROOT / "tests/python").glob("test_*.py"):
        assert any(path.match(pattern) for pattern in patterns), f"{path.name} is in no suite of scripts/test"


def test_the_version_of_the_program_is_in_the_changelog():
    assert f"## {printed('--version').strip()}" in (ROOT / "CHANGELOG.md").read_text()


def documented_thresholds():
    """(warn, fail) of each number in docs/quality.md, in its order."""
    text = (ROOT / "docs" / "quality.md").read_text()
    table = re.search(r"<!-- thresholds: .*? -->\n(.*?)<!-- end of thresholds -->", text, re.S).group(1)
    for name, _, warn, fail in re.findall(r"^\| `(\S+)` \| (.*?) \| (.*?) ?\| (.*?) ?\|$", table, re.M):
        for axis in "zyx" if "{z,y,x}" in name else " ":
            yield tuple(cell.replace("{z,y,x}", axis) for cell in (name, warn, fail))


def test_the_document_of_quality_holds_every_number_with_the_thresholds_of_the_program(tmp_path):
    printed("synth", tmp_path, "--shape", "64,64,64", "--is-binned", "--n-levels", "1")
    printed("run", "--zarr", tmp_path / "tile_000000_ch_488.zarr", "--mask-dir", tmp_path / "masks", "--is-binned",
            "--output", tmp_path / "out", "--results-dir", tmp_path / "results")
    report = json.loads((tmp_path / "results" / "run_report.json").read_text())
    numbers = report["tiles"][0]["qc"]["tile_000000_ch_488.zarr"]["numbers"]
    assert list(documented_thresholds()) == [(name, number["warn"] or "", number["fail"] or "")
                                             for name, number in numbers.items()]
