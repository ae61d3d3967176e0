"""What a sorting has done so far, line by line on the disk before it is done, so that it can go on or be undone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from veriwild_clustering.core.storage.image_store import safe_path
from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["Journal", "Record", "sync_folder"]

_SHA256 = re.compile("[0-9a-f]{64}")


class Record(NamedTuple):
    """A file as it was before it was touched."""

    n_bytes: int
    mtime_ns: int
    sha256: str

    @classmethod
    def checked(cls, *values: Any) -> Record:
        """Return what a line of a journal says of a file; ValueError if it is none."""
        n_bytes, mtime_ns, sha256 = values
        if type(n_bytes) is not int or type(mtime_ns) is not int or n_bytes < 0 or not _SHA256.fullmatch(sha256):
            raise ValueError(f"{values!r} are no size, time and sha256")
        return cls(n_bytes, mtime_ns, sha256)


class Journal:
    """A file to which lines are only added: what is about to happen to an image, and what was written besides.

    A last line that a kill cut in half is cut off; nothing had been done on its account.

    Parameters
    ----------
    folder : Path
        Where the journal lies; it must exist.
    n_rows : int
        How many images the plan has.

    Raises
    ------
    DatasetError
        If another line is damaged.
    """

    def __init__(self, folder: Path, *, n_rows: int) -> None:
        self._n_rows = n_rows
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
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._take(*json.loads(line))
                except (ValueError, TypeError, RecursionError) as error:
                    raise DatasetError(
                        f"{self.path}, line {number}, is damaged ({reason_of(error)}); nothing was touched. Restore "
                        f"it from a backup, or move the images by hand: plan.jsonl beside it says whence they came."
                    ) from error
                self._end += len(line)

    def _take(self, kind: str, *values: Any) -> None:
        if kind == "file":
            row, *record = values
            self.files[self._row(row)] = Record.checked(*record)
        elif kind == "left":
            row, reason = values
            self.left[self._row(row)] = str(reason)
        elif kind == "made":
            name, digest = values
            self.made.setdefault(safe_path(name), set()).add(str(digest))
        elif kind == "complete":
            self.complete = True
        elif kind == "undo":
            self.undoing = True
        else:
            raise ValueError(f"{kind!r} is no kind of entry")

    def _row(self, row: Any) -> int:
        if type(row) is not int or not 0 <= row < self._n_rows:
            raise ValueError(f"{row!r} is the number of no image")
        return row


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
