"""Notebooks are committed executed, small and free of definitions, and run from top to bottom in a copy."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbmake.nb_run import NotebookRun

from veriwild_clustering.apps.cli import main

ROOT = Path(__file__).resolve().parents[1]
STORY = ROOT / "transport_clustering.ipynb"
NOTEBOOKS = [STORY, *sorted((ROOT / "notebooks").glob("*.ipynb"))]
STORY_OUTPUTS = ("best_partition.csv", "reports/report.html")

MAX_OUTPUT_BYTES = 400_000
MAX_NOTEBOOK_BYTES = 6 * 2**20
SECONDS_PER_CELL = 600

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(ROOT)))


def execute(notebook: Path, project: Path) -> None:
    """Execute a copy of `notebook` at its place in `project`."""
    copy = project / notebook.relative_to(ROOT)
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(notebook, copy)
    result = NotebookRun(copy, default_timeout=SECONDS_PER_CELL).execute()
    assert result.error is None, result.error.trace


def code_cells(path: Path) -> list[NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]


@pytest.mark.notebook
@each_notebook
def test_runs_on_the_drawn_sample(path: Path, drawn_project: Path) -> None:
    execute(path, drawn_project)
    assert path != STORY or all((drawn_project / name).is_file() for name in STORY_OUTPUTS)


@pytest.mark.notebook
@pytest.mark.real
def test_story_runs_on_the_real_sample(real_raw_data: Path, tmp_path: Path) -> None:
    join = ["create-dataset", "--raw-data", str(real_raw_data), "--output", str(tmp_path / "transport_dataset.csv")]
    assert main(join) == 0
    execute(STORY, tmp_path)
    assert all((tmp_path / name).is_file() for name in STORY_OUTPUTS)


@each_notebook
def test_defines_no_functions_and_no_classes(path: Path) -> None:
    sources = [
        "\n".join(line for line in cell.source.splitlines() if line[:1] not in "%!") for cell in code_cells(path)
    ]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    assert not [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


@each_notebook
def test_is_committed_executed_in_order_without_errors(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@each_notebook
def test_outputs_are_small(path: Path) -> None:
    sizes = [len(json.dumps(output)) for cell in code_cells(path) for output in cell.outputs]
    assert max(sizes, default=0) <= MAX_OUTPUT_BYTES
    assert path.stat().st_size <= MAX_NOTEBOOK_BYTES
