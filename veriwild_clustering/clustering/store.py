"""A folder of finished partitions, from which a sweep that was stopped goes on."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.partitions import BROKEN, PartitionContents, read_arrays, write_arrays
from veriwild_clustering.core.storage.vector_files import map_npy

__all__ = ["PartitionRecord", "PartitionStore"]

_FORMAT = 1
_COPIED_BYTES = 2**20  # what joblib too copies to each process rather than through a file


@dataclass(frozen=True)
class PartitionRecord:
    """A partition without its descriptor: what travels between processes and lies in the store.

    `resolved` holds the parameters that fitting found or changed, such as the number behind eps="knee".
    """

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    state: Mapping[str, NDArray[Any]]
    resolved: Mapping[str, Any]
    seconds: float

    @classmethod
    def of(cls, partition: Partition, params: Mapping[str, Any]) -> PartitionRecord:
        """Return the record of a partition that was asked for with `params`."""
        resolved = {key: value for key, value in partition.params.items() if params.get(key, cls) is not value}
        return cls(partition.labels, partition.confidence, partition.state, resolved, partition.seconds)

    def partition(self, descriptor: Descriptor, algorithm: str, params: Mapping[str, Any]) -> Partition:
        """Return the partition of the descriptor that this is the record of."""
        params = {**params, **self.resolved}
        return Partition(
            self.labels,
            descriptor,
            algorithm,
            params=params,
            confidence=self.confidence,
            state=self.state,
            seconds=self.seconds,
        )


@dataclass(frozen=True)
class PartitionStore:
    """One .npz file per partition, named by the hash of all it depends on.

    Several processes and machines may read and write the folder at once.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    NotADirectoryError
        If a file stands where the folder should be.
    """

    folder: Path

    def __post_init__(self) -> None:
        folder = Path(self.folder).absolute()  # workers may stand elsewhere
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"`store` must be a folder. Got the file {folder} instead.")
        folder.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "folder", folder)

    def path(self, key: str) -> Path:
        """Return where the partition with this key lies."""
        return self.folder / f"{key}.npz"

    def mapped(self, descriptor: Descriptor) -> NDArray[np.float32]:
        """Return the vectors as the memory map of a file, which is written to the folder unless there is one.

        Small ones stay as they are.
        """
        vectors = descriptor.vectors
        if isinstance(vectors.base, mmap.mmap) or vectors.nbytes <= _COPIED_BYTES:
            return vectors
        file = self.folder / "vectors" / f"{descriptor.fingerprint[:32]}.npy"
        if not file.exists():
            with write_atomically(file) as path:
                np.save(path, vectors)
        return map_npy(file)

    def write(self, key: str, record: PartitionRecord) -> None:
        """Write a record under its key: all of it or nothing."""
        meta = {"format": _FORMAT, "key": key, "resolved": dict(record.resolved), "seconds": record.seconds}
        with write_atomically(self.path(key)) as path:
            write_arrays(path, meta, PartitionContents(record.labels, record.confidence, record.state))

    def read(self, key: str, n_images: int) -> PartitionRecord | None:
        """Return the record under a key; None if there is none or, with a warning, if its file is broken."""
        path = self.path(key)
        if not path.exists():
            return None
        try:
            return _read(path, key, n_images)
        except BROKEN as error:
            warnings.warn(f"{path} is broken ({error}); its partition is computed again.", stacklevel=2)
            return None


def _read(path: Path, key: str, n_images: int) -> PartitionRecord:
    meta, contents = read_arrays(path)
    if meta["format"] != _FORMAT or meta["key"] != key or contents.labels.shape != (n_images,):
        raise ValueError("it holds another partition")
    return PartitionRecord(*contents, meta["resolved"], meta["seconds"])
