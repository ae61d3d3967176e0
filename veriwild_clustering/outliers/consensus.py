"""Join outlier scores of several descriptors and detectors into one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from veriwild_clustering.outliers.reasons import joined_findings
from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["consensus"]


def consensus(scores: Sequence[OutlierScores], *, contamination: float | None = None) -> OutlierScores:
    """Return the consensus of several outlier scores: the mean of their parts, descriptors and quality weighed alike.

    Parameters
    ----------
    scores : sequence of OutlierScores
        Scores of the same images, in other descriptors, by other detectors, or of their quality.
    contamination : float in [0, 0.5], optional
        Share of the images to flag. By default the scores decide.

    Returns
    -------
    OutlierScores
        An image that lacks a usable vector somewhere, or has a finding, is flagged; its score is of the parts it has.

    Raises
    ------
    ValueError
        If nothing is given, the number of images differs, or a descriptor and detector occur twice.

    Notes
    -----
    The parts are −log10 tail probabilities, so their mean is Fisher's way of joining tests up to a factor [1]_. Those
    of all descriptors are joined first, and so are those of all quality measures. Each mean is turned into a tail
    probability again, and these two are joined: many detectors in many descriptors do not drown what the pixels say,
    nor the reverse. The maximum and the harmonic mean of probabilities follow a single part instead, and among twenty
    parts many ordinary images are rare in one. The parts are not independent, hence the threshold is found anew on the
    joined scores. O(n_images * (n_parts + log n_images)).

    References
    ----------
    .. [1] Fisher, R. A. (1925). Statistical Methods for Research Workers. Oliver and Boyd, Edinburgh.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, consensus, detect_outliers
    >>> vectors = np.random.default_rng(0).normal(loc=3, size=(200, 8))
    >>> vectors[7] = -vectors[7]
    >>> spaces = [Descriptor("osnet", vectors), Descriptor("color_model", vectors[:, :4])]
    >>> joined = consensus([detect_outliers(space) for space in spaces])
    >>> joined.ranking()[0], joined.table.shape
    (np.int64(7), (200, 4))
    """
    if len(scores) == 0:
        raise ValueError("`scores` must have at least one OutlierScores. Got none instead.")
    sizes = {len(part) for part in scores}
    if len(sizes) > 1:
        raise ValueError(f"`scores` must be of the same images. Got {sorted(sizes)} images instead.")
    table = pd.concat([part.table for part in scores], axis=1)
    groups = tuple(group for part in scores for group in part.groups)
    findings = joined_findings(np.column_stack([part.findings for part in scores]))
    params = {"parts": tuple(dict(part.params) for part in scores)}
    return OutlierScores(table, contamination, params, groups=groups, findings=findings)
