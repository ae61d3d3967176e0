"""Scores of ranked images where some are tied, and by chance: both are means over orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RANKS", "Ties", "chances"]

RANKS = {"rank_1": 1, "rank_5": 5}

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ties:
    """Results of a block of queries, best first, in groups of equal score; arrays of shape (n_queries, n_results).

    Parameters
    ----------
    start, size : int
        The place where the group of each result begins, and how many it holds.
    right, before : int
        How many right results are in the group, and in the groups before it.
    """

    start: Ints
    size: Ints
    right: Ints
    before: Ints

    @classmethod
    def of(cls, right: Bools, scores: Floats) -> Ties:
        """Sort by score, those without one last, each a group of its own."""
        order = np.argsort(-scores, axis=1)
        right = np.take_along_axis(right, order, axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        edges = np.ones((len(scores), scores.shape[1] + 1), dtype=bool)
        edges[:, 1:-1] = scores[:, 1:] != scores[:, :-1]
        places = np.arange(edges.shape[1])
        start = np.maximum.accumulate(np.where(edges, places, 0)[:, :-1], axis=1)
        end = np.minimum.accumulate(np.where(edges, places, places[-1])[:, :0:-1], axis=1)[:, ::-1]
        found = np.zeros(edges.shape, dtype=np.int64)
        np.cumsum(right, axis=1, out=found[:, 1:])
        before = np.take_along_axis(found, start, axis=1)
        return cls(start, end - start, np.take_along_axis(found, end, axis=1) - before, before)

    def scores(self, n_right: Ints, n_listed: Ints, *, k: int) -> dict[str, Floats]:
        """Return the mean scores over all orders within the groups."""
        places = np.arange(self.start.shape[1])
        share = self.right / self.size
        others = (self.right - 1) / np.maximum(1, self.size - 1)  # the share of right ones among a right one's fellows
        gain = share * (self.before + 1 + (places - self.start) * others) / (places + 1)
        hits = share[:, :k].sum(axis=1)
        first = (self.right > 0).argmax(axis=1)[:, None]
        start, size, right = (
            np.take_along_axis(array, first, axis=1)[:, 0] for array in (self.start, self.size, self.right)
        )
        reached = {name: _reach(right, size, rank - start) for name, rank in RANKS.items()}
        average = gain.sum(axis=1) / _most(n_right, n_listed)
        return {"precision": hits / k, "recall": hits / np.maximum(1, n_right), "average_precision": average} | reached


def chances(n_right: Ints, n_judged: Ints, n_listed: Ints, *, k: int) -> dict[str, Floats]:
    """Return the mean scores over all orders of the images: what `Ties` gives if all are one group."""
    share = n_right / np.maximum(1, n_judged)
    others = (n_right - 1) / np.maximum(1, n_judged - 1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n_listed.max(initial=0) + 1))])[n_listed]
    average = share * (harmonic + (n_listed - harmonic) * others) / _most(n_right, n_listed)
    seen = np.minimum(k, n_listed)
    reached = {name: _reach(n_right, n_judged, np.minimum(rank, n_listed)) for name, rank in RANKS.items()}
    recall = seen / np.maximum(1, n_judged)
    return {"precision": seen * share / k, "recall": recall, "average_precision": average} | reached


def _most(n_right: Ints, n_listed: Ints) -> Ints:
    """Return how many of the results could be right, at least 1."""
    return np.maximum(1, np.minimum(n_right, n_listed))


def _reach(n_right: Ints, size: Ints, n_drawn: Ints) -> Floats:
    """Return how probably a right one is among `n_drawn`: 1 − C(size − n_right, n_drawn) / C(size, n_drawn)."""
    missed = np.ones(len(n_right))
    for drawn in range(max(RANKS.values())):
        wrong = np.maximum(0, size - drawn - n_right) / np.maximum(1, size - drawn)
        missed *= np.where(drawn < np.minimum(n_drawn, size), wrong, 1)
    return 1 - missed
