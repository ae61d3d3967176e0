"""One weighted query finds the colour and the type together: figures on the vectors of a large drawn sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, Descriptor, draw_sample, join_dataset, locate_raw_data
from veriwild_clustering.samples.plan import TRUTH_COLUMNS, plan_images
from veriwild_clustering.samples.vectors import simulate_vectors
from veriwild_clustering.search.index import SearchIndex
from veriwild_clustering.search.queries import search_rows

N_IMAGES, N_QUERIES, N_RESULTS = 6000, 500, 10
NAMES = {"vdc_color.pickle": "color_model", "vdc_type.pickle": "type_model", "osnet.pickle": "osnet"}
WEIGHTS = {"color_model": 0.5, "type_model": 0.3, "osnet": 0.2}


def sample(n_images: int) -> Dataset:
    """The table and vectors of `draw_sample(n_images=n_images, random_state=0)` without its images."""
    plan_seed, vector_seed, _ = np.random.SeedSequence(0).spawn(3)
    plan = plan_images(n_images, np.random.default_rng(plan_seed))
    vectors = {NAMES.get(name, name): rows for name, rows in simulate_vectors(plan, np.random.default_rng(vector_seed))}
    return Dataset(plan[TRUTH_COLUMNS], {name: Descriptor(name, vectors[name]) for name in NAMES.values()})


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return sample(N_IMAGES)


@pytest.fixture(scope="module")
def queries(dataset: Dataset) -> np.ndarray:
    good = np.flatnonzero(dataset.images["corruption"] == "")
    return np.random.default_rng(0).choice(good, N_QUERIES, replace=False)


def precision(
    dataset: Dataset, queries: np.ndarray, weights: dict[str, float], *, rerank: str | None = None
) -> pd.Series:
    """P@10 of colour and type among undamaged images of other vehicles."""
    index = SearchIndex.build(dataset, weights)
    scope = {"where": {"corruption": ""}, "exclude_same_vehicle": True, "rerank": rerank}
    found = search_rows(index, dataset, queries, n_results=N_RESULTS, **scope).rows
    assert (found >= 0).all()
    labels = {name: dataset.images[name].to_numpy() for name in ("color", "type")}
    hits = {name: values[found] == values[queries][:, None] for name, values in labels.items()}
    return pd.Series(
        {**{name: hit.mean() for name, hit in hits.items()}, "both": (hits["color"] & hits["type"]).mean()}
    )


def test_vectors_are_those_of_the_drawn_sample(tmp_path: Path) -> None:
    folder = draw_sample(tmp_path / "raw_data", n_images=50, random_state=0)
    joined = join_dataset(locate_raw_data(folder), tmp_path / "transport_dataset.csv")
    np.testing.assert_array_equal(sample(50)["color_model"].vectors, joined["color_model"].vectors)


def test_one_weighted_query_finds_colour_and_type_together(dataset: Dataset, queries: np.ndarray) -> None:
    rows = {"chance (Σp²)": pd.Series({name: chance(dataset, name) for name in ("color", "type")})}
    for color in (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0):
        weights = {"color_model": color, "type_model": 1 - color}
        rows[f"{color:.1f} color_model + {1 - color:.1f} type_model"] = precision(dataset, queries, weights)
    rows["osnet"] = precision(dataset, queries, {"osnet": 1})
    rows["0.5 color_model + 0.3 type_model + 0.2 osnet"] = best = precision(dataset, queries, WEIGHTS)
    rows["the same, k-reciprocal"] = again = precision(dataset, queries[:150], WEIGHTS, rerank="k-reciprocal")
    table = pd.DataFrame(rows).T
    print(f"\n{table.round(3).to_string()}")  # noqa: T201 -- the figures for the documents
    assert best["color"] >= 0.9
    assert best["type"] >= 0.9
    assert again["both"] > best["both"]
    single = table.loc[["0.0 color_model + 1.0 type_model", "1.0 color_model + 0.0 type_model", "osnet"]]
    assert (single[["color", "type"]].min(axis=1) < 0.75).all()  # no descriptor alone finds both
    pairs = table.iloc[1:9]
    assert pairs["color"].is_monotonic_increasing
    assert pairs["type"].is_monotonic_decreasing


def chance(dataset: Dataset, name: str) -> float:
    good = dataset.images.loc[dataset.images["corruption"] == "", name]
    return float((good.value_counts(normalize=True) ** 2).sum())
