"""`veriwild run` with a small notebook: outputs, failures, steps skipped while their inputs are the same."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest

from veriwild_clustering.apps import run
from veriwild_clustering.apps.cli import main

WRITES_OUTPUTS = """\
from pathlib import Path
Path("best_partition.csv").write_text("path,cluster\\n")
Path("reports/report.html").write_text("<!doctype html>")
"""


def write_notebook(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture
def project(raw_data: Path) -> Path:
    """A project folder with raw data and a notebook that writes what it should."""
    write_notebook(raw_data.parent / "transport_clustering.ipynb", WRITES_OUTPUTS)
    return raw_data.parent


def test_run_writes_every_output_and_says_where(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committed = (project / "transport_clustering.ipynb").read_bytes()
    assert main(["run", "--folder", str(project)]) == 0
    shown = capsys.readouterr().out
    outputs = [
        "transport_dataset.csv",
        "transport_clustering.executed.ipynb",
        "best_partition.csv",
        "reports/report.html",
    ]
    for name in outputs:
        assert (project / name).is_file()
        assert str(project / name) in shown
    assert (project / "transport_clustering.ipynb").read_bytes() == committed


def test_second_run_leaves_what_is_up_to_date(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--folder", str(project)]
    assert main(arguments) == 0
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "The dataset is up to date." in shown
    assert "The notebook is up to date." in shown


def test_deleted_output_is_made_again(project: Path) -> None:
    assert main(["run", "--folder", str(project)]) == 0
    (project / "best_partition.csv").unlink()
    assert main(["run", "--folder", str(project)]) == 0
    assert (project / "best_partition.csv").is_file()


def test_changed_raw_data_are_joined_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--folder", str(project)]
    assert main(arguments) == 0
    np.save(project / "raw_data" / "descriptors" / "color_model.npy", np.eye(30, 4, dtype=np.float32))
    assert main(arguments) == 0
    assert "up to date" not in capsys.readouterr().out
    assert "has_color_model" in (project / "transport_dataset.csv").read_text()


def test_dataset_is_made_again_when_its_measures_change(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "library" / "images").mkdir(parents=True)
    monkeypatch.setattr(run, "_LIBRARY", project / "library")
    arguments = ["run", "--folder", str(project)]
    assert main(arguments) == 0
    (project / "library" / "plots.py").touch()
    assert main(arguments) == 0
    assert "The dataset is up to date." in capsys.readouterr().out
    (project / "library" / "images" / "quality.py").touch()
    assert main(arguments) == 0
    assert "The dataset is up to date." not in capsys.readouterr().out


def test_failing_cell_is_named_and_the_copy_shows_how_far_it_came(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(project / "transport_clustering.ipynb", "1 + 1", "1 / 0", "2 + 2")
    assert main(["run", "--folder", str(project)]) == 1
    shown = capsys.readouterr().err
    assert "Cell 1 of transport_clustering.ipynb failed: ZeroDivisionError: division by zero" in shown
    cells = nbformat.read(project / "transport_clustering.executed.ipynb", as_version=4).cells
    assert [cell.execution_count for cell in cells] == [1, 2, None]


def test_executed_copy_keeps_no_progress_bars(project: Path) -> None:
    bar = "from veriwild_clustering.core.progress import track\nlist(track(range(3), description='work'))"
    write_notebook(project / "transport_clustering.ipynb", bar, WRITES_OUTPUTS)
    assert main(["run", "--folder", str(project)]) == 0
    outputs = nbformat.read(project / "transport_clustering.executed.ipynb", as_version=4).cells[0].outputs
    assert [output.output_type for output in outputs] == ["execute_result"]


def test_bar_names_the_cell_that_runs(project: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# The story\n\nText.\n\n## Outliers\n\n#1 of the text"),
            nbformat.v4.new_markdown_cell("No heading."),
            nbformat.v4.new_code_cell(WRITES_OUTPUTS),
        ]
    )
    nbformat.write(notebook, project / "transport_clustering.ipynb")
    monkeypatch.setattr("veriwild_clustering.core.progress._is_watched", lambda: True)
    assert main(["run", "--folder", str(project)]) == 0
    shown = capsys.readouterr().err
    assert "Cell 1 of 3: Outliers" in shown
    assert "Cell 3 of 3: Outliers" in shown


def test_notebook_that_writes_no_outputs_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_notebook(project / "transport_clustering.ipynb", "1 + 1")
    assert main(["run", "--folder", str(project)]) == 1
    assert f"did not write {project / 'best_partition.csv'}" in capsys.readouterr().err


def test_row_data_is_found_where_raw_data_is_empty(project: Path) -> None:
    (project / "raw_data").rename(project / "row_data")
    (project / "raw_data").mkdir()
    (project / "raw_data" / "README.md").write_text("The expected tree.")
    assert main(["run", "--folder", str(project)]) == 0
    assert not (project / "raw_data" / "images_paths.csv").exists()


def test_sample_is_drawn_where_there_is_no_raw_data(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw_data = (project / "raw_data").rename(project / "drawn")
    monkeypatch.setattr(run, "draw_sample", raw_data.rename)
    assert main(["run", "--folder", str(project)]) == 0
    assert "drawing a sample" in capsys.readouterr().out
    assert (project / "raw_data" / "images_paths.csv").is_file()
