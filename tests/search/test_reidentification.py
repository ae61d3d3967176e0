"""Two cameras, one image of each vehicle from each: descriptors, their mixture and re-ranking on the real sample.

Needs the real sample; `tests/conftest.py` says where it is looked for.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, join_dataset, locate_raw_data
from veriwild_clustering.evaluation.retrieval import reid_scores
from veriwild_clustering.search.index import SearchIndex
from veriwild_clustering.search.queries import search_rows
from veriwild_clustering.search.reranking import KReciprocal, LocalScaling, Reranker

pytestmark = pytest.mark.real

N_VEHICLES, STEPS, N_RESULTS = 317, 10, 100
RERANKERS: dict[str, Reranker | None] = {
    "": None,
    ", k-reciprocal": KReciprocal(),
    ", k-reciprocal (k1=2, k2=1)": KReciprocal(2, 1),
    ", local scaling": LocalScaling(),
}


@pytest.fixture(scope="module")
def dataset(real_raw_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The undamaged images of vehicles that two cameras saw."""
    joined = join_dataset(locate_raw_data(real_raw_data), tmp_path_factory.mktemp("joined") / "transport_dataset.csv")
    truth = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    return joined.take(np.flatnonzero(truth["camera"].isin(["cam1", "cam2"]) & (truth["corruption"] == "")))


@pytest.fixture(scope="module")
def folds(dataset: Dataset) -> np.ndarray:
    """Which half of the vehicles each image belongs to."""
    vehicles, codes = np.unique(dataset.images["vehicle_id"], return_inverse=True)
    assert len(vehicles) == N_VEHICLES
    return np.random.default_rng(0).permutation(np.arange(N_VEHICLES) % 2)[codes]


def scores(dataset: Dataset, weights: dict[str, float], rows: np.ndarray, rerank: Reranker | None = None) -> pd.Series:
    index = SearchIndex.build(dataset, weights)
    scope = {"n_results": N_RESULTS, "exclude_same_camera": True, "rerank": rerank}
    ranking = search_rows(index, dataset, rows, **scope).rows
    images = dataset.images
    return pd.Series(reid_scores(ranking, images["vehicle_id"], images["camera"], query_rows=rows))


@pytest.fixture(scope="module")
def best_weights(dataset: Dataset, folds: np.ndarray) -> list[dict[str, float]]:
    """For each half of the vehicles the weights, in tenths, that are best on it alone."""
    cosines = {}
    for descriptor in dataset:
        unit = descriptor.vectors / np.linalg.norm(descriptor.vectors, axis=1, keepdims=True)
        cosines[descriptor.name] = unit @ unit.T
    camera, vehicle = (dataset.images[name].to_numpy() for name in ("camera", "vehicle_id"))
    apart = camera[:, None] != camera
    match = (apart & (vehicle[:, None] == vehicle)).argmax(axis=1)
    grid = [tenths for tenths in itertools.product(range(STEPS + 1), repeat=len(cosines)) if sum(tenths) == STEPS]
    precision = []
    for tenths in grid:
        together = sum(share * cosine for share, cosine in zip(tenths, cosines.values(), strict=True) if share)
        before = ((together > np.take_along_axis(together, match[:, None], axis=1)) & apart).sum(axis=1)
        precision.append(1 / (1 + before))
    best = [grid[np.mean([one[folds == fold] for one in precision], axis=1).argmax()] for fold in (0, 1)]
    return [{name: share / STEPS for name, share in zip(cosines, tenths, strict=True) if share} for tenths in best]


def test_mixture_and_re_ranking_beat_the_best_descriptor(
    dataset: Dataset, folds: np.ndarray, best_weights: list[dict[str, float]]
) -> None:
    rows = np.arange(len(dataset))
    halves = [np.flatnonzero(folds == fold) for fold in (0, 1)]
    found = {name: scores(dataset, {name: 1}, rows) for name in dataset.names}
    for name, rerank in RERANKERS.items():  # each half is searched with the weights that were best on the other
        parts = zip(best_weights[::-1], halves, strict=True)
        found[f"mixture{name}"] = pd.concat([scores(dataset, *part, rerank) for part in parts], axis=1).mean(axis=1)
    table = pd.DataFrame(found).T[["rank_1", "rank_5", "average_precision"]]
    print(f"\n{best_weights}, chance {1 / N_VEHICLES:.3f}\n{table.round(3).to_string()}")  # noqa: T201 -- for the documents
    precision = table["average_precision"]
    single = precision[dataset.names].max()
    assert (table.loc[dataset.names, "rank_1"] > 10 / N_VEHICLES).all()
    assert single + 0.02 < precision["mixture"]
    assert precision["mixture"] < precision["mixture, k-reciprocal"] < precision["mixture, k-reciprocal (k1=2, k2=1)"]
    assert precision["mixture, local scaling"] > single + 0.1
