"""Classes of images, such as their vehicle, as numbers; what is not known is no class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_rows

__all__ = ["UNCERTAIN", "encode", "units"]

UNCERTAIN = "uncertain"
"""What is answered where an image does not show it, whoever is asked."""


def encode(name: str, values: Any, n_images: int) -> NDArray[np.int64]:
    """Return `values` as numbers from 0, −1 where NaN, None or the empty string stands for a missing value."""
    check_rows(name, values, n_images)
    array = pd.Series(values).to_numpy(dtype=object, copy=True)
    array[array == ""] = None
    return np.asarray(pd.factorize(array)[0], dtype=np.int64)


def units(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what each image is drawn or counted with: its class, or itself alone where that is −1."""
    return np.where(codes < 0, codes.max(initial=-1) + 1 + np.arange(len(codes)), codes)
