"""K-means along the numbers of clusters: one canonical chain of solutions, each the start of the next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.lloyd import KMeansFit, along_axes, lloyd
from veriwild_clustering.clustering.solvers.rows import Rows

__all__ = ["NestedKMeans", "chain_steps"]

SAMPLE_ROWS = 5_000
"""Rows on which the chain runs, and `ROWS_PER_CLUSTER` per cluster if that is more."""
ROWS_PER_CLUSTER = 40
EVERY_STEP = 64
"""Up to here the chain visits each number of clusters; beyond it each is a quarter more than the one before."""

_MAX_MOVES = 10
_TRIALS = 60  # moves of a center that are tried are so many per cluster,
_LEAST_TRIALS = 2  # but as many as this
_TRIAL_STEPS = 8
_SETTLE_STEPS = 30
_LATE_ROWS = 4  # times the rows of the chain's sample: there centers move once more
_FEWER = 2  # of the solution for one more cluster, so many are tried without one of their centers
_HOPE = 3.0  # a move is tried if Lloyd's steps after it need to multiply its gain by no more than this
_LEAST_GAIN = 1e-6  # of the inertia: less is rounding


def _split(rows: Rows, fit: KMeansFit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return by how much 2-means within each cluster lowers the inertia, and its two means, shape (2, k, d).

    All clusters at once, each from its principal axis, which the power method finds.
    """
    centers, labels, counts = fit.centers, fit.found.labels, fit.found.counts
    axes = np.random.default_rng(len(centers)).normal(size=centers.shape)
    for _ in range(3):
        sums, _ = along_axes(rows, labels, axes=axes, offsets=(axes * centers).sum(axis=1), side=False)
        axes = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    high = low = centers
    middle = centers
    for _ in range(4):
        sums, n_high = along_axes(rows, labels, axes=axes, offsets=(axes * middle).sum(axis=1), side=True)
        n_low = counts - n_high
        high = sums / np.maximum(n_high, 1)[:, None]
        low = (counts[:, None] * centers - sums) / np.maximum(n_low, 1)[:, None]
        axes, middle = high - low, (high + low) / 2
    gains = n_high * n_low / np.maximum(counts, 1) * (axes**2).sum(axis=1)
    return gains, np.stack([high, low])


def _improve(rows: Rows, fit: KMeansFit) -> KMeansFit:
    """Return a better optimum: clusters that are hardly missed give their center to those worth splitting."""
    for _ in range(_MAX_MOVES):
        tried = next((better for better in _moves(rows, fit) if better.inertia < fit.inertia * (1 - _LEAST_GAIN)), None)
        if tried is None:
            return fit
        fit = tried
    return fit


def _costs(fit: KMeansFit) -> NDArray[np.float64]:
    """Return by how much the inertia rises at most if a center is taken away."""
    found = fit.found
    costs = np.bincount(found.labels, weights=found.other - found.own, minlength=len(fit.centers))
    return costs.astype(np.float64, copy=False)


def _moves(rows: Rows, fit: KMeansFit) -> Iterator[KMeansFit]:
    """Yield what becomes of the most promising moves of a center after a few of Lloyd's steps."""
    n_clusters = len(fit.centers)
    gains, halves = _split(rows, fit)
    hope = _HOPE * gains[:, None] - _costs(fit)
    np.fill_diagonal(hope, -np.inf)
    for move in np.argsort(-hope, axis=None, kind="stable")[: max(_LEAST_TRIALS, _TRIALS // n_clusters)]:
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
        centers = self._best_start(n_clusters)
        if centers is None:
            return None
        fit: KMeansFit | None = None
        for rows in self._parts(n_clusters):
            tolerance = tol * rows.inertia / (rows.n_rows * rows.vectors.shape[1])
            first, fit = fit is None, lloyd(rows, centers, max_iter=max_iter, tolerance=tolerance)
            if first and n_clusters <= EVERY_STEP:
                better = _improve(rows, fit)
                fit = fit if better is fit else lloyd(rows, better.centers, max_iter=max_iter, tolerance=tolerance)
            centers = fit.centers
        return fit if fit and fit.found.counts.all() else None

    def _parts(self, n_clusters: int) -> list[Rows]:
        """Return all rows last, and before them, if they are many, samples on which most of the steps are made."""
        parts, size = [], _LATE_ROWS * self._sample_rows(n_clusters)
        while 2 * size <= self.rows.n_rows:
            parts.append(self.sample(size))
            size *= 4
        return [*parts, self.rows]

    def _best_start(self, n_clusters: int) -> NDArray[np.float64] | None:
        """Return the chain's centers or, if better, those of the chain for one more cluster without one of them."""
        start = self.start(n_clusters)
        more = self.start(n_clusters + 1) if n_clusters < EVERY_STEP else None
        if start is None or more is None:
            return start
        rows = self.sample(self._sample_rows(n_clusters))
        least = np.argsort(_costs(lloyd(rows, more, max_iter=1)), kind="stable")[:_FEWER]
        best = lloyd(rows, start, max_iter=1)
        for center in least:
            other = lloyd(rows, np.delete(more, center, axis=0), max_iter=_SETTLE_STEPS, goal=best.inertia)
            best = min(best, other, key=lambda fit: fit.inertia)
        return best.centers

    def _sample_rows(self, n_clusters: int) -> int:
        return max(SAMPLE_ROWS, ROWS_PER_CLUSTER * n_clusters)

    def _grow(self, n_clusters: int) -> NDArray[np.float64] | None:
        """Return centers for a number of clusters from those of the chain's last number below it."""
        centers = self._links[max(step for step in chain_steps(n_clusters) if step < n_clusters)]
        if centers is None:
            return None
        rows = self.sample(self._sample_rows(n_clusters))
        fit = lloyd(rows, centers, max_iter=1)
        while len(fit.centers) < n_clusters:
            gains, halves = _split(rows, fit)
            chosen = np.argsort(-gains, kind="stable")[: n_clusters - len(fit.centers)]
            chosen = chosen[gains[chosen] > _LEAST_GAIN * rows.inertia / rows.n_rows]
            if len(chosen) == 0:
                return None
            split = fit.centers.copy()
            split[chosen] = halves[0, chosen]
            fit = lloyd(rows, np.vstack([split, halves[1, chosen]]), max_iter=_SETTLE_STEPS)
        return _improve(rows, fit).centers


@cache
def chain_steps(last: int) -> tuple[int, ...]:
    """Return the chain's numbers of clusters up to `last`."""
    steps = list(range(1, EVERY_STEP + 1))
    while steps[-1] < last:
        steps.append(steps[-1] * 5 // 4)
    return tuple(step for step in steps if step <= last)
