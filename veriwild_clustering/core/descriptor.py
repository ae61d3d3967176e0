"""Descriptor: a named matrix of vectors in which row *i* describes image *i*."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.html import card
from veriwild_clustering.core.validation import DatasetError, check_rows
from veriwild_clustering.core.vectors.blocks import read_blocks

__all__ = ["Descriptor", "finite_rows"]

_FROM_VECTORS: Any = None  # default of `valid`: the rows that are finite


def finite_rows(vectors: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows of `vectors` hold finite numbers alone, reading a memory map block by block."""
    finite = np.empty(len(vectors), dtype=bool)
    for rows, block in read_blocks(vectors):
        # NaN spreads into both, infinity into one: no mask as large as the block.
        finite[rows] = np.isfinite(block.min(axis=1, initial=0)) & np.isfinite(block.max(axis=1, initial=0))
    return finite


@dataclass(frozen=True, eq=False, repr=False)
class Descriptor:
    """A named matrix of vectors, one row per image, aligned with the image table.

    Rows without a usable vector stay in place, marked in `valid`; nothing drops or reorders rows. To another process
    a memory map travels as the path of its file, which must lead to the same file there; other vectors are copied.

    Parameters
    ----------
    name : str
        What the descriptor is called in tables and pictures.
    vectors : array of shape (n_images, n_features), float32
        The vectors, often a read-only memory map.
    valid : array of shape (n_images,), bool, optional
        Which rows hold a usable vector. By default those that are finite throughout; finding out costs one
        pass over the matrix, O(n_images * n_features).
    parents : tuple of Descriptor, optional
        What it was computed from: `vectors` equals `transformer` applied to the parents side by side.
    transformer : scikit-learn transformer, optional
        The fitted transformer that made it, None for a descriptor that was read.
    params : mapping, optional
        The parameters that made it.

    Raises
    ------
    ValueError
        If `vectors` is not a two-dimensional floating-point matrix or `valid` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor
    >>> descriptor = Descriptor("osnet", np.eye(3, dtype=np.float32))
    >>> len(descriptor), descriptor.n_features, descriptor.n_valid
    (3, 3, 3)
    """

    name: str
    vectors: NDArray[np.float32]
    valid: NDArray[np.bool_] = _FROM_VECTORS
    _: KW_ONLY
    parents: tuple[Descriptor, ...] = ()
    transformer: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vectors = self.vectors if isinstance(self.vectors, np.ndarray) else np.asarray(self.vectors)
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
            raise ValueError(
                f"`vectors` of {self.name!r} must be a numeric matrix of shape (n_images, n_features). "
                f"Got shape {vectors.shape} and dtype {vectors.dtype} instead."
            )
        if vectors.dtype != np.float32:
            vectors = vectors.astype(np.float32)
        valid = finite_rows(vectors) if self.valid is None else check_rows("valid", self.valid, len(vectors))
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "valid", valid.astype(bool, copy=False))

    def __len__(self) -> int:
        return len(self.vectors)

    def __getstate__(self) -> dict[str, Any]:
        file = _MappedFile.of(self.vectors)
        valid = None if self.valid.all() else self.valid
        return self.__dict__ | {"valid": valid, "vectors": self.vectors if file is None else file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vectors, valid = state["vectors"], state["valid"]
        if isinstance(vectors, _MappedFile):
            vectors = vectors.open()
        self.__dict__.update(state, vectors=vectors, valid=np.ones(len(vectors), bool) if valid is None else valid)

    def __repr__(self) -> str:
        return f"Descriptor({self.name!r}, {len(self)} x {self.n_features}, {self.n_valid} valid rows)"

    def _repr_html_(self) -> str:
        rows = {
            "vectors": f"{len(self):,} x {self.n_features:,} {self.vectors.dtype}",
            "usable rows": f"{self.n_valid:,}",
            "made by": self.recipe,
        }
        return card(f"Descriptor {self.name}", rows)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.vectors.shape[1])

    @property
    def n_valid(self) -> int:
        """Number of rows with a usable vector."""
        return int(np.count_nonzero(self.valid))

    @cached_property
    def is_constant(self) -> bool:
        """Whether all usable rows are equal, so that nothing tells the images apart."""
        first = self.vectors[self.valid.argmax()]
        return all((block == first).all() for _, block in self.blocks())

    @property
    def recipe(self) -> str:
        """How it was made, as a line of text."""
        if not self.parents:
            return self.name
        parents = " + ".join(parent.recipe for parent in self.parents)
        return f"{parents} → {self.transformer!r}".replace("\n", " ")

    @property
    def roots(self) -> tuple[Descriptor, ...]:
        """The descriptors that were read, not computed, at the start of its history."""
        if not self.parents:
            return (self,)
        found = {root.name: root for parent in self.parents for root in parent.roots}
        return tuple(found.values())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, validity and vectors; costs one pass over the matrix, then is remembered."""
        digest = hashlib.sha256(repr(self.vectors.shape).encode())
        digest.update(np.packbits(self.valid).tobytes())
        for _, block in read_blocks(self.vectors):
            digest.update(np.ascontiguousarray(block).data)
        return digest.hexdigest()

    def usable(self) -> NDArray[np.float32]:
        """Return the usable rows, shape (n_valid, n_features): a view if all are, else a copy."""
        return self.vectors if self.valid.all() else self.vectors[self.valid]

    def blocks(self, *, row_bytes: int | None = None) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the usable rows in blocks of about 64 MB, each with the slice of its places among the usable rows.

        Memory stays that of a block, memory maps included; use a block before asking for the next. `row_bytes` is what
        the caller needs per row, if more than the row itself.
        """
        return read_blocks(self.vectors, valid=self.valid, row_bytes=row_bytes)

    def expand(self, values: ArrayLike, *, fill: Any) -> NDArray[Any]:
        """Return `values`, one per usable row, as one per image with `fill` where there is no usable vector."""
        values = np.asarray(values)
        if self.valid.all():
            return values
        full = np.full((len(self), *values.shape[1:]), fill, dtype=values.dtype)
        full[self.valid] = values
        return full

    def take(self, rows: ArrayLike) -> Descriptor:
        """Return a descriptor of the given rows alone, in the given order, with no history."""
        index = np.asarray(rows)
        return Descriptor(self.name, self.vectors[index], self.valid[index], params=dict(self.params))

    def compute(self, vectors: Callable[[Descriptor], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the vectors of new rows: `vectors(root)` gives those of each root descriptor.

        New rows pass through the fitted transformers of the whole history, so they land in the same space.
        Raises TypeError if one of them, such as t-SNE, cannot place rows that it was not fitted on.
        """
        if not self.parents:
            return vectors(self)
        if not hasattr(self.transformer, "transform"):
            raise TypeError(
                f"Descriptor {self.name!r} cannot be computed for new rows: {self.transformer!r} has no `transform`, "
                f"it places only the rows that it was fitted on."
            )
        blocks = [parent.compute(vectors) for parent in self.parents]
        joined = blocks[0] if len(blocks) == 1 else np.hstack(blocks)
        return np.asarray(self.transformer.transform(joined), dtype=np.float32)


class _MappedFile(NamedTuple):
    """What a process needs to map the same rows of the same file."""

    path: str
    offset: int
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> _MappedFile | None:
        """Return where the vectors lie, None unless they are a memory map: a part of one knows no offset of its own."""
        owner: Any = vectors.base
        if not isinstance(vectors, np.memmap) or not isinstance(owner, mmap.mmap):
            return None
        if vectors.filename is None or vectors.mode != "r":  # what is written to a map may stay in this process
            return None
        return cls(str(vectors.filename), vectors.offset, vectors.shape, "C" if vectors.flags.c_contiguous else "F")

    def open(self) -> np.memmap[Any, Any]:
        """Return the memory map, or raise naming the file that this machine does not have."""
        try:
            return np.memmap(self.path, np.float32, "r", offset=self.offset, shape=self.shape, order=self.order)
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{self.path} cannot be read here ({error}). Vectors travel to other processes as the path of their "
                f"file: on a cluster, keep it in a folder that every machine has under the same path."
            ) from error
