"""Saved partitions: one file each, and a folder of them in which every change is a further version."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.storage.atomic import create_atomically
from veriwild_clustering.core.validation import DatasetError, check_int, reason_of

__all__ = [
    "BROKEN",
    "PartitionContents",
    "PartitionLibrary",
    "VersionConflictError",
    "read_arrays",
    "read_meta",
    "write_arrays",
]

BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
_FORMAT = 1
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"(\d{6,})\.npz")


class VersionConflictError(ValueError):
    """A change that was made to a version which is not the current one any more: `current` says which is."""

    def __init__(self, name: str, *, base: int, current: int, kind: str = "Partition") -> None:
        super().__init__(
            f"{kind} {name!r} is at version {current}, the change was made to version {base}. "
            f"Look at version {current} and make the change again."
        )
        self.current = current


class PartitionContents(NamedTuple):
    """The arrays of a partition as they lie in a file."""

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    state: Mapping[str, NDArray[Any]]


def write_arrays(path: Path, meta: Mapping[str, Any], contents: PartitionContents) -> None:
    """Write what a partition consists of to one .npz; labels as narrow as they go."""
    arrays: dict[str, Any] = {f"state/{name}": value for name, value in contents.state.items()}
    labels = contents.labels.astype(np.min_scalar_type(-int(contents.labels.max(initial=0)) - 1))
    # Not compressed: confidence does not get much smaller, and compressing takes many times as long as writing.
    np.savez(
        path, meta=np.array(json.dumps(meta, default=str)), labels=labels, confidence=contents.confidence, **arrays
    )


def read_meta(path: Path) -> dict[str, Any]:
    """Return what `write_arrays` wrote beside the arrays, without reading those."""
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        return dict(json.loads(str(file["meta"])))


def read_arrays(path: Path) -> tuple[dict[str, Any], PartitionContents]:
    """Return what `write_arrays` wrote; one of `BROKEN` if the file is not whole."""
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        meta = json.loads(str(file["meta"]))
        state = {name.removeprefix("state/"): file[name] for name in file.files if name.startswith("state/")}
        return meta, PartitionContents(file["labels"].astype(np.int32), file["confidence"], state)


@dataclass(frozen=True)
class PartitionLibrary:
    """A folder of partitions by name, each with all its versions; none is ever changed or replaced.

    Threads and processes may save at once: a version is a file that one of them creates, and the others learn that
    their change was made to an old version. A process that is killed leaves the version before, or the new one.

    Parameters
    ----------
    folder : path
        Made when the first partition is saved. Each partition is a folder in it, each version a file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition
    >>> from veriwild_clustering.core.storage.partitions import PartitionLibrary
    >>> space = Descriptor("toy", np.eye(4))
    >>> library = PartitionLibrary(pathlib.Path(tempfile.mkdtemp()))
    >>> library.save("mine", Partition([0, 0, 1, 1], space, "by hand"))
    1
    >>> library.save("mine", Partition([0, 0, 0, 1], space, "by hand"), base=1)
    2
    >>> library.names(), library.current("mine"), library.read("mine", space, version=1).sizes
    (['mine'], 2, array([2, 2]))
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    def names(self) -> list[str]:
        """Return the names of the partitions, in alphabetical order."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.name for entry in self.folder.iterdir() if _ID.fullmatch(entry.name) and self._files(entry))

    def current(self, name: str) -> int:
        """Return the number of the newest version, 0 if there is no such partition."""
        return max(self._files(self.folder / _checked_name(name)), default=0)

    def save(self, name: str, partition: Partition, *, base: int = 0) -> int:
        """Save a partition as the version after `base`.

        Parameters
        ----------
        name : str
            Small letters, digits, "-" and "_", at most 64.
        partition : Partition
            What is saved.
        base : int, default=0
            The version from which it was made, 0 for a partition that is new.

        Returns
        -------
        int
            Its version, `base` + 1.

        Raises
        ------
        VersionConflictError
            If there is a newer version than `base`, or no version `base`.
        ValueError
            If the name is not possible.
        DatasetError
            If the file cannot be written.
        """
        base, current = check_int("base", base, low=0), self.current(name)
        if base != current:
            raise VersionConflictError(name, base=base, current=current)
        meta = {
            "format": _FORMAT,
            "algorithm": partition.algorithm,
            "params": dict(partition.params),
            "cluster_names": list(partition.cluster_names),
            "descriptor": partition.descriptor.name,
            "seconds": partition.seconds,
        }
        contents = PartitionContents(partition.labels, partition.confidence, partition.state)
        try:
            with create_atomically(self._file(name, base + 1)) as path:
                write_arrays(path, meta, contents)
        except FileExistsError as error:
            raise VersionConflictError(name, base=base, current=self.current(name)) from error
        return base + 1

    def read(self, name: str, descriptor: Descriptor, *, version: int | None = None) -> Partition:
        """Return a saved partition.

        Parameters
        ----------
        name : str
            The partition.
        descriptor : Descriptor
            The space that it is of.
        version : int, optional
            By default the newest.

        Returns
        -------
        Partition
            As it was saved.

        Raises
        ------
        KeyError
            If there is no such partition or version.
        DatasetError
            If the file is damaged, or of another number of images.
        """
        file = self._existing(name, version)
        with _named(file):
            meta, contents = read_arrays(file)
            if meta["format"] != _FORMAT or contents.labels.shape != (len(descriptor),):
                raise ValueError(f"it is of {len(contents.labels)} images, or of another format")
            return Partition(
                contents.labels,
                descriptor,
                meta["algorithm"],
                params=meta["params"],
                confidence=contents.confidence,
                state=contents.state,
                cluster_names=meta["cluster_names"],
                seconds=meta["seconds"],
            )

    def space_of(self, name: str, *, version: int | None = None) -> str:
        """Return the name of the descriptor that a version is of; raises as `read` does."""
        file = self._existing(name, version)
        with _named(file):
            return str(read_meta(file)["descriptor"])

    def _existing(self, name: str, version: int | None) -> Path:
        asked = self.current(name) if version is None else check_int("version", version, low=1)
        file = self._file(name, asked)
        if not file.is_file():
            raise KeyError(f"There is no version {asked} of the partition {name!r}.")
        return file

    def _file(self, name: str, version: int) -> Path:
        return self.folder / _checked_name(name) / f"{version:06d}.npz"

    def _files(self, folder: Path) -> list[int]:
        """Return the versions in a folder."""
        if not folder.is_dir():
            return []
        found = (_VERSION.fullmatch(entry.name) for entry in folder.iterdir())
        return [int(match[1]) for match in found if match]


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say which file it is that cannot be read."""
    try:
        yield
    except BROKEN as error:
        reason = reason_of(error)
        raise DatasetError(f"{file} is damaged: {reason}. Remove it, and the version before counts again.") from error


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError(
            f'The name of a partition must be small letters, digits, "-" and "_", at most 64. Got {name!r} instead.'
        )
    return name
