"""Raw data (or the drawn sample) to the dataset, the executed notebook, the best partition and the HTML report."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import veriwild_clustering
from veriwild_clustering.apps import create_dataset
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.raw_data import locate_raw_data
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.samples.draw import draw_sample

__all__ = ["EXAMPLES", "add_arguments", "run"]

NOTEBOOK_FAILED = 1
_LIBRARY = Path(veriwild_clustering.__file__).parent

EXAMPLES = """\
examples:
  veriwild run                                      in the project's folder; what is up to date is left alone
  veriwild run --raw-data /data/veriwild/raw_data
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild run`."""
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where transport_clustering.ipynb lies (default: here)"
    )
    parser.add_argument(
        "--raw-data",
        type=Path,
        help="the raw data (default: raw_data or row_data in FOLDER; where they are empty, a sample is drawn)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do the steps whose inputs changed since they were last done, then say where the outputs are."""
    project = _Project(arguments.folder.resolve())
    if not project.notebook.is_file():
        raise DatasetError(f"There is no {project.notebook}. Run in the project's folder, or name it with --folder.")
    project.reports.mkdir(exist_ok=True)
    failed = _make_dataset(project, arguments.raw_data or _find_or_draw(project.root)) or _make_reports(project)
    if failed:
        return failed
    for name, path in project.outputs.items():
        print(f"{name:<18} {path}")
    return 0


@dataclass(frozen=True)
class _Project:
    """The files of a project, and in which state each step left its own."""

    root: Path

    @property
    def notebook(self) -> Path:
        return self.root / "transport_clustering.ipynb"

    @property
    def dataset(self) -> Path:
        return self.root / "transport_dataset.csv"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def executed(self) -> Path:  # beside the original, so that its links to reports/ lead somewhere
        return self.notebook.with_suffix(".executed.ipynb")

    @property
    def outputs(self) -> dict[str, Path]:
        return {
            "dataset": self.dataset,
            "executed notebook": self.executed,
            "best partition": self.root / "best_partition.csv",
            "HTML report": self.reports / "report.html",
        }

    def is_current(self, step: str, files: Iterable[Path]) -> bool:
        """Tell whether the inputs and outputs of a step are those with which it was last done."""
        stamp = self._stamp(step)
        return stamp.is_file() and stamp.read_text() == _fingerprint(files)

    def mark_done(self, step: str, files: Iterable[Path]) -> None:
        """Remember the inputs and outputs of a step."""
        self._stamp(step).write_text(_fingerprint(files))

    def _stamp(self, step: str) -> Path:
        return self.reports / f".{step}.stamp"


def _fingerprint(files: Iterable[Path]) -> str:
    """Return a digest of names, sizes and times of change; reading gigabytes to skip a step would gain nothing."""
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(files) if file.exists()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _find_or_draw(root: Path) -> Path:
    """Return the folder that holds the raw data; where none does, draw a sample."""
    for folder in (root / "raw_data", root / "row_data"):
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if any(name != "README.md" and not name.startswith(".") for name in names):
            return folder
    if (root / "images_paths.csv").is_file():
        return root
    print("raw_data holds no data: drawing a sample of vehicles, with simulated vectors.", flush=True)
    return draw_sample(root / "raw_data")


def _make_dataset(project: _Project, folder: Path) -> int:
    """Join the raw data and return the exit code."""
    raw = locate_raw_data(folder)
    measuring = (_LIBRARY / "images").rglob("*.py")  # what the table says of images follows from this code
    inputs = [raw.paths_file, *raw.descriptor_files.values(), *raw.attribute_files.values()]
    files = [*inputs, *measuring, project.dataset]
    if project.is_current("dataset", files):
        print("The dataset is up to date.")
        return 0
    parser = argparse.ArgumentParser()
    create_dataset.add_arguments(parser)
    failed = create_dataset.run(parser.parse_args(["--raw-data", str(folder), "--output", str(project.dataset)]))
    if not failed:
        project.mark_done("dataset", files)
    return failed


def _make_reports(project: _Project) -> int:
    """Execute the notebook, which writes the best partition and the HTML report, and return the exit code."""
    files = [project.notebook, *_LIBRARY.rglob("*.py"), *project.outputs.values()]
    if project.is_current("reports", files):
        print("The notebook is up to date.")
        return 0
    error = _execute(project.notebook, project.executed)
    missing = [str(path) for path in project.outputs.values() if not path.exists()]
    if error or missing:
        print(error or f"{project.notebook.name} ran but did not write {', '.join(missing)}.", file=sys.stderr)
        return NOTEBOOK_FAILED
    project.mark_done("reports", files)
    return 0


def _execute(notebook: Path, executed: Path) -> str:
    """Execute `notebook` in its folder and write the result to `executed`; return what went wrong, or nothing.

    The copy is written after a failure too: it shows how far the notebook came.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=None,
        resources={"metadata": {"path": str(notebook.parent)}},
        extra_arguments=["--log-level=ERROR"],  # the kernel warns about its own transport, to nobody's use
    )
    print(f"Executing {notebook.name}: {len(content.cells)} cells", flush=True)
    error = ""
    with client.setup_kernel(env={**os.environ, "TQDM_DISABLE": "1"}):  # no bars in what is kept
        headings = _headings(content.cells)
        steps = track(list(enumerate(content.cells)), description=lambda step: headings[step[0]])
        for index, cell in steps:
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as failure:
                error = f"Cell {index} of {notebook.name} failed: {failure.ename}: {failure.evalue}\nSee {executed}"
                break
    with write_atomically(executed) as temporary:
        nbformat.write(content, temporary)
    return error


def _headings(cells: Sequence[Any]) -> list[str]:
    """Return for each cell its number and the heading that it stands under."""
    headings, current = [], ""
    for number, cell in enumerate(cells, start=1):
        if cell.cell_type == "markdown":
            titles = re.findall(r"^#+ +(.+)$", cell.source, flags=re.MULTILINE)
            current = f": {titles[-1]}" if titles else current
        headings.append(f"Cell {number} of {len(cells)}{current}")
    return headings
