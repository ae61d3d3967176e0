"""What a sorting has done so far, line by line on the disk before it is done, so that it can go on or be undone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from veriwild_clustering.core.storage.image_store import safe_path

__all__ = ["Journal", "Record", "sync_folder"]


class Record(NamedTuple):
    """A file as it was before it was touched."""

    n_bytes: int
    mtime_ns: int
    sha256: str


class Journal:
    """A file to which lines are only added: what is about to happen to an image, and what was written besides.

    A line that a kill cut in half is cut off; nothing had been done on its account.

    Parameters
    ----------
    folder : Path
        Where the journal lies; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self.files: dict[int, Record] = {}
        self.left: dict[int, str] = {}
        self.made: dict[str, set[str]] = {}
        self.complete = self.undoing = False
        self._end = 0
        if self.path.exists():
            self._read()

    def append(self, entries: Iterable[tuple[Any, ...]]) -> None:
        """Add lines and bring them to the disk."""
        lines = [*entries]
        if not lines:
            return
        new = not self.path.exists()
        with self.path.open("ab" if new else "r+b") as stream:
            stream.truncate(self._end)  # what a full disk cut in half
            stream.seek(self._end)
            stream.write("".join(json.dumps(line) + "\n" for line in lines).encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())
            self._end = stream.tell()
        if new:
            sync_folder(self.path.parent)
        for line in lines:
            self._take(*line)

    def remove(self) -> None:
        """Delete the journal, when nothing is left to be undone."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        with self.path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._take(*json.loads(line))
                self._end += len(line)

    def _take(self, kind: str, *values: Any) -> None:
        if kind == "file":
            self.files[values[0]] = Record(*values[1:])
        elif kind == "left":
            self.left[values[0]] = values[1]
        elif kind == "made":
            self.made.setdefault(safe_path(values[0]), set()).add(values[1])
        elif kind == "complete":
            self.complete = True
        elif kind == "undo":
            self.undoing = True


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
