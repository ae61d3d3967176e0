"""The house rules that a machine can check: layers, lazy imports, sizes of files and functions, names."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "veriwild_clustering"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, ROOT / "create_dataset.py", *sorted((ROOT / "benchmarks").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_FILE_LINES = 350
MAX_BODY_LINES = 50
MAX_MODULES_PER_FOLDER = 9
NAMES_THAT_TELL_NOTHING = {"common", "helpers", "misc", "tools", "util", "utils"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Yield each function with the number of lines of its body, the docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_imports_point_down_only() -> None:
    """In a process of its own, since the linter silences the loggers that are there."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_import_loads_nothing_but_the_lazy_loader() -> None:
    code = "import sys; before = set(sys.modules); import veriwild_clustering; print(*(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in shown.stdout.split()} - sys.stdlib_module_names
    assert packages <= {"veriwild_clustering", "lazy_loader", "packaging"}


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=relative)
def test_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= MAX_FILE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_functions_are_short(path: Path) -> None:
    long = {f"{path.name}:{node.lineno} {node.name}": n for node, n in functions(path) if n > MAX_BODY_LINES}
    assert not long


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=relative)
def test_folder_holds_few_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MAX_MODULES_PER_FOLDER


def test_names_of_modules_say_what_they_hold() -> None:
    parts = {part.strip("_") for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not parts & NAMES_THAT_TELL_NOTHING


def test_tests_mirror_the_package() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tested = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("test_*.py"))}
    assert packages <= tested
