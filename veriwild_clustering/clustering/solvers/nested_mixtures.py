"""Gaussian mixtures along the numbers of components: one canonical chain, each mixture grown from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.gaussian_em import Expectation, Floats, Vectors
from veriwild_clustering.clustering.solvers.nested_kmeans import chain_steps
from veriwild_clustering.core.progress import track

__all__ = ["CHAIN_TOL", "NestedMixtures"]

CHAIN_TOL = 1e-3
"""EM in the chain stops when a step gains less than this per row."""
HALF_ROWS = 2
"""A component is split where each half has this many rows per feature: fewer make a covariance of chance alone."""

_MAX_STEPS = 50
_TRIAL_STEPS, _SPLIT_STEPS = 3, 10
_SETTLE_STEPS = 20
_MAX_MOVES, _TRIES = 2, 2
_LEAST_GAIN = 1e-4  # per row: less is rounding
_CHANGED = 0.1  # the share of its weight by which a component may change before its best split is sought again
_FAR = 0.7  # the rows within this quantile of distances are cut from those beyond


class _Split(NamedTuple):
    """The best two halves found for a component, and what they gain per row of all."""

    gain: float
    halves: Expectation | None


class _Merge(NamedTuple):
    """Two components, the Gaussian of both, and what it loses per row."""

    pair: tuple[int, int]
    cost: float
    mean: Floats
    covariance: Floats


_NO_SPLIT = _Split(-np.inf, None)


class _Link:
    """A mixture of the chain with the best split of each component, as far as it is known."""

    def __init__(self, em: Expectation, splits: list[_Split | None]) -> None:
        self.em, self.splits = em, splits
        self.drift = np.zeros(len(splits))

    def sane(self, least: float) -> bool:
        """Tell whether every component has at least so many rows."""
        return bool(self.em.weights.min() * len(self.em.vectors) >= least)


class NestedMixtures:
    """Mixtures of every number of components, each from the one before by the split that gains most [1]_.

    After a split, two components that are hardly told apart are merged where another split gains more [2]_. Only the
    components that change are fitted again, each on the rows it has a share in. The chain visits the same numbers
    whatever is asked for: what it returns for k depends on the rows and `reg_covar` alone.

    Parameters
    ----------
    vectors : array of shape (n, d)
        The rows, centred; float32 or float64.
    reg_covar : float
        Added to the variances.

    References
    ----------
    .. [1] Verbeek, J. J., Vlassis, N., Kröse, B. (2003). Efficient greedy learning of Gaussian mixture models.
       doi:10.1162/089976603762553004
    .. [2] Ueda, N., Nakano, R., Ghahramani, Z., Hinton, G. E. (2000). SMEM algorithm for mixture models.
       doi:10.1162/089976600300015088
    """

    def __init__(self, vectors: Vectors, reg_covar: float) -> None:
        self.vectors, self.reg_covar = vectors, reg_covar
        self.least_rows = HALF_ROWS * (vectors.shape[1] + 1)
        self._last: _Link | None = None

    def fit(self, n_clusters: int) -> Expectation | None:
        """Return the mixture of so many components, not to be changed, or None if there are too few rows for it.

        Goes on from the number asked for last; a smaller one begins the chain anew.
        """
        if self._last is None or len(self._last.splits) > n_clusters:
            self._last = self._first()
        link = self._last
        steps = [step for step in {*chain_steps(n_clusters), n_clusters} if link and step > len(link.splits)]
        for step in track(sorted(steps), description="Growing the mixture"):
            link = self._grow(link, step) if link else None
            if link and step in chain_steps(step):
                self._last = link
        return link.em if link else None

    def _first(self) -> _Link | None:
        """Return the mixture of one component."""
        everything = np.ones((1, len(self.vectors)), dtype=self.vectors.dtype)
        try:
            return _Link(Expectation(self.vectors, everything, reg_covar=self.reg_covar), [None])
        except LinAlgError:
            return None

    def _grow(self, link: _Link, n_clusters: int) -> _Link | None:
        """Return the mixture of more components."""
        while len(link.splits) < n_clusters:
            grown = self._split_best(link, n_clusters - len(link.splits))
            if grown is None:
                return None
            link = grown
        for _ in range(_MAX_MOVES):
            better = next((one for one in self._moves(link) if self._is_better(one, link)), None)
            if better is None:
                break
            link = better
        try:
            link.em.converge(tol=CHAIN_TOL, max_iter=_MAX_STEPS)
        except LinAlgError:
            return None
        return link

    def _is_better(self, link: _Link, before: _Link) -> bool:
        return link.em.log_likelihood > before.em.log_likelihood + _LEAST_GAIN and link.sane(self.least_rows / 2)

    def _split_best(self, link: _Link, most: int) -> _Link | None:
        """Return the link with the components split that gain most by it, up to `most`."""
        gains = self._gains(link)
        order = [int(one) for one in np.argsort(-gains, kind="stable") if gains[one] > -np.inf]
        tries = [order[:most]] if most > 1 else [[one] for one in order]
        for chosen in filter(None, tries):
            grown = _enlarged(link, len(chosen))
            places = list(range(len(link.splits), len(grown.splits)))
            for component, place in zip(chosen, places, strict=True):
                _split(grown, component, into=place)
            if _settle(grown, [*chosen, *places]) and grown.sane(self.least_rows / 2):
                return grown
        return None

    def _gains(self, link: _Link) -> Floats:
        """Return what the best split of each component gains; those that have hardly changed keep theirs."""
        unknown = [one for one, found in enumerate(link.splits) if found is None or link.drift[one] > _CHANGED]
        labels = link.em.posterior.argmax(axis=0) if unknown else None
        for component in unknown:
            own = self.vectors[labels == component]
            link.splits[component] = best_split(own, reg_covar=self.reg_covar, least_rows=self.least_rows)
            link.drift[component] = 0
        share = link.em.weights
        return np.array([found.gain * share[one] for one, found in enumerate(link.splits) if found is not None])

    def _moves(self, link: _Link) -> Iterator[_Link]:
        """Yield what becomes of merging two components and splitting a third, the most promising first."""
        gains = self._gains(link)
        pairs = _merges(link.em)
        hopes = np.array([gains - merge.cost for merge in pairs])
        for row, merge in zip(hopes, pairs, strict=True):
            row[list(merge.pair)] = -np.inf
        for place in np.argsort(-hopes, axis=None, kind="stable")[:_TRIES]:
            number, split = divmod(int(place), len(gains))
            if hopes[number, split] <= 0:
                return
            merge, moved = pairs[number], _enlarged(link, 0)
            kept, freed = merge.pair
            moved.em.weights[kept] += moved.em.weights[freed]
            moved.em.place(kept, merge.mean, merge.covariance)
            moved.splits[kept] = None
            _split(moved, split, into=freed)
            if _settle(moved, [kept, split, freed]):
                yield moved


def _enlarged(link: _Link, n_more: int) -> _Link:
    """Return a copy with places for more components."""
    em = copy(link.em)
    for name in ("means", "covariances", "factors", "densities", "posterior", "stale", "weights"):
        old = getattr(em, name)
        setattr(em, name, np.concatenate([old, np.zeros_like(old, shape=(n_more, *old.shape[1:]))]))
    result = _Link(em, [*link.splits, *[None] * n_more])
    result.drift[: len(link.drift)] = link.drift
    return result


def _split(link: _Link, component: int, *, into: int) -> None:
    """Put the halves of a component in its place and in another's."""
    found, em = link.splits[component], link.em
    if found is None or found.halves is None:
        raise ValueError("The component has no split.")
    halves, weight = found.halves, em.weights[component]
    for half, place in enumerate((component, into)):
        em.place(place, halves.means[half], halves.covariances[half])
        em.weights[place] = weight * halves.weights[half]
        link.splits[place] = None


def _settle(link: _Link, changed: list[int]) -> bool:
    """Let EM follow a change, those components first; tell whether no covariance became singular."""
    before = link.em.posterior
    try:
        link.em.expect()
        link.em.settle(changed, tol=CHAIN_TOL, max_iter=_SETTLE_STEPS)
    except LinAlgError:
        return False
    moved = np.abs(link.em.posterior - before).sum(axis=1, dtype=np.float64)
    link.drift += moved / (link.em.weights * before.shape[1])
    return True


def _merges(em: Expectation) -> list[_Merge]:
    """Return the Gaussian of each component and the one that most of its rows would go to without it."""
    scores = em.densities + np.log(em.weights).astype(em.densities.dtype)[:, None]
    n_clusters, n_rows = scores.shape
    first = scores.argmax(axis=0)
    scores[first, np.arange(n_rows)] = -np.inf
    met = np.bincount(first * n_clusters + scores.argmax(axis=0), minlength=n_clusters**2)
    met = met.reshape(n_clusters, n_clusters)
    met = met + met.T
    np.fill_diagonal(met, -1)
    pairs = {(min(one, other), max(one, other)) for one, other in enumerate(met.argmax(axis=1).tolist())}
    return [_merge(em, pair) for pair in sorted(pairs)]


def _merge(em: Expectation, pair: tuple[int, int]) -> _Merge:
    """Return the Gaussian of two components; its cost is exact where no row is shared."""
    members = list(pair)
    weights, means = em.weights[members], em.means[members]
    total, apart = weights.sum(), means[0] - means[1]
    within = np.tensordot(weights / total, em.covariances[members], axes=1)
    covariance = within + weights.prod() / total**2 * np.outer(apart, apart)
    volumes = -2 * np.log(np.diagonal(em.factors[members], axis1=1, axis2=2)).sum(axis=1)
    spread = total * np.linalg.slogdet(covariance)[1] - weights @ volumes
    cost = 0.5 * spread - total * np.log(total) + weights @ np.log(weights)
    return _Merge(pair, float(cost), weights @ means / total, covariance)


def best_split(vectors: Vectors, *, reg_covar: float, least_rows: float) -> _Split:
    """Return the best mixture of two components found, and its gain per row over one."""
    if len(vectors) < 2 * least_rows:
        return _NO_SPLIT
    found = []
    try:
        whole = Expectation(vectors, np.ones((1, len(vectors)), dtype=vectors.dtype), reg_covar=reg_covar)
    except LinAlgError:
        return _NO_SPLIT
    for side in _cuts(whole):
        halves = _halves(vectors, side, reg_covar=reg_covar, least_rows=least_rows)
        if halves is not None:
            found.append(halves)
    if not found:
        return _NO_SPLIT
    first = max(found, key=lambda halves: halves.log_likelihood)
    best = first.copy()
    try:
        best.settle([0, 1], tol=CHAIN_TOL, max_iter=_SPLIT_STEPS)
    except LinAlgError:
        best = first
    if best.weights.min() * len(vectors) < least_rows:
        best = first
    return _Split(best.log_likelihood - whole.log_likelihood, best)


def _halves(vectors: Vectors, side: NDArray[np.bool_], *, reg_covar: float, least_rows: float) -> Expectation | None:
    """Return two components after a few steps from a cut, or None if one is too small."""
    if min(np.count_nonzero(side), np.count_nonzero(~side)) < least_rows:
        return None
    try:
        halves = Expectation(vectors, np.stack([side, ~side]).astype(vectors.dtype), reg_covar=reg_covar)
        halves.settle([0, 1], tol=0.0, max_iter=_TRIAL_STEPS)
    except LinAlgError:
        return None
    return halves if halves.weights.min() * len(vectors) >= least_rows else None


def _cuts(whole: Expectation) -> Iterator[NDArray[np.bool_]]:
    """Yield on which side of a cut each row lies: across the main axes, by 2-means, and far from the mean."""
    centred = whole.vectors - whole.means[0].astype(whole.vectors.dtype)
    axes = np.linalg.eigh(whole.covariances[0])[1][:, :-3:-1].astype(centred.dtype)
    for axis in axes.T:
        yield centred @ axis > 0
    side = centred @ axes[:, 0] > 0
    for _ in range(4):
        if side.all() or not side.any():
            break
        high, low = centred[side].mean(axis=0), centred[~side].mean(axis=0)
        side = centred @ (high - low) > (high + low) @ (high - low) / 2
    yield side
    yield whole.densities[0] < np.quantile(whole.densities[0], 1 - _FAR)
