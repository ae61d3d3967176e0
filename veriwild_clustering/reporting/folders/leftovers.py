"""The files beside the images that a sorting leaves where they are, each with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from veriwild_clustering.images.listing import IMAGE_SUFFIXES
from veriwild_clustering.reporting.folders.plan import Plan

__all__ = ["list_leftovers"]


def list_leftovers(plan: Plan, out: Path) -> list[tuple[str, str]]:
    """Return path and reason of every file that lies among the images and is none of them, in order of paths."""
    known = set(plan.paths)
    found: Iterator[tuple[str, str]]
    if plan.store.is_zip:
        found = ((path, _reason(path)) for path in plan.store.members())
    else:
        found = _below(plan, os.path.realpath(out))
    return sorted((_printable(path), reason) for path, reason in found if path not in known)


def _below(plan: Plan, out: str) -> Iterator[tuple[str, str]]:
    root = (plan.store.location / plan.store.inside).absolute()
    above = f"{plan.store.strip}/" if plan.store.strip else ""
    for folder, subfolders, names in os.walk(plan.listed):
        here = Path(folder)
        links = [name for name in subfolders if (here / name).is_symlink()]
        subfolders[:] = [name for name in subfolders if os.path.realpath(here / name) != out]
        for name in (*names, *links):
            path = above + Path(os.path.relpath(here / name, root)).as_posix()
            if name in links:
                yield path, "link to a folder"
            elif (here / name).is_symlink():
                yield path, "link"
            else:
                yield path, _reason(path)


def _reason(path: str) -> str:
    if any(part.startswith(".") or part == "__MACOSX" for part in path.split("/")):
        return "hidden"
    if PurePosixPath(path).suffix.lower() not in IMAGE_SUFFIXES:
        return "no image"
    return "not among the images that were grouped"


def _printable(path: str) -> str:
    """Return a path as it can stand in a table: bytes that are no text and control characters are written out."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter >= " " and letter != "\x7f" else f"\\x{ord(letter):02x}" for letter in text)
