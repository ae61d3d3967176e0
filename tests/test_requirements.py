"""requirements.txt says the same as pyproject.toml, and what it pulls in is permissively licensed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNNING = ("notebook", "quality", "models", "vision")

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|ISCL|PSF|Python Software Foundation|Zlib|CC0|Public Domain|Unlicense"
    r"|MPL|Mozilla Public License 2\.0)\b"  # copyleft of its own files alone: using the package passes nothing on
)
RESTRICTIVE = re.compile(r"\b[AL]?GPL|General Public License|non-?commercial|proprietary", re.IGNORECASE)

READ_BY_HAND = {
    "colorcet": "CC-BY-4.0: tables of colours, asks for attribution alone",
    "kneed": "BSD-3-Clause: in its licence file, not in its metadata",
    "skops": "MIT: in its licence file, not in its metadata",
    "docutils": "public domain and BSD; the GPL covers an Emacs mode that wheels do not hold; used by tests alone",
}


def declared(extras: tuple[str, ...]) -> set[str]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {str(Requirement(line)) for line in lines}


def installed(names: list[str]) -> Iterator[Distribution]:
    """Yield the distributions that `names` pull in, themselves included, as far as they are installed."""
    seen: set[str] = set()
    while names:
        name = canonicalize_name(names.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed on another platform
            continue
        yield found
        wanted = [Requirement(line) for line in found.requires or []]
        names += [item.name for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]


def licence(found: Distribution) -> str:
    """Return what the metadata say: the expression, else the classifiers, else the first line of the licence field."""
    classifiers = [line for line in found.metadata.get_all("Classifier", []) if line.startswith("License :: ")]
    named = [line.rpartition(" :: ")[2] for line in classifiers if not line.endswith("OSI Approved")]
    field = found.metadata.get("License") or ""
    return found.metadata.get("License-Expression") or "; ".join(named) or field.strip().partition("\n")[0]


def test_requirements_say_the_same_as_pyproject() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {str(Requirement(line)) for line in lines if line and not line.startswith("#")}
    assert listed == declared(RUNNING)


def test_every_dependency_is_permissively_licensed() -> None:
    roots = [Requirement(line).name for line in declared(tuple(PROJECT["optional-dependencies"]))]
    licences = {canonicalize_name(found.name): licence(found) for found in installed(roots)}
    refused = {
        name: text
        for name, text in licences.items()
        if name not in READ_BY_HAND and (RESTRICTIVE.search(text) or not PERMISSIVE.search(text))
    }
    assert len(licences) >= len(PROJECT["dependencies"])
    assert not refused
