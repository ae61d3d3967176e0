"""Which detector and which descriptor find outliers best: agreement with the others, and with known damage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.classes import encode, units
from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.outliers.calibration import joint_evidence, outlier_threshold
from veriwild_clustering.outliers.consensus import consensus
from veriwild_clustering.outliers.reasons import sources_of
from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["compare_detectors"]

_BATCH = 16  # bootstrap samples at a time, whose weights are a matrix
_WHOLE = "all"
_FIGURES = ("agreement", "overlap", "roc_auc", "average_precision")


def compare_detectors(
    scores: OutlierScores | Sequence[OutlierScores],
    damaged: ArrayLike | None = None,
    *,
    vehicles: ArrayLike | None = None,
    n_repeats: int = 200,
    random_state: int | None = 0,
) -> pd.DataFrame:
    """Compare parts of outlier scores with what the others say and, where it is known, with what is damaged.

    Parameters
    ----------
    scores : OutlierScores or sequence of them
        A consensus, or what it is to be made of.
    damaged : array of shape (n_images,), bool, optional
        Which images are known to be bad.
    vehicles : array of shape (n_images,), optional
        Vehicle of each image. With it the bootstrap draws whole vehicles, of which the images are not independent;
        an image of no known vehicle (missing or "") is drawn by itself.
    n_repeats : int, default=200
        Number of bootstrap samples.
    random_state : int or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row per part, per source (a descriptor, or the quality measures; `detector` is "all"), and for the
        consensus: `source`, `detector`, then each figure with `_low` and `_high`, the ends of its 95 % interval:

        - `agreement`: rank correlation with the consensus of the other sources;
        - `overlap`: share of the images that this consensus flags which are among as many of the part's highest;
        - `roc_auc` and `average_precision` of finding the damaged images, if these are known.

        The best on top: by average precision, or else by overlap. NaN where there is nothing to compare with.

    Raises
    ------
    ValueError
        If an array has another length, no image has all parts, or all or none of these are damaged.

    Notes
    -----
    Compared are the images that have all parts, so every row is about the same ones. Agreement among descriptors is no
    proof: what all of them miss, none reproaches the others with. O(n_images * n_parts * n_repeats).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, compare_detectors, detect_outliers
    >>> rng, damaged = np.random.default_rng(0), np.arange(300) < 12
    >>> good, poor = rng.normal(3, 1, (300, 8)), rng.normal(3, 1, (300, 8))
    >>> good[damaged, :4] -= 4
    >>> found = [detect_outliers(Descriptor("osnet", good)), detect_outliers(Descriptor("color_model", poor))]
    >>> table = compare_detectors(found, damaged, n_repeats=20)
    >>> table.loc[0, "source"], bool(table.loc[0, "roc_auc_low"] > 0.9)
    ('osnet', True)
    """
    check_int("n_repeats", n_repeats, low=2)
    joined = scores if isinstance(scores, OutlierScores) else consensus(scores)
    known = joined.table.notna().all(axis=1).to_numpy()
    if not known.any():
        raise ValueError("`scores` must have an image with all parts. Got none: compare fewer of them.")
    table = joined.table[known]
    truth = None if damaged is None else check_rows("damaged", damaged, len(joined)).astype(bool)[known]
    if truth is not None and truth.all() == truth.any():
        raise ValueError(f"`damaged` must have True and False. Got {truth[0]} alone among the images with all parts.")
    each = np.arange(len(table))
    drawn_with = each if vehicles is None else units(encode("vehicles", vehicles, len(joined)))[known]
    rows = list(_rows(table, joined.groups))
    once = np.ones((1, len(table)))
    found = np.stack([row.figures(once, truth) for row in rows])
    samples = _samples(drawn_with, n_repeats, random_state)
    drawn = np.concatenate([np.stack([row.figures(sample, truth) for row in rows]) for sample in samples], axis=1)
    columns: dict[str, Any] = {"source": [row.source for row in rows], "detector": [row.detector for row in rows]}
    for place, name in enumerate(_FIGURES if truth is not None else _FIGURES[:2]):
        columns[name] = found[:, 0, place]
        columns[f"{name}_low"], columns[f"{name}_high"] = _quantiles(drawn[:, :, place])
    best = "overlap" if truth is None else "average_precision"
    return pd.DataFrame(columns).sort_values(best, ascending=False, ignore_index=True, kind="stable")


class _Row:
    """The scores of one row of the comparison, ranked once for all samples."""

    def __init__(self, source: str, detector: str, own: NDArray[np.float64], others: NDArray[np.float64] | None):
        from scipy.stats import rankdata

        self.source, self.detector, self.has_others = source, detector, others is not None
        self.order = np.argsort(-own, kind="stable")
        falling = own[self.order]
        self.last_of_equals = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(own) - 1)
        if others is not None:
            self.ranks = rankdata(own), rankdata(others)
            self.flagged = others > outlier_threshold(others)
            highest = np.zeros(len(own), dtype=bool)
            highest[self.order[: np.count_nonzero(self.flagged)]] = True
            self.shared = self.flagged & highest

    def figures(self, weights: NDArray[np.float64], truth: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        """Return the figures, shape (n_samples, 4), where `weights` say how often each sample holds each image."""
        figures = np.full((len(weights), len(_FIGURES)), np.nan)
        with np.errstate(invalid="ignore"):  # a sample may hold nothing that is flagged or damaged: NaN
            if self.has_others:
                figures[:, 0] = _correlation(*self.ranks, weights)
                figures[:, 1] = (weights @ self.shared) / (weights @ self.flagged)
            if truth is not None:
                figures[:, 2:] = self._ranking_figures(weights, truth)
        return figures

    def _ranking_figures(self, weights: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return ROC AUC and average precision, shape (n_samples, 2); scikit-learn's take one sample at a time."""
        falling = weights[:, self.order]
        taken = np.cumsum(falling, axis=1)[:, self.last_of_equals]
        hits = np.cumsum(falling * truth[self.order], axis=1)[:, self.last_of_equals]
        new_hits, misses = np.diff(hits, axis=1, prepend=0), taken - hits
        area = (np.diff(misses, axis=1, prepend=0) * (hits - new_hits / 2)).sum(axis=1)
        precision = (new_hits * hits / np.maximum(taken, 1)).sum(axis=1)
        return np.column_stack([area / (hits[:, -1] * misses[:, -1]), precision / hits[:, -1]])


def _rows(table: pd.DataFrame, groups: Sequence[str]) -> Iterator[_Row]:
    """Yield the rows of the comparison: each part, each source of several parts, the consensus."""
    sources, kinds = np.array(sources_of(table)), np.array(groups)
    for source in dict.fromkeys(sources.tolist()):
        its = sources == source
        others = None if its.all() else joint_evidence(table.loc[:, ~its], kinds[~its].tolist())
        parts = table.loc[:, its]
        for name in parts:
            yield _Row(source, str(name).rpartition(": ")[2], parts[name].to_numpy(), others)
        if its.sum() > 1:
            yield _Row(source, _WHOLE, parts.mean(axis=1).to_numpy(), others)
    yield _Row("consensus", _WHOLE, joint_evidence(table, groups), None)


def _samples(unit_of: NDArray[np.generic], n_repeats: int, random_state: int | None) -> Iterator[NDArray[np.float64]]:
    """Yield how often each bootstrap sample of the units holds each image, some samples at a time."""
    rng = np.random.default_rng(random_state)
    names, unit = np.unique(unit_of, return_inverse=True)
    for start in range(0, n_repeats, _BATCH):
        drawn = [rng.integers(len(names), size=len(names)) for _ in range(start, min(start + _BATCH, n_repeats))]
        yield np.stack([np.bincount(sample, minlength=len(names))[unit] for sample in drawn]).astype(np.float64)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of two columns in each sample."""
    x, y = x - x.mean(), y - y.mean()
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    spread = (weights @ x**2 / total - mean_x**2) * (weights @ y**2 / total - mean_y**2)
    return np.asarray((weights @ (x * y) / total - mean_x * mean_y) / np.sqrt(spread))


def _quantiles(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of the central 95 % along the samples, shape (2, n_rows); NaN where no sample has a figure."""
    return pd.DataFrame(figures.T).quantile([0.025, 0.975]).to_numpy()
