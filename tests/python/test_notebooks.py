"""The notebooks run from top to bottom, and hold the outputs of such a run."""
import os
import re
import sys

import nbclient
import nbformat
import pytest

from support.module import flatfield  # noqa: F401  (its path is passed on to the kernels)
from support.program import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
LARGEST_BYTES = 400_000


def pictures(notebook):
    """How many pictures each cell shows."""
    return [sum("image/jpeg" in output.get("data", {}) for output in cell.get("outputs", [])) for cell in notebook.cells]


def texts(notebook):
    """What each cell prints, without numbers, which noise and the machine decide."""
    return [re.sub(r"[0-9a-f]*[\d.]+[0-9a-f]*", "#", "".join(o["text"] for o in cell.get("outputs", []) if o.get("name") == "stdout"))
            for cell in notebook.cells]


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} == {"probability_weight_demo", "choose_a_method", "basic_on_tiles", "scale_out"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom_and_holds_its_outputs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    committed = nbformat.read(path, as_version=4)
    assert path.stat().st_size < LARGEST_BYTES
    run = nbformat.read(path, as_version=4)
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(run, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    assert pictures(run) == pictures(committed) and sum(pictures(run)) >= 2
    assert texts(run) == texts(committed)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert list(tmp_path.iterdir()) == []  # it removes what it makes
    assert not re.search(r"/(root|home|work|Users)/", path.read_text())
