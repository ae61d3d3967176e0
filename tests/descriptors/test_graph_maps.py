"""UMAP on the shared neighbour graph: as good a map, new rows placed, the user's parameters left alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from veriwild_clustering import Descriptor, transform
from veriwild_clustering.core.vectors import neighbors
from veriwild_clustering.descriptors import graph_maps

pytestmark = pytest.mark.filterwarnings(
    "ignore:n_jobs value:UserWarning", "ignore:Tensorflow not installed:ImportWarning"
)


@pytest.fixture
def few_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_maps, "_FEWEST_ROWS", 100)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of neighbours that graphs were asked for."""
    numbers: list[int] = []

    def counted(descriptor: Descriptor, *, n_neighbors: int) -> neighbors.NeighborGraph:
        numbers.append(n_neighbors)
        return neighbors.neighbor_graph(descriptor, n_neighbors=n_neighbors)

    monkeypatch.setattr(graph_maps, "neighbor_graph", counted)
    return numbers


def _umap(**params):
    from umap import UMAP

    return UMAP(**({"n_neighbors": 8, "n_epochs": 60, "init": "pca", "random_state": 0} | params))


@pytest.mark.usefixtures("few_rows_are_many")
def test_the_map_is_as_good_as_without_the_graph(toy_space: Descriptor, asked: list[int]):
    vectors = toy_space.vectors.copy()
    vectors[5] = np.nan
    space = Descriptor("holed", vectors)
    result = transform(space, make_pipeline(StandardScaler(), _umap()))
    scaled = StandardScaler().fit_transform(space.usable())
    plain = _umap().fit(scaled).embedding_
    assert asked == [7]
    assert np.flatnonzero(~result.valid).tolist() == [5]
    assert trustworthiness(scaled, result.usable()) > trustworthiness(scaled, plain) - 0.02
    assert trustworthiness(scaled, result.usable()) > 0.9


@pytest.mark.usefixtures("few_rows_are_many", "asked")
def test_new_rows_are_placed_and_parameters_are_the_users(toy_space: Descriptor):
    result = transform(toy_space, _umap())
    placed = result.compute(lambda root: root.vectors[:4] + np.float32(0.01))
    spread = result.vectors.std()
    assert np.abs(placed - result.vectors[:4]).max() < spread
    np.testing.assert_array_equal(result.compute(lambda root: root.vectors), result.vectors)
    assert result.params["precomputed_knn"] == (None, None, None)
    assert "approximation" not in result.params


@pytest.mark.usefixtures("few_rows_are_many")
def test_an_approximate_graph_is_recorded(toy_space: Descriptor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbors, "EXACT_ROWS", 50)
    result = transform(toy_space, _umap())
    assert "inverted file" in result.params["approximation"]


@pytest.mark.usefixtures("few_rows_are_many")
@pytest.mark.parametrize("params", [{"metric": "manhattan"}, {"unique": True}, {"n_neighbors": 200}])
def test_other_neighbours_than_the_graphs_are_left_to_umap(toy_space: Descriptor, asked: list[int], params):
    assert not graph_maps.takes_graph(_umap(**params), len(toy_space))
    assert graph_maps.takes_graph(_umap(), len(toy_space))
    assert not graph_maps.takes_graph(_umap(), 99)
    assert not graph_maps.takes_graph(StandardScaler(), len(toy_space))
    assert not asked
