"""Verdicts: which images are too bad to be judged, by fixed bounds of the quality measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["BOUNDS", "Bound", "quality_reasons"]


@dataclass(frozen=True)
class Bound:
    """Where a quality measure passes from usable to bad.

    Parameters
    ----------
    word : str
        What an image beyond it is.
    low, high : float
        Least and greatest usable value.
    """

    word: str
    low: float = -np.inf
    high: float = np.inf

    def broken(self, values: pd.Series) -> pd.Series:
        """Return which values are beyond the bound; an unknown value is not."""
        return (values < self.low) | (values > self.high)


BOUNDS: Mapping[str, Bound] = {
    "dark_share": Bound("too dark", high=0.75),
    "glare_share": Bound("dazzled", high=0.3),
    "contrast": Bound("without contrast", low=0.05),
    "sharpness": Bound("blurred", low=1.3),
    "noise": Bound("noisy", high=20),
    "brisque": Bound("distorted", high=80),
}
"""The bounds lie where hardly any ordinary image and nearly every damaged one is beyond; the first broken counts."""


def quality_reasons(images: pd.DataFrame) -> pd.Series:
    """Return why each image is of low quality, "" where it is not.

    Parameters
    ----------
    images : DataFrame
        One row per image with columns of `quality_measures`, and `image_status` if known. Columns that are missing
        and values that are NaN are not held against an image.

    Returns
    -------
    Series of str
        Same index: "blurred: sharpness 1.02, at least 1.3 is usable", or "image file truncated".

    Notes
    -----
    The bounds are absolute: an image is as good among bad ones as among good ones. O(n_images).

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import quality_reasons
    >>> quality_reasons(pd.DataFrame({"sharpness": [1.9, 1.02], "dark_share": [0.1, 0.2]})).tolist()
    ['', 'blurred: sharpness 1.02, at least 1.3 is usable']
    """
    reasons = pd.Series("", index=images.index, dtype=object)
    for name, bound in reversed(list(BOUNDS.items())):
        if name not in images:
            continue
        values = pd.to_numeric(images[name])
        limit = f"at least {bound.low:g}" if np.isfinite(bound.low) else f"at most {bound.high:g}"
        for row in images.index[bound.broken(values)]:
            reasons[row] = f"{bound.word}: {name.replace('_', ' ')} {values[row]:.3g}, {limit} is usable"
    if "image_status" in images:
        status = images["image_status"].fillna("ok").astype(str)
        reasons = reasons.where(status == "ok", "image file " + status)
    return reasons
