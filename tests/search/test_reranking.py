"""Re-ranking against brute force in float64, row by row with sets, and what must hold whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering.search.reranking import KReciprocal, LocalScaling, find_reranker


def square_distances(points: np.ndarray) -> np.ndarray:
    return ((points[:, None] - points[None]) ** 2).sum(axis=2)


def k_reciprocal_reference(distances: np.ndarray, comparable: np.ndarray, one: KReciprocal) -> np.ndarray:
    """The published algorithm, one row at a time."""
    n = len(distances)
    far = [max(distances[i][comparable[i]]) or 1 for i in range(n)]
    order = [
        sorted((j for j in range(n) if comparable[i, j]), key=lambda j: (distances[i, j], j != i, j)) for i in range(n)
    ]

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in order[i][: k + 1] if i in order[j][: k + 1]} | {i}

    members = np.zeros((n, n))
    for i in range(n):
        wide = reciprocal(i, one.k1)
        near = set(wide)
        for j in wide:
            narrow = reciprocal(j, round(one.k1 / 2))
            if len(wide & narrow) >= 2 / 3 * len(narrow) - 1e-9:
                near |= narrow
        for j in near:
            # members of a neighbour's neighbourhood may be pairs that are not compared: they weigh nothing
            members[i, j] = np.exp(-distances[i, j] / far[i]) if comparable[i, j] else 0
        members[i] /= members[i].sum()
    members = np.array([members[order[i][: one.k2]].mean(axis=0) for i in range(n)])
    common = np.minimum(members[0], members[1:]).sum(axis=1)
    jaccard = 1 - common / np.maximum(members[0], members[1:]).sum(axis=1)
    original = np.array([min(distances[0, j] / far[0], 1) if comparable[0, j] else 1 for j in range(1, n)])
    return (1 - one.weight) * jaccard + one.weight * original


def pairs_of(n: int, rng: np.random.Generator, *, cameras: bool) -> np.ndarray:
    camera = rng.integers(2, size=n)
    return (camera[:, None] != camera) | np.eye(n, dtype=bool) if cameras else np.ones((n, n), dtype=bool)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 30),
    k1=st.integers(1, 12),
    k2=st.integers(1, 5),
    cameras=st.booleans(),
)
def test_k_reciprocal_is_that_of_brute_force(seed: int, n: int, k1: int, k2: int, *, cameras: bool) -> None:
    rng = np.random.default_rng(seed)
    distances = square_distances(rng.normal(size=(n, 3)))
    comparable = pairs_of(n, rng, cameras=cameras)
    one = KReciprocal(k1, k2, float(rng.uniform()))
    np.testing.assert_allclose(
        one(distances, comparable), k_reciprocal_reference(distances, comparable, one), atol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 30), k=st.integers(1, 8), cameras=st.booleans())
def test_local_scaling_is_that_of_brute_force(seed: int, n: int, k: int, *, cameras: bool) -> None:
    rng = np.random.default_rng(seed)
    distances = square_distances(rng.normal(size=(n, 3)))
    comparable = pairs_of(n, rng, cameras=cameras)
    expected = []
    for row in range(1, n):
        own = sorted(distances[row, other] for other in range(n) if other != row and comparable[row, other])[:k]
        expected.append(2 * distances[0, row] - (np.mean(own) if own else 0))
    np.testing.assert_allclose(LocalScaling(k)(distances, comparable), expected)


@pytest.mark.parametrize("one", [KReciprocal(5, 2), LocalScaling(3)])
def test_order_of_rows_and_their_scale_change_nothing(one: KReciprocal | LocalScaling) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(25, 4))
    everywhere = np.ones((25, 25), dtype=bool)
    distances = one(square_distances(points), everywhere)
    order = rng.permutation(24)
    mixed = one(square_distances(points[[0, *(1 + order)]]), everywhere)
    np.testing.assert_allclose(mixed, distances[order])
    scaled = one(square_distances(10 * points), everywhere)
    np.testing.assert_array_equal(scaled.argsort(), distances.argsort())


def test_the_whole_weight_leaves_the_order_as_it_is() -> None:
    distances = square_distances(np.random.default_rng(1).normal(size=(20, 3)))
    found = KReciprocal(weight=1.0)(distances, np.ones((20, 20), dtype=bool))
    np.testing.assert_array_equal(found.argsort(), distances[0, 1:].argsort())


@pytest.mark.parametrize("one", [KReciprocal(), LocalScaling()])
def test_equal_rows_and_a_single_one_have_finite_distances(one: KReciprocal | LocalScaling) -> None:
    for n in (2, 6):
        found = one(np.zeros((n, n)), np.ones((n, n), dtype=bool))
        assert np.isfinite(found).all()
        assert len(set(found.round(12))) == 1


def test_group_of_the_query_comes_before_what_is_as_near() -> None:
    rng = np.random.default_rng(3)
    own, others = rng.normal(0, 0.5, (8, 2)), rng.normal((2.2, 0), 0.3, (40, 2))
    points = np.vstack([(0.6, 0), own, others])
    before = square_distances(points)[0, 1:]
    after = KReciprocal(6, 3)(square_distances(points), np.ones((len(points),) * 2, dtype=bool))

    def n_own(distances: np.ndarray) -> int:
        return int((distances.argsort()[:8] < 8).sum())

    assert n_own(before) < n_own(after)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"k1": 0}, "k1"), ({"k2": 1.5}, "k2"), ({"weight": 1.1}, "weight"), ({"n_candidates": 0}, "n_candidates")],
)
def test_settings_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        KReciprocal(**arguments)


def test_names_stand_for_defaults() -> None:
    assert find_reranker("k-reciprocal") == KReciprocal()
    assert find_reranker("local-scaling") == LocalScaling()
    assert find_reranker(None) is None
    assert find_reranker(KReciprocal(20, 6)) == KReciprocal(20, 6)
    with pytest.raises(ValueError, match="k-reciprocal"):
        find_reranker("zhong")
