"""What a network is known by: the bytes of its files, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.images.models.record import Model

__all__ = ["file_checksum", "model_identity", "note_path", "noted_checksum", "read_note", "remember", "write_note"]


def model_identity(model: Model, files: Sequence[Path]) -> dict[str, Any]:
    """Return what tells a network from any other, as JSON holds it: name, decoder, checksums of its files on disk.

    Whoever runs it adds what else its results depend on.
    """
    return {"model": model.name, "decoder": model.decoder, "sha256": [file_checksum(file) for file in files]}


def file_checksum(file: Path) -> str:
    """Return the SHA-256 of a file, computed once for as long as its size and time stay the same."""
    state, checksum = _state(file), noted_checksum(file)
    if checksum is not None and read_note(note_path(file)) == {"sha256": checksum, **state}:
        return checksum
    return _checksum(file, **state)


def noted_checksum(file: Path) -> str | None:
    """Return the checksum that the note beside a file gives, whether or not the file has changed since."""
    checksum = read_note(note_path(file)).get("sha256")
    return checksum if isinstance(checksum, str) else None


def remember(file: Path, checksum: str) -> None:
    """Note the checksum of a file beside it.

    Raises
    ------
    DatasetError
        If the note cannot be written.
    """
    note = {"sha256": checksum, **_state(file)}
    if read_note(note_path(file)) != note:
        write_note(note_path(file), note)


def note_path(file: Path) -> Path:
    """Return where the note on a file lies."""
    return file.with_name(f"{file.name}.json")


def read_note(path: Path) -> dict[str, Any]:
    """Return what a note says; nothing if it is not there or cannot be read."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def write_note(path: Path, note: Mapping[str, object]) -> None:
    """Write a note, whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(note), encoding="utf-8")


def _state(file: Path) -> dict[str, int]:
    status = file.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


@lru_cache(maxsize=64)
def _checksum(file: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 -- they tell a changed file
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
