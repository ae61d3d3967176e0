"""Answers that are known: a folder of journals that lines are only ever added to, shared by any number of processes."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from veriwild_clustering.core.storage.atomic import clear_errors

__all__ = ["AnswerCache"]

_SUFFIX = ".answers.jsonl"
_SECONDS_BETWEEN_LOOKS = 1.0


class AnswerCache:
    """Records by key.

    Each process adds lines to a journal of its own and reads those of all others, so none waits for another. A line is
    with the operating system before `add` returns: the end of the process takes nothing of it away. What was half
    written when a disk was full or a machine went down is no whole line of JSON and is skipped.

    Parameters
    ----------
    folder : path
        Where the journals lie; made with the first record.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering.images.captioning.cache import AnswerCache
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> AnswerCache(folder).add("a key", {"value": "red"})
    >>> AnswerCache(folder).find("a key")["value"]
    'red'
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self._lock = threading.Lock()
        self._records: dict[str, tuple[Path, int, int]] = {}  # journal, position, length: answers stay on the disk
        self._read: dict[Path, int] = {}  # up to where each journal is known
        self._looked = -_SECONDS_BETWEEN_LOOKS
        self._name = uuid4().hex

    def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of a key, or None; what other processes add is known within a second.

        O(1) of a known key; else O(bytes added since), and a look at the folder once a second.
        """
        with self._lock:
            if key not in self._records:
                self._look()
            place = self._records.get(key)
        if place is None:
            return None
        path, start, length = place
        try:
            with path.open("rb") as journal:
                journal.seek(start)
                record = json.loads(journal.read(length))
        except (OSError, ValueError):  # somebody removed the journal meanwhile
            return None
        return record if record.get("key") == key else None

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep a record; of several with one key the last counts.

        Raises
        ------
        DatasetError
            If the folder cannot be written to.
        """
        line = json.dumps({"key": key, **record}, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock, clear_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{self._name}-{os.getpid()}{_SUFFIX}"  # a fork goes on in a journal of its own
            with path.open("ab", buffering=0) as journal:
                start = journal.seek(0, os.SEEK_END)
                if journal.write(line) < len(line):
                    self._name = uuid4().hex
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._records[key] = (path, start, len(line))
            self._read[path] = start + len(line)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            self._read_on(path)
        self._looked = time.monotonic()

    def _read_on(self, path: Path) -> None:
        start = self._read.get(path, 0)
        try:
            if path.stat().st_size <= start:
                return
            with path.open("rb") as journal:
                journal.seek(start)
                for line in journal:
                    if not line.endswith(b"\n"):  # still being written, or cut off for ever
                        break
                    self._note(path, start, line)
                    start += len(line)
        except OSError:  # gone, or not ours to read
            return
        self._read[path] = start

    def _note(self, path: Path, start: int, line: bytes) -> None:
        try:
            key = json.loads(line)["key"]
        except (ValueError, TypeError, KeyError):  # zeros where a machine went down, or another file of this name
            return
        self._records[str(key)] = (path, start, len(line))
