"""Retrieval scores: against scikit-learn and brute force, chance against all orders, ties, junk, what is left out."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from veriwild_clustering import Dataset, join_dataset, locate_raw_data
from veriwild_clustering.evaluation.retrieval import reid_scores, retrieval_scores

SCORES = ["precision", "recall", "average_precision"]
CHANCES = [f"{name}_chance" for name in SCORES]


def overall(table: pd.DataFrame) -> pd.Series:
    return table[table["value"].isna()].iloc[0]


def ranked(similarities: np.ndarray, n_results: int | None = None) -> np.ndarray:
    """Rows by falling similarity, each query's own row left out."""
    masked = similarities.copy()
    np.fill_diagonal(masked, -np.inf)
    return np.argsort(-masked, axis=1, kind="stable")[:, : n_results or -1]


@pytest.fixture
def similarities() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 60))


@pytest.fixture
def types() -> np.ndarray:
    return np.random.default_rng(1).choice(["bus", "car", "truck"], size=60, p=[0.2, 0.5, 0.3])


def test_average_precision_is_that_of_scikit_learn(similarities: np.ndarray, types: np.ndarray) -> None:
    others = ~np.eye(60, dtype=bool)
    expected = [average_precision_score(types[o] == types[i], similarities[i][o]) for i, o in enumerate(others)]
    of_similarities = overall(retrieval_scores(similarities, {"type": types}))
    assert of_similarities["average_precision"] == pytest.approx(np.mean(expected), abs=1e-12)
    of_rows = overall(retrieval_scores(ranked(similarities), {"type": types}))
    pd.testing.assert_series_equal(of_similarities, of_rows)


def test_precision_and_recall_are_counted(similarities: np.ndarray, types: np.ndarray) -> None:
    rows = ranked(similarities, 7)
    hits = (types[rows[:, :5]] == types[:, None]).sum(axis=1)
    n_right = np.array([np.sum(types == one) - 1 for one in types])
    table = retrieval_scores(rows, {"type": types}, k=5)
    assert overall(table)["precision"] == pytest.approx(hits.mean() / 5)
    assert overall(table)["recall"] == pytest.approx((hits / n_right).mean())
    for value in ("bus", "car", "truck"):
        line = table[table["value"] == value].iloc[0]
        assert line["precision"] == pytest.approx(hits[types == value].mean() / 5)
        assert line["n_queries"] == np.sum(types == value)


def test_average_precision_at_k_is_brute_force(similarities: np.ndarray, types: np.ndarray) -> None:
    rows = ranked(similarities, 9)
    expected = []
    for query, results in enumerate(rows):
        hits, gains = 0, 0.0
        for place, row in enumerate(results, start=1):
            if types[row] == types[query]:
                hits += 1
                gains += hits / place
        expected.append(gains / min(9, np.sum(types == types[query]) - 1))
    scores = overall(retrieval_scores(rows, {"type": types}, k=9))
    assert scores["average_precision"] == pytest.approx(np.mean(expected), abs=1e-12)


@pytest.mark.parametrize("n_results", [1, 2, 3, 5])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_chance_is_the_mean_over_all_orders(n_results: int, k: int) -> None:
    labels = {"color": ["red", "red", "red", "blue", "blue"]}
    orders = np.array(list(permutations(range(5))))[:, :n_results]
    asked = {"color": ["red"] * len(orders)}
    scores = overall(retrieval_scores(orders, labels, query_labels=asked, k=k))
    np.testing.assert_allclose(scores[SCORES].astype(float), scores[CHANCES].astype(float), atol=1e-12)


def test_chance_is_what_random_similarities_reach() -> None:
    rng = np.random.default_rng(2)
    types = rng.choice(["bus", "car", "truck"], size=400, p=[0.1, 0.3, 0.6])
    scores = overall(retrieval_scores(rng.random((400, 400)), {"type": types}))
    np.testing.assert_allclose(scores[SCORES].astype(float), scores[CHANCES].astype(float), rtol=0.05)
    shares = np.unique(types, return_counts=True)[1] / 400
    assert scores["precision_chance"] == pytest.approx((shares**2).sum(), abs=2 / 400)


@given(st.lists(st.integers(0, 2), min_size=6, max_size=6), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_ties_count_as_the_mean_over_their_orders(levels: list[int], k: int) -> None:
    labels = {"color": ["red", "blue", "red", "blue", "blue", "red"]}
    similarities = np.array([levels], dtype=float)
    tied = overall(retrieval_scores(similarities, labels, query_labels={"color": ["red"]}, k=k))
    orders = np.unique([np.lexsort((order, -similarities[0])) for order in permutations(range(6))], axis=0)
    each = overall(retrieval_scores(orders, labels, query_labels={"color": ["red"] * len(orders)}, k=k))
    np.testing.assert_allclose(tied[SCORES].astype(float), each[SCORES].astype(float), atol=1e-12)


def test_a_descriptor_that_tells_nothing_apart_scores_chance(types: np.ndarray) -> None:
    same = np.zeros((60, 60))
    scores = overall(retrieval_scores(same, {"type": types}))
    np.testing.assert_allclose(scores[SCORES].astype(float), scores[CHANCES].astype(float), rtol=1e-12)
    found = reid_scores(same, np.arange(60) // 3, np.arange(60) % 3)
    for name in ("rank_1", "rank_5", "average_precision"):
        assert found[name] == pytest.approx(found[f"{name}_chance"], rel=1e-12)


def test_scores_do_not_depend_on_the_order_of_images(similarities: np.ndarray, types: np.ndarray) -> None:
    order = np.random.default_rng(3).permutation(60)
    vehicles, cameras = np.arange(60) // 4, np.arange(60) % 2
    shuffled = similarities[np.ix_(order, order)]
    columns = ["value", *SCORES, *CHANCES]
    pd.testing.assert_frame_equal(
        retrieval_scores(shuffled, {"type": types[order]})[columns].sort_values("value", ignore_index=True),
        retrieval_scores(similarities, {"type": types})[columns].sort_values("value", ignore_index=True),
    )
    assert reid_scores(shuffled, vehicles[order], cameras[order]) == pytest.approx(
        reid_scores(similarities, vehicles, cameras)
    )


def test_perfect_and_worst_rankings(types: np.ndarray) -> None:
    same = (types[:, None] == types).astype(float)
    best, worst = (overall(retrieval_scores(one, {"type": types}, k=5)) for one in (same, -same))
    assert (best["precision"], best["average_precision"], worst["precision"]) == (1, 1, 0)
    assert best["recall_chance"] < best["recall"] < 1


def test_what_has_no_label_is_no_result_and_no_query() -> None:
    labels = ["bus", None, "bus", "", "car", "car", "truck", float("nan")]
    rows = np.array([[1, 4, 2], [0, 2, 4], [3, 7, 0], [0, 2, 4], [1, 3, 7], [7, 0, 4], [0, 2, 4], [0, 2, 4]])
    table = retrieval_scores(rows, {"type": labels}, k=1).set_index("value")
    assert table["n_queries"].tolist() == [4, 2, 2, 0]
    assert table["n_left_out"].tolist() == [4, 0, 0, 1]  # the only truck has no other image to find
    assert table.loc["bus", "precision"] == 0.5  # the results without a type are passed over
    assert table.loc["car", "precision"] == 0
    assert table.loc["car", "average_precision"] == 0.25
    assert np.isnan(table.loc["truck", "precision"])


def test_images_that_are_not_searched_are_not_there(similarities: np.ndarray, types: np.ndarray) -> None:
    masked = similarities.copy()
    masked[:, 40:] = np.nan
    kept = similarities[:40, :40]
    pd.testing.assert_frame_equal(
        retrieval_scores(masked[:40], {"type": types}, query_rows=np.arange(40)),
        retrieval_scores(kept, {"type": types[:40]}),
    )


def test_padding_is_no_result() -> None:
    scores = overall(retrieval_scores([[1, -1, -1], [-1, -1, -1]], {"type": ["bus", "bus"]}, k=2))
    assert (scores["precision"], scores["recall"], scores["average_precision"]) == (0.25, 0.5, 0.5)


def brute_force_reid(similarities: np.ndarray, vehicles: np.ndarray, cameras: np.ndarray) -> tuple[float, float, float]:
    firsts, fifths, averages = [], [], []
    for query, (vehicle, camera) in enumerate(zip(vehicles, cameras, strict=True)):
        gallery = [i for i in range(len(vehicles)) if vehicles[i] != vehicle or cameras[i] != camera]
        hits = vehicles[sorted(gallery, key=lambda i: -similarities[query, i])] == vehicle
        if hits.any():
            firsts.append(hits[0])
            fifths.append(hits[:5].any())
            averages.append(average_precision_score(hits, -np.arange(len(hits))))
    return float(np.mean(firsts)), float(np.mean(fifths)), float(np.mean(averages))


def test_reid_is_brute_force(similarities: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    vehicles, cameras = rng.integers(0, 20, size=60), rng.integers(0, 3, size=60)
    found = reid_scores(similarities, vehicles, cameras)
    scores = found["rank_1"], found["rank_5"], found["average_precision"]
    assert scores == pytest.approx(brute_force_reid(similarities, vehicles, cameras), abs=1e-12)
    assert found == pytest.approx(reid_scores(ranked(similarities), vehicles, cameras), abs=1e-12)


@pytest.mark.parametrize("n_results", [1, 3, 8, 20])
def test_reid_of_the_first_results_alone_is_brute_force(similarities: np.ndarray, n_results: int) -> None:
    rng = np.random.default_rng(5)
    vehicles, cameras = rng.integers(0, 15, size=60), rng.integers(0, 3, size=60)
    rows = ranked(similarities, n_results)
    firsts, fifths, averages = [], [], []
    for query, results in enumerate(rows):
        same = vehicles == vehicles[query]
        n_right = np.sum(same & (cameras != cameras[query]))
        kept = [row for row in results if not (same[row] and cameras[row] == cameras[query])]
        hits = same[kept]
        if n_right:
            firsts.append(hits[:1].any())
            fifths.append(hits[:5].any())
            gains = sum(hits[: place + 1].mean() for place in np.flatnonzero(hits))
            averages.append(gains / min(n_right, len(kept)) if kept else 0)
    found = reid_scores(rows, vehicles, cameras)
    scores = found["rank_1"], found["rank_5"], found["average_precision"]
    assert scores == pytest.approx((np.mean(firsts), np.mean(fifths), np.mean(averages)), abs=1e-12)


@pytest.mark.parametrize("n_results", [6, 5])
def test_reid_chance_is_the_mean_over_all_orders(n_results: int) -> None:
    vehicles, cameras = ["a", "a", "a", "b", "b", "c"], [1, 2, 1, 1, 2, 1]
    orders = np.array(list(permutations(range(6))))[:, :n_results]
    scores = reid_scores(orders, vehicles, cameras, query_rows=np.zeros(len(orders), dtype=int))
    for name in ("rank_1", "rank_5", "average_precision"):
        assert scores[name] == pytest.approx(scores[f"{name}_chance"], abs=1e-12)


def test_junk_is_neither_right_nor_wrong() -> None:
    vehicles, cameras = ["a", "a", "a", "b", "a"], [1, 1, 2, 2, None]
    nearest_is_junk = reid_scores([[1, 4, 2, 3]], vehicles, cameras, query_rows=[0])
    assert nearest_is_junk["rank_1"] == nearest_is_junk["average_precision"] == 1
    assert nearest_is_junk["rank_1_chance"] == 0.5  # rows 2 and 3 are left
    assert reid_scores([[1, 4, 3, 2]], vehicles, cameras, query_rows=[0])["average_precision"] == 0.5


def test_reid_leaves_out_what_cannot_be_found(similarities: np.ndarray) -> None:
    vehicles = ["a", "a", "b", "c", None, "", "d", "d"]
    cameras = ["1", "2", "1", "1", "1", "2", "1", None]
    found = reid_scores(similarities[:8, :8], vehicles, cameras)
    assert (found["n_queries"], found["n_left_out"]) == (2, 6)
    nobody = reid_scores(similarities[:8, :8], vehicles, ["1"] * 8)
    assert nobody["n_queries"] == 0
    assert np.isnan([nobody[name] for name in ("rank_1", "rank_5", "average_precision", "rank_1_chance")]).all()


class Lazy:
    """Similarities that are worked out when asked for, as those of many images must be."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors, self.asked = vectors, []
        self.shape, self.dtype = (len(vectors), len(vectors)), vectors.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.asked.append(rows)
        return self.vectors[rows] @ self.vectors.T


def test_blocks_of_queries_give_the_same(monkeypatch: pytest.MonkeyPatch, types: np.ndarray) -> None:
    vectors = np.random.default_rng(5).normal(size=(60, 4))
    lazy = Lazy(vectors)
    whole = retrieval_scores(vectors @ vectors.T, {"type": types})
    monkeypatch.setattr("veriwild_clustering.core.vectors.blocks._BLOCK_BYTES", 60 * 128 * 7)
    pd.testing.assert_frame_equal(retrieval_scores(lazy, {"type": types}), whole)
    assert [one.stop - one.start for one in lazy.asked] == [7] * 8 + [4]


@pytest.mark.parametrize(
    ("ranking", "options", "message"),
    [
        ([[0, 1]], {}, "query_rows"),
        ([0, 1, 2], {}, "shape"),
        (np.empty((0, 3), int), {}, "at least one"),
        ([[0.5, 0.1]], {"query_rows": [0]}, "one column per image"),
        ([[0, 3]], {"query_rows": [0]}, "rows of the images"),
        ([[0, 1]], {"query_rows": [-1]}, "rows of the images"),
        ([[1, 1]], {"query_rows": [0]}, "once per query"),
        ([[0, 1]], {"query_rows": [0], "query_labels": {"type": ["bus"]}}, "not both"),
        ([[0, 1]], {"query_labels": {"color": ["red"]}}, "Unknown attribute 'type'"),
        ([[0, 1], [1, 0]], {"query_labels": {"type": ["bus"]}}, "one value per query, 2. Got 1"),
        ([[0, 1]], {"query_rows": [0], "k": 0}, "`k` must be"),
    ],
)
def test_bad_input_is_named(ranking: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval_scores(ranking, {"type": ["bus", "car", "bus"]}, **options)


def test_labels_must_be_there_for_every_image(similarities: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least one attribute"):
        retrieval_scores(similarities, {})
    with pytest.raises(TypeError, match="mapping from attributes"):
        retrieval_scores(similarities, ["bus"] * 60)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one attribute"):
        retrieval_scores(similarities, {"type": ["bus"] * 60, "color": ["red"] * 59})
    with pytest.raises(ValueError, match="one entry per image"):
        reid_scores(similarities, ["a"] * 60, ["1"] * 59)


@pytest.fixture(scope="module")
def dataset(real_raw_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return join_dataset(locate_raw_data(real_raw_data), tmp_path_factory.mktemp("joined") / "transport_dataset.csv")


@pytest.fixture(scope="module")
def truth(real_raw_data: Path, dataset: Dataset) -> pd.DataFrame:
    table = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    assert list(table["path"]) == list(dataset.images["path"])
    return table


def cosines(dataset: Dataset, name: str) -> np.ndarray:
    vectors = dataset[name].vectors / np.linalg.norm(dataset[name].vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rank_1", "average_precision", "precision"),
    [
        ("efficientnet-b7", 0.338, 0.453, 0.891),  # the best single descriptor, on all three
        ("osnet", 0.282, 0.387, 0.868),
        ("color_model", 0.183, 0.279, 0.587),
        ("type_model", 0.087, 0.145, 0.526),
    ],
)
def test_descriptors_find_vehicles_across_two_cameras_and_types(
    dataset: Dataset, truth: pd.DataFrame, name: str, rank_1: float, average_precision: float, precision: float
) -> None:
    similarities = cosines(dataset, name)
    found = reid_scores(similarities, truth["vehicle_id"], truth["camera"])
    assert (found["n_queries"], found["n_left_out"]) == (634, 650)  # 317 vehicles, two images each
    assert found["rank_1"] == pytest.approx(rank_1, abs=0.01)
    assert found["average_precision"] == pytest.approx(average_precision, abs=0.01)
    assert found["rank_1"] > 100 * found["rank_1_chance"]
    assert found["average_precision"] > 20 * found["average_precision_chance"]

    types = overall(retrieval_scores(similarities, {"type": truth["type"].mask(truth["corruption"] != "")}))
    assert types["n_queries"] == 1234
    assert types["precision"] == pytest.approx(precision, abs=0.01)
    assert types["precision"] > 2 * types["precision_chance"]


@pytest.mark.real
def test_the_other_camera_alone_is_easier_to_search(dataset: Dataset, truth: pd.DataFrame) -> None:
    similarities = cosines(dataset, "efficientnet-b7")
    camera = truth["camera"].to_numpy()
    similarities[camera[:, None] == camera] = np.nan
    similarities[:, camera == "zenodo"] = np.nan  # seen from above, by none of the two
    found = reid_scores(similarities, truth["vehicle_id"], camera)
    assert found["rank_1"] == pytest.approx(0.629, abs=0.01)
    assert found["rank_1"] > 100 * found["rank_1_chance"]
