"""A search space scores as its definition says, whatever the blocks' scales."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

from veriwild_clustering import Dataset, Descriptor, mix
from veriwild_clustering.search.space import SearchSpace


def dataset(n_images: int = 40, *, seed: int = 0, **widths: int) -> Dataset:
    rng = np.random.default_rng(seed)
    parts = {
        name: Descriptor(name, (10.0**place * (1 + rng.normal(size=(n_images, width)))).astype(np.float32))
        for place, (name, width) in enumerate((widths or {"osnet": 6, "color_model": 3, "type_model": 4}).items())
    }
    return Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(n_images)]}), parts)


@given(weights=st.lists(st.floats(0.01, 10), min_size=1, max_size=3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_score_is_the_weighted_sum_of_cosines(weights: list[float], seed: int) -> None:
    data = dataset(seed=seed)
    named = dict(zip(data.names, weights, strict=False))
    space = SearchSpace.of(data, named)
    expected = sum(
        weight / sum(weights) * cosine_similarity(data[name].vectors.astype(np.float64))
        for name, weight in named.items()
    )
    encoded = space.rows(np.arange(40))
    found = np.stack([space.scores(row, np.arange(40)) for row in encoded])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(space.contributions(encoded[3], np.arange(40)).sum(axis=1), found[3], atol=1e-12)
    assert sum(space.weights) == pytest.approx(1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_scores_of_rows_are_those_of_their_vectors_and_nan_without_one(metric: Literal["cosine", "euclidean"]) -> None:
    data = dataset()
    broken = data["color_model"].vectors.copy()
    broken[[3, 30]] = np.nan
    parts = {"osnet": data["osnet"], "color_model": Descriptor("color_model", broken)}
    space = SearchSpace.of(Dataset(data.images, parts), {"osnet": 1, "color_model": 2}, metric=metric)
    query, rows = space.rows([5])[0], np.arange(40)
    found, encoded = space.scores(query, rows), space.rows(rows).astype(np.float64)
    expected = encoded @ query if metric == "cosine" else np.linalg.norm(encoded - query, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 30]
    assert len(space.scores(query, rows[:0])) == 0


def test_contributions_are_weights_times_cosines() -> None:
    data = dataset()
    space = SearchSpace.of(data, {"color_model": 3, "osnet": 1})
    found = space.contributions(space.rows([5])[0], [7, 5])
    for place, (name, weight) in enumerate([("color_model", 0.75), ("osnet", 0.25)]):
        expected = weight * cosine_similarity(data[name].vectors[[7, 5]].astype(float), data[name].vectors[[5]])
        np.testing.assert_allclose(found[:, place], expected[:, 0], atol=1e-6)


def test_euclidean_space_of_one_descriptor_keeps_its_distances() -> None:
    data = dataset()
    space = SearchSpace.of(data, "type_model", metric="euclidean")
    encoded = space.rows(slice(None))
    np.testing.assert_array_equal(encoded, data["type_model"].vectors)
    expected = euclidean_distances(encoded.astype(np.float64))
    np.testing.assert_allclose(space.scores(encoded[0], np.arange(40)), expected[0], atol=1e-4)


def test_euclidean_mixture_is_that_of_mix() -> None:
    data = dataset()
    space = SearchSpace.of(data, {"osnet": 7, "type_model": 3}, metric="euclidean")
    mixture = mix([data["osnet"], data["type_model"]], weights=[7, 3])
    np.testing.assert_allclose(space.rows(slice(None)), mixture.vectors, rtol=1e-5)


def test_encode_is_rows_of_new_vectors() -> None:
    data = dataset()
    space = SearchSpace.of(data, {"osnet": 1, "color_model": 2})
    blocks = {name: data[name].vectors[[4, 9]] for name in space.names}
    np.testing.assert_array_equal(space.encode(blocks), space.rows([4, 9]))
    alone = space.encode({"color_model": blocks["color_model"]})
    np.testing.assert_array_equal(alone[:, space.blocks["color_model"]], space.rows([4, 9])[:, 6:])
    assert not alone[:, space.blocks["osnet"]].any()


def test_rows_that_one_block_lacks_are_not_usable() -> None:
    data = dataset()
    data["osnet"].valid[3] = False
    space = SearchSpace.of(data, {"osnet": 1, "color_model": 1})
    assert np.flatnonzero(~space.valid).tolist() == [3]
    assert np.isnan(space.rows([3, 4])).all(axis=1).tolist() == [True, False]


def test_vector_of_zeros_has_cosine_zero() -> None:
    vectors = np.array([[0, 0], [1e-40, 0], [3, 4]], dtype=np.float32)
    space = SearchSpace.of(Dataset(pd.DataFrame({"path": list("abc")}), {"a": Descriptor("a", vectors)}), "a")
    np.testing.assert_allclose(space.rows(slice(None)), [[0, 0], [0, 0], [0.6, 0.8]], atol=1e-7)


def test_descriptor_without_weight_is_left_out() -> None:
    space = SearchSpace.of(dataset(), {"osnet": 2, "color_model": 0})
    assert (space.names, space.weights, space.dim) == (("osnet",), (1.0,), 6)


def test_fingerprint_tells_spaces_apart() -> None:
    data, other = dataset(), dataset(seed=1)
    spaces = [
        SearchSpace.of(data, "osnet"),
        SearchSpace.of(data, "osnet", metric="euclidean"),
        SearchSpace.of(other, "osnet"),
        SearchSpace.of(data, {"osnet": 1, "color_model": 1}),
        SearchSpace.of(data, {"osnet": 1, "color_model": 2}),
    ]
    assert len({space.fingerprint for space in spaces}) == len(spaces)
    assert SearchSpace.of(dataset(), "osnet").fingerprint == spaces[0].fingerprint


@pytest.mark.parametrize(
    ("descriptors", "metric", "message"),
    [
        ("onset", "cosine", "Unknown descriptor 'onset'"),
        ({}, "cosine", r"must be a name, or names with their weights\. Got \{\}"),
        (["osnet", "color_model"], "cosine", r"must be a name, or names with their weights\. Got \['osnet'"),
        (None, "cosine", "must be a name, or names with their weights"),
        ({"osnet": -1.0}, "cosine", "not negative, and not all 0"),
        ({"osnet": 0.0}, "cosine", "not negative, and not all 0"),
        ({"osnet": float("nan")}, "cosine", "must be finite"),
        ("osnet", "manhattan", "`metric` must be one of 'cosine', 'euclidean'"),
    ],
)
def test_impossible_spaces_are_refused(descriptors: Any, metric: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchSpace.of(dataset(), descriptors, metric=metric)


@pytest.mark.parametrize("rows", [[-1], [40], [1.5], np.arange(40) < 3, [[1, 2]]])
def test_rows_that_do_not_exist_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"`rows` must be rows of the dataset, ints in \[0, 40\)"):
        SearchSpace.of(dataset(), "osnet").rows(rows)


def test_constant_descriptor_has_no_euclidean_weight() -> None:
    data = dataset(osnet=3, flat=2)
    data["flat"].vectors[:] = 5
    with pytest.raises(ValueError, match=r"'flat' is constant, so it cannot carry a weight of 0\.5"):
        SearchSpace.of(data, {"osnet": 1, "flat": 1}, metric="euclidean")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"osnet": np.ones((1, 5)), "color_model": np.ones((1, 3))}, "must have 6 columns.*come from another model"),
        ({"osnet": np.ones(6), "color_model": np.ones((1, 3))}, r"must have 6 columns.*Got shape \(6,\)"),
        ({"osnet": np.full((1, 6), np.nan), "color_model": np.ones((1, 3))}, "'osnet' must be finite"),
        ({"osnet": np.ones((2, 6)), "color_model": np.ones((1, 3))}, "one row per vector each"),
        ({"clip": np.ones((1, 6))}, "Unknown descriptor 'clip'"),
        ({}, "Missing: osnet, color_model"),
    ],
)
def test_unfit_vectors_are_refused(
    blocks: dict[str, np.ndarray], message: str, metric: Literal["cosine", "euclidean"]
) -> None:
    space = SearchSpace.of(dataset(), {"osnet": 1, "color_model": 1}, metric=metric)
    with pytest.raises(ValueError, match=message):
        space.encode(blocks)
