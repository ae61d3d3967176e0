"""What tells a dataset, and partitions of it, from others, so that nothing of another is shown for this one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.raw.row_order import order_fingerprint
from veriwild_clustering.core.storage.reading import recorded_checksum
from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["Identity", "digest", "slug"]

_FILE = "workspace.json"
_FORMAT = 1
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Identity:
    """What a dataset is told by: its images in their order, and the content of each descriptor.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    """

    dataset: Dataset

    @cached_property
    def images(self) -> str:
        """A checksum of the paths in their order."""
        return order_fingerprint(self.dataset.images["path"].fillna("").astype(str).tolist())

    def of(self, descriptor: Descriptor) -> str:
        """Return the beginning of a file's name that is of this descriptor and its content alone."""
        content = recorded_checksum(descriptor) or descriptor.fingerprint
        return f"{_UNSAFE.sub('-', descriptor.name)}-{content[:16]}"

    def claim(self, folder: Path) -> None:
        """Note in a folder that it is of this dataset.

        Raises
        ------
        DatasetError
            If it is of another, or cannot be written to.
        """
        file = folder / _FILE
        if not file.is_file():
            with write_atomically(file) as temporary:
                temporary.write_text(json.dumps({"format": _FORMAT, "images": self.images}), encoding="utf-8")
            return
        try:
            noted = json.loads(file.read_text(encoding="utf-8"))["images"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{file} is damaged: {reason_of(error)}. Remove {folder}, or name another.") from error
        if noted != self.images:
            raise DatasetError(
                f"{folder} belongs to another dataset: its images are others, or in another order. "
                f"Name another folder, or remove that one."
            )


def digest(labels: NDArray[np.int32], names: Sequence[str]) -> str:
    """Return what tells clusters and their names from others."""
    return hashlib.sha256(labels.tobytes() + "\n".join(names).encode()).hexdigest()[:8]


def slug(text: str) -> str:
    """Return a text as a part of the name of a partition."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:40] or "partition"
