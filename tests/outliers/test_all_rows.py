"""Detectors on more rows than they are fitted to: the scores of PyOD on all rows, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from sklearn.preprocessing import normalize

from veriwild_clustering import Descriptor, detect_outliers
from veriwild_clustering.core.vectors import blocks
from veriwild_clustering.outliers.calibration import tail_evidence
from veriwild_clustering.outliers.neighborhood import SampledKNN
from veriwild_clustering.outliers.tails import ecod_scores


@pytest.fixture
def space() -> Descriptor:
    """600 vectors with zeros, ties, repeated rows, and eight that point elsewhere."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(loc=1, size=(600, 10)).astype(np.float32)
    vectors[:, 2] = np.maximum(vectors[:, 2], 0)
    vectors[:, 3] = vectors[:, 3].round()
    vectors[:, 4] *= -0.0
    vectors[50:60] = vectors[40]
    vectors[10:18, 5:] -= 9
    return Descriptor("osnet", vectors)


@pytest.mark.filterwarnings("ignore:Precision loss occurred:RuntimeWarning")  # PyOD's skewness of a constant column
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("column_bytes", [1, 3 * 4 * 600, 2**28])
def test_ecod_of_all_rows_is_that_of_pyod(space: Descriptor, *, scaled: bool, column_bytes: int) -> None:
    expected = ECOD().fit(normalize(space.vectors) if scaled else space.vectors).decision_scores_
    found = ecod_scores(space, normalize=scaled, column_bytes=column_bytes)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Duplicate values are leading to incorrect results")
@pytest.mark.parametrize("detector", [ECOD(), KNN(n_neighbors=7, method="mean"), KNN(), LOF(n_neighbors=12)])
def test_what_needs_no_sample_scores_all_rows_as_pyod_does(space: Descriptor, detector: Any) -> None:
    found = detect_outliers(space, detector, max_fit=100)
    whole = detect_outliers(space, detector)
    assert "approximation" not in found.params
    np.testing.assert_allclose(found.scores, whole.scores, rtol=1e-4, atol=1e-4)


def test_many_neighbors_are_looked_for_in_the_sample(space: Descriptor) -> None:
    detector = KNN(n_neighbors=70, method="mean")
    found = detect_outliers(space, detector, max_fit=200)
    fitted = np.sort(np.random.default_rng(0).choice(600, 200, replace=False))
    vectors, others = normalize(space.vectors), np.setdiff1d(np.arange(600), fitted)
    expected = np.empty(600)
    expected[fitted] = detector.fit(vectors[fitted]).decision_scores_
    expected[others] = detector.decision_function(vectors[others])
    np.testing.assert_allclose(found.scores, tail_evidence(expected), rtol=1e-4)
    assert found.params["approximation"] == "KNN: fitted to 200 of 600 rows"


@pytest.mark.parametrize("method", ["largest", "mean", "median"])
def test_sampled_neighbors_far_from_the_origin(method: str) -> None:
    rng = np.random.default_rng(0)
    sample, rows = (500 + rng.normal(size=(n, 6)).astype(np.float32) for n in (80, 30))
    ours, pyod = SampledKNN(KNN(n_neighbors=9, method=method)).fit(sample), KNN(n_neighbors=9, method=method)
    pyod.fit(sample.astype(np.float64))
    np.testing.assert_allclose(ours.decision_scores_, pyod.decision_scores_, rtol=1e-4)
    np.testing.assert_allclose(ours.decision_function(rows), pyod.decision_function(rows), rtol=1e-4)


@pytest.mark.parametrize("detector", [KNN(metric="manhattan"), LOF(metric="manhattan"), IForest(random_state=0)])
def test_other_detectors_are_fitted_to_the_sample(space: Descriptor, detector: Any) -> None:
    found = detect_outliers(space, [ECOD(), detector], max_fit=300)
    assert found.params["approximation"] == f"{type(detector).__name__}: fitted to 300 of 600 rows"
    assert set(found.ranking()[:8]) == set(range(10, 18))


def test_blocks_change_nothing(space: Descriptor, monkeypatch: pytest.MonkeyPatch) -> None:
    detectors = [ECOD(), KNN(n_neighbors=70), IForest(random_state=0)]
    whole = detect_outliers(space, detectors, max_fit=200).table
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 3_000)
    np.testing.assert_allclose(detect_outliers(space, detectors, max_fit=200).table, whole, rtol=1e-4)


def test_rows_without_a_usable_vector_stay_in_place_in_a_memory_map(space: Descriptor, tmp_path: Path) -> None:
    vectors = space.vectors.copy()
    vectors[[0, 300, 599]] = np.nan
    np.save(tmp_path / "osnet.npy", vectors)
    mapped = Descriptor("osnet", np.load(tmp_path / "osnet.npy", mmap_mode="r"))
    detectors = [ECOD(), KNN(), IForest(random_state=0)]
    found = detect_outliers(mapped, detectors, max_fit=200)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.scores)), [0, 300, 599])
    kept = np.setdiff1d(np.arange(600), [0, 300, 599])
    np.testing.assert_allclose(
        found.scores[kept], detect_outliers(space.take(kept), detectors, max_fit=200).scores, rtol=1e-5
    )
