"""The file in which the state of an image is kept while somebody paints."""

from __future__ import annotations

import json
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

__all__ = ["Kept", "Method", "read_kept", "write_kept"]


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


class Kept(NamedTuple):
    """What is kept: segments and paint, how often they have changed, and the method if it can be written."""

    painting: Painting
    version: int
    method: Method | None


def write_kept(file: Path, painting: Painting, *, version: int, method: Method) -> None:
    """Keep a state: the old one stays whole until the new one is."""
    note = np.array([str(version), method.noted()])
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, labels=painting.labels, paint=painting.paint, note=note)


def read_kept(file: Path) -> Kept | None:
    """Return the state that was kept; None if there is none.

    Raises
    ------
    DatasetError
        If the file is damaged.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            painting = Painting(kept["labels"], kept["paint"])
            version, noted = kept["note"].tolist()
            method = Method(*json.loads(noted)) if noted else None
            return Kept(painting, int(version), method)
    except FileNotFoundError:
        return None
    except BROKEN as error:
        raise DatasetError(f"{file} cannot be read: {reason_of(error)}. Remove it to begin anew.") from error
