"""Groups of all images from batches: exactly, or by one representative of each group, with what that loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.components import linked, pairs_for
from veriwild_clustering.clustering.similar.reading import Compared
from veriwild_clustering.core.vectors.links import Links
from veriwild_clustering.descriptors.pairwise.measure import (
    Found,
    similar_links,
    similar_pairs,
    similarity_matrix,
)

__all__ = ["MERGES", "Merger"]

MERGES = ("exact", "representatives")
_BATCH = 4096
_LOSS_ROWS = 256


@dataclass(frozen=True)
class Merger:
    """How images are brought together."""

    compared: Compared
    threshold: float
    batch_size: int | None
    n_jobs: int

    def exact(self, linkage: str) -> tuple[NDArray[np.int64], int, int]:
        """Return groups, similar pairs and computed pairs of all images: those of one batch, whatever the batches."""
        matrix = partial(similarity_matrix, self.compared.measure, self.compared.features, n_jobs=self.n_jobs)
        pairs = self._pairs(self.compared.rows, pairs_for(linkage))
        return linked(self._n_rows, pairs, linkage=linkage, threshold=self.threshold, matrix=matrix)

    def representatives(self) -> tuple[NDArray[np.int64], int, int]:
        """Return the same where images of different batches meet through the first image of each group alone."""
        links, n_pairs, n_compared = Links(self._n_rows), 0, 0
        rows, step = self.compared.rows, self.batch_size or _BATCH
        for start in range(0, len(rows), step):
            for found in self._pairs(rows[start : start + step], similar_links):
                links.add(found.rows, found.others)
                n_pairs, n_compared = n_pairs + found.n_pairs, n_compared + found.n_compared
        first = rows[np.unique(links.components()[rows], return_index=True)[1]]
        for found in self._pairs(np.sort(first), similar_links):
            links.add(found.rows, found.others)
            n_pairs, n_compared = n_pairs + found.n_pairs, n_compared + found.n_compared
        return links.components(), n_pairs, n_compared

    def loss(self, groups: NDArray[np.int64], *, random_state: int) -> float:
        """Return the share of similar pairs that are apart, measured on a random sample of images with all others."""
        rows = self.compared.rows
        sample = np.random.default_rng(random_state).choice(rows, size=min(_LOSS_ROWS, len(rows)), replace=False)
        apart = total = 0
        asked = np.zeros(self._n_rows, dtype=bool)
        asked[sample] = True
        for start in range(0, len(rows), _BATCH):
            part = np.union1d(sample, rows[start : start + _BATCH])
            here = np.zeros(self._n_rows, dtype=bool)
            here[rows[start : start + _BATCH]] = True
            for found in self._pairs(part, similar_pairs):
                # Each pair of a sampled image counts with the batch in which its other image lies.
                counted = (asked[found.rows] & here[found.others]).astype(int) + (
                    asked[found.others] & here[found.rows]
                )
                total += int(counted.sum())
                apart += int(counted[groups[found.rows] != groups[found.others]].sum())
        return apart / total if total else 0.0

    @property
    def _n_rows(self) -> int:
        return len(self.compared.descriptor)

    def _pairs(self, rows: NDArray[np.int64], pairs: Callable[..., Iterator[Found]]) -> Iterator[Found]:
        return pairs(
            self.compared.measure, self.compared.features, rows,
            threshold=self.threshold, tile=self.batch_size or _BATCH, n_jobs=self.n_jobs,
        )  # fmt: skip
