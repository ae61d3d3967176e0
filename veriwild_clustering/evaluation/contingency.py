"""Contingency tables of two labellings, and how far these agree: scikit-learn's measures, in time linear in the images.

scikit-learn's functions sort the labels anew for each measure, and its expected mutual information runs over all sizes
that a cell could have, which takes longer than all the rest. Here one table serves all, and only likely sizes count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEASURES", "Contingency"]

_WINDOW = 12, 40  # standard deviations from the mean, and counts: no size beyond has a probability above 1e-30


class Contingency:
    """How many images each two labels share, and how many each label has.

    Parameters
    ----------
    first, second : array of shape (n_images,), int
        Codes of the labels, at least 0 and not many more than there are.
    """

    def __init__(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        from scipy.sparse import coo_array

        self.n_images = len(first)
        self.table = coo_array((np.ones(len(first), dtype=np.int64), (first, second))).tocsr()

    @cached_property
    def sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Images of each label that occurs, of the first and of the second labelling."""
        totals = self.table.sum(axis=1), self.table.sum(axis=0)
        return totals[0][totals[0] > 0], totals[1][totals[1] > 0]

    @cached_property
    def information(self) -> float:
        """Mutual information of the two, in nats."""
        from sklearn.metrics import mutual_info_score

        return float(mutual_info_score(None, None, contingency=self.table))

    @cached_property
    def mean_entropy(self) -> float:
        """Mean of the two entropies, in nats."""
        from scipy.stats import entropy

        return float(np.mean([entropy(sizes) for sizes in self.sizes]))

    @cached_property
    def expected_information(self) -> float:
        """Mutual information to be expected of two labellings with these sizes by chance (Vinh et al. 2010, eq. 24)."""
        (first, n_first), (second, n_second) = (np.unique(sizes, return_counts=True) for sizes in self.sizes)
        return sum(
            int(i) * int(j) * _expected_term(int(a), int(b), self.n_images)
            for a, i in zip(first, n_first, strict=True)
            for b, j in zip(second, n_second, strict=True)
        )

    @property
    def is_trivial(self) -> bool:
        """Whether one of the two is a single label, so that nothing can be learnt from it."""
        return min(map(len, self.sizes)) <= 1


def _expected_term(a: int, b: int, n: int) -> float:
    """Return what a cell between labels of `a` and of `b` of `n` images adds to the expected information."""
    from scipy.special import gammaln, xlogy

    mean = a * b / n
    deviations, counts = _WINDOW
    width = deviations * np.sqrt(mean * (n - a) / n * (n - b) / max(1, n - 1)) + counts
    low, high = max(0, a + b - n, int(mean - width)), min(a, b, int(mean + width) + 1)
    sizes = np.arange(low, high + 1, dtype=np.float64)
    # The hypergeometric distribution up to its constant.
    weights = -gammaln([sizes + 1, a - sizes + 1, b - sizes + 1, n - a - b + sizes + 1]).sum(axis=0)
    weights = np.exp(weights - weights.max())
    return float(weights @ xlogy(sizes / n, sizes / mean) / weights.sum())


def _adjusted_rand(table: Contingency) -> float:
    squares, *own = (int((counts**2).sum()) for counts in (table.table.data, *table.sizes))
    first, second = own
    only_first, only_second = first - squares, second - squares
    if only_first == only_second == 0:
        return 1.0
    together, apart = squares - table.n_images, table.n_images**2 - first - second + squares
    room = (together + only_first) * (only_first + apart) + (together + only_second) * (only_second + apart)
    return 2 * (together * apart - only_first * only_second) / room


def _normalized_information(table: Contingency) -> float:
    if table.is_trivial:
        return float(len(table.sizes[0]) == len(table.sizes[1]))
    return min(1.0, table.information / table.mean_entropy)


def _adjusted_information(table: Contingency) -> float:
    if table.is_trivial:
        return float(len(table.sizes[0]) == len(table.sizes[1]))
    # Where expectation and maximum are equal, as of two labellings all of singletons, they agree.
    eps = np.finfo(np.float64).eps
    gain, room = (value - table.expected_information for value in (table.information, table.mean_entropy))
    return min(1.0, float(np.copysign(max(abs(gain), eps), gain) / np.copysign(max(abs(room), eps), room)))


MEASURES: Mapping[str, Callable[[Contingency], float]] = {
    "ari": _adjusted_rand,
    "ami": _adjusted_information,
    "nmi": _normalized_information,
    "v_measure": _normalized_information,  # another derivation of the same number
}
