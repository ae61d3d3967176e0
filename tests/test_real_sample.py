"""The library's own verbs on the real sample: published baselines, the choice without truth, the damaged images.

Needs the real sample; `tests/conftest.py` says where it is looked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from veriwild_clustering import (
    Choice,
    Dataset,
    Leaderboard,
    choose,
    consensus,
    detect_outliers,
    external_scores,
    join_dataset,
    leaderboard,
    locate_raw_data,
    mix,
    sweep,
    transform,
)

pytestmark = pytest.mark.real

N_COMPONENTS = 64
SEED = 0


@pytest.fixture(scope="module")
def dataset(real_raw_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return join_dataset(locate_raw_data(real_raw_data), tmp_path_factory.mktemp("joined") / "transport_dataset.csv")


@pytest.fixture(scope="module")
def truth(real_raw_data: Path, dataset: Dataset) -> pd.DataFrame:
    """True values in row order, those of damaged images removed, since an empty crop has no type."""
    table = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    assert list(table["path"]) == list(dataset.images["path"])
    damaged = table["corruption"] != ""
    types = table["type"].mask(damaged)
    return pd.DataFrame({"damaged": damaged, "type": types, "type × view": types + " " + table["view"]})


@pytest.fixture(scope="module")
def board(dataset: Dataset, truth: pd.DataFrame) -> Leaderboard:
    """k-means, diagonal mixtures and Ward for k = 2…15 in each descriptor and in a mixture of two."""
    unit = [transform(descriptor, Normalizer(), name=descriptor.name) for descriptor in dataset]
    pair = mix([one for one in unit if one.name in {"efficientnet-b7", "osnet"}], name="efficientnet-b7 + osnet")
    spaces = [transform(one, PCA(N_COMPONENTS, random_state=SEED), name=one.name) for one in (*unit, pair)]
    counts = {"n_clusters": range(2, 16)}
    grid = {
        "kmeans": counts,
        "gaussian_mixture": counts | {"covariance_type": "diag"},
        "agglomerative": counts | {"linkage": "ward"},
    }
    return leaderboard(
        sweep(spaces, grid, random_state=SEED), truth=truth["type × view"], groups=dataset.images["vehicle_id"]
    )


@pytest.fixture(scope="module")
def choice(board: Leaderboard) -> Choice:
    return choose(board)


@pytest.mark.parametrize(
    ("name", "published"), [("efficientnet-b7", 0.60), ("osnet", 0.57), ("color_model", 0.12), ("type_model", 0.11)]
)
def test_baselines_are_reproduced(dataset: Dataset, truth: pd.DataFrame, name: str, published: float) -> None:
    # k-means ends in one of several optima (osnet: ARI 0.64 at the lowest inertia, 0.56 at the next), so one seed says
    # little: the published figure lies within the spread of twelve single seedings, and their mean is near it.
    space = transform(dataset[name], make_pipeline(StandardScaler(), PCA(N_COMPONENTS, random_state=SEED)))
    partitions = sweep(space, {"kmeans": {"n_clusters": 5, "n_init": 1, "random_state": range(12)}})
    found = np.array([external_scores(partition, truth["type"])["ari"] for partition in partitions])
    assert found.min() - 0.01 <= published <= found.max() + 0.01
    assert found.mean() == pytest.approx(published, abs=0.06)


def test_choice_without_truth_is_near_the_best_of_the_sweep(board: Leaderboard, choice: Choice) -> None:
    best = board.table.loc[board.table["ari"].idxmax()]
    line = f"{choice.partition.name}: ARI {choice.row['ari']:.3f}; best {best['algorithm']}({best['params']}) on "
    print(f"{line}{best['descriptor']}: ARI {best['ari']:.3f}")  # noqa: T201
    print("\n".join(choice.reasons))  # noqa: T201
    assert best["ari"] == pytest.approx(0.79, abs=0.05)
    assert choice.row["ari"] >= 0.75 * best["ari"]


def test_choice_beats_the_plain_maximum_of_an_internal_metric(board: Leaderboard, choice: Choice) -> None:
    for name in ("calinski_harabasz", "silhouette"):
        assert board.table["ari"][board.table[name].idxmax()] < choice.row["ari"] / 2


def test_choice_is_not_at_the_edge_of_its_grid(choice: Choice) -> None:
    assert not choice.row["at_grid_edge"]
    assert any("lies inside the grid 2…15" in reason for reason in choice.reasons)


@pytest.mark.parametrize("name", ["efficientnet-b7", "osnet"])
def test_choice_of_one_descriptor_is_near_its_best(board: Leaderboard, name: str) -> None:
    part = board.of(name)
    assert choose(part).row["ari"] >= 0.75 * part.table["ari"].max()


def test_images_of_one_vehicle_stay_together_in_the_choice(choice: Choice) -> None:
    assert choice.row["pair_consistency"] >= 0.98


def test_consensus_of_outlier_scores_finds_the_damaged_images(dataset: Dataset, truth: pd.DataFrame) -> None:
    scores = consensus([detect_outliers(descriptor, random_state=SEED) for descriptor in dataset]).scores
    auc = roc_auc_score(truth["damaged"], scores)
    print(f"ROC AUC {auc:.4f}, AP {average_precision_score(truth['damaged'], scores):.3f}")  # noqa: T201
    assert auc >= 0.98
