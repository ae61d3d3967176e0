"""A partition by a criterion in figures: agreement with known classes, beside chance and over repeated namings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.evaluation.external import scores_of_codes

__all__ = ["criterion_scores"]


def criterion_scores(
    partition: Partition, truth: ArrayLike, *, n_permutations: int = 20, random_state: int = 0
) -> dict[str, float]:
    """Score a partition against known classes, with chance and the spread over repetitions beside the score.

    Parameters
    ----------
    partition : Partition
        Any partition; one of `cluster_by` carries its repetitions.
    truth : array of shape (n_images,)
        The class of each image. Images without one (NaN, None or "") are left out.
    n_permutations : int, default 20
        How many random orders of the labels chance is the mean over.
    random_state : int, default 0
        Seed of these orders.

    Returns
    -------
    dict of str to float
        `accuracy` under the best one-to-one match, noise is wrong; `accuracy_by_chance`, that of the same labels in
        random order; `accuracy_where_grouped`, over images with a cluster alone, under the same match or a better one;
        `ari`, `nmi`; `coverage`, the share of the images that have a cluster; `n_clusters`, `n_classes`, `n_scored`;
        `accuracy_low`, `accuracy_high`, `accuracy_spread` (their difference), and `ari_low`, `ari_high` over the
        repetitions, NaN where there are none.

    Raises
    ------
    ValueError
        If `truth` does not have one entry per image.

    See Also
    --------
    class_scores : The same by class.

    Notes
    -----
    The repetitions are namings of the same answers; how far answers themselves vary shows only when they are asked for
    again. O(n_images) for each permutation and each repetition.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, criterion_scores
    >>> partition = Partition([0, 0, 1, 1, -1], Descriptor("toy", np.eye(5)), "by hand")
    >>> scores = criterion_scores(partition, ["car", "car", "bus", "bus", "bus"])
    >>> scores["accuracy"], scores["coverage"], scores["accuracy_where_grouped"]
    (0.8, 0.8, 1.0)
    """
    check_int("n_permutations", n_permutations, low=1)
    codes = encode("truth", truth, len(partition))
    known = codes >= 0
    labels, codes = partition.labels[known], codes[known]
    scores = scores_of_codes(labels, codes)
    rng = np.random.default_rng(random_state)
    chance = [scores_of_codes(rng.permutation(labels), codes)["accuracy"] for _ in range(n_permutations)]
    grouped = labels >= 0
    return {
        "accuracy": scores["accuracy"],
        "accuracy_by_chance": float(np.mean(chance)),
        "accuracy_where_grouped": scores_of_codes(labels[grouped], codes[grouped])["accuracy"],
        "ari": scores["ari"],
        "nmi": scores["nmi"],
        "coverage": float(grouped.mean()) if known.any() else float("nan"),
        "n_clusters": partition.n_clusters,
        "n_classes": len(np.unique(codes)),
        "n_scored": int(known.sum()),
        **_over_repetitions(partition, known, codes),
    }


def _over_repetitions(partition: Partition, known: NDArray[np.bool_], codes: NDArray[np.int64]) -> dict[str, float]:
    repetitions = partition.state.get("repetitions")
    found = [] if repetitions is None else [scores_of_codes(one[known], codes) for one in repetitions]
    values = {name: [one[name] for one in found] or [float("nan")] for name in ("accuracy", "ari")}
    low, high = min(values["accuracy"]), max(values["accuracy"])
    return {
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_spread": high - low,
        "ari_low": min(values["ari"]),
        "ari_high": max(values["ari"]),
    }
