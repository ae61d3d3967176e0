"""An index over a search space: the nearest rows to vectors, kept in a file that is mapped into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.search.indexing.building import RECALL_AT, default_factory, fill, grown, raise_recall
from veriwild_clustering.search.indexing.candidates import Candidates
from veriwild_clustering.search.indexing.files import (
    described,
    read_candidates,
    read_record,
    recorded_space,
    saving,
    write_record,
    write_vectors,
)
from veriwild_clustering.search.indexing.nearest import Contents, Neighbors
from veriwild_clustering.search.space import Metric, SearchSpace, checked_rows

__all__ = ["Neighbors", "SearchIndex"]

_FILE_KEYS = ("file", "bytes", "sha256", "sampled_sha256")


class SearchIndex:
    """Finds the rows of a dataset that are nearest to vectors; made by `build` or `open`.

    FAISS [1]_ gives candidates and the dataset's own vectors decide among them, so scores are exact. Searches may run
    in many threads at once, and while rows are added or removed: those see the index before or after.

    Parameters
    ----------
    space : SearchSpace
        What is searched.
    candidates : Candidates
        FAISS's index of the usable rows of the space, in their order.
    factory : str
        The string of FAISS's `index_factory` that made it.
    n_threads : int, optional
        By default as many as there are cores.

    References
    ----------
    .. [1] M. Douze et al., "The Faiss library", IEEE Transactions on Big Data, 2025. doi:10.1109/TBDATA.2025.3618474

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.index import SearchIndex
    >>> osnet = Descriptor("osnet", [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"]}), {"osnet": osnet})
    >>> index = SearchIndex.build(dataset, "osnet")
    >>> rows, scores = index.nearest(index.space.rows([0]), 2, exclude=[[0]])
    >>> rows.tolist(), scores.round(2).tolist()
    ([[1, 2]], [[0.800000011920929, 0.0]])
    """

    def __init__(
        self, space: SearchSpace, candidates: Candidates, factory: str, *, n_threads: int | None = None
    ) -> None:
        from joblib import cpu_count

        self.factory, self.recall = factory, 1.0
        self.n_threads = cpu_count() if n_threads is None else check_int("n_threads", n_threads, low=1)
        self._contents = Contents(space, candidates, np.zeros(len(space), dtype=bool))
        self._path: Path | None = None
        self._file: dict[str, Any] | None = None  # what the record says of FAISS's file, None if it must be written
        self._entries: list[dict[str, Any]] | None = None  # and of the descriptors, None if it must be worked out
        self._changes = Lock()

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        descriptors: str | Mapping[str, float],
        path: str | Path | None = None,
        *,
        metric: Metric = "cosine",
        factory: str | None = None,
        n_threads: int | None = None,
        progress: bool | None = None,
    ) -> SearchIndex:
        """Build an index of every row that has a usable vector.

        Parameters
        ----------
        dataset : Dataset
            What is searched.
        descriptors : str or mapping of str to float
            The name of one descriptor, or the names of several with their weights.
        path : path, optional
            Where to save it: a .json, beside which FAISS's file is written.
        metric : {"cosine", "euclidean"}, default="cosine"
            What nearness means.
        factory : str, optional
            A string of FAISS's `index_factory`: flat, HNSW or IVF. By default "Flat", which compares all rows, up to
            33,554,432 numbers (65,536 rows of 512); beyond, a graph, "HNSW48,SQfp16" (cosine) or "HNSW48,Flat", of the
            directions with nine tenths of the variance if those are few: "PCA128,L2norm,HNSW48,SQfp16".
        n_threads : int, optional
            By default as many as there are cores.
        progress : bool, optional
            Whether to show a progress bar; by default in a terminal or a notebook.

        Returns
        -------
        SearchIndex
            The index, with `recall` measured on a sample of rows where it does not compare all.

        Raises
        ------
        ValueError
            If a descriptor is unknown, or weights, metric or factory are not possible.
        DatasetError
            If no row has a usable vector, or the files cannot be written.

        Notes
        -----
        Flat O(n d), a graph O(n log n · d). In several threads the graph depends on which row comes first, so builds
        may differ in some of the last neighbours. A number takes 4 bytes, in half floats 2, the graph 400 a row.
        """
        space = SearchSpace.of(dataset, descriptors, metric=metric)
        if not space.valid.any():
            raise DatasetError(
                f"No image has a usable vector of {' and '.join(space.names)}, so there is nothing to search. "
                f"`dataset` has {len(dataset):,} images."
            )
        factory = default_factory(space) if factory is None else factory
        candidates = Candidates.empty(factory, space.dim, is_cosine=metric == "cosine")
        index = cls(space, candidates, factory, n_threads=n_threads)
        fill(candidates, space, n_threads=index.n_threads, progress=progress)
        index._contents, index.recall = raise_recall(index._contents, n_threads=index.n_threads)
        if path is not None:
            index.save(path)
        return index

    @classmethod
    def open(
        cls, path: str | Path, dataset: Dataset, *, verify: bool = False, n_threads: int | None = None
    ) -> SearchIndex:
        """Open a saved index of this dataset, memory-mapped.

        Parameters
        ----------
        path : path
            The .json.
        dataset : Dataset
            The dataset from which it was built.
        verify : bool, default=False
            Whether to compare the checksum of the whole file: O(n d). Otherwise its size and 64 blocks of it are.
        n_threads : int, optional
            By default as many as there are cores.

        Returns
        -------
        SearchIndex
            The index.

        Raises
        ------
        DatasetError
            If it was built from other vectors, or a file is missing, truncated, changed or of a newer format.

        Notes
        -----
        O(n) where the manifest of the dataset has checksums of its vectors; else those are read to compare them.
        """
        file = Path(path)
        record = read_record(file)
        space = recorded_space(file, record, dataset)
        candidates = read_candidates(file, record, space, verify=verify)
        index = cls(space, candidates, record["factory"], n_threads=n_threads)
        index._contents.removed[record["removed"]] = True
        index.recall, index._path = record["recall"], file
        index._file, index._entries = {key: record[key] for key in _FILE_KEYS}, record["descriptors"]
        return index

    def save(self, path: str | Path | None = None) -> None:
        """Write the index; a run killed meanwhile leaves the one that was there before, or the new one.

        Parameters
        ----------
        path : path, optional
            The .json; by default where it was opened or saved last. FAISS's file goes beside it, and is written only
            if it changed: that of an index from which rows were removed did not. Of several runs that change the
            same index, the last to save wins.

        Raises
        ------
        ValueError
            If there is no path, or it is no .json.
        DatasetError
            If the files cannot be written, or another run is writing them.
        """
        with self._changes:
            target = self._path if path is None else Path(path)
            if target is None or target.suffix != ".json":
                raise ValueError(f"`path` must be the .json of an index, to save it. Got {path!r} instead.")
            self._entries = self._entries or described(self.space)
            with saving(target):
                contents, file = self._contents, self._file
                if file is None or not self._is_at(target) or not target.with_name(file["file"]).is_file():
                    file = write_vectors(target, contents.candidates.write)
                    # What was written is mapped, which lets go of the copy in memory.
                    mapped = Candidates.read(target.with_name(file["file"])).index
                    contents = replace(contents, candidates=replace(contents.candidates, index=mapped))
                about = {"factory": self.factory, "recall": self.recall, "descriptors": self._entries}
                write_record(target, about | contents.facts | file)
            self._contents, self._path, self._file = contents, target, file

    def __len__(self) -> int:
        """Return the number of rows that can be found."""
        return int(np.count_nonzero(self.findable))

    @property
    def findable(self) -> NDArray[np.bool_]:
        """Which rows can be found, shape (n_images,)."""
        return self._contents.findable

    def __repr__(self) -> str:
        return f"SearchIndex({self.space!r}, {self.factory}, {len(self):,} of {len(self.space):,} rows)"

    @property
    def space(self) -> SearchSpace:
        """What is searched: it makes vectors of the space out of vectors of the descriptors."""
        return self._contents.space

    @property
    def approximation(self) -> str | None:
        """How rows are found, in a sentence, where not by comparing all."""
        if not self._contents.candidates.effort:
            return None
        return f"{self.factory} (FAISS), recall@{RECALL_AT} {self.recall:.3f} on a sample of rows"

    def nearest(
        self,
        queries: ArrayLike,
        n_results: int = 20,
        *,
        allowed: ArrayLike | None = None,
        exclude: Sequence[ArrayLike] | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Return the nearest rows to vectors.

        Parameters
        ----------
        queries : array of shape (n_queries, dim)
            Vectors of the space, as `space.encode` and `space.rows` make them; one alone may have shape (dim,).
        n_results : int, default=20
            How many rows per query.
        allowed : array of shape (n_images,), bool, optional
            The rows that may be found.
        exclude : sequence of n_queries arrays of int, optional
            The rows that each query may not find, such as itself.
        exact : bool, default=False
            Whether to compare all rows where the index would search a graph or some lists. Then, and with a flat
            index, no row is missed: candidates are taken until no other can be nearer, rounding considered.

        Returns
        -------
        Neighbors
            Rows and scores, shape (n_queries, n_results).

        Raises
        ------
        ValueError
            If a parameter has another shape, or queries are not finite.

        Notes
        -----
        O(n d) per query if all are compared, about O(log n · d) through a graph. Where `allowed` admits less than
        nine tenths of the rows, all of those are compared, so a filter loses nothing.
        """
        return self._contents.nearest(
            queries, n_results, allowed=allowed, exclude=exclude, exact=exact, n_threads=self.n_threads
        )

    def remove(self, rows: ArrayLike) -> None:
        """Let rows be found no longer; nothing is rebuilt, O(n).

        Parameters
        ----------
        rows : array of int
            Rows of the dataset.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        self._mark(rows, removed=True)

    def add(self, rows: ArrayLike) -> None:
        """Let rows that were removed be found again, O(n); rows of a dataset that has grown come in by `extend`.

        Parameters
        ----------
        rows : array of int
            Rows of the dataset.

        Raises
        ------
        ValueError
            If there is no such row, or it has no usable vector.
        """
        added = checked_rows(rows, len(self.space))
        if not (usable := self.space.valid[added]).all():
            raise ValueError(f"Row {added[~usable][0]} has no usable vector of {' and '.join(self.space.names)}.")
        self._mark(added, removed=False)

    def extend(self, dataset: Dataset) -> None:
        """Take in the new rows of a dataset that has grown; `save` then belongs to that dataset.

        Parameters
        ----------
        dataset : Dataset
            Its first rows are those that the index has, in the same order.

        Raises
        ------
        DatasetError
            If its first rows are others.

        Notes
        -----
        O(n d) to compare the rows that are there, then as `build` for the new ones; memory is that of two indices.
        """
        with self._changes:
            self._contents = grown(self._contents, dataset, n_threads=self.n_threads)
            self._file, self._entries = None, None

    def _is_at(self, path: Path) -> bool:
        return self._path is not None and self._path.resolve() == path.resolve()

    def _mark(self, rows: ArrayLike, *, removed: bool) -> None:
        with self._changes:
            marked = self._contents.removed.copy()
            marked[checked_rows(rows, len(marked))] = removed
            self._contents = replace(self._contents, removed=marked)
