"""Scalers and PCA as what they are to a row: one shift and one multiplication, several of them joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.descriptors.scaling import BlockScaler

__all__ = ["Affine", "fused", "is_projection", "is_scaler"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """The map x → (x − center) · weights + offset; a vector of weights stands for a diagonal matrix.

    Rows are centred before they are multiplied: float32 then keeps its digits however large their mean is.
    """

    center: Floats
    weights: Floats
    offset: Floats

    @classmethod
    def of(cls, step: Any) -> Affine:
        """Return what a fitted scaler or projection does to a row; whitening gives directions of mere rounding 0."""
        zeros = np.zeros(step.n_features_in_)
        if is_projection(step):
            weights = step.components_.T
            if step.whiten:
                deviations = np.sqrt(step.explained_variance_)
                real = deviations > np.finfo(np.float32).eps * deviations.max()
                weights = weights * np.divide(real, deviations, where=real, out=np.zeros_like(deviations))
            return cls(step.mean_, weights, np.zeros(step.n_components_))
        if isinstance(step, BlockScaler):
            return cls(zeros, step.scale_, zeros)
        center = step.mean_ if step.with_mean else zeros
        return cls(center, 1 / step.scale_ if step.with_std else np.ones_like(zeros), zeros)

    def then(self, other: Affine) -> Affine:
        """Return this map, which must have a vector of weights, followed by another."""
        wanted, moved = other.center - self.offset, np.zeros_like(self.center)
        np.divide(wanted, self.weights, out=moved, where=self.weights != 0)
        missed = moved * self.weights - wanted  # 0 but where a weight is
        diagonal = other.weights.ndim == 1
        weights = self.weights * other.weights if diagonal else self.weights[:, None] * other.weights
        rest = missed * other.weights if diagonal else missed @ other.weights
        return Affine(self.center + moved, weights, rest + other.offset)

    def transform(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rows of `block` mapped, in float32."""
        center, weights, offset = self._single
        centred = block - center
        mapped: Any = centred * weights if weights.ndim == 1 else centred @ weights
        mapped += offset
        return np.asarray(mapped, dtype=np.float32)

    @cached_property
    def _single(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The map in float32, what its center loses by that added to the offset."""
        center = self.center.astype(np.float32)
        lost = center - self.center
        offset = self.offset + (lost * self.weights if self.weights.ndim == 1 else lost @ self.weights)
        return center, self.weights.astype(np.float32), offset.astype(np.float32)


def is_scaler(step: Any) -> bool:
    """Tell whether a transformer is a scaler that means and variances of the columns determine."""
    from sklearn.preprocessing import StandardScaler

    return type(step) in {StandardScaler, BlockScaler}


def is_projection(step: Any) -> bool:
    """Tell whether a transformer projects on principal axes."""
    from sklearn.decomposition import PCA, IncrementalPCA

    return type(step) in {PCA, IncrementalPCA}


def fused(steps: Sequence[Any]) -> list[Any]:
    """Return fitted transformers with each projection, and the scalers right before it, joined into one map.

    Other steps, scalers that no projection follows among them, stay as they are.
    """
    found: list[Any] = []
    for step in steps:
        joined = step
        if is_projection(step):
            joined = Affine.of(step)
            while found and is_scaler(found[-1]):
                joined = Affine.of(found.pop()).then(joined)
        found.append(joined)
    return found
