"""Counts of attribute values in groups of images, and what is certain about them when vehicles are the witnesses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.classes import units
from veriwild_clustering.interpretation.evidence.attributes import Attribute

__all__ = ["MAX_FALSE_SHARE", "Tally", "difference_interval", "difference_p", "excess_p", "q_values", "wilson_interval"]

MAX_FALSE_SHARE = 0.05
"""Of what is claimed about a partition, so much may be chance on average (Benjamini–Hochberg)."""

_Z = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Tally:
    """How often each value of an attribute occurs in each of `n_groups` groups of images; group −1 is none.

    `vehicles` has a number per image, −1 for an image whose vehicle is not known: it stands alone.
    """

    attribute: Attribute
    groups: NDArray[Any]
    n_groups: int
    vehicles: NDArray[np.int64]

    @cached_property
    def _used(self) -> NDArray[np.bool_]:
        return (self.attribute.codes >= 0) & (self.groups >= 0)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Images by group and value, shape (n_groups, n_values)."""
        n_values = len(self.attribute.values)
        cells = self.groups[self._used].astype(np.int64) * n_values + self.attribute.codes[self._used]
        return np.bincount(cells, minlength=self.n_groups * n_values).reshape(self.n_groups, n_values)

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Images of each group whose value is known."""
        return self.counts.sum(axis=1)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Share of each value among the images of a group whose value is known; 0 where none is."""
        return self.counts / np.maximum(1, self.known)[:, None]

    @cached_property
    def effective(self) -> NDArray[np.float64]:
        """Effective number of observations of each group, (Σ m)² / Σ m² with m images of a vehicle in it."""
        vehicles = self.vehicles[self._used]
        observed = units(vehicles)
        n_units = int(observed.max(initial=-1)) + 1
        codes, pairs = pd.factorize(self.groups[self._used].astype(np.int64) * n_units + observed)
        counts, groups = np.bincount(codes), pairs // n_units
        total, squares = (np.bincount(groups, weights=counts**power, minlength=self.n_groups) for power in (1, 2))
        return total**2 / np.maximum(squares, 1)


def wilson_interval(share: NDArray[Any], total: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % Wilson interval of a share of `total` observations; `total` is at least 1."""
    center = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * np.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return np.clip(center - half, 0, 1), np.clip(center + half, 0, 1)


def difference_interval(
    shares: tuple[NDArray[Any], NDArray[Any]], totals: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % interval of the first share minus the second: two Wilson intervals joined [1]_.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Interval estimation for the difference between independent proportions: method 10.
       Statistics in Medicine 17. https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I
    """
    first, second = shares
    (low1, high1), (low2, high2) = (wilson_interval(share, n) for share, n in zip(shares, totals, strict=True))
    difference = first - second
    return difference - np.hypot(first - low1, high2 - second), difference + np.hypot(high1 - first, second - low2)


def difference_p(
    shares: tuple[NDArray[Any], NDArray[Any]], totals: tuple[NDArray[Any], NDArray[Any]]
) -> NDArray[np.float64]:
    """Return the two-sided p-value of two shares being one: the score test on the pooled share."""
    from scipy.special import ndtr

    (first, second), (n1, n2) = shares, totals
    pooled = (first * n1 + second * n2) / (n1 + n2)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return 2 * ndtr(-np.abs(first - second) / np.maximum(deviation, np.finfo(float).tiny))


def excess_p(share: NDArray[Any], total: NDArray[Any], overall: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probability of at least so large a share (above 0) in `total` draws at the overall share.

    The binomial tail, continued to totals that are no whole numbers.
    """
    from scipy.special import betainc

    count = share * total
    return betainc(count, total - count + 1, overall)


def q_values(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values adjusted for how many there are [1]_.

    References
    ----------
    .. [1] Benjamini, Y. & Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57(1).
       https://doi.org/10.1111/j.2517-6161.1995.tb02031.x
    """
    from scipy.stats import false_discovery_control

    return false_discovery_control(p_values) if len(p_values) else np.empty(0)
