"""Filling an index with the rows of a space, and finding how much effort a search needs to find the nearest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.core.vectors.blocks import release, row_blocks
from veriwild_clustering.search.indexing.candidates import Candidates
from veriwild_clustering.search.indexing.nearest import Contents
from veriwild_clustering.search.indexing.projection import n_leading
from veriwild_clustering.search.space import SearchSpace

__all__ = ["EXACT_VALUES", "RECALL_AT", "default_factory", "fill", "grown", "raise_recall"]

EXACT_VALUES = 2**25
"""Up to so many numbers (65,536 rows of 512) every row is compared by default; beyond, a graph is searched."""

RECALL_AT = 10
_RECALL = 0.99  # at least, by a standard error of what a sample shows
_RECALL_ROWS = 2_000
_ROUNDING = 1e-6  # of a cosine in float32
_SPREAD_ROWS = 8_192
_GRAPHS = {"cosine": "HNSW48,SQfp16", "euclidean": "HNSW48,Flat"}  # half floats hold no numbers over 65,504


def default_factory(space: SearchSpace) -> str:
    """Return the string of FAISS's `index_factory` that suits the size of a space and the spread of its vectors."""
    rows = np.flatnonzero(space.valid)
    if len(rows) * space.dim <= EXACT_VALUES:
        return "Flat"
    sample = space.rows(rows[np.linspace(0, len(rows) - 1, min(len(rows), _SPREAD_ROWS)).astype(int)])
    graph, n_directions = _GRAPHS[space.metric], n_leading(sample)
    if n_directions is None:
        return graph
    return f"PCA{n_directions},L2norm,{graph}" if space.metric == "cosine" else f"PCA{n_directions},{graph}"


def fill(
    candidates: Candidates, space: SearchSpace, *, first: int = 0, n_threads: int, progress: bool | None = None
) -> None:
    """Add the usable rows of a space from row `first` on, block by block."""
    rows = np.flatnonzero(space.valid[first:]) + first
    if candidates.n_training:
        sample = np.linspace(0, len(rows) - 1, min(len(rows), candidates.n_training)).astype(int)
        candidates.train(space.rows(rows[sample]), n_threads=n_threads)
    blocks = list(row_blocks(len(rows), 4 * space.dim))
    for block in track(blocks, description="Index, 64 MB a step", show=progress):
        candidates.add(space.rows(rows[block]), n_threads=n_threads)
        for descriptor in space.descriptors:
            release(descriptor.vectors)


def grown(contents: Contents, dataset: Dataset, *, n_threads: int) -> Contents:
    """Return an index of all rows of a dataset of which the given one has the first.

    Raises
    ------
    DatasetError
        If the first rows are others.
    """
    space, n_old = contents.space, len(contents.space)
    for descriptor in space.descriptors:
        now = dataset.descriptors.get(descriptor.name)
        if now is None or len(now) < n_old or _head(now, n_old).fingerprint != descriptor.fingerprint:
            raise DatasetError(
                f"The first {n_old:,} rows of {descriptor.name!r} must be those of the index, for it to take in the "
                f"rows after them. Build a new index for this dataset."
            )
    space = replace(space, descriptors=tuple(dataset[name] for name in space.names))
    candidates = contents.candidates.copy()
    fill(candidates, space, first=n_old, n_threads=n_threads)
    removed = np.concatenate([contents.removed, np.zeros(len(space) - n_old, dtype=bool)])
    return Contents(space, candidates, removed)


def _head(descriptor: Descriptor, n_rows: int) -> Descriptor:
    return Descriptor(descriptor.name, descriptor.vectors[:n_rows], descriptor.valid[:n_rows])


def _furthest(contents: Contents, sample: NDArray[np.int64], n_results: int) -> NDArray[np.float32]:
    """Return the cosine of the last of the nearest rows to each of a sample, shape (n, 1), in one pass over all."""
    space, rows = contents.space, contents.rows
    queries, nearest = space.rows(sample), np.full((len(sample), n_results), -np.inf, dtype=np.float32)
    for block in row_blocks(len(rows), 4 * space.dim):
        cosines = queries @ space.rows(rows[block]).T
        cosines[sample[:, None] == rows[block]] = -np.inf
        both = np.hstack([nearest, cosines])
        nearest = np.partition(both, both.shape[1] - n_results, axis=1)[:, -n_results:]
        for descriptor in space.descriptors:
            release(descriptor.vectors)
    return nearest.min(axis=1, keepdims=True) - _ROUNDING


def raise_recall(contents: Contents, *, n_threads: int) -> tuple[Contents, float]:
    """Return an index whose searches take the least effort that finds enough of the nearest rows, and what they find.

    The queries are a sample of rows, each without itself.
    """
    n_results = min(RECALL_AT, len(contents.rows) - 1)
    if not contents.candidates.effort or n_results < 1:
        return contents, 1.0
    sample = np.random.default_rng(0).choice(contents.rows, min(_RECALL_ROWS, len(contents.rows)), replace=False)
    queries, itself = contents.space.rows(sample), list(sample[:, None])
    is_cosine, recall = contents.candidates.is_cosine, 0.0

    def find(contents: Contents, *, exact: bool) -> np.ndarray:
        found = contents.nearest(queries, n_results, exclude=itself, exact=exact, n_threads=n_threads)
        return found.scores if is_cosine else -found.scores

    furthest = _furthest(contents, sample, n_results) if is_cosine else find(contents, exact=True)[:, -1:]
    for effort in contents.candidates.efforts:
        contents = replace(contents, candidates=replace(contents.candidates, effort=effort))
        each = (find(contents, exact=False) >= furthest).mean(axis=1)
        recall = float(each.mean())
        if recall - each.std() / np.sqrt(len(each)) >= _RECALL:
            break
    return contents, recall
