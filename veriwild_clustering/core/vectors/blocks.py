"""Large matrices block by block, so that memory stays that of a block, memory-mapped files included."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_blocks", "release", "row_blocks"]

_BLOCK_BYTES = 64 * 2**20


def row_blocks(n_rows: int, row_bytes: int) -> Iterator[slice]:
    """Yield slices that cover `n_rows` rows, each of at most about 64 MB."""
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def read_blocks(
    vectors: NDArray[np.float32], *, valid: NDArray[np.bool_] | None = None, row_bytes: int | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield blocks of the valid rows, each with the slice of places that they have among the valid rows.

    A block is a view where it can be: use it before asking for the next one, since the pages of a memory map are then
    let go. `row_bytes` is what the caller needs per row, if that is more than the row itself.
    """
    chosen = None if valid is None or valid.all() else np.flatnonzero(valid)
    n_rows = len(vectors) if chosen is None else len(chosen)
    for rows in row_blocks(n_rows, max(row_bytes or 0, vectors.itemsize * vectors.shape[1])):
        yield rows, vectors[rows] if chosen is None else vectors[chosen[rows]]
        release(vectors)


def release(vectors: NDArray[np.float32]) -> None:
    """Let go of the pages of a memory-mapped file that were read: they count as this process's memory until then.

    Only of a read-only map: what was written to a private one would be lost.
    """
    whole: Any = vectors
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    if isinstance(whole.base, mmap.mmap) and not whole.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        whole.base.madvise(mmap.MADV_DONTNEED)
