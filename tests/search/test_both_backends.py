"""A search finds the same in a Qdrant collection as in the index of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qdrant_client import QdrantClient, models

from veriwild_clustering import Dataset, DatasetError, Descriptor
from veriwild_clustering.search.backends.qdrant import QdrantIndex
from veriwild_clustering.search.index import SearchIndex
from veriwild_clustering.search.queries import Query, search_images, search_rows

WEIGHTS = {"color_model": 0.6, "type_model": 0.4}
N_IMAGES = 80


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    vectors = {"color_model": rng.normal(size=(N_IMAGES, 4)), "type_model": rng.normal(size=(N_IMAGES, 6))}
    vectors["type_model"][11] = np.nan
    images = pd.DataFrame(
        {
            "path": [f"{row}.jpg" for row in range(N_IMAGES)],
            "vehicle_id": np.arange(N_IMAGES) // 4,
            "camera": rng.integers(3, size=N_IMAGES),
            "color": rng.choice(["red", "white", None], N_IMAGES),
        }
    )
    return Dataset(images, {name: Descriptor(name, matrix) for name, matrix in vectors.items()})


@pytest.fixture(scope="module", params=["cosine", "euclidean"])
def indices(request: pytest.FixtureRequest, dataset: Dataset) -> Iterator[tuple[SearchIndex, QdrantIndex]]:
    there = QdrantIndex.build(dataset, WEIGHTS, "vehicles", location=":memory:", metric=request.param)
    yield SearchIndex.build(dataset, WEIGHTS, metric=request.param), there
    there.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"where": {"color": "red"}},
        {"where": {"camera": [0, 2]}, "exclude_same_vehicle": True, "exclude_same_camera": True},
        {"where": {"color": "white"}, "rerank": "k-reciprocal"},
        {"where": {"camera": 9}},
    ],
)
def test_rows_and_scores_are_the_same(
    dataset: Dataset, indices: tuple[SearchIndex, QdrantIndex], options: dict[str, Any]
) -> None:
    query = Query(rows=[3, 8], negatives=Query(rows=[20]))
    here, there = (search_images(index, dataset, query, n_results=N_IMAGES, **options) for index in indices)
    np.testing.assert_array_equal(there.rows, here.rows)
    pd.testing.assert_frame_equal(there.table, here.table, atol=1e-5)
    many_here, many_there = (search_rows(index, dataset, [3, 8], n_results=9, **options) for index in indices)
    np.testing.assert_array_equal(many_there.rows, many_here.rows)
    np.testing.assert_allclose(many_there.scores, many_here.scores, atol=1e-5)


def test_equally_near_rows_are_in_their_order() -> None:
    same = Dataset(pd.DataFrame({"path": list("abcd")}), {"osnet": Descriptor("osnet", np.ones((4, 2)))})
    for index in (SearchIndex.build(same, "osnet"), QdrantIndex.build(same, "osnet", "vehicles", location=":memory:")):
        assert search_images(index, same, Query(rows=[1])).rows.tolist() == [0, 2, 3]


def test_a_dataset_without_usable_vectors_is_refused() -> None:
    nothing = Dataset(pd.DataFrame({"path": ["a"]}), {"osnet": Descriptor("osnet", np.full((1, 2), np.nan))})
    with pytest.raises(DatasetError, match="No image has a usable vector of osnet"):
        SearchIndex.build(nothing, "osnet")
    with pytest.raises(DatasetError, match="No image has a usable vector of osnet"):
        QdrantIndex.build(nothing, "osnet", "vehicles", location=":memory:")


def test_conditions_go_to_the_database_where_it_holds_the_column(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = QdrantClient(":memory:")
    index = QdrantIndex.build(dataset, "color_model", "vehicles", location=client)
    asked: list[models.QueryRequest] = []
    send = client.query_batch_points

    def kept(name: str, requests: Sequence[models.QueryRequest]) -> Any:
        asked.extend(requests)
        return send(name, requests)

    monkeypatch.setattr(client, "query_batch_points", kept)
    white = {"color": "white"}
    found = search_images(index, dataset, Query(rows=[3]), where=white).rows
    assert set(dataset.images["color"][found]) == {"white"}
    key = models.FieldCondition(key="color", match=models.MatchAny(any=["white"]))
    assert asked.pop().filter == models.Filter(must=[key], must_not=[models.HasIdCondition(has_id=[3])])

    repainted = dataset.images.assign(color=np.where(dataset.images["camera"] == 1, "white", "red"))
    found = search_images(index, replace(dataset, images=repainted), Query(rows=[3]), where=white).rows
    assert set(repainted["color"][found]) == {"white"}
    assert (
        models.HasIdCondition(has_id=np.flatnonzero(repainted["color"] == "white").tolist()) in asked.pop().filter.must
    )
    client.close()
