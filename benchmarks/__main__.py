"""The command line of the benchmarks: list them, run one, or turn recorded lines into Markdown tables."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.harness import SIZES, Bench

_EPILOG = "Every figure is one JSON line on stdout; `python -m benchmarks table FILE` makes Markdown of such lines."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if something failed."""
    found = benchmarks()
    options = _parser([*found, "table"]).parse_args(arguments)
    if options.name is None:
        _list(found)
        return 0
    if options.name == "table":
        lines = Path(options.file).read_text(encoding="utf-8").splitlines() if options.file else list(sys.stdin)
        print(markdown([json.loads(line) for line in lines]))
        return 0
    return _run(options)


def benchmarks() -> dict[str, str]:
    """Return the names of the benchmarks, the modules that define `run`, with the first lines of their docstrings."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__, epilog=_EPILOG)
    parser.add_argument("name", nargs="?", choices=names, help="without it, the benchmarks are listed")
    parser.add_argument("file", nargs="?", help="for `table`: the file of JSON lines, by default stdin")
    parser.add_argument("--size", choices=SIZES, default="small", help="from seconds to hours (default: small)")
    parser.add_argument("--folder", type=Path, help="where big files go (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the big files there; a later run uses them again")
    parser.add_argument("--here", action="store_true", help="measure in this process: quick, memory means nothing")
    parser.add_argument("--figure", help="for `growth`: draw the curves into this file")
    return parser


def _sizes(name: str) -> Mapping[str, int]:
    sizes: Mapping[str, int] = getattr(importlib.import_module(f"benchmarks.{name}"), "SIZES", SIZES)
    return sizes


def _list(found: Mapping[str, str]) -> None:
    width = max(map(len, found))
    for name, summary in found.items():
        sizes = ", ".join(f"{size} {n_images:,}" for size, n_images in _sizes(name).items())
        print(f"{name:{width}}  {summary}\n{'':{width}}  images: {sizes}")


def _run(options: argparse.Namespace) -> int:
    module, sizes = importlib.import_module(f"benchmarks.{options.name}"), _sizes(options.name)
    base = Path(tempfile.gettempdir()) if options.folder is None else options.folder
    mine = f"-{os.getpid()}" if options.folder is None and not options.keep else ""
    folder = (base / f"benchmark-{options.name}-{options.size}{mine}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"figure": options.figure} if options.figure else {}
    bench = Bench(options.name, options.size, sizes[options.size], folder, asked, isolated=not options.here)
    try:
        with bench.independent():
            module.run(bench)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    return 1 if bench.failures else 0


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return one Markdown table per benchmark and size from lines of figures; of equal figures the last counts."""
    latest = {(line["benchmark"], line["size"], line["figure"], line["n_images"]): line for line in lines}
    ordered = sorted(latest.values(), key=lambda line: (line["benchmark"], list(SIZES).index(line["size"])))
    parts = []
    for (name, size), group in groupby(ordered, key=lambda line: (line["benchmark"], line["size"])):
        rows = ["| figure | images | ours | baseline | ratio | memory | baseline's |", "|---|--:|--:|--:|--:|--:|--:|"]
        rows += [_row(line) for line in group]
        parts.append("\n".join([f"`python -m benchmarks {name} --size {size}`", "", *rows]))
    return "\n\n".join(parts)


def _row(line: Mapping[str, Any]) -> str:
    cells = [
        line["figure"],
        f"{line['n_images']:,}",
        _amount(line["ours"], line["unit"]),
        _amount(line["baseline"], line["unit"]),
        "" if line["ratio"] is None else f"{line['ratio']:.3g}",
        *(_memory(line[key]) for key in ("peak_memory", "baseline_peak_memory")),
    ]
    return f"| {' | '.join(cells)} |"


def _amount(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.4g} {unit}"


def _memory(n_bytes: int | None) -> str:
    return "" if n_bytes is None else f"{n_bytes / 2**20:,.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())
