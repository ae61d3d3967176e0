"""The minimum spanning tree of mutual reachability, from a graph of neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.hierarchy.joins import nearest_parts
from veriwild_clustering.clustering.solvers.hierarchy.prim import prim
from veriwild_clustering.clustering.solvers.threads import as_done, threads
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.vectors.neighbors import NeighborGraph, pair_distances

__all__ = ["SpanningTree", "single_linkage", "spanning_tree"]

_ROWS, _COLUMNS = 256, 1024  # a tile of distances that stays in a processor's cache
_MOST_SHORTCUTS = 2_048  # kept of a tile in one pass, the shortest
_CROWD = 32  # rows that a part of a forest holds at least to be looked at from outside
_MOST_TIED = 32  # neighbours of a row among which equally heavy edges are looked for
_NOISE = 1e-3  # of the squared median height that float32 products may blur

Floats = NDArray[np.float64]
Edges = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SpanningTree:
    """A tree over all rows, its edges in ascending order of weight.

    Parameters
    ----------
    edges : array of shape (n - 1, 2), int64
        The rows that each edge joins.
    weights : array of shape (n - 1,), float64
        Mutual reachability: the greatest of the distance and both core distances.
    core_distances : array of shape (n,), float64
        Distance of each row to its `min_samples`-th other row.
    approximation : str, optional
        What may keep the tree from being minimal.
    """

    edges: Edges
    weights: Floats
    core_distances: Floats
    approximation: str | None = None


def spanning_tree(
    vectors: NDArray[np.float32],
    graph: NeighborGraph,
    *,
    min_samples: int,
    exact: bool | None = None,
    progress: bool | None = None,
) -> SpanningTree:
    """Return the minimum spanning tree of mutual reachability [1]_.

    Parameters
    ----------
    vectors : array of shape (n, n_features), float32
        The rows.
    graph : NeighborGraph
        Their neighbours, at least `min_samples` of each.
    min_samples : int
        Which other row a core distance reaches; with 0 all core distances are 0.
    exact : bool, optional
        Whether to check the tree against all pairs; by default where the graph is exact.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    SpanningTree
        Minimal up to float32 rounding of the weights if exact, and of equally heavy edges those that hdbscan takes.

    Notes
    -----
    The forest of the neighbour lists is taken apart where it joins crowds of 32 rows or more, and put together again by
    the shortest edges that can be found between its parts, O(n k log n) and a search from some rows of each part. Where
    the tree must be exact, all pairs are then compared with the heaviest edge on the path between them, which in the
    order of the dendrogram's leaves is a running maximum: by the cycle property only pairs below it can belong to the
    tree. O(n² d), in tiles.

    References
    ----------
    .. [1] Campello, R. J. G. B., Moulavi, D., Sander, J. (2013). doi:10.1007/978-3-642-37456-2_14
    """
    core = graph.distances[:, min_samples - 1].astype(np.float64) if min_samples else np.zeros(len(vectors))
    edges, weights, n_parts = _bridged(vectors, core, *_forest_of_lists(graph, core))
    if graph.approximation is None if exact is None else exact:
        edges = _checked(vectors, core, edges, weights, progress=progress)
        edges, weights, core = _settled(vectors, graph, edges, min_samples=min_samples)
        return SpanningTree(edges, weights, core, graph.approximation)
    said = f"spanning tree of {graph.n_neighbors} neighbours a row, {n_parts:,} parts joined by near pairs"
    return SpanningTree(edges, weights, core, "; ".join(filter(None, [graph.approximation, said])))


def _reachability(vectors: NDArray[np.float32], core: Floats, edges: Edges) -> Floats:
    distances = pair_distances(vectors, edges[:, 0], edges[:, 1:])[:, 0].astype(np.float64)
    return np.maximum(distances, core[edges].max(axis=1))


def _forest_of_lists(graph: NeighborGraph, core: Floats) -> tuple[Edges, Floats]:
    """Return the minimum spanning forest of the pairs in the lists of neighbours."""
    from scipy.sparse import csr_matrix

    n_rows, n_neighbors = graph.indices.shape
    weights = np.maximum(graph.distances.astype(np.float64), core[:, None])
    np.maximum(weights, core[graph.indices], out=weights)
    starts = np.arange(n_rows + 1) * n_neighbors
    pairs = csr_matrix((_positive(weights.ravel()), graph.indices.ravel(), starts), shape=(n_rows, n_rows))
    return _spanning_forest(pairs)


def _forest(edges: Edges, weights: Floats, n_rows: int) -> tuple[Edges, Floats]:
    """Return the minimum spanning forest of some edges; of equal ones, those that come first."""
    from scipy.sparse import coo_matrix

    low, high = edges.min(axis=1), edges.max(axis=1)
    _, first = np.unique(low * n_rows + high, return_index=True)  # the same pair twice would be added up
    pairs = coo_matrix((_positive(weights[first]), (low[first], high[first])), shape=(n_rows, n_rows))
    return _spanning_forest(pairs.tocsr())


def _positive(weights: Floats) -> Floats:
    """Return weights in which 0, which a sparse graph does not hold, is the least positive number."""
    return np.maximum(weights, np.finfo(np.float64).tiny)


def _spanning_forest(pairs: Any) -> tuple[Edges, Floats]:
    from scipy.sparse.csgraph import minimum_spanning_tree

    forest = minimum_spanning_tree(pairs).tocoo()
    order = np.lexsort((forest.col, forest.row, forest.data))
    edges = np.column_stack([forest.row, forest.col]).astype(np.int64)[order]
    return edges, np.where(forest.data > np.finfo(np.float64).tiny, forest.data, 0.0)[order]


def _bridged(vectors: NDArray[np.float32], core: Floats, edges: Edges, weights: Floats) -> tuple[Edges, Floats, int]:
    """Return a tree from the forest of the lists, and of how many parts it was put together.

    The lists of rows inside a crowd hold no row of the next one, so that lists join crowds late, through rows far from
    both. The forest is taken apart where it joins crowds; Borůvka's rounds look for shorter edges between its parts.
    """
    n_rows = len(vectors)
    merges = _merges(edges, n_rows)
    size = np.concatenate([np.ones(n_rows), merges[:, 2]])
    kept = edges[size[merges[:, :2]].min(axis=1) < _CROWD]
    kept_weights = _reachability(vectors, core, kept)
    n_parts = n_rows - len(kept)
    while len(kept) < n_rows - 1:
        found = nearest_parts(vectors, core, _parts(kept, n_rows))
        lengths = _reachability(vectors, core, found)
        edges, weights = _joined(edges, weights, found, lengths)
        kept, kept_weights = _forest(*_joined(kept, kept_weights, found, lengths), n_rows)
    return *_forest(edges, weights, n_rows), n_parts


def _joined(edges: Edges, weights: Floats, found: Edges, lengths: Floats) -> tuple[Edges, Floats]:
    return np.concatenate([edges, found]), np.concatenate([weights, lengths])


def _parts(edges: Edges, n_rows: int) -> NDArray[np.int32]:
    """Return the number of the part of the forest in which each row lies."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(edges), dtype=bool), edges.T), shape=(n_rows, n_rows))
    return np.asarray(connected_components(links, directed=False)[1])


def _checked(
    vectors: NDArray[np.float32], core: Floats, edges: Edges, weights: Floats, *, progress: bool | None
) -> Edges:
    """Return the minimum spanning tree: pass over all pairs until no shorter way had to be left out."""
    complete = False
    while not complete:
        order, heights = _leaves(edges, weights)
        found, complete = _shortcuts(vectors[order], core[order], heights, progress=progress)
        found = order[found]
        edges, weights = _forest(*_joined(edges, weights, found, _reachability(vectors, core, found)), len(vectors))
    return edges


def _settled(
    vectors: NDArray[np.float32], graph: NeighborGraph, edges: Edges, *, min_samples: int
) -> tuple[Edges, Floats, Floats]:
    """Return edges, weights and core distances in float64, of equally heavy edges those that hdbscan takes.

    Many weigh the same: all that are as long as one core distance. They lie in the lists of neighbours, and which of
    them are taken, and in which order, says where a row in between belongs.
    """
    n_rows, n_tied = len(vectors), min(max(1, min_samples), _MOST_TIED)
    rows = np.arange(n_rows)
    core = np.zeros(n_rows)
    if min_samples:
        core = pair_distances(vectors, rows, graph.indices[:, [min_samples - 1]], dtype=np.float64)[:, 0]
    tied = np.column_stack([np.repeat(rows, n_tied), graph.indices[:, :n_tied].ravel()])
    edges = np.concatenate([edges, tied])
    lengths = pair_distances(vectors, edges[:, 0], edges[:, 1:], dtype=np.float64)[:, 0]
    weights = np.maximum(lengths, core[edges].max(axis=1))
    taken = prim(edges, weights, n_rows)
    taken = taken[np.argsort(weights[taken])]
    return edges[taken], weights[taken], core


def single_linkage(edges: Edges, weights: Floats) -> Floats:
    """Return the dendrogram of a spanning tree whose edges ascend, laid out as in `scipy.cluster.hierarchy`."""
    merges = _merges(edges, len(edges) + 1).astype(np.float64)
    return np.column_stack([merges[:, :2], weights, merges[:, 2]])


def _merges(edges: Edges, n_rows: int) -> Edges:
    """Return what each edge of a forest merges, taken in order: two rows or earlier merges, and the rows in all."""
    above, node, size = list(range(n_rows)), list(range(n_rows)), [1] * n_rows
    merges = []
    for edge in edges.tolist():
        left, right = (_top(above, row) for row in edge)
        merges.append((node[left], node[right], size[left] + size[right]))
        high, low = (left, right) if size[left] >= size[right] else (right, left)
        above[low], node[high] = high, n_rows + len(merges) - 1
        size[high] += size[low]
    return np.array(merges, dtype=np.int64).reshape(-1, 3)


def _top(above: list[int], row: int) -> int:
    """Return the row that stands for the set of `row`, and shorten the way to it."""
    while above[row] != row:
        above[row] = above[above[row]]
        row = above[row]
    return row


def _leaves(edges: Edges, weights: Floats) -> tuple[Edges, Floats]:
    """Return the rows in an order of the dendrogram's leaves, and the height at which each joins the next one."""
    n_rows = len(edges) + 1
    dendrogram = single_linkage(edges, weights)
    left, right = dendrogram[:, :2].T.astype(np.int64)
    size = np.concatenate([np.ones(n_rows), dendrogram[:, 3]]).astype(np.int64)
    start, left_size = np.zeros(2 * n_rows - 1, dtype=np.int64), size[left]
    for node in range(n_rows - 2, -1, -1):  # a node comes after those below it
        start[left[node]] = start[n_rows + node]
        start[right[node]] = start[n_rows + node] + left_size[node]
    heights = np.empty(n_rows - 1)
    heights[start[n_rows:] + left_size - 1] = weights
    return np.argsort(start[:n_rows]), heights


def _shortcuts(
    vectors: NDArray[np.float32], core: Floats, heights: Floats, *, progress: bool | None
) -> tuple[Edges, bool]:
    """Return the pairs that are shorter than the heaviest edge on their path, and whether these are all of them.

    Rows come in the order of the dendrogram's leaves: the heaviest edge between two is the greatest height between.
    """
    tiles = _Tiles(vectors, core.astype(np.float32), heights.astype(np.float32))
    starts = range(0, len(vectors), _ROWS)
    with threads():
        description = f"Spanning tree of {len(vectors):,} rows"
        done = as_done(tiles.shortcuts, starts)
        found = list(track(done, description=description, total=len(starts), show=progress))
    return np.concatenate([pairs for pairs, _ in found]), all(complete for _, complete in found)


class _Tiles:
    """Squared distances of rows, tile by tile, against the squared height up to which their path climbs."""

    def __init__(self, vectors: NDArray[np.float32], core: NDArray[np.float32], heights: NDArray[np.float32]) -> None:
        self._vectors, self._core, self._heights = vectors, core, heights
        centred = vectors - vectors.mean(axis=0, dtype=np.float64)
        norms = np.einsum("ij,ij->i", centred, centred)
        for dtype in (np.float32, np.float64):  # the coarser unless its noise is like the distances themselves
            self._noise = dtype(8 * np.finfo(dtype).eps * norms.max())
            if self._noise < _NOISE * np.median(heights).astype(np.float64) ** 2:
                break
        columns = [centred, np.ones(len(vectors)), norms]
        self._right = np.column_stack(columns).astype(dtype)  # one product with the left gives squared distances

    def shortcuts(self, start: int) -> tuple[Edges, bool]:
        """Return the shortcuts from a block of rows to later ones, and whether these are all of them."""
        stop = min(start + _ROWS, len(self._vectors))
        block = self._right[start:stop]
        left = np.column_stack([-2 * block[:, :-2], block[:, -1], block[:, -2]])
        found, complete = [np.empty((0, 2), dtype=np.int64)], True
        for first, limits in self._limits(start, stop):
            columns = slice(first, first + limits.shape[1])
            squares = left @ self._right[columns].T
            row, column = np.nonzero(squares < limits * limits + self._noise)
            limit = limits[row, column]
            short = np.maximum(self._core[start + row], self._core[first + column]) < limit
            row, column, limit = start + row[short], first + column[short], limit[short]
            lengths = pair_distances(self._vectors, row, column[:, None])[:, 0]
            kept = np.flatnonzero(lengths < limit)
            if len(kept) > _MOST_SHORTCUTS:
                complete = False
                kept = kept[np.argpartition(lengths[kept], _MOST_SHORTCUTS)[:_MOST_SHORTCUTS]]
            if len(kept):
                found.append(np.column_stack([row[kept], column[kept]]))
        return np.concatenate(found), complete

    def _limits(self, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield tiles of the greatest height between the rows in [start, stop) and later ones, by their first column.

        It is 0, below which there is nothing, for a row with itself or an earlier one.
        """
        n_rows = stop - start
        inner = np.zeros((n_rows, n_rows), dtype=np.float32)
        inner[:, 1:] = self._heights[start : stop - 1]
        inner = np.maximum.accumulate(np.triu(inner, k=1), axis=1)
        to_last = inner[:, -1:]
        yield start, inner
        onward = np.maximum.accumulate(self._heights[stop - 1 :])
        for first in range(0, len(onward), _COLUMNS):
            yield stop + first, np.maximum(to_last, onward[first : first + _COLUMNS])
