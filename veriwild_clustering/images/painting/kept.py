"""The file in which the state of an image is kept while somebody paints."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.partitions import BROKEN
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.images.painting.states import Painting
from veriwild_clustering.images.segmentation.segmenting import segment

__all__ = ["Kept", "Method", "Packed", "read_kept", "write_kept"]

_QUICK = 1  # of zlib: what there is to pack are runs of equal numbers, and somebody waits


class Method(NamedTuple):
    """How an image is divided into segments, see `segment`."""

    name: str = "slic"
    random_state: int = 0
    params: Mapping[str, Any] = MappingProxyType({})

    def segments(self, image: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the segments of an image."""
        return segment(image, self.name, random_state=self.random_state, **self.params)

    def noted(self) -> str:
        """Return the method as JSON, "" if a parameter is nothing that can be written, such as an open network."""
        try:
            return json.dumps([self.name, self.random_state, dict(self.params)])
        except TypeError:
            return ""


class Packed(NamedTuple):
    """A state in little memory, as it lies in its file."""

    labels: bytes
    paint: bytes
    shape: tuple[int, ...]

    @classmethod
    def of(cls, painting: Painting, *, before: tuple[Painting, Packed] | None = None) -> Packed:
        """Pack a state; what it shares with the one `before` is not packed again."""
        if before is not None and before[0].labels is painting.labels:
            labels = before[1].labels
        else:
            labels = zlib.compress(painting.labels.tobytes(), _QUICK)
        return cls(labels, zlib.compress(painting.paint.tobytes(), _QUICK), painting.labels.shape)

    def painting(self) -> Painting:
        """Return the state; ValueError or zlib.error if it is damaged."""
        labels, paint = (np.frombuffer(zlib.decompress(part), np.int32) for part in (self.labels, self.paint))
        return Painting(labels.reshape(self.shape), paint.reshape(self.shape))

    @property
    def n_bytes(self) -> int:
        """How much it takes."""
        return len(self.labels) + len(self.paint)


class Kept(NamedTuple):
    """What is kept: segments and paint, how often they have changed, and the method if it can be written."""

    painting: Painting
    version: int
    method: Method | None


def write_kept(file: Path, packed: Packed, *, version: int, method: Method) -> None:
    """Keep a state: the old one stays whole until the new one is."""
    labels, paint = (np.frombuffer(part, np.uint8) for part in (packed.labels, packed.paint))
    note = np.array([str(version), method.noted()])
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, labels=labels, paint=paint, shape=np.array(packed.shape), note=note)


def read_kept(file: Path) -> Kept | None:
    """Return the state that was kept; None if there is none.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            packed = Packed(kept["labels"].tobytes(), kept["paint"].tobytes(), tuple(kept["shape"].tolist()))
            version, noted = kept["note"].tolist()
            method = Method(*json.loads(noted)) if noted else None
            return Kept(packed.painting(), int(version), method)
    except FileNotFoundError:
        return None
    except BROKEN as error:
        raise DatasetError(f"{file} cannot be read: {reason_of(error)}. Remove it to begin anew.") from error
