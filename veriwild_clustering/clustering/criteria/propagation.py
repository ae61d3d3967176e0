"""Asking about few images: which to ask about, and what the others are by their nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor

__all__ = ["Propagated", "propagate", "rows_to_ask"]

_PER_GROUP = 4
_NEIGHBORS = (1, 3, 5, 10, 15, 25)
_SAMPLE = 50_000


@dataclass(frozen=True, eq=False)
class Propagated:
    """The class of each image, its share of the votes, and how often an asked image's neighbours say what it says."""

    classes: NDArray[np.int64]
    confidence: NDArray[np.float64]
    n_neighbors: int
    agreement: float


def rows_to_ask(space: Descriptor, n_rows: int, *, random_state: int = 0) -> NDArray[np.int64]:
    """Return exemplars and borderline images of groups that k-means finds: of four, three near the centre, one far off.

    O(n_images * n_rows / 4 * n_features).
    """
    from sklearn.cluster import MiniBatchKMeans

    usable = np.flatnonzero(space.valid)
    if n_rows >= len(usable):
        return usable
    rng = np.random.default_rng(random_state)
    sample = rng.choice(usable, min(_SAMPLE, len(usable)), replace=False)
    n_groups = max(1, min(n_rows // _PER_GROUP, len(sample)))
    sample.sort()
    model = MiniBatchKMeans(n_groups, random_state=random_state, n_init=1, batch_size=max(1024, 3 * n_groups))
    model.fit(space.vectors[sample])
    own, margin = np.empty(len(usable), dtype=np.int64), np.empty(len(usable))
    near = np.empty(len(usable))
    for rows, block in space.blocks(row_bytes=8 * n_groups):
        distances = model.transform(block)
        nearest = np.partition(distances, 1, axis=1) if n_groups > 1 else np.column_stack([distances, distances])
        own[rows], near[rows], margin[rows] = distances.argmin(axis=1), nearest[:, 0], nearest[:, 1] - nearest[:, 0]
    first, border = _ranks(own, near), _ranks(own, margin)
    # The last of each four is the image whose group is least certain; places that are left are filled by nearness.
    chosen = np.flatnonzero((first < _PER_GROUP - 1) | (border < 1))
    if len(chosen) > n_rows:
        chosen = rng.choice(chosen, n_rows, replace=False)
    rest = np.setdiff1d(np.argsort(first, kind="stable"), chosen, assume_unique=True)
    rest = rest[np.argsort(first[rest], kind="stable")][: n_rows - len(chosen)]
    return np.sort(usable[np.concatenate([chosen, rest])])


def propagate(space: Descriptor, rows: NDArray[np.int64], classes: NDArray[np.int64]) -> Propagated:
    """Give every image the class for which its nearest asked images vote, the nearer the heavier.

    Asked images keep their own. The number of neighbours is the one with which asked images, left out one by one, get
    their own class most often. `rows` are usable and have the `classes`. O(n_images * n_rows * n_features).
    """
    from sklearn.neighbors import NearestNeighbors

    n_values = int(classes.max()) + 1
    most = min(max(_NEIGHBORS), len(rows) - 1)
    index = NearestNeighbors(algorithm="brute").fit(space.vectors[rows])
    distances, nearest = index.kneighbors(n_neighbors=most)  # of each asked image the others
    floor = 1e-12 + 1e-3 * float(distances.mean())
    tried = [k for k in _NEIGHBORS if k <= most]
    right = [
        float(np.mean(_vote(distances[:, :k], classes[nearest[:, :k]], n_values, floor)[0] == classes)) for k in tried
    ]
    best = int(np.argmax(right))
    found = np.zeros(len(space), dtype=np.int64)
    share = np.zeros(len(space))
    usable = np.flatnonzero(space.valid)
    for places, block in space.blocks(row_bytes=12 * len(rows)):
        away, near = index.kneighbors(block, tried[best])
        found[usable[places]], share[usable[places]] = _vote(away, classes[near], n_values, floor)
    found[rows], share[rows] = classes, 1.0
    return Propagated(found, share, tried[best], right[best])


def _vote(
    distances: NDArray[Any], classes: NDArray[np.int64], n_values: int, floor: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the class with the most weight and its share; a neighbour weighs as one over its distance.

    `floor` is the least distance that counts, the same for all images: an equal image must not outvote all others.
    """
    weights = 1 / np.maximum(distances, floor)
    votes = np.zeros((len(classes), n_values))
    for column in range(classes.shape[1]):
        votes[np.arange(len(classes)), classes[:, column]] += weights[:, column]
    return votes.argmax(axis=1), votes.max(axis=1) / votes.sum(axis=1)


def _ranks(groups: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each value within its group, 0 for the least."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, np.diff([*starts, len(groups)]))
    return ranks
