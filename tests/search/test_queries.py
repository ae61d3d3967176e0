"""Queries by rows, vectors and what is not wanted: against brute force in float64, with filters and exclusions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, DatasetError, Descriptor
from veriwild_clustering.search.index import SearchIndex
from veriwild_clustering.search.queries import Query, search_images, search_rows
from veriwild_clustering.search.reranking import KReciprocal, LocalScaling

N_IMAGES = 120
WEIGHTS = {"color_model": 0.6, "type_model": 0.4}
BROKEN = 17


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    color, body = rng.normal(size=(N_IMAGES, 6)), rng.normal(size=(N_IMAGES, 9)) + 1
    body[BROKEN] = np.nan
    images = pd.DataFrame(
        {
            "path": [f"{row}.jpg" for row in range(N_IMAGES)],
            "vehicle_id": [f"{row // 3}" for row in range(N_IMAGES)],
            "camera": rng.integers(1, 5, N_IMAGES),
            "color": rng.choice(["red", "white"], N_IMAGES),
        }
    )
    images.loc[5, "vehicle_id"] = None
    return Dataset(
        images, {"color_model": Descriptor("color_model", color), "type_model": Descriptor("type_model", body)}
    )


@pytest.fixture(scope="module")
def index(dataset: Dataset) -> SearchIndex:
    return SearchIndex.build(dataset, WEIGHTS)


def ranking(dataset: Dataset, blocks: dict[str, np.ndarray], *, without: Any = ()) -> np.ndarray:
    """All other rows by the weighted sum of cosines with a direction per descriptor."""
    scores = sum(
        WEIGHTS[name] * unit(np.nan_to_num(dataset[name].vectors, nan=1)) @ unit(block)
        for name, block in blocks.items()
    )
    left = np.setdiff1d(np.arange(N_IMAGES), [BROKEN, *without])
    return left[np.argsort(-scores[left], kind="stable")]


def blocks_of(dataset: Dataset, rows: list[int]) -> dict[str, np.ndarray]:
    return {name: unit(unit(dataset[name].vectors[rows]).mean(axis=0)) for name in WEIGHTS}


def test_one_row_finds_what_brute_force_finds(dataset: Dataset, index: SearchIndex) -> None:
    found = search_images(index, dataset, Query(rows=[3]), n_results=200)
    np.testing.assert_array_equal(found.rows, ranking(dataset, blocks_of(dataset, [3]), without=[3]))
    np.testing.assert_allclose(found.table[list(WEIGHTS)].sum(axis=1), found.scores, atol=1e-6)
    assert found.table["path"].tolist() == [f"{row}.jpg" for row in found.rows]
    assert search_images(index, dataset, Query(rows=[3]), exclude_self=False).rows[0] == 3


def test_several_rows_are_averaged_on_the_sphere(dataset: Dataset, index: SearchIndex) -> None:
    found = search_images(index, dataset, Query(rows=[3, 8, 40]), n_results=200)
    np.testing.assert_array_equal(found.rows, ranking(dataset, blocks_of(dataset, [3, 8, 40]), without=[3, 8, 40]))


def test_negatives_push_away(dataset: Dataset, index: SearchIndex) -> None:
    wanted, unwanted = blocks_of(dataset, [3]), blocks_of(dataset, [30, 31])
    moved = {name: 1.7 * wanted[name] - 0.7 * unwanted[name] for name in WEIGHTS}
    query = Query(rows=[3], negatives=Query(rows=[30, 31]), negative_weight=0.7)
    found = search_images(index, dataset, query, n_results=200)
    np.testing.assert_array_equal(found.rows, ranking(dataset, moved, without=[3, 30, 31]))
    near = search_images(index, dataset, Query(rows=[3], negatives=Query(rows=[4]), negative_weight=0)).rows
    np.testing.assert_array_equal(near, ranking(dataset, wanted, without=[3, 4])[:20])


def test_vectors_of_some_descriptors_are_enough(dataset: Dataset, index: SearchIndex) -> None:
    vector = np.arange(6.0)
    found = search_images(index, dataset, Query(vectors={"color_model": vector}), n_results=200)
    np.testing.assert_array_equal(found.rows, ranking(dataset, {"color_model": vector}))
    assert (found.table["type_model"] == 0).all()
    both = search_images(index, dataset, Query(rows=[3], vectors={"color_model": [vector, vector]}), n_results=200)
    blocks = blocks_of(dataset, [3])
    blocks["color_model"] = (blocks["color_model"] + 2 * unit(vector)) / 3
    np.testing.assert_array_equal(both.rows, ranking(dataset, blocks, without=[3]))


def test_euclidean_distance_is_searched_without_a_sphere(dataset: Dataset) -> None:
    index = SearchIndex.build(dataset, "color_model", metric="euclidean")
    vectors = dataset["color_model"].vectors.astype(np.float64)
    point = 1.25 * vectors[[3, 8]].mean(axis=0) - 0.25 * vectors[9]
    found = search_images(index, dataset, Query(rows=[3, 8], negatives=Query(rows=[9])), n_results=200)
    distances = np.linalg.norm(vectors - point, axis=1)
    expected = np.setdiff1d(np.argsort(distances, kind="stable"), [3, 8, 9], assume_unique=True)
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_allclose(found.scores, distances[expected], rtol=1e-5)
    assert "Euclidean distance" in found.explain(0)
    with pytest.raises(ValueError, match="cosine"):
        search_images(index, dataset, Query(texts=["a red car"]))


def test_filters_and_exclusions_leave_out_what_they_say(dataset: Dataset, index: SearchIndex) -> None:
    images = dataset.images
    camera, vehicle = images["camera"].to_numpy(), images["vehicle_id"].to_numpy()
    everything = search_images(index, dataset, Query(rows=[3]), n_results=200).rows
    cases = {
        "where": ({"where": {"color": "red"}}, (images["color"] == "red").to_numpy()),
        "vehicle": ({"exclude_same_vehicle": True}, vehicle != vehicle[3]),
        "camera": ({"exclude_same_camera": True}, camera != camera[3]),
    }
    for options, allowed in cases.values():
        found = search_images(index, dataset, Query(rows=[3]), n_results=200, **options)
        np.testing.assert_array_equal(found.rows, everything[allowed[everything]])
    options = {key: value for one, _ in cases.values() for key, value in one.items()}
    allowed = np.logical_and.reduce([mask for _, mask in cases.values()])
    found = search_images(index, dataset, Query(rows=[3]), n_results=200, **options)
    np.testing.assert_array_equal(found.rows, everything[allowed[everything]])
    assert found.params["where"] == {"color": "red"}


def test_vehicles_and_cameras_of_all_rows_count(dataset: Dataset, index: SearchIndex) -> None:
    camera = dataset.images["camera"].to_numpy()
    rows = [3, int(np.flatnonzero(camera != camera[3])[0])]
    options = {"exclude_same_vehicle": True, "exclude_same_camera": True}
    found = search_images(index, dataset, Query(rows=rows), n_results=200, **options).rows
    assert not np.isin(camera[found], camera[rows]).any()
    assert not dataset.images["vehicle_id"].iloc[found].isin(dataset.images["vehicle_id"].iloc[rows]).any()


def test_an_unknown_vehicle_is_no_vehicle(dataset: Dataset, index: SearchIndex) -> None:
    found = search_images(index, dataset, Query(rows=[5]), n_results=200, exclude_same_vehicle=True)
    assert len(found) == N_IMAGES - 2


def test_many_rows_are_found_as_each_alone(dataset: Dataset, index: SearchIndex) -> None:
    rows = [3, 5, 8, 60]
    options: dict[str, Any] = {"exclude_same_camera": True, "where": {"color": "red"}, "n_results": 7}
    for rerank in (None, KReciprocal(4, 2, n_candidates=12), LocalScaling(3, n_candidates=12)):
        together = search_rows(index, dataset, rows, rerank=rerank, **options)
        for row, found in zip(rows, together.rows, strict=True):
            alone = search_images(index, dataset, Query(rows=[row]), rerank=rerank, **options)
            np.testing.assert_array_equal(found[found >= 0], alone.rows)


def test_what_is_not_there_is_padded(dataset: Dataset, index: SearchIndex) -> None:
    found = search_rows(index, dataset, [3], n_results=500)
    assert found.rows.shape == (1, 500)
    assert (found.rows[0] >= 0).sum() == N_IMAGES - 2
    assert np.isnan(found.scores[0, -1])
    nothing = search_images(
        index, dataset, Query(rows=[3]), where={"color": "red", "camera": 99}, rerank="k-reciprocal"
    )
    assert (len(nothing), list(nothing.table)[:4]) == (0, ["row", "path", "score", "reranked"])
    assert search_rows(index, dataset, []).rows.shape == (0, 20)


@pytest.mark.parametrize("rerank", ["k-reciprocal", "local-scaling"])
def test_ranking_again_orders_the_nearest_and_finds_no_others(
    dataset: Dataset, index: SearchIndex, rerank: str
) -> None:
    plain = search_images(index, dataset, Query(rows=[3]), n_results=100)
    found = search_images(index, dataset, Query(rows=[3]), n_results=100, rerank=rerank)
    assert set(found.rows) == set(plain.rows)
    assert found.table["reranked"].is_monotonic_increasing
    assert found.rows.tolist() != plain.rows.tolist()
    scores = dict(zip(plain.rows, plain.scores, strict=True))
    np.testing.assert_allclose(found.scores, [scores[row] for row in found.rows])
    before = plain.rows.tolist().index(found.rows[0]) + 1
    assert found.explain(0).endswith(f"ranked {before} among the results before re-ranking.")


def test_what_is_beyond_the_candidates_follows_as_it_was(dataset: Dataset, index: SearchIndex) -> None:
    plain = search_images(index, dataset, Query(rows=[3]), n_results=50)
    for options in ({}, {"where": {"camera": [1, 2, 3, 4]}}):  # the filter lets all pass
        found, few = (
            search_images(index, dataset, Query(rows=[3]), n_results=n, rerank=KReciprocal(n_candidates=12), **options)
            for n in (50, 12)
        )
        np.testing.assert_array_equal(found.rows, [*few.rows, *plain.rows[12:]])
        np.testing.assert_array_equal(found.table["reranked"].notna(), np.arange(50) < 12)


def test_arguments_of_other_types_are_named(dataset: Dataset, index: SearchIndex) -> None:
    with pytest.raises(TypeError, match="`query` must be a Query"):
        search_images(index, dataset, [3])  # type: ignore[arg-type]
    for rerank in (3, KReciprocal):
        with pytest.raises(TypeError, match="`rerank` must be"):
            search_images(index, dataset, Query(rows=[3]), rerank=rerank)  # type: ignore[arg-type]


def test_vectors_without_direction_are_no_query_among_many() -> None:
    images = pd.DataFrame({"path": list("abc")})
    dataset = Dataset(images, {"osnet": Descriptor("osnet", [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])})
    with pytest.raises(ValueError, match="Row 1 has no direction"):
        search_rows(SearchIndex.build(dataset, "osnet"), dataset, [0, 1])
    origin = SearchIndex.build(dataset, "osnet", metric="euclidean")
    assert search_rows(origin, dataset, [1], n_results=2).scores.tolist() == [[1, 1]]


def test_a_descriptor_does_not_hide_a_column_of_the_results() -> None:
    dataset = Dataset(pd.DataFrame({"path": ["a", "b"]}), {"score": Descriptor("score", np.eye(2))})
    with pytest.raises(ValueError, match="rename the descriptor"):
        search_images(SearchIndex.build(dataset, "score"), dataset, Query(rows=[0]))


def test_ranking_again_knows_pairs_of_cameras(dataset: Dataset, index: SearchIndex) -> None:
    """Distances are those of the reranker on the query, the rows allowed, and the nearest whatever the filters."""
    one = KReciprocal(4, 2, n_candidates=15)
    found = search_images(index, dataset, Query(rows=[3]), n_results=15, exclude_same_camera=True, rerank=one)
    plain = search_images(index, dataset, Query(rows=[3]), n_results=15, exclude_same_camera=True).rows
    around = search_images(index, dataset, Query(rows=[3]), n_results=15).rows
    members = np.array([3, *plain, *np.setdiff1d(around, plain)])
    points = unit(index.space.rows(members))
    camera = dataset.images["camera"].to_numpy()[members]
    comparable = (camera[:, None] != camera) | np.eye(len(members), dtype=bool)
    expected = one(((points[:, None] - points) ** 2).sum(axis=2), comparable)[: len(plain)]
    np.testing.assert_allclose(found.table["reranked"], np.sort(expected), atol=1e-6)


def test_result_says_why(dataset: Dataset, index: SearchIndex) -> None:
    found = search_images(index, dataset, Query(rows=[3]))
    first = found.table.iloc[0]
    assert found.explain(0) == (
        f"Result 1, row {first['row']} ({first['path']}): cosine similarity {first['score']:.2f}, "
        f"{first['color_model']:.2f} of 0.60 from color_model and {first['type_model']:.2f} of 0.40 from type_model."
    )
    with pytest.raises(ValueError, match="place"):
        found.explain(20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to look for"),
        ({"rows": [-1]}, "rows"),
        ({"rows": [1.5]}, "rows"),
        ({"rows": [True]}, "rows"),
        ({"texts": "a car"}, "sequence"),
        ({"texts": [" "]}, "not empty"),
        ({"images": "a.jpg"}, "sequence"),
        ({"rows": [1], "text_weight": 2}, "text_weight"),
        ({"rows": [1], "negative_weight": np.nan}, "negative_weight"),
        ({"rows": [1], "negative_weight": 1e308}, "negative_weight"),
        ({"rows": [1], "negatives": [2]}, "`negatives` must be a Query"),
        ({"vectors": np.ones(6)}, "`vectors` must be a mapping"),
        ({"rows": [1], "negatives": Query(rows=[1], negatives=Query(rows=[2]))}, "negatives of their own"),
    ],
)
def test_queries_that_cannot_be_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Query(**arguments)


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (Query(rows=[N_IMAGES]), {}, "120 images"),
        (Query(rows=[BROKEN]), {}, f"Row {BROKEN} has no usable vector of type_model"),
        (Query(rows=[1], negatives=Query(rows=[BROKEN])), {}, "no usable vector"),
        (Query(vectors={"osnet": np.ones(3)}), {}, "osnet"),
        (Query(vectors={"color_model": np.ones(3)}), {}, "another model"),
        (Query(vectors={"color_model": np.full(6, np.inf)}), {}, "finite"),
        (Query(vectors={"color_model": np.full(6, 1e300)}), {}, "finite"),
        (Query(vectors={"color_model": np.empty((0, 6))}), {}, r"Got \(0, 6\)"),
        (Query(vectors={"color_model": np.zeros(6)}), {}, "no direction"),
        (
            Query(vectors={"color_model": np.ones(6)}, negatives=Query(vectors={"type_model": np.ones(9)})),
            {},
            "Negatives count in descriptors that have something wanted, color_model",
        ),
        (Query(vectors={"color_model": [np.ones(6), -np.ones(6)]}), {}, "no direction"),
        (Query(vectors={"color_model": np.ones(6)}), {"exclude_same_vehicle": True}, "it has none"),
        (Query(texts=["a red car"]), {}, "Extract 'clip-vit-b-32'"),
        (Query(rows=[1]), {"n_results": 0}, "n_results"),
        (Query(rows=[1]), {"where": {"colour": "red"}}, "color"),
        (Query(rows=[1]), {"rerank": "no"}, "rerank"),
    ],
)
def test_searches_that_cannot_be_are_refused(
    dataset: Dataset, index: SearchIndex, query: Query, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        search_images(index, dataset, query, **options)


def test_a_column_that_is_missing_and_another_dataset_are_refused(dataset: Dataset, index: SearchIndex) -> None:
    bare = Dataset(dataset.images[["path"]], dataset.descriptors)
    for option in ("exclude_same_vehicle", "exclude_same_camera"):
        with pytest.raises(ValueError, match=option):
            search_images(index, bare, Query(rows=[1]), **{option: True})
    reversed_rows = dataset.take(np.arange(N_IMAGES)[::-1])
    without = Dataset(dataset.images, {"color_model": dataset["color_model"]})
    for other in (dataset.take([0, 1]), reversed_rows, without):
        with pytest.raises(ValueError, match="built from"):
            search_images(index, other, Query(rows=[1]))
        with pytest.raises(ValueError, match="built from"):
            search_rows(index, other, [1])
    copy = dataset.take(np.arange(N_IMAGES))
    np.testing.assert_array_equal(
        search_images(index, copy, Query(rows=[1])).rows, search_images(index, dataset, Query(rows=[1])).rows
    )
    with pytest.raises(DatasetError, match="no usable vector"):
        search_rows(index, dataset, [1, BROKEN])
