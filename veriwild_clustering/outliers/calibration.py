"""Bring scores of different detectors to one scale, and choose from the scores where outliers begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FALSE_DISCOVERY_RATE", "outlier_threshold", "tail_evidence"]

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
    can while ordinary ones make up at most a tenth of them in expectation. With more than a tenth of outliers in the
    data they raise the quantile and hide each other: then give `contamination`. O(n log n).

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
    from scipy.stats import norm

    if contamination is not None:
        return float(np.quantile(scores, 1 - contamination))
    n = len(scores)
    roots = np.sqrt(scores)
    center, end = np.quantile(roots, [0.5, _TAIL_END])
    scale = (end - center) / norm.ppf(_TAIL_END)
    if scale <= 0:
        return float(scores.max())
    tail = np.sort(norm.sf((roots - center) / scale))
    allowed = FALSE_DISCOVERY_RATE * np.arange(1, n + 1) / n
    passing = np.flatnonzero(tail <= allowed)
    last = passing[-1] + 1 if len(passing) else 0
    # Half-way to the count that no longer passes, so that the last one flagged lies strictly above the threshold.
    return float((center + scale * norm.isf(FALSE_DISCOVERY_RATE * (last + 0.5) / n)) ** 2)
