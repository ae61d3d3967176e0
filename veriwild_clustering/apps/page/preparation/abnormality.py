"""How abnormal each image is: as it was exported, else by the detectors and the quality that was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.apps.page.preparation.first_partition import ExportedPartition
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.partitions import BROKEN
from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["Abnormality"]

_MAX_NUMBERS = 2**25  # of the descriptor itself; beyond, its leading components are looked at
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class Abnormality:
    """Outlier scores as the page shows them.

    Parameters
    ----------
    scores : array of shape (n_images,), float64
        Higher is more abnormal; NaN where nothing is known.
    is_outlier : array of shape (n_images,), bool
        Which images are flagged.
    reasons : array of shape (n_images,), object
        Why, "" for images that are not flagged.
    source : str
        Where the scores come from, in a few words.
    """

    scores: NDArray[np.float64]
    is_outlier: NDArray[np.bool_]
    reasons: NDArray[np.object_]
    source: str

    @cached_property
    def ranking(self) -> NDArray[np.int64]:
        """The rows, flagged ones first and the most abnormal first among them."""
        return np.lexsort((-np.nan_to_num(self.scores, nan=-np.inf), ~self.is_outlier))

    def with_marks(self, rows: NDArray[np.int64]) -> Abnormality:
        """Return it with images flagged that were marked by hand."""
        is_outlier, reasons = self.is_outlier.copy(), self.reasons.copy()
        is_outlier[rows], reasons[rows] = True, "marked by hand"
        return replace(self, is_outlier=is_outlier, reasons=reasons)

    @classmethod
    def exported(cls, found: ExportedPartition) -> Abnormality | None:
        """Return what was exported with a partition, None where nothing was."""
        if found.scores is None:
            return None
        return cls(found.scores, found.is_outlier, found.reasons, "exported with the partition")

    @classmethod
    def measured(cls, dataset: Dataset, descriptor: Descriptor, space: Descriptor) -> Abnormality:
        """Return what the default detectors and the quality measures say; nothing of fewer than ten usable rows.

        O(n_images) beyond what `detect_outliers` takes: where the descriptor holds more than 33,554,432 numbers its
        leading components stand for it.
        """
        parts = _vectors(descriptor, space) + _quality(dataset.images)
        if not parts:
            n_images = len(dataset)
            nothing = np.full(n_images, np.nan), np.zeros(n_images, dtype=bool), np.full(n_images, "", dtype=object)
            return cls(*nothing, "too few images to tell the unusual from the usual")
        return cls._of(parts)

    @classmethod
    def kept(cls, file: Path, make: Callable[[], Abnormality], *, n_images: int) -> Abnormality:
        """Return what lies in a file, which is made unless it is there and whole."""
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
                if found["scores"].shape == (n_images,):
                    reasons = found["reasons"].astype(object)
                    return cls(found["scores"], found["is_outlier"], reasons, str(found["source"]))
        except BROKEN:
            pass  # a cache: what is missing or damaged is made again
        made = make()
        with write_atomically(file) as temporary:
            reasons = made.reasons.astype(str)
            np.savez(temporary, scores=made.scores, is_outlier=made.is_outlier, reasons=reasons, source=made.source)
        return made

    @classmethod
    def _of(cls, parts: list[OutlierScores]) -> Abnormality:
        from veriwild_clustering.outliers.consensus import consensus

        joined = consensus(parts) if len(parts) > 1 else parts[0]
        return cls(joined.scores, joined.is_outlier, joined.reasons, joined.detector)


def _vectors(descriptor: Descriptor, space: Descriptor) -> list[OutlierScores]:
    from veriwild_clustering.outliers.detection import detect_outliers

    if descriptor.n_valid < _FEWEST:
        return []
    is_large = descriptor.n_valid * descriptor.n_features > _MAX_NUMBERS
    return [detect_outliers(space if is_large else descriptor, normalize=not is_large)]


def _quality(images: pd.DataFrame) -> list[OutlierScores]:
    from veriwild_clustering.images.quality.measures import QUALITY
    from veriwild_clustering.outliers.quality import quality_outliers

    known = [name for name in QUALITY if name in images and images[name].notna().any()]
    return [quality_outliers(images)] if known else []
