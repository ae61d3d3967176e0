"""The usable rows of descriptors on their way through fitted transformers, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.vectors.blocks import release, row_blocks
from veriwild_clustering.descriptors.streaming.affine import fused, is_projection, is_scaler
from veriwild_clustering.descriptors.streaming.moments import Moments

__all__ = ["Rows"]

_REMEMBERED = 4
_moments: WeakKeyDictionary[Descriptor, Moments] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that are usable in every one of some descriptors, side by side and passed through fitted steps.

    Parameters
    ----------
    parents : tuple of Descriptor
        Where the rows come from.
    valid : array of shape (n_images,), bool
        Which rows.
    steps : tuple of transformers
        Fitted, with a `transform` that maps row by row.
    before : Rows, optional
        The rows before the last step.
    covariance : bool
        Whether a pass over the rows is to yield their covariance.
    approximation : str, optional
        In what the steps approximate.
    """

    parents: tuple[Descriptor, ...]
    valid: NDArray[np.bool_]
    _: KW_ONLY
    steps: tuple[Any, ...] = ()
    before: Rows | None = None
    covariance: bool = False
    approximation: str | None = None

    @classmethod
    def of(cls, parents: tuple[Descriptor, ...], *, covariance: bool) -> Rows:
        """Return the rows that are usable in every parent."""
        valid = parents[0].valid if len(parents) == 1 else np.logical_and.reduce([parent.valid for parent in parents])
        return cls(parents, valid, covariance=covariance)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.valid))

    @cached_property
    def n_features(self) -> int:
        """Number of columns after the last step."""
        return int(self.read(slice(0, 1)).shape[1])

    @property
    def name(self) -> str:
        """The parents' names, as messages show them."""
        return " + ".join(repr(parent.name) for parent in self.parents)

    def through(self, step: Any) -> Rows:
        """Return the rows passed through one more fitted step."""
        return replace(self, steps=(*self.steps, step), before=self)

    def replaced(self, vectors: NDArray[np.float32], *, approximation: str | None = None) -> Rows:
        """Return what a step made of all the rows at once, in their place."""
        everywhere = np.ones(len(vectors), dtype=bool)
        parent = Descriptor(self.name, vectors, everywhere)
        approximation = approximation or self.approximation
        return Rows((parent,), everywhere, covariance=self.covariance, approximation=approximation)

    def read(self, places: slice) -> NDArray[np.float32]:
        """Return the rows at some places among the usable ones; a view that cannot be written to where it can be."""
        index = places if self._chosen is None else self._chosen[places]
        parts = [parent.vectors[index] for parent in self.parents]
        block = parts[0].view() if len(parts) == 1 else np.hstack(parts)
        block.flags.writeable = False  # a transformer with copy=False must not change its parent
        for step in self._fused:
            block = step.transform(block)
        return block

    def blocks(
        self, *, description: str, row_bytes: int = 0, places: Iterable[slice] | None = None
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the rows in blocks with their places; what a memory map has read is let go after each.

        `row_bytes` is what the caller needs per row, if more than the row before and after the steps; `places` are the
        blocks themselves, where they matter.
        """
        widest = 4 * max(self.n_features, sum(parent.n_features for parent in self.parents))
        blocks = list(row_blocks(len(self), max(row_bytes, widest)) if places is None else places)
        for block in track(blocks, description=description):
            yield block, self.read(block)
            for parent in self.parents:
                release(parent.vectors)

    @cached_property
    def moments(self) -> Moments:
        """Mean, variances and, if wanted, covariance: of a descriptor remembered, after scalers and PCA derived."""
        if self.before is not None:
            last = self.steps[-1]
            known = is_scaler(last) or (is_projection(last) and self.covariance)
            return self.before.moments.after(last) if known else self._streamed_moments()
        if len(self.parents) > 1:
            parts = [replace(self, parents=(parent,)) for parent in self.parents]
            return Moments.side_by_side([part.moments for part in parts])
        return self._remembered_moments()

    def _remembered_moments(self) -> Moments:
        [parent] = self.parents
        if not np.array_equal(parent.valid, self.valid):
            return self._streamed_moments()
        # By the descriptor itself, not by its fingerprint: hashing a wide matrix costs another pass.
        known = _moments.get(parent)
        if known is None or (self.covariance and known.covariance is None and known.deviations is None):
            known = self._streamed_moments()
            _moments.pop(parent, None)
            while len(_moments) >= _REMEMBERED:
                del _moments[next(iter(_moments))]
            _moments[parent] = known
        return known

    def _streamed_moments(self) -> Moments:
        if self.covariance and len(self) < self.n_features:
            return Moments.of_few(self.read(slice(None)))
        blocks = self.blocks(row_bytes=8 * self.n_features, description=f"Moments of {self.name}")
        return Moments.of((block for _, block in blocks), covariance=self.covariance)

    @cached_property
    def _chosen(self) -> NDArray[np.int64] | None:
        return None if self.valid.all() else np.flatnonzero(self.valid)

    @cached_property
    def _fused(self) -> list[Any]:
        return fused(self.steps)
