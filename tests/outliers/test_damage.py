"""Damaged images are found, at a threshold chosen from the scores, and the reason names the damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from veriwild_clustering import (
    Dataset,
    OutlierScores,
    compare_detectors,
    consensus,
    detect_outliers,
    join_dataset,
    locate_raw_data,
    quality_measures,
    quality_outliers,
    read_image,
)

NAMES = {"blur": "blurred", "dark": "too dark", "glare": "glare", "noise": "noisy", "empty": "empty frame"}


def parts_of(dataset: Dataset, quality: pd.DataFrame) -> list[OutlierScores]:
    """The scores of each descriptor and of the quality."""
    return [*(detect_outliers(descriptor) for descriptor in dataset), quality_outliers(quality)]


@pytest.fixture(scope="module")
def real_damage(real_raw_data: Path) -> np.ndarray:
    return pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)["corruption"].to_numpy()


@pytest.fixture(scope="module")
def real_parts(real_raw_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[OutlierScores]:
    dataset = join_dataset(locate_raw_data(real_raw_data), tmp_path_factory.mktemp("joined") / "real.csv")
    pixels = [np.asarray(read_image(dataset, row).convert("RGB")) for row in range(len(dataset))]
    return parts_of(dataset, quality_measures(pixels))


@pytest.mark.real
def test_damaged_images_of_the_real_sample_are_found(real_parts, real_damage):
    damaged, found = real_damage != "", consensus(real_parts)
    assert roc_auc_score(damaged, found.scores) >= 0.995
    assert average_precision_score(damaged, found.scores) >= 0.95
    assert found.is_outlier[damaged].sum() >= 45
    assert found.is_outlier[~damaged].mean() <= 0.02
    # Wherever in its interval the threshold lies.
    for threshold in found.threshold_interval:
        assert (found.scores > threshold)[damaged].sum() >= 45
        assert (found.scores > threshold)[~damaged].mean() <= 0.02
    assert found.n_outliers_interval[0] <= found.n_outliers <= found.n_outliers_interval[1]


@pytest.mark.real
def test_the_first_reason_names_the_damage(real_parts, real_damage):
    reasons = consensus(real_parts).reasons
    named = [reason.startswith(NAMES[damage]) for reason, damage in zip(reasons, real_damage, strict=True) if damage]
    assert sum(named) >= 45


@pytest.mark.real
def test_neither_descriptors_nor_quality_alone_find_as_much_as_both(real_parts, real_damage):
    damaged = real_damage != ""
    table = compare_detectors(real_parts, damaged).set_index(["source", "detector"])["average_precision"]
    assert table.idxmax()[0] in {"consensus", "quality"}
    assert table["consensus", "all"] > average_precision_score(damaged, consensus(real_parts[:-1]).scores)


def test_damaged_images_of_the_drawn_sample_are_found(drawn_project: Path):
    dataset = Dataset.open(drawn_project / "transport_dataset.csv")
    damage = pd.read_csv(drawn_project / "raw_data/truth.csv", keep_default_na=False)["corruption"].to_numpy()
    damaged, found = damage != "", consensus(parts_of(dataset, dataset.images))
    assert roc_auc_score(damaged, found.scores) >= 0.995
    assert average_precision_score(damaged, found.scores) >= 0.95
    assert found.is_outlier[damaged].mean() >= 0.8
    assert found.is_outlier[~damaged].mean() <= 0.02
    reasons = found.reasons[(damage == "dark") & found.is_outlier]
    assert np.mean([reason.startswith("too dark") for reason in reasons]) >= 0.8
