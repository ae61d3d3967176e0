"""How far a partition depends on an attribute that it should not consider, beside what chance would give."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.evaluation.contingency import Contingency

__all__ = ["attribute_association"]


def attribute_association(
    partition: Partition, values: ArrayLike, *, n_permutations: int = 100, random_state: int = 0
) -> dict[str, float]:
    """Measure how far clusters depend on an attribute, such as one that a criterion was told to ignore.

    Parameters
    ----------
    partition : Partition
        The clusters; noise counts as one more, since leaving images out can depend on the attribute too.
    values : array of shape (n_images,)
        The attribute of each image. Images without one (NaN, None or "") are left out.
    n_permutations : int, default 100
        How many random orders of the values chance is the mean over.
    random_state : int, default 0
        Seed of these orders.

    Returns
    -------
    dict of str to float
        `cramers_v`, Cramér's V corrected for bias [1]_, 0 for independence, 1 where each tells the other;
        `cramers_v_by_chance`; `largest_gap`, the largest difference between the share of a value in a cluster and among
        all images; `largest_gap_by_chance`; `n_scored`. NaN throughout where no image has a value.

    Raises
    ------
    ValueError
        If `values` does not have one entry per image.

    Notes
    -----
    Compare the figures of two partitions, one by a criterion that ignores the attribute and one by the same words
    without that: the difference is what ignoring has changed. An association can remain because what is asked for
    depends on the attribute in truth. O(n_images) per permutation.

    References
    ----------
    .. [1] Bergsma, W. (2013). A bias-correction for Cramér's V and Tschuprow's T. Journal of the Korean Statistical
       Society, 42(3), 323–328. https://doi.org/10.1016/j.jkss.2012.10.002

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, attribute_association
    >>> partition = Partition(np.repeat([0, 1], 50), Descriptor("toy", np.zeros((100, 1))), "by hand")
    >>> found = attribute_association(partition, np.repeat(["day", "night"], 50))
    >>> round(found["cramers_v"], 2), found["largest_gap"], found["cramers_v_by_chance"] < 0.1
    (1.0, 0.5, True)
    """
    check_int("n_permutations", n_permutations, low=1)
    codes = encode("values", values, len(partition))
    known = codes >= 0
    labels, codes = partition.labels[known] + 1, codes[known]
    if not len(codes):
        names = ("cramers_v", "cramers_v_by_chance", "largest_gap", "largest_gap_by_chance")
        return dict.fromkeys(names, float("nan")) | {"n_scored": 0}
    rng = np.random.default_rng(random_state)
    tables = [Contingency(labels, rng.permutation(codes)) for _ in range(n_permutations)]
    own = Contingency(labels, codes)
    return {
        "cramers_v": _cramers_v(own),
        "cramers_v_by_chance": float(np.mean([_cramers_v(table) for table in tables])),
        "largest_gap": _largest_gap(own),
        "largest_gap_by_chance": float(np.mean([_largest_gap(table) for table in tables])),
        "n_scored": len(codes),
    }


def _cramers_v(table: Contingency) -> float:
    rows, columns = table.sizes
    if table.is_trivial:
        return 0.0
    counts, n = _dense(table), table.n_images
    expected = np.outer(rows, columns) / n
    phi = float(((counts - expected) ** 2 / expected).sum()) / n
    n_rows, n_columns = len(rows), len(columns)
    corrected = max(0.0, phi - (n_rows - 1) * (n_columns - 1) / (n - 1))
    limits = [size - (size - 1) ** 2 / (n - 1) for size in (n_rows, n_columns)]
    return float(np.sqrt(corrected / max(1e-12, min(limits) - 1)))


def _largest_gap(table: Contingency) -> float:
    rows, columns = table.sizes
    return float(np.abs(_dense(table) / rows[:, None] - columns / table.n_images).max())


def _dense(table: Contingency) -> np.ndarray:
    """Return the counts without rows and columns of labels that do not occur."""
    counts = table.table.toarray()
    return counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
