"""The files of an extraction while they grow: a killed run leaves what the next one goes on from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.storage.atomic import clear_errors, write_atomically

__all__ = ["FOLDER", "Journal", "open_journal"]

FOLDER = ".unfinished"
_PLAN, _RECORDS = "plan.json", "records.jsonl"
_SECONDS = 2.0  # of work that a power cut may cost
_READ = 4096


class Journal:
    """Vectors and records of the rows that are done, on their way to the disk.

    Vectors are written into files of their full size, made beforehand: a disk that is too small shows at once, and
    memory holds no pages of them. A row counts as done when its record, one line of JSON, is in the file of records,
    which happens after its vectors have reached the disk.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    widths : mapping of str to int
        Number of features by descriptor.
    n_rows : int
        Number of images.
    batch_size : int
        Work goes on at a multiple of it.
    """

    def __init__(self, folder: Path, widths: Mapping[str, int], *, n_rows: int, batch_size: int) -> None:
        self.folder, self.n_rows, self.batch_size = folder, n_rows, batch_size
        self._records = folder / _RECORDS
        self.n_done, self._end = self._whole_batches()
        self._vectors: dict[str, BinaryIO] = {}
        self._starts: dict[str, int] = {}
        if self.n_done < n_rows:
            for name, width in widths.items():
                stream = (folder / f"{name}.npy").open("r+b")
                self._vectors[name], self._starts[name] = stream, stream.seek(0, os.SEEK_END) - 4 * n_rows * width
        self._lines: list[str] = []
        self._kept_at = monotonic()

    def write(self, rows: slice, vectors: Mapping[str, NDArray[np.float32]], records: Sequence[Sequence[Any]]) -> None:
        """Add the next rows."""
        with clear_errors(self.folder):
            for name, block in vectors.items():
                stream = self._vectors[name]
                stream.seek(self._starts[name] + rows.start * block.shape[1] * 4)
                stream.write(np.ascontiguousarray(block, "<f4").data)
        self._lines += [json.dumps(record) + "\n" for record in records]
        if monotonic() - self._kept_at > _SECONDS:
            self.keep()

    def keep(self) -> None:
        """Bring what was written to the disk, the vectors before the records that vouch for them."""
        with clear_errors(self.folder):
            for stream in self._vectors.values():
                stream.flush()
                os.fsync(stream.fileno())
            with self._records.open("r+b") as records:
                records.seek(self._end)  # a line that a full disk cut in half is written over
                records.write("".join(self._lines).encode())
                records.flush()
                os.fsync(records.fileno())
                self._end = records.tell()
        self._lines, self._kept_at = [], monotonic()

    def close(self) -> None:
        """Close the files."""
        for stream in self._vectors.values():
            with suppress(OSError):  # what could not be written was told already
                stream.close()

    def records(self, kinds: Mapping[str, str]) -> pd.DataFrame:
        """Return the records of all rows as a table with columns of these names and dtypes."""
        frames = []
        with self._records.open(encoding="utf-8") as stream:
            while lines := list(islice(stream, _READ)):
                frame = pd.DataFrame([json.loads(line) for line in lines], columns=list(kinds), dtype=object)
                frames.append(frame.astype(dict(kinds)))
        return pd.concat(frames, ignore_index=True)

    def _whole_batches(self) -> tuple[int, int]:
        """Return how many rows are done in whole batches, and where they end; cut off what follows, as half a line."""
        ends = [0]
        with self._records.open("rb+") as stream:
            for line in stream:
                if not _is_record(line):
                    break
                ends.append(ends[-1] + len(line))
            n_done = len(ends) - 1
            if n_done < self.n_rows:
                n_done -= n_done % self.batch_size
            stream.truncate(ends[n_done])
        return n_done, ends[n_done]


@contextmanager
def open_journal(
    folder: Path, plan: Mapping[str, Any], *, widths: Mapping[str, int], n_rows: int, batch_size: int
) -> Iterator[Journal]:
    """Give the journal of a plan in its folder: the one that is there if it follows the same plan, else a new one.

    Whatever happens inside, rows that were written are kept.
    """
    place = folder / FOLDER
    text = json.dumps(plan, sort_keys=True)
    with clear_errors(folder):
        if not (_follows(place / _PLAN, text) and _is_whole(place, list(widths))):
            if place.exists():
                shutil.rmtree(place)
            place.mkdir(parents=True)
            for name, width in widths.items():
                _make_npy(place / f"{name}.npy", (n_rows, width))
            (place / _RECORDS).touch()
            with write_atomically(place / _PLAN) as temporary:  # last: where it is, the files are whole
                temporary.write_text(text, encoding="utf-8")
    journal = Journal(place, widths, n_rows=n_rows, batch_size=batch_size)
    try:
        yield journal
    except BaseException:
        with suppress(Exception):  # the error that is on its way says more
            journal.keep()
        raise
    finally:
        journal.close()


def _follows(plan: Path, text: str) -> bool:
    try:
        return plan.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def _is_whole(place: Path, names: Sequence[str]) -> bool:
    """Tell whether all files of a journal are there; a run killed at its end may have moved vectors to their place."""
    vectors = ((folder / f"{name}.npy" for folder in (place, place.parent)) for name in names)
    return (place / _RECORDS).exists() and all(any(file.exists() for file in files) for files in vectors)


def _is_record(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), list)
    except ValueError:
        return False


def _make_npy(file: Path, shape: tuple[int, int]) -> None:
    """Make a .npy of float32 with room for all rows."""
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        start, n_bytes = stream.tell(), 4 * shape[0] * shape[1]
        stream.flush()
        if n_bytes and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), start, n_bytes)
        else:
            stream.truncate(start + n_bytes)
