"""Null data: vectors like those of a descriptor in all but the clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor

__all__ = ["NULLS", "null_descriptor"]


def null_descriptor(descriptor: Descriptor, kind: str, *, rows: NDArray[np.int64], random_state: int) -> Descriptor:
    """Return vectors drawn at random after the given rows, as many of them; `kind` is a key of `NULLS`."""
    taken = descriptor.take(rows)
    drawn = NULLS[kind](taken.usable(), np.random.default_rng(random_state)).astype(np.float32)
    return Descriptor(descriptor.name, taken.expand(drawn, fill=np.nan), taken.valid)


def _permuted_columns(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[Any]:
    """Shuffle each column on its own: every coordinate keeps its distribution, what ties them together goes."""
    return rng.permuted(vectors, axis=0)


def _gaussian(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[Any]:
    """Draw Gaussian rows whose mean and covariance are those of the given rows, to the last digit.

    The rows, centred, are turned by a random rotation of the space of their columns that leaves the column of ones in
    place. Rotated Gaussian data are as likely as they were before, whatever their mean and covariance (Langsrud 2005,
    doi:10.1007/s11222-005-4789-5): data that are Gaussian are exchangeable with what is drawn from them. O(n * d²).
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    factor = np.linalg.qr(vectors - mean, mode="r")
    if len(factor) == len(vectors):  # centred rows span one dimension fewer: the last of the singular values is 0
        _, values, axes = np.linalg.svd(factor, full_matrices=False)
        factor = values[:-1, None] * axes[:-1]
    drawn = rng.normal(size=(len(vectors), len(factor)))
    basis, signs = np.linalg.qr(drawn - drawn.mean(axis=0))
    basis *= np.sign(np.diag(signs))  # without it, the basis would not be uniform among all
    return basis @ factor + mean


NULLS: Mapping[str, Callable[[NDArray[np.float32], np.random.Generator], NDArray[Any]]] = {
    "permuted columns": _permuted_columns,
    "gaussian": _gaussian,
}
"""What draws null data of each kind from vectors."""
