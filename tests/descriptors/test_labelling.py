"""CLIP as a labeller: the words of `zero_shot`, in sentences, with its answers at the rows that were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.descriptors.test_zero_shot import export
from veriwild_clustering import Criterion, Dataset, DatasetError, Descriptor, ZeroShotAnswers, cluster_by, zero_shot


@pytest.fixture
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    vectors = rng.uniform(size=(30, 4)).astype(np.float32)
    vectors[4] = np.nan
    return Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(30)]}), {"letters": Descriptor("letters", vectors)})


def test_labels_and_confidence_are_those_of_zero_shot(tmp_path: Path, dataset: Dataset) -> None:
    options = {"text_model": export(tmp_path), "folder": tmp_path, "neutral": ["c"], "temperature": 10.0}
    reference = zero_shot(dataset["letters"], ["aaab", "bbbd"], **options)
    answers = ZeroShotAnswers("letters", **options)
    [found] = answers.label(dataset, [Criterion("mood", labels=["aaab", "bbbd"])], rows=np.arange(30))
    assert found.labels.tolist() == reference["label"].fillna("").tolist()
    known = np.isin(found.labels, ["aaab", "bbbd"])
    np.testing.assert_allclose(found.confidence[known], reference["confidence"][known])
    assert set(found.reasons[known]) == {""}
    assert found.reasons[4] == "no vector"
    [some] = answers.label(dataset, [Criterion("mood", labels=["aaab", "bbbd"])], rows=np.array([3, 9]))
    assert some.labels[[3, 9]].tolist() == found.labels[[3, 9]].tolist()
    assert set(np.delete(some.labels, [3, 9])) == {""}


def test_colors_are_said_of_a_car(tmp_path: Path, dataset: Dataset) -> None:
    options = {"text_model": export(tmp_path), "folder": tmp_path, "threshold": 0.0}
    [found] = ZeroShotAnswers("letters", **options).label(
        dataset, [Criterion("colour", labels=["bad", "cad"])], rows=np.arange(30)
    )
    reference = zero_shot(dataset["letters"], ["bad car", "cad car"], **options)["label"]
    assert found.labels.tolist() == reference.str.removesuffix(" car").fillna("").tolist()


def test_partition_has_the_labels_as_names(tmp_path: Path, dataset: Dataset) -> None:
    answers = ZeroShotAnswers("letters", text_model=export(tmp_path), folder=tmp_path, threshold=0.0, temperature=1.0)
    [partition] = cluster_by(dataset, Criterion("mood", labels=["aaab", "bbbd"]), answers)
    assert set(partition.cluster_names) <= {"aaab", "bbbd"}
    assert partition.labels[4] == -1
    assert ((partition.confidence > 0) == (partition.labels >= 0)).all()


def test_criterion_without_labels_is_refused(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="CLIP chooses among labels, and 'mood' has none"):
        ZeroShotAnswers("letters").label(dataset, [Criterion("mood")], rows=np.arange(30))
