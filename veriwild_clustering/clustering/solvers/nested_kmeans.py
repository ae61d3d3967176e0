"""K-means along the numbers of clusters: one canonical chain of solutions, each the start of the next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.rows import Rows

__all__ = ["KMeansFit", "NestedKMeans", "chain_steps", "lloyd"]

SAMPLE_ROWS = 10_000
"""Rows on which the chain runs, and `ROWS_PER_CLUSTER` per cluster if that is more."""
ROWS_PER_CLUSTER = 40
EVERY_STEP = 64
"""Up to here the chain visits each number of clusters; beyond it each is a quarter more than the one before."""

_MAX_MOVES = 10
_TRIES = 4
_TRIAL_STEPS = 8
_SETTLE_STEPS = 30
_HOPE = 3.0  # a move is tried if Lloyd's steps after it need to multiply its gain by no more than this
_LEAST_GAIN = 1e-6  # of the inertia: less is rounding


class KMeansFit(NamedTuple):
    """What k-means found: labels, centers (of centred rows), their inertia and the number of steps."""

    labels: NDArray[np.int32]
    centers: NDArray[np.float64]
    inertia: float
    n_iter: int


class _Assignment(NamedTuple):
    """Nearest centers, with squared distances less the squared norm of the row; those to the second may be left out."""

    labels: NDArray[np.int32]
    own: NDArray[np.float32]
    other: NDArray[np.float32]
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]


def _one_hot(scores: NDArray[np.float32], least: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 where a column of `scores` has its minimum, the first one where there are several."""
    hot = scores == least
    if np.count_nonzero(hot) != hot.shape[1]:
        hot[:] = np.arange(len(scores))[:, None] == scores.argmin(axis=0)
    return hot.astype(np.float32)


def _assign(rows: Rows, centers: NDArray[np.float64], *, second: bool = False) -> _Assignment:
    """Return the nearest center of each row and the sums over each center's rows: two matrix products."""
    labels, own = np.empty(rows.n_rows, dtype=np.int32), np.empty(rows.n_rows, dtype=np.float32)
    other = np.empty(rows.n_rows if second else 0, dtype=np.float32)
    sums, numbers = np.zeros(centers.shape), np.arange(len(centers), dtype=np.float32)
    scale, norms = (-2 * centers).astype(np.float32), (centers**2).sum(axis=1, keepdims=True).astype(np.float32)
    for index, block in rows.blocks():
        scores = scale @ block
        scores += norms
        own[index] = least = scores.min(axis=0)
        hot = _one_hot(scores, least)
        labels[index] = numbers @ hot
        sums += hot @ block.T
        if second:
            scores[hot > 0] = np.inf
            other[index] = scores.min(axis=0)
    return _Assignment(labels, own, other, sums, np.bincount(labels, minlength=len(centers)))


def _means(rows: Rows, found: _Assignment) -> NDArray[np.float64]:
    """Return the mean of each cluster; an empty one moves to a row that is far from its center."""
    means = found.sums / np.maximum(found.counts, 1)[:, None]
    empty = np.flatnonzero(found.counts == 0)
    if len(empty):
        far = np.argsort(-(rows.square_norms + found.own), kind="stable")[: len(empty)]
        means[empty] = rows.take(np.sort(far)) - rows.mean
    return means


def lloyd(
    rows: Rows,
    centers: NDArray[np.float64],
    *,
    max_iter: int = 300,
    tolerance: float = 0.0,
    goal: float = np.inf,
) -> KMeansFit:
    """Return k-means from given centers, O(n * k * d) per step.

    Stops as scikit-learn does: when no label changes, when the squared shifts of the centers add up to `tolerance` or
    less, or after `max_iter` steps; and when at its present pace the inertia would not fall below `goal`.
    """
    found, inertia = _assign(rows, centers), np.inf
    for n_iter in range(1, max_iter + 1):
        moved = _means(rows, found)
        shift = ((moved - centers) ** 2).sum()
        before, centers, found = found.labels, moved, _assign(rows, moved)
        previous, inertia = inertia, rows.inertia + float(found.own.sum(dtype=np.float64))
        if shift <= tolerance or np.array_equal(before, found.labels):
            break
        if n_iter > 1 and inertia - (max_iter - n_iter) * (previous - inertia) > goal:
            break
    return KMeansFit(found.labels, centers, inertia, n_iter)


def _split(rows: Rows, fit: KMeansFit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much 2-means within each cluster lowers the inertia, and its two means, shape (2, k, d).

    All clusters at once, each from its principal axis, which the power method finds.
    """
    centers, counts = fit.centers, np.bincount(fit.labels, minlength=len(fit.centers))
    axes = np.random.default_rng(len(centers)).normal(size=centers.shape)
    for _ in range(3):
        sums, _ = _along(rows, fit.labels, axes=axes, offsets=(axes * centers).sum(axis=1), side=False)
        axes = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    high = low = centers
    middle = centers
    for _ in range(4):
        sums, n_high = _along(rows, fit.labels, axes=axes, offsets=(axes * middle).sum(axis=1), side=True)
        n_low = counts - n_high
        high = sums / np.maximum(n_high, 1)[:, None]
        low = (counts[:, None] * centers - sums) / np.maximum(n_low, 1)[:, None]
        axes, middle = high - low, (high + low) / 2
    gains = n_high * n_low / np.maximum(counts, 1) * (axes**2).sum(axis=1)
    return gains, np.stack([high, low])


def _along(
    rows: Rows, labels: NDArray[np.int32], *, axes: NDArray[np.float64], offsets: NDArray[np.float64], side: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return per cluster the sum of its rows weighted by their place on its axis, and how many lie beyond the offset.

    With `side` the weight is 1 beyond the offset and 0 before it.
    """
    sums, n_beyond = np.zeros(axes.shape), np.zeros(len(axes), dtype=np.int64)
    numbers = np.arange(len(axes), dtype=np.int32)[:, None]
    directions, starts = axes.astype(np.float32), offsets.astype(np.float32)[:, None]
    for index, block in rows.blocks():
        along = directions @ block
        along -= starts
        own = labels[index] == numbers
        beyond = own & (along > 0)
        n_beyond += np.count_nonzero(beyond, axis=1)
        sums += (beyond.astype(np.float32) if side else np.where(own, along, np.float32(0))) @ block.T
    return sums, n_beyond


def _improve(rows: Rows, fit: KMeansFit) -> KMeansFit:
    """Return a better optimum: clusters that are hardly missed give their center to those worth splitting."""
    for _ in range(_MAX_MOVES):
        tried = next((better for better in _moves(rows, fit) if better.inertia < fit.inertia * (1 - _LEAST_GAIN)), None)
        if tried is None:
            return fit
        fit = tried
    return fit


def _moves(rows: Rows, fit: KMeansFit) -> Iterator[KMeansFit]:
    """Yield what becomes of the most promising moves of a center after a few of Lloyd's steps."""
    n_clusters = len(fit.centers)
    found = _assign(rows, fit.centers, second=True)
    gains, halves = _split(rows, fit)
    costs = np.bincount(found.labels, weights=found.other - found.own, minlength=n_clusters)
    hope = _HOPE * gains[:, None] - costs
    np.fill_diagonal(hope, -np.inf)
    for move in np.argsort(-hope, axis=None, kind="stable")[:_TRIES]:
        split, removed = divmod(int(move), n_clusters)
        if hope[split, removed] <= _LEAST_GAIN * fit.inertia:
            return
        centers = fit.centers.copy()
        centers[[split, removed]] = halves[:, split]
        yield lloyd(rows, centers, max_iter=_TRIAL_STEPS, goal=fit.inertia)


class NestedKMeans:
    """Good starts for every number of clusters, each from the solution for a smaller number on a sample of the rows.

    From one number to the next the cluster is split that gains most by it; then centers move from where they are hardly
    missed to where a split gains more, and Lloyd's steps follow. The chain always passes through the same numbers, so
    what it returns for k does not depend on what else was asked for.

    Parameters
    ----------
    rows : Rows
        The rows to partition.
    random_state : int
        Seed of the sample.
    """

    def __init__(self, rows: Rows, random_state: int) -> None:
        self.rows, self.random_state = rows, random_state
        self._samples: dict[int, Rows] = {}
        self._links: dict[int, NDArray[np.float64] | None] = {1: np.zeros((1, len(rows.mean)))}

    def sample(self, n_rows: int) -> Rows:
        """Return a random sample of the rows, remembered: a smaller one is part of a larger one."""
        if n_rows not in self._samples:
            self._samples[n_rows] = self.rows.sample(n_rows, self.random_state)
        return self._samples[n_rows]

    def start(self, n_clusters: int) -> NDArray[np.float64] | None:
        """Return centers of the centred rows, or None if the sample has fewer distinct rows than clusters."""
        for step in chain_steps(n_clusters):
            if step not in self._links:
                self._links[step] = self._grow(step)
        return self._links[n_clusters] if n_clusters in self._links else self._grow(n_clusters)

    def fit(self, n_clusters: int, *, max_iter: int = 300, tol: float = 1e-4) -> KMeansFit | None:
        """Return k-means on all rows, or None if a cluster would stay empty."""
        centers = self.start(n_clusters)
        if centers is None:
            return None
        size = 4 * self._sample_rows(n_clusters)
        while 2 * size <= self.rows.n_rows:  # on large data most of the steps are made on some of the rows
            part = self.sample(size)
            shift = part.mean - self.rows.mean
            tolerance = tol * part.inertia / part.vectors.size
            centers = lloyd(part, centers - shift, max_iter=max_iter, tolerance=tolerance).centers + shift
            size *= 4
        tolerance = tol * self.rows.inertia / (self.rows.n_rows * self.rows.vectors.shape[1])
        fit = lloyd(self.rows, centers, max_iter=max_iter, tolerance=tolerance)
        return fit if len(np.unique(fit.labels)) == n_clusters else None

    def _sample_rows(self, n_clusters: int) -> int:
        return max(SAMPLE_ROWS, ROWS_PER_CLUSTER * n_clusters)

    def _grow(self, n_clusters: int) -> NDArray[np.float64] | None:
        """Return centers for a number of clusters from those of the chain's last number below it."""
        centers = self._links[max(step for step in chain_steps(n_clusters) if step < n_clusters)]
        if centers is None:
            return None
        part = self.sample(self._sample_rows(n_clusters))
        shift = part.mean - self.rows.mean
        fit = lloyd(part, centers - shift, max_iter=1)
        while len(fit.centers) < n_clusters:
            gains, halves = _split(part, fit)
            chosen = np.argsort(-gains, kind="stable")[: n_clusters - len(fit.centers)]
            chosen = chosen[gains[chosen] > _LEAST_GAIN * part.inertia / part.n_rows]
            if len(chosen) == 0:
                return None
            split = fit.centers.copy()
            split[chosen] = halves[0, chosen]
            fit = lloyd(part, np.vstack([split, halves[1, chosen]]), max_iter=_SETTLE_STEPS)
        return _improve(part, fit).centers + shift


@cache
def chain_steps(last: int) -> tuple[int, ...]:
    """Return the chain's numbers of clusters up to `last`."""
    steps = list(range(1, EVERY_STEP + 1))
    while steps[-1] < last:
        steps.append(steps[-1] * 5 // 4)
    return tuple(step for step in steps if step <= last)
