"""Folders of files to sort, and a kill at the n-th change of the file system."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, Descriptor, ImageStore, Partition

_CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime"}


class Killed(BaseException):
    """Stands for a kill: from then on nothing reaches the file system, not even what `finally` wants to do."""


class _Countdown:
    """Lets a number of changes of the file system happen, and no more."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.installed = False

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.left is None or not self._changes(event, arguments):
            return
        if self.left == 0:
            raise Killed
        self.left -= 1

    @staticmethod
    def _changes(event: str, arguments: tuple[object, ...]) -> bool:
        writing = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        return event in _CHANGES or bool(writing)

    @contextmanager
    def __call__(self, n_changes: int) -> Iterator[None]:
        if not self.installed:
            sys.addaudithook(self.hook)
            self.installed = True
        self.left = n_changes
        try:
            yield
        finally:
            self.left = None


_countdown = _Countdown()


@pytest.fixture
def killed_after() -> Callable[[int], object]:
    """`with killed_after(n):` raises `Killed` at the change number n + 1 and at all that follow."""
    return _countdown


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return bytes and time of every file below a folder, the state of sortings left out."""
    return {
        str(file.relative_to(folder)): (file.read_bytes(), file.lstat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".veriwild_folders" not in file.parts
    }


def make_files(folder: Path, files: Mapping[str, bytes]) -> Dataset:
    """Write files, each with a time of its own, and return them as a dataset."""
    for number, (path, data) in enumerate(files.items()):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, ns=(10**18 + number, 10**18 + 7 * number))
    return Dataset(pd.DataFrame({"path": list(files)}), image_store=ImageStore(folder))


def partition_of(labels: list[int]) -> Partition:
    return Partition(labels, Descriptor("toy", np.zeros((len(labels), 1))), "by hand")
