"""Rows as solvers want them: centred, float32, block by block, in memory or read again each time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.vectors.blocks import read_blocks

__all__ = ["Rows"]

MAX_BYTES = 2**29
"""Most memory for which the centred rows are kept; beyond it each pass reads the vectors again."""

_BLOCK_ROWS = 8192  # a block and its distances stay in the processor's cache

Blocks = Iterator[tuple[slice, NDArray[np.float32]]]


class Rows:
    """The usable rows of a matrix less a mean; two passes to make.

    Parameters
    ----------
    vectors : array of shape (n_images, n_features), float32
        May be a memory map.
    valid : array of shape (n_images,), bool, optional
        Which rows to take; all by default.
    mean : array of shape (n_features,), float64, optional
        What to subtract; by default the mean of the rows.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        valid: NDArray[np.bool_] | None = None,
        mean: NDArray[np.float64] | None = None,
    ) -> None:
        self.vectors, self.valid = vectors, valid
        self.n_rows = len(vectors) if valid is None else int(np.count_nonzero(valid))
        if mean is None:
            sums = (block.sum(axis=0, dtype=np.float64) for _, block in read_blocks(vectors, valid=valid))
            mean = sum(sums, np.zeros(vectors.shape[1])) / self.n_rows
        self.mean = mean.astype(np.float32).astype(np.float64)  # just what is subtracted
        self._kept: list[tuple[slice, NDArray[np.float32]]] | None = None
        if 4 * self.n_rows * vectors.shape[1] <= MAX_BYTES:
            self._kept = list(self._read())
        self.square_norms = np.concatenate([np.einsum("ij,ij->i", block, block) for _, block in self.blocks()])
        self.inertia = float(self.square_norms.sum(dtype=np.float64))

    def blocks(self) -> Blocks:
        """Yield slices of rows with their block of shape (n_block, n_features)."""
        return self._read() if self._kept is None else iter(self._kept)

    def _read(self) -> Blocks:
        mean = self.mean.astype(np.float32)
        for rows, block in read_blocks(self.vectors, valid=self.valid):
            for start in range(0, len(block), _BLOCK_ROWS):
                part = block[start : start + _BLOCK_ROWS] - mean
                first = rows.start + start
                yield slice(first, first + len(part)), part

    def take(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the given rows, uncentred."""
        chosen = index if self.valid is None else np.flatnonzero(self.valid)[index]
        return np.asarray(self.vectors[chosen])

    def sample(self, n_rows: int, random_state: int) -> Rows:
        """Return random rows in their order, less the same mean; smaller samples are parts of larger ones."""
        if n_rows >= self.n_rows:
            return self
        chosen = np.random.default_rng(random_state).permutation(self.n_rows)[:n_rows]
        return Rows(self.take(np.sort(chosen)), mean=self.mean)
