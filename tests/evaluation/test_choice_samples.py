"""Choice on samples with known truth: at least nine tenths of the best ARI, per descriptor and over all of them.

The real sample is needed for some of it; `tests/conftest.py` says where it is looked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from veriwild_clustering import (
    Descriptor,
    Leaderboard,
    choose,
    join_dataset,
    leaderboard,
    locate_raw_data,
    mix,
    regret,
    rerun,
    sweep,
    transform,
)
from veriwild_clustering.samples.plan import plan_images
from veriwild_clustering.samples.vectors import simulate_vectors

NEAR = 0.9


@pytest.fixture(scope="module")
def plan() -> pd.DataFrame:
    """What the drawn sample shows, image by image."""
    return plan_images(800, np.random.default_rng(0))


@pytest.fixture(scope="module")
def spaces(plan: pd.DataFrame) -> dict[str, Descriptor]:
    """The descriptors of the drawn sample, without the images, which nothing here looks at."""
    vectors = simulate_vectors(plan, np.random.default_rng(1))
    return {
        file: transform(Descriptor(file, rows), make_pipeline(StandardScaler(), PCA(64, random_state=0)), name=file)
        for file, rows in vectors
        if not file.startswith("efficientnet")
    }


@pytest.mark.parametrize(
    ("file", "shown"),
    [("osnet.pickle", ["vehicle_id"]), ("vdc_type.pickle", ["type", "view"]), ("vdc_color.pickle", ["color"])],
)
def test_choice_of_a_drawn_descriptor_is_near_the_best(
    file: str, shown: list[str], plan: pd.DataFrame, spaces: dict[str, Descriptor]
) -> None:
    counts = {"n_clusters": range(2, 31)}
    partitions = sweep(spaces[file], {"kmeans": counts, "agglomerative": counts})
    board = leaderboard(partitions, groups=plan["vehicle_id"], reruns=[rerun(partitions, "half samples", n_repeats=4)])
    truth = plan[shown].agg(" ".join, axis=1).mask(plan["corruption"] != "")
    lost = regret(board, truth)
    print(lost[["partition", "ari", "best_ari", "ratio"]].round(3).to_string())  # noqa: T201
    assert lost.loc["combined", "ratio"] >= NEAR
    assert lost.loc["combined", "ratio"] > lost.loc["calinski_harabasz", "ratio"]


@pytest.fixture(scope="module")
def real_truth(real_raw_data: Path) -> pd.Series:
    """Type × view; of damaged images none, since an empty crop has no type."""
    table = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    return (table["type"] + " " + table["view"]).mask(table["corruption"] != "")


@pytest.fixture(scope="module", params=[Normalizer(), StandardScaler()], ids=["unit length", "standardised"])
def real_board(
    request: pytest.FixtureRequest, real_raw_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Leaderboard:
    """Four families in the four descriptors and two mixtures, with halves run again."""
    dataset = join_dataset(locate_raw_data(real_raw_data), tmp_path_factory.mktemp("joined") / "transport_dataset.csv")
    scaled = {one.name: transform(one, request.param, name=one.name) for one in dataset}
    pairs = [("efficientnet-b7", "osnet"), ("type_model", "color_model")]
    mixed = [mix([scaled[one], scaled[other]], name=f"{one} + {other}") for one, other in pairs]
    reduced = [transform(one, PCA(64, random_state=0), name=one.name) for one in (*scaled.values(), *mixed)]
    counts = {"n_clusters": range(2, 16)}
    grid = {
        "kmeans": counts,
        "gaussian_mixture": counts | {"covariance_type": "diag"},
        "agglomerative": counts | {"linkage": "ward"},
        "hdbscan": {"min_cluster_size": [25, 50, 100], "min_samples": [5, 10]},
    }
    partitions = sweep(reduced, grid)
    halves = rerun(partitions, "half samples", n_repeats=4)
    return leaderboard(partitions, groups=dataset.images["vehicle_id"], reruns=[halves])


@pytest.mark.real
def test_choice_on_the_real_sample_is_near_the_best(real_board: Leaderboard, real_truth: pd.Series) -> None:
    lost = regret(real_board, real_truth)
    print(lost[["partition", "ari", "best_ari", "ratio"]].round(3).to_string())  # noqa: T201
    assert lost["best_ari"].iloc[0] == pytest.approx(0.79, abs=0.05)
    assert lost.loc["combined", "ratio"] >= NEAR
    choice = choose(real_board)
    assert not choice.row["at_grid_edge"]
    assert choice.row["pair_consistency"] >= 0.98


@pytest.mark.real
@pytest.mark.parametrize("name", ["efficientnet-b7", "osnet", "efficientnet-b7 + osnet"])
def test_choice_in_a_descriptor_of_the_real_sample_is_near_its_best(
    name: str, real_board: Leaderboard, real_truth: pd.Series
) -> None:
    assert regret(real_board.of(name), real_truth).loc["combined", "ratio"] >= NEAR
