"""Bring scores of different detectors to one scale, join them, and choose from the scores where outliers begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["FALSE_DISCOVERY_RATE", "bootstrap_thresholds", "joint_evidence", "outlier_threshold", "tail_evidence"]

FALSE_DISCOVERY_RATE = 0.1
"""Share of the flagged images that may be ordinary ones, in expectation."""

_TAIL_START, _TAIL_END = 0.75, 0.9


def tail_evidence(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return −log10 of the probability that an ordinary image scores at least as high.

    Parameters
    ----------
    scores : array of shape (n,), float64
        Scores of one detector, higher is more abnormal, finite.

    Returns
    -------
    array of shape (n,), float64
        At least 0, in the order of `scores`: 1 is the top tenth, 3 a top thousandth.

    Notes
    -----
    Up to the 90 % quantile the probability is that of the rank, (n + 1 − rank) / (n + 1). Beyond it is extrapolated by
    an exponential tail through the 75 % and 90 % quantiles, so that how far an image stands out is not lost, while
    up to a tenth of outliers in the data hardly changes the scale. O(n log n).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.outliers.calibration import tail_evidence
    >>> tail_evidence(np.array([*range(9), 100.0])).round(2)
    array([0.04, 0.09, 0.14, 0.2 , 0.26, 0.34, 0.44, 0.56, 0.74, 4.15])
    """
    from scipy.stats import rankdata

    n = len(scores)
    by_rank = -np.log10((n + 1 - rankdata(scores)) / (n + 1))
    start, end = np.quantile(scores, [_TAIL_START, _TAIL_END])
    if end <= start:
        return by_rank
    slope = np.log10((1 - _TAIL_START) / (1 - _TAIL_END)) / (end - start)
    at_end = -np.log10(1 - _TAIL_END)
    return np.where(scores > end, at_end + slope * (scores - end), np.minimum(by_rank, at_end))


def joint_evidence(table: pd.DataFrame, groups: Sequence[str]) -> NDArray[np.float64]:
    """Return the evidence against each image from all parts, every group of parts counting once.

    Parameters
    ----------
    table : DataFrame
        −log10 tail probabilities, one row per image, one column per part; NaN where unknown.
    groups : sequence of str
        Group of each column.

    Returns
    -------
    array of shape (n_images,), float64
        Of one group the mean of its parts; of several, each group's mean is brought back to evidence and these are
        averaged. NaN where no part is known.

    Notes
    -----
    A mean of −log probabilities is Fisher's way of joining tests. The parts of a group say much the same, so a mean
    over all parts would let the larger group decide; a group that is a tail probability again counts as one test,
    however many parts it has. O(n log n).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering.outliers.calibration import joint_evidence
    >>> table = pd.DataFrame({"osnet: ECOD": [0.25, 4.0], "osnet: KNN": [0.75, 3.0]})
    >>> joint_evidence(table, ["vectors", "vectors"])
    array([0.5, 3.5])
    """
    kinds = np.asarray(groups)
    means = [table.loc[:, kinds == kind].mean(axis=1).to_numpy(dtype=np.float64) for kind in dict.fromkeys(groups)]
    if len(means) == 1:
        return means[0]
    evidence = np.full((len(means), len(table)), np.nan)
    for row, mean in zip(evidence, means, strict=True):
        known = ~np.isnan(mean)
        if known.any():
            row[known] = tail_evidence(mean[known])
    return pd.DataFrame(evidence.T).mean(axis=1).to_numpy()


def outlier_threshold(scores: NDArray[np.float64], *, contamination: float | None = None) -> float:
    """Return the score above which an image is an outlier.

    Parameters
    ----------
    scores : array of shape (n,), float64
        Mean evidence of each image, at least 0, finite.
    contamination : float in [0, 0.5], optional
        Flag this share of the images. By default the scores decide.

    Returns
    -------
    float
        The threshold; an image is an outlier if its score is greater.

    Notes
    -----
    A mean of −log probabilities is roughly gamma distributed over ordinary images, and the square root of a gamma
    variable has a Gaussian upper tail. So a normal distribution is put through the median and the 90 % quantile of
    the square roots, and the Benjamini–Hochberg procedure [1]_ on its tail probabilities flags as many images as it
    can while ordinary ones make up at most a tenth of them in expectation. The flagged would widen the distribution
    behind which the next ones hide, so it is fitted a second time without them; no more often, or a heavy tail would be
    eaten up piece by piece. Outliers that are a tenth of the images, or fewer but not far off, widen the first fit so
    that it may flag none: then give `contamination`. O(n log n).

    References
    ----------
    .. [1] Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate: a practical and powerful approach
       to multiple testing. J. R. Stat. Soc. B 57(1). https://doi.org/10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.outliers.calibration import outlier_threshold
    >>> scores = np.concatenate([np.linspace(0.1, 2, 99), [9.0]])
    >>> bool(2 < outlier_threshold(scores) < 9)
    True
    """
    if contamination is not None:
        return float(np.quantile(scores, 1 - contamination))
    return _threshold(np.sort(scores), np.arange(1, len(scores) + 1))


def bootstrap_thresholds(
    scores: NDArray[np.float64],
    *,
    contamination: float | None = None,
    n_repeats: int = 200,
    random_state: int | None = 0,
) -> NDArray[np.float64]:
    """Return the thresholds of samples of the images, drawn with replacement, as many as there are images.

    Parameters
    ----------
    scores, contamination
        As for `outlier_threshold`.
    n_repeats : int, default=200
        Number of samples.
    random_state : int or None, default=0
        Seed of the samples.

    Returns
    -------
    array of shape (n_repeats,), float64

    Notes
    -----
    O(n log n + n_repeats n): the scores are sorted once, a sample says how often each of them occurs.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.outliers.calibration import bootstrap_thresholds, outlier_threshold
    >>> scores = np.concatenate([np.linspace(0.1, 2, 99), [9.0]])
    >>> thresholds = bootstrap_thresholds(scores, n_repeats=50)
    >>> bool(thresholds.min() < outlier_threshold(scores) < thresholds.max())
    True
    """
    ordered, n_images = np.sort(scores), len(scores)
    rng = np.random.default_rng(random_state)
    thresholds = np.empty(n_repeats)
    for repeat in range(n_repeats):
        count = np.cumsum(np.bincount(rng.integers(n_images, size=n_images), minlength=n_images))
        if contamination is None:
            thresholds[repeat] = _threshold(ordered, count)
        else:
            thresholds[repeat] = ordered[np.searchsorted(count, (1 - contamination) * n_images)]
    return thresholds


def _threshold(ordered: NDArray[np.float64], count: NDArray[np.int64]) -> float:
    """Return the threshold of ascending scores, of which `count` are at most as high as each."""
    from scipy.special import ndtr, ndtri

    n_images, n_flagged = int(count[-1]), 0
    roots = np.sqrt(ordered)
    for _ in range(2):
        median, start = np.searchsorted(count, np.array([0.5, _TAIL_END]) * (n_images - n_flagged))
        center, scale = roots[median], (roots[start] - roots[median]) / ndtri(_TAIL_END)
        if scale <= 0:
            return float(ordered[-1])
        # A tail probability within the allowed one is at most a tenth, so it lies beyond the 90 % quantile.
        as_high = n_images - np.r_[0, count][start:-1]
        allowed = FALSE_DISCOVERY_RATE * as_high / n_images
        passing = np.flatnonzero(ndtr((center - roots[start:]) / scale) <= allowed)
        n_flagged = int(as_high[passing[0]]) if len(passing) else 0
    # Half-way to the count that no longer passes, so that the last one flagged lies strictly above the threshold.
    return float((center - scale * ndtri(FALSE_DISCOVERY_RATE * (n_flagged + 0.5) / n_images)) ** 2)
