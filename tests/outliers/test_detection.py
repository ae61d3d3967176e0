"""Outlier detection: PyOD's own ranking, rows kept in place, reasons, bad input, and the damaged images found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn.preprocessing import normalize

from veriwild_clustering import Descriptor, OutlierScores, consensus, detect_outliers


@pytest.fixture
def space() -> Descriptor:
    """300 ordinary vectors and, in rows 10 to 14, five that point elsewhere."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(loc=2, size=(300, 12))
    vectors[10:15, :6] -= 9
    return Descriptor("osnet", vectors.astype(np.float32))


def test_finds_what_was_planted(space):
    found = detect_outliers(space)
    assert set(found.ranking()[:5]) == {10, 11, 12, 13, 14}
    assert found.is_outlier[10:15].all()
    assert found.n_outliers <= 8


@pytest.mark.parametrize("detector", [ECOD(), KNN(n_neighbors=7), IForest(random_state=3)])
def test_ranks_and_flags_as_pyod_does(space, detector):
    ours = detect_outliers(space, detector, contamination=0.1)
    pyod = detector.fit(normalize(space.vectors))
    np.testing.assert_array_equal(np.argsort(ours.scores), np.argsort(pyod.decision_scores_))
    np.testing.assert_array_equal(ours.is_outlier, pyod.labels_.astype(bool))


def test_without_normalizing_the_vectors_reach_the_detector_as_they_are(space):
    ours = detect_outliers(space, KNN(), normalize=False)
    pyod = KNN().fit(space.vectors)
    np.testing.assert_array_equal(np.argsort(ours.scores), np.argsort(pyod.decision_scores_))


def test_score_is_the_mean_of_the_parts_and_detectors_of_one_kind_are_numbered(space):
    found = detect_outliers(space, [KNN(n_neighbors=3), ECOD(), KNN(n_neighbors=9)])
    assert list(found.table) == ["osnet: KNN", "osnet: ECOD", "osnet: KNN 2"]
    np.testing.assert_allclose(found.scores, found.table.to_numpy().mean(axis=1))
    assert found.detector == "KNN + ECOD + KNN 2"


def test_given_detectors_and_vectors_are_left_as_they_were(space):
    forest, before = IForest(), space.vectors.copy()
    detect_outliers(space, [forest], random_state=4)
    assert forest.random_state is None
    assert not hasattr(forest, "decision_scores_")
    np.testing.assert_array_equal(space.vectors, before)


def test_random_detectors_follow_the_seed(space):
    once, again, other = (detect_outliers(space, IForest(), random_state=seed).scores for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


def test_scores_follow_their_rows(space):
    order = np.random.default_rng(1).permutation(len(space))
    np.testing.assert_allclose(detect_outliers(space.take(order)).scores, detect_outliers(space).scores[order])


def test_rows_without_a_usable_vector_stay_in_place(space):
    vectors = space.vectors.copy()
    vectors[[0, 299]] = np.nan
    found = detect_outliers(Descriptor("osnet", vectors))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.scores)), [0, 299])
    assert found.is_outlier[[0, 299]].all()
    assert found.reasons[0] == "no usable vector in osnet"
    assert set(found.ranking()[-2:]) == {0, 299}
    np.testing.assert_allclose(found.scores[1:299], detect_outliers(space.take(np.arange(1, 299))).scores)


def test_reasons_name_the_part_that_stands_out_most(space):
    found = detect_outliers(space, [KNN(), ECOD()])
    assert all(bool(reason) == flag for reason, flag in zip(found.reasons, found.is_outlier, strict=True))
    for row in np.flatnonzero(found.is_outlier):
        part = found.table.iloc[row].idxmax()
        share = 100 * np.mean(found.table[part] >= found.table[part][row])
        detector = part.rpartition(": ")[2]
        assert found.reasons[row].endswith(f" in osnet: {detector} score in the top {share:.2g} %")


def test_many_rows_are_scored_by_detectors_fitted_to_a_sample(space):
    exact, sampled = detect_outliers(space), detect_outliers(space, max_fit=200)
    assert sampled.params["approximation"] == "KNN: fitted to 200 of 300 rows"
    assert "approximation" not in exact.params
    assert set(sampled.ranking()[:5]) == {10, 11, 12, 13, 14}
    assert np.corrcoef(exact.table["osnet: ECOD"], sampled.table["osnet: ECOD"])[0, 1] > 0.9


def test_gaussian_data_yields_few_outliers():
    space = Descriptor("noise", np.random.default_rng(0).normal(size=(1000, 20)).astype(np.float32))
    assert detect_outliers(space).n_outliers <= 5
    assert detect_outliers(space, normalize=False).n_outliers <= 5


def test_constant_columns_change_no_flag(space):
    wider = Descriptor("osnet", np.hstack([space.vectors, np.zeros((300, 2), dtype=np.float32)]))
    assert set(detect_outliers(wider).ranking()[:5]) == {10, 11, 12, 13, 14}


def test_read_only_memory_map_gives_the_same_scores(space, tmp_path):
    np.save(tmp_path / "osnet.npy", space.vectors)
    mapped = Descriptor("osnet", np.load(tmp_path / "osnet.npy", mmap_mode="r"))
    np.testing.assert_array_equal(detect_outliers(mapped).scores, detect_outliers(space).scores)


def test_html_shows_the_counts_and_the_worst(space):
    found = detect_outliers(space)
    html = found._repr_html_()
    assert f"{found.n_outliers:,} of 300 images" in html
    assert found.reasons[found.ranking()[0]] in html
    assert repr(found) == f"OutlierScores('ECOD + KNN', {found.n_outliers} of 300 images flagged)"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"detectors": []}, ValueError, "at least one PyOD detector"),
        ({"detectors": "knn"}, TypeError, "must be PyOD detectors"),
        ({"detectors": [KNN(), 3]}, TypeError, "Got 3 instead"),
        ({"contamination": 0.7}, ValueError, r"`contamination` must be a number in \[0, 0.5\]"),
        ({"max_fit": 1}, ValueError, "`max_fit` must be an int"),
    ],
)
def test_bad_arguments_are_named(space, change, error, message):
    with pytest.raises(error, match=message):
        detect_outliers(space, **change)


@pytest.mark.parametrize("n_rows", [1, 9])
def test_too_few_rows(n_rows):
    with pytest.raises(ValueError, match=f"at least 10 usable rows .* Got {n_rows} instead"):
        detect_outliers(Descriptor("few", np.eye(n_rows, dtype=np.float32)))


def test_equal_vectors():
    with pytest.raises(ValueError, match="'same' are all equal once scaled to unit length"):
        detect_outliers(Descriptor("same", np.ones((20, 3), dtype=np.float32)))


def test_table_without_scores():
    with pytest.raises(ValueError, match="must have a scored image"):
        OutlierScores(pd.DataFrame({"osnet: KNN": [np.nan, np.nan]}))


def test_consensus_joins_the_parts_and_sees_what_one_descriptor_misses(space):
    other = np.random.default_rng(5).normal(loc=2, size=(300, 6)).astype(np.float32)
    other[200] = -9, 9, -9, 9, -9, 9
    scores = [detect_outliers(space), detect_outliers(Descriptor("color_model", other))]
    joined = consensus(scores)
    assert list(joined.table) == ["osnet: ECOD", "osnet: KNN", "color_model: ECOD", "color_model: KNN"]
    np.testing.assert_allclose(joined.scores, (scores[0].scores + scores[1].scores) / 2)
    assert not scores[0].is_outlier[200]
    assert joined.is_outlier[200]
    assert "in color_model" in joined.reasons[200]
    np.testing.assert_allclose(consensus(scores[::-1]).scores, joined.scores)


def test_consensus_uses_the_parts_an_image_has(space):
    vectors = space.vectors.copy()
    vectors[3] = np.nan
    whole, holed = detect_outliers(space), detect_outliers(Descriptor("type_model", vectors))
    joined = consensus([whole, holed])
    assert joined.scores[3] == pytest.approx(whole.scores[3])
    assert joined.is_outlier[3]
    assert joined.reasons[3] == "no usable vector in type_model"


def test_consensus_contamination(space):
    assert consensus([detect_outliers(space)], contamination=0.02).n_outliers == 6


def test_consensus_of_bad_input(space):
    found = detect_outliers(space)
    with pytest.raises(ValueError, match="at least one OutlierScores"):
        consensus([])
    with pytest.raises(ValueError, match=r"same images. Got \[100, 300\]"):
        consensus([found, detect_outliers(space.take(np.arange(100)))])
    with pytest.raises(ValueError, match="different names"):
        consensus([found, found])
