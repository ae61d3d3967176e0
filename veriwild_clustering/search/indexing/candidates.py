"""Candidates for the nearest of many vectors, out of FAISS: likely ones fast, or provably enough of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.search.indexing.projection import Projection

__all__ = ["Candidates"]

_ROUNDING = 2.0**-24  # of float32, per product that is summed
_SMALL = 2**24  # values that one thread compares sooner than more are started and joined
_FEW = 16  # queries that FAISS compares one by one, from differences: products of many cancel digits
_LONGEST = 2.0**61  # vectors of which float32 holds the square of any distance
_FIRST_EFFORT = 16
_EFFORTS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 384, 512, 768, 1024)

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass
class Candidates:
    """A FAISS index of vectors, counted in the order in which they were added, with what is known of its errors.

    Parameters
    ----------
    index : faiss.Index
        A flat index, a graph (HNSW) over one, or inverted lists (IVF), of the vectors or of what is left of them in
        their leading directions (PCA).
    effort : int, default=0
        Size of the list of a search through the graph, or number of lists visited; 0 if all vectors are compared.
    error : float, default=0.0
        Largest distance of a vector, in the leading directions where there are such, to what the index keeps of it.
    rest : float, default=0.0
        Largest length of the part of a vector that is not in the leading directions.
    norm : float, default=0.0
        Largest length of a vector.
    """

    index: Any
    effort: int = 0
    error: float = 0.0
    rest: float = 0.0
    norm: float = 0.0

    @classmethod
    def empty(cls, factory: str, dim: int, *, is_cosine: bool) -> Candidates:
        """Return an index without vectors, as a string of FAISS's `index_factory` says.

        Raises
        ------
        ValueError
            If FAISS cannot read the string, or it makes an index whose distances have no bound on their error.
        """
        faiss = _faiss()
        metric = faiss.METRIC_INNER_PRODUCT if is_cosine else faiss.METRIC_L2
        try:
            index = faiss.index_factory(dim, factory, metric)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"`factory` must be a string of FAISS's index_factory. Got {factory!r} instead."
            ) from error
        made = cls(index)
        try:
            Projection.of(index)
        except ValueError as error:
            raise ValueError(
                f"`factory` {factory!r} begins with {error}; 'PCA128' and 'PCA128,L2norm' are known."
            ) from error
        made.effort = _FIRST_EFFORT if isinstance(made._inner, (faiss.IndexHNSW, faiss.IndexIVF)) else 0
        if not made._compares_vectors():
            raise ValueError(
                f"`factory` must be 'Flat' or a scalar quantizer such as 'SQfp16' or 'SQ8', alone or under a graph "
                f"('HNSW32,SQfp16') or inverted lists ('IVF1024,SQ8'), of the vectors or of their leading "
                f"directions ('PCA128,L2norm,...'). {factory!r} makes {type(made._inner).__name__}."
            )
        if isinstance(made._inner, faiss.IndexHNSW):
            made._inner.hnsw.efConstruction = 400
        if isinstance(made._inner, faiss.IndexIVF):
            made._inner.cp.min_points_per_centroid = 1  # a small sample is no reason to warn
        return made

    @classmethod
    def read(cls, file: Path, **known: Any) -> Candidates:
        """Return what `write` wrote, memory-mapped and read-only; `known` is what `facts` said."""
        faiss = _faiss()
        try:
            return cls(faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC), **known)
        except RuntimeError as error:
            raise DatasetError(f"{file} is no index of FAISS: {reason_of(error)}. Build the index again.") from error

    def write(self, file: Path) -> None:
        """Write the index to a file.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        faiss = _faiss()
        try:
            faiss.write_index(self.index, str(file))
        except RuntimeError as error:
            raise OSError(reason_of(error)) from error

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return int(self.index.d)

    @property
    def is_cosine(self) -> bool:
        """Whether larger scores are nearer."""
        return int(self.index.metric_type) == 0

    @property
    def facts(self) -> dict[str, float]:
        """What is known of it and not in FAISS's file."""
        return {"effort": self.effort, "error": self.error, "rest": self.rest, "norm": self.norm}

    @property
    def n_training(self) -> int:
        """How many vectors it is worth training with; 0 if the index needs none."""
        return 0 if self.index.is_trained else max(20_000, 64 * getattr(self._inner, "nlist", 0))

    @property
    def efforts(self) -> tuple[int, ...]:
        """The efforts worth trying, rising; none where all vectors are compared."""
        most = getattr(self._inner, "nlist", _EFFORTS[-1])
        return tuple(sorted({min(effort, most) for effort in _EFFORTS})) if self.effort else ()

    def copy(self) -> Candidates:
        """Return an index with the same vectors to which more can be added."""
        faiss = _faiss()
        return replace(self, index=faiss.deserialize_index(faiss.serialize_index(self.index)))

    def train(self, vectors: Floats, *, n_threads: int) -> None:
        """Let the index learn from a sample how to store or group vectors; ValueError if they are too few for it."""
        n_lists = getattr(self._inner, "nlist", 0)
        if n_lists > len(vectors):
            raise ValueError(f"`factory` asks for {n_lists} lists, more than the {len(vectors)} vectors to fill them.")
        if (projection := self._projection) is not None:
            projection.fit(vectors)
        with _threads(n_threads):
            self._inner.train(self._compared(self._leading(vectors)))
        self.index.is_trained = True

    def add(self, vectors: Floats, *, n_threads: int) -> None:
        """Add vectors and note how far from them the stored ones are."""
        faiss = _faiss()
        self.norm = max(self.norm, self.check_lengths(vectors))
        with _threads(n_threads):
            self.index.add(vectors)
            leading = self._leading(vectors)
            stored = self._compared(leading)
            self.rest = max(self.rest, float(self._rests(vectors, leading).max(initial=0)))
            if not isinstance(self._all, faiss.IndexFlat):
                stored = self._all.sa_decode(self._all.sa_encode(stored))
            if stored is not leading:
                apart = stored - leading
                furthest = np.einsum("ij,ij->i", apart, apart, dtype=np.float64).max(initial=0)
                self.error = max(self.error, float(np.sqrt(furthest)))
        if not np.isfinite(self.error):
            raise ValueError(
                "The vectors hold numbers too large for what `factory` stores. Use 'Flat' or 'HNSW32,Flat'."
            )

    def check_lengths(self, vectors: Floats) -> float:
        """Return the largest length of some vectors, or raise if distances to them are too large for float32."""
        longest = float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64).max(initial=0)))
        if longest > _LONGEST and not self.is_cosine:
            raise ValueError(
                f"Euclidean distances are searched between vectors of length {_LONGEST:.1e} at most. "
                f"Got one of {longest:.1e}. Scale the descriptor, or use the metric 'cosine'."
            )
        return longest

    def likely(
        self, queries: Floats, width: int, mask: Mask | None = None, *, share: float = 1.0, n_threads: int
    ) -> Places:
        """Return places of vectors that are likely among the nearest to each query, −1 where too few were found.

        `share` is the part of the vectors that `mask` allows: the less, the more effort.
        """
        faiss = _faiss()
        chosen = _selected(mask)
        if isinstance(self._inner, faiss.IndexHNSW):
            effort = int(np.ceil(max(self.effort, width) / share))
            params = faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        else:
            effort = int(np.ceil(self.effort / share))
            params = faiss.SearchParametersIVF(nprobe=min(effort, self._inner.nlist), **chosen)
        with _threads(min(n_threads, len(queries))):
            leading = self._leading(queries)  # of whatever length: that of a query changes no order
            return np.asarray(self._inner.search(leading, width, params=params)[1])

    def compare_all(
        self, queries: Floats, width: int, mask: Mask | None = None, *, n_threads: int
    ) -> tuple[Places, NDArray[np.float64]]:
        """Return the nearest stored vectors of all allowed ones, and how near to each query another may be at best."""
        leading = self._leading(queries)
        compared = self._compared(leading)
        if len(queries) == 1 and n_threads > 1 and compared.shape[1] * len(self) > _SMALL:
            scores, places = self._in_parts(compared, width, mask, n_threads)
        else:
            step = len(queries) if self.is_cosine else _FEW
            with _threads(min(n_threads, len(queries))):  # a second thread for one query would only be waited for
                found = [self._search_all(compared[i : i + step], width, mask) for i in range(0, len(queries), step)]
            scores, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return places, self._best_elsewhere(queries, leading, places, scores[:, -1].astype(np.float64))

    @property
    def is_projected(self) -> bool:
        """Whether candidates are those of the leading directions."""
        return self._projection is not None

    @cached_property
    def _projection(self) -> Projection | None:
        """What brings vectors into the leading directions, None where there is nothing."""
        return Projection.of(self.index)

    def _leading(self, vectors: Floats) -> Floats:
        """Return vectors in the leading directions; where there are none, as they are."""
        return vectors if (projection := self._projection) is None else projection.leading(vectors)

    def _compared(self, leading: Floats) -> Floats:
        """Return what of them is stored and compared."""
        return leading if (projection := self._projection) is None else projection.normed(leading)

    @cached_property
    def _inner(self) -> Any:
        """The index of the vectors as they are compared."""
        faiss = _faiss()
        is_wrapped = isinstance(self.index, faiss.IndexPreTransform)
        return faiss.downcast_index(self.index.index) if is_wrapped else self.index

    @cached_property
    def _all(self) -> Any:
        """The index that compares all vectors: of a graph the flat one under it."""
        faiss, inner = _faiss(), self._inner
        return faiss.downcast_index(inner.storage) if isinstance(inner, faiss.IndexHNSW) else inner

    def _rests(self, vectors: Floats, leading: Floats) -> NDArray[np.float64]:
        """Return the length of what is not in the leading directions."""
        projection = self._projection
        return np.zeros(len(vectors)) if projection is None else projection.rests(vectors, leading)

    def _compares_vectors(self) -> bool:
        """Tell whether scores are those of the stored vectors: codes of other kinds have scores of their own."""
        faiss, stored = _faiss(), self._all
        if (projection := self._projection) is not None and projection.is_normed and not self.is_cosine:
            return False  # distances between directions are not those between vectors
        if isinstance(stored, faiss.IndexIVF):
            lists = faiss.downcast_index(stored.quantizer)
            if stored.nlist < 1 or not isinstance(lists, faiss.IndexFlat):
                return False  # could miss lists, and so vectors
        if isinstance(stored, (faiss.IndexScalarQuantizer, faiss.IndexIVFScalarQuantizer)):
            kinds = faiss.ScalarQuantizer
            return stored.sq.qtype in {kinds.QT_fp16, kinds.QT_bf16, kinds.QT_8bit, kinds.QT_6bit, kinds.QT_4bit}
        return type(stored) in {faiss.IndexFlat, faiss.IndexFlatIP, faiss.IndexFlatL2, faiss.IndexIVFFlat}

    def _search_all(self, queries: Floats, width: int, mask: Mask | None) -> tuple[Floats, Places]:
        faiss = _faiss()
        chosen = _selected(mask)
        if isinstance(self._inner, faiss.IndexIVF):
            params = faiss.SearchParametersIVF(nprobe=self._inner.nlist, **chosen)
        else:
            params = faiss.SearchParameters(**chosen)
        scores, places = self._all.search(queries, width, params=params)
        return scores, places

    def _in_parts(self, query: Floats, width: int, mask: Mask | None, n_threads: int) -> tuple[Floats, Places]:
        """Compare one query in several threads, a part of the vectors each, since FAISS gives one query one thread."""

        def search(part: slice) -> tuple[Floats, Places]:
            own = np.zeros(len(self), dtype=bool)
            own[part] = True if mask is None else mask[part]
            with _threads(1):
                return self._search_all(query, width, own)

        ends = np.linspace(0, len(self), n_threads + 1).astype(int)
        with ThreadPoolExecutor(n_threads) as pool:
            found = list(pool.map(search, map(slice, ends[:-1], ends[1:])))
        scores, places = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        order = np.argsort(-scores if self.is_cosine else scores, axis=1, kind="stable")[:, :width]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(places, order, axis=1)

    def _best_elsewhere(
        self, queries: Floats, leading: Floats, places: Places, worst: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the best score that a vector may have which is not among the candidates, the worst of which is given.

        The stored vector differs from the true one by at most `error`, so its inner product by at most that times the
        query's length, and its distance by at most that; sums of `dim` products in float32 are rounded besides. What
        is not in the leading directions adds to an inner product at most the product of both lengths of it, and to a
        distance nothing less than 0. Of a query brought to length 1 the scores are those of its direction.
        """
        rounding = _ROUNDING * (self.dim + 4)  # the sums, and vectors brought to length 1
        if self.is_cosine:
            lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
            inner = np.linalg.norm(leading.astype(np.float64), axis=1)
            scale = inner if (projection := self._projection) is not None and projection.is_normed else 1.0
            rests = self._rests(queries, leading) * self.rest
            best = scale * worst + inner * self.error + rests + lengths * rounding * (self.norm + self.error)
            none = -np.inf
        else:
            best, none = np.sqrt(np.maximum(worst, 0) * max(0.0, 1 - rounding)) - self.error, np.inf
        return np.where(places[:, -1] < 0, none, best)


def _selected(mask: Mask | None) -> dict[str, Any]:
    faiss = _faiss()
    return {} if mask is None else {"sel": faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))}


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """Let FAISS use so many threads, counted for the calling thread alone."""
    faiss = _faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _faiss() -> Any:
    """Return FAISS, which is imported when it is first needed; its classes take keywords that its stubs do not know."""
    import faiss

    return faiss
