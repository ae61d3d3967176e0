"""The nearest neighbours of every row: one graph per descriptor, shared by all that needs neighbours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.core.vectors.blocks import read_blocks, release, row_blocks

__all__ = [
    "EXACT_ROWS",
    "FEWEST_NEIGHBORS",
    "MOST_NEIGHBORS",
    "MOST_ROWS",
    "NeighborGraph",
    "neighbor_graph",
    "pair_distances",
    "search_neighbors",
]

EXACT_ROWS = 50_000
"""Up to so many usable rows every pair is compared; beyond, an inverted file is searched."""

MOST_ROWS = 1_000_000
"""So many usable rows a graph takes: the inverted file is quadratic where neighbours scatter, with a small constant."""

FEWEST_NEIGHBORS = 32  # a search for fewer costs as much: one graph serves them all
MOST_NEIGHBORS = 2**28  # of all rows together: 2 GiB
_SPARE = 8  # candidates beyond those wanted: float32 distances of the search may swap near neighbours
_RECALL = 0.98  # which the number of lists that a query visits is raised to reach
_RECALL_ROWS = 1_000
_MOST_LISTS = 128
_REMEMBERED_GRAPHS = 4
_REMEMBERED_BYTES = 2**30
_SEED = 0

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class NeighborGraph:
    """The nearest other rows of every row.

    Parameters
    ----------
    indices : array of shape (n_valid, n_neighbors), int32
        Places of the neighbours among the usable rows, nearest first, those equally near by their place.
    distances : array of shape (n_valid, n_neighbors), float32
        Euclidean distances to them, worked out in float64 from differences and rounded.
    approximation : str, optional
        How the neighbours were found, where not by comparing all pairs.
    recall : float, default=1.0
        The part of the true neighbours that was found, measured on a random sample of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, neighbor_graph
    >>> graph = neighbor_graph(Descriptor("line", np.array([[0.0], [1.0], [3.0], [7.0]])), n_neighbors=3)
    >>> graph, graph.take(1).indices.ravel().tolist()
    (NeighborGraph(4 rows x 3 neighbours, recall 1.000), [1, 0, 1, 2])
    """

    indices: NDArray[np.int32]
    distances: Floats
    _: KW_ONLY
    approximation: str | None = None
    recall: float = 1.0

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"NeighborGraph({len(self)} rows x {self.n_neighbors} neighbours, recall {self.recall:.3f})"

    @property
    def n_neighbors(self) -> int:
        """Number of neighbours of each row."""
        return int(self.indices.shape[1])

    def take(self, n_neighbors: int) -> NeighborGraph:
        """Return the graph of the first `n_neighbors` neighbours, a view."""
        check_int("n_neighbors", n_neighbors, low=1, high=self.n_neighbors + 1)
        return NeighborGraph(
            self.indices[:, :n_neighbors],
            self.distances[:, :n_neighbors],
            approximation=self.approximation,
            recall=self.recall,
        )


def neighbor_graph(
    descriptor: Descriptor, *, n_neighbors: int = FEWEST_NEIGHBORS, progress: bool | None = None
) -> NeighborGraph:
    """Return the nearest other rows of every usable row, by FAISS [1]_.

    Parameters
    ----------
    descriptor : Descriptor
        The space to search; rows without a usable vector are left out.
    n_neighbors : int, default=32
        How many, in [1, n_valid).
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal or a notebook.

    Returns
    -------
    NeighborGraph
        Read-only. Remembered by the content of the descriptor, so asking again costs nothing.

    Raises
    ------
    TypeError, ValueError
        If `n_neighbors` is not an int below the number of usable rows, or there are more than 1,000,000 of these.

    Notes
    -----
    Exact up to 50,000 rows, O(n² d). Beyond, up to the limit, the rows are split into lists by k-means, and a query
    visits the lists nearest to it: as many as it takes to find 98 % of the true neighbours of a random sample of rows,
    at most 128; the graph says how many and what recall that gave. O(n^1.5 d) where as many lists do however many rows
    there are, up to O(n² d) times a few hundredths where neighbours scatter over lists, as in many dimensions without
    groups.

    FAISS holds a float32 copy of the rows: search a PCA space rather than thousands of features.

    References
    ----------
    .. [1] Douze, M. et al. (2024). The Faiss library. doi:10.48550/arXiv.2401.08281

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, neighbor_graph
    >>> graph = neighbor_graph(Descriptor("line", np.array([[0.0], [1.0], [3.0], [7.0]])), n_neighbors=2)
    >>> graph.indices.tolist(), graph.distances[0].tolist()
    ([[1, 2], [0, 2], [1, 0], [2, 1]], [1.0, 3.0])
    """
    n_valid = descriptor.n_valid
    if n_valid > MOST_ROWS:
        raise ValueError(
            f"A neighbour graph takes at most {MOST_ROWS:,} usable rows, and {descriptor.name!r} has {n_valid:,}. "
            f"Cluster a sample, `Descriptor.take`, and place the other rows with `PartitionModel`."
        )
    wanted = check_int("n_neighbors", n_neighbors, low=1, high=n_valid, high_name="n_images")
    # Searched widths are few and each is searched on its own: a graph never depends on what was asked before.
    width = min(max(FEWEST_NEIGHBORS, 1 << (wanted - 1).bit_length()), n_valid - 1)
    return _REMEMBERED.get(descriptor, width, progress=progress).take(wanted)


def search_neighbors(
    vectors: Floats,
    n_neighbors: int,
    *,
    exact: bool,
    valid: NDArray[np.bool_] | None = None,
    progress: bool | None = None,
) -> NeighborGraph:
    """Return the neighbour graph of the valid rows, found by comparing all pairs or through an inverted file."""
    rows = _Rows(vectors, None if valid is None or valid.all() else np.flatnonzero(valid))
    mean = _mean(rows)
    if exact:
        index, order, recall, approximation = _flat(rows, mean), None, 1.0, None
    else:
        index, order = _inverted_file(rows, mean)
        recall = _raise_recall(index, rows, mean, n_neighbors)
        approximation = (
            f"neighbours by an inverted file of {index.nlist:,} lists, {index.nprobe} visited, recall {recall:.3f}"
        )
    indices = np.empty((len(rows), n_neighbors), dtype=np.int32)
    distances = np.empty((len(rows), n_neighbors), dtype=np.float32)
    blocks = list(row_blocks(len(rows), 4 * rows.n_features * (n_neighbors + _SPARE)))
    for block in track(blocks, description=f"Neighbours of {len(rows):,} rows", show=progress):
        places = np.arange(block.start, block.stop) if order is None else order[block]
        indices[places], distances[places] = _nearest(index, rows, mean, places, n_neighbors)
    indices.setflags(write=False)
    distances.setflags(write=False)
    return NeighborGraph(indices, distances, approximation=approximation, recall=recall)


def pair_distances(
    vectors: Floats, rows: NDArray[Any], others: NDArray[Any], *, dtype: Any = np.float32
) -> NDArray[Any]:
    """Return the Euclidean distance of each row to each of its others, shape (n, k), in float64 and then rounded.

    The same pair has the same distance in either direction and whatever else is asked, and equal rows have 0.
    """
    distances = np.empty(others.shape, dtype=dtype)
    step = max(1, 2**18 // (others.shape[1] * vectors.shape[1]))  # what stays in a processor's cache
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        difference = vectors[others[block]].astype(np.float64)
        difference -= vectors[rows[block], None]
        distances[block] = np.sqrt(np.einsum("ijk,ijk->ij", difference, difference))
    return distances


@dataclass(frozen=True)
class _Rows:
    """The usable rows of a matrix that is never copied whole."""

    vectors: Floats
    chosen: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.vectors) if self.chosen is None else len(self.chosen)

    @property
    def n_features(self) -> int:
        return int(self.vectors.shape[1])

    def places(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return where usable rows lie in the matrix."""
        return rows if self.chosen is None else self.chosen[rows]

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        valid = None
        if self.chosen is not None:
            valid = np.zeros(len(self.vectors), dtype=bool)
            valid[self.chosen] = True
        return read_blocks(self.vectors, valid=valid)


def _mean(rows: _Rows) -> NDArray[np.float64]:
    return np.sum([block.sum(axis=0, dtype=np.float64) for _, block in rows.blocks()], axis=0) / len(rows)


def _centred(vectors: Floats, mean: NDArray[np.float64]) -> Floats:
    """Return rows less the mean: FAISS multiplies rows, and what they have in common would eat float32's digits."""
    return (vectors - mean).astype(np.float32)


def _flat(rows: _Rows, mean: NDArray[np.float64]) -> Any:
    """Return an index that compares a query with all rows."""
    from faiss import IndexFlatL2

    index = IndexFlatL2(rows.n_features)
    for _, block in rows.blocks():
        index.add(_centred(block, mean))
    return index


def _inverted_file(rows: _Rows, mean: NDArray[np.float64]) -> tuple[Any, NDArray[np.int64]]:
    """Return an index of lists of rows near to each other, and the rows list by list."""
    import faiss

    n_lists = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // 40))
    index: Any = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.n_features), rows.n_features, n_lists)
    index.cp.seed, index.cp.niter, index.cp.min_points_per_centroid = _SEED + 1, 8, 1
    sample = _sample(rows, 40 * n_lists)
    index.train(_centred(rows.vectors[rows.places(sample)], mean))
    release(rows.vectors)
    for _, block in rows.blocks():
        index.add(_centred(block, mean))
    lists = index.invlists
    members = [faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy() for i in range(n_lists)]
    return index, np.concatenate(members)


def _sample(rows: _Rows, n_rows: int) -> NDArray[np.int64]:
    chosen = np.random.default_rng(_SEED).choice(len(rows), size=min(n_rows, len(rows)), replace=False)
    return np.sort(chosen)


def _raise_recall(index: Any, rows: _Rows, mean: NDArray[np.float64], n_neighbors: int) -> float:
    """Let queries visit more lists until they find enough of the true neighbours; return the part found."""
    queries = _centred(rows.vectors[rows.places(_sample(rows, _RECALL_ROWS))], mean)
    n_nearest = n_neighbors + 1  # a row finds itself first
    radius = _radii(queries, rows, mean, n_nearest)[:, None] * (1 + 1e-5)
    index.nprobe = min(4, index.nlist)
    while True:
        found, _ = index.search(queries, n_nearest)
        recall = float((found[:, 1:] <= radius).mean())
        if recall >= _RECALL or index.nprobe >= min(_MOST_LISTS, index.nlist):
            return recall
        index.nprobe = min(index.nprobe * 5 // 4 + 1, index.nlist, _MOST_LISTS)


def _radii(queries: Floats, rows: _Rows, mean: NDArray[np.float64], n_nearest: int) -> Floats:
    """Return the squared distance of each query to its n-th nearest row, all rows compared."""
    import faiss

    nearest = np.full((len(queries), n_nearest), np.inf, dtype=np.float32)
    for _, block in rows.blocks():
        found, _ = faiss.knn(queries, _centred(block, mean), min(n_nearest, len(block)))
        nearest = np.sort(np.hstack([nearest, found]), axis=1)[:, :n_nearest]
    return nearest[:, -1]


def _nearest(
    index: Any, rows: _Rows, mean: NDArray[np.float64], places: NDArray[np.int64], n_neighbors: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return the nearest other rows of the rows at `places`, by distance and then by place."""
    queries = _centred(rows.vectors[rows.places(places)], mean)
    n_candidates = min(n_neighbors + 1 + _SPARE, len(rows))
    _, found = index.search(queries, n_candidates)
    short = (found[:, : n_neighbors + 1] < 0).any(axis=1)  # the lists visited held too few
    if short.any():
        from faiss import SearchParametersIVF

        everywhere = SearchParametersIVF()
        everywhere.nprobe = index.nlist
        found[short] = index.search(queries[short], n_candidates, params=everywhere)[1]
    distances = pair_distances(rows.vectors, rows.places(places), rows.places(found))
    release(rows.vectors)
    distances[(found < 0) | (found == places[:, None])] = np.inf
    order = np.lexsort((found, distances), axis=1)[:, :n_neighbors]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)


class _Remembered:
    """The graphs made last, by the content of their descriptors."""

    def __init__(self) -> None:
        self._graphs: OrderedDict[tuple[str, int, bool], NeighborGraph] = OrderedDict()
        self._lock = Lock()  # a second thread waits for the graph instead of making it again

    def get(self, descriptor: Descriptor, width: int, *, progress: bool | None) -> NeighborGraph:
        exact = descriptor.n_valid <= EXACT_ROWS
        key = (descriptor.fingerprint, width, exact)
        with self._lock:
            if key not in self._graphs:
                self._graphs[key] = search_neighbors(
                    descriptor.vectors, width, exact=exact, valid=descriptor.valid, progress=progress
                )
            self._graphs.move_to_end(key)
            while len(self._graphs) > 1 and (
                len(self._graphs) > _REMEMBERED_GRAPHS or self._n_bytes > _REMEMBERED_BYTES
            ):
                self._graphs.popitem(last=False)
            return self._graphs[key]

    @property
    def _n_bytes(self) -> int:
        return sum(graph.indices.nbytes + graph.distances.nbytes for graph in self._graphs.values())


_REMEMBERED = _Remembered()
