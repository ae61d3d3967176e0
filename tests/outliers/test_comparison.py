"""Which part finds outliers best: figures of scikit-learn and SciPy, intervals, what has no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from veriwild_clustering import OutlierScores, compare_detectors
from veriwild_clustering.outliers.comparison import _Row


@pytest.fixture
def damaged() -> np.ndarray:
    return np.arange(400) < 20


@pytest.fixture
def scores(damaged) -> OutlierScores:
    """A descriptor that sees the damage, one that half sees it, one that does not; with ties."""
    rng = np.random.default_rng(0)
    strength = {"osnet: KNN": 4, "osnet: ECOD": 3, "type_model: KNN": 1.5, "color_model: KNN": 0}
    noise = rng.exponential(0.4, size=(400, 4)).round(2)
    return OutlierScores(pd.DataFrame(noise + np.outer(damaged, list(strength.values())), columns=list(strength)))


def test_figures_are_those_of_scikit_learn_and_scipy(scores, damaged):
    table = compare_detectors(scores, damaged).set_index(["source", "detector"])
    for name in scores.table:
        row = table.loc[tuple(name.split(": "))]
        own = scores.table[name]
        others = scores.table[[one for one in scores.table if one.split(": ")[0] != name.split(": ")[0]]].mean(axis=1)
        assert row["roc_auc"] == pytest.approx(roc_auc_score(damaged, own))
        assert row["average_precision"] == pytest.approx(average_precision_score(damaged, own))
        assert row["agreement"] == pytest.approx(spearmanr(own, others).statistic)
    joint = scores.table[["osnet: KNN", "osnet: ECOD"]].mean(axis=1)
    assert table.loc[("osnet", "all"), "roc_auc"] == pytest.approx(roc_auc_score(damaged, joint))
    assert table.loc[("consensus", "all"), "roc_auc"] == pytest.approx(roc_auc_score(damaged, scores.scores))


def test_weighted_figures_are_those_of_the_drawn_sample(scores, damaged):
    own, others = scores.table["type_model: KNN"].to_numpy(), scores.table["osnet: KNN"].to_numpy()
    rows = np.random.default_rng(1).integers(400, size=400)
    weights = np.bincount(rows, minlength=400)[None].astype(float)
    found = _Row("type_model", "KNN", own, others).figures(weights, damaged)[0]
    assert found[2] == pytest.approx(roc_auc_score(damaged[rows], own[rows]))
    assert found[3] == pytest.approx(average_precision_score(damaged[rows], own[rows]))
    ranks = pd.DataFrame({"own": own, "others": others}).rank().iloc[rows]
    assert found[0] == pytest.approx(np.corrcoef(ranks.T)[0, 1])


def test_the_best_comes_first_within_its_interval(scores, damaged):
    table = compare_detectors(scores, damaged)
    assert table["average_precision"].is_monotonic_decreasing
    assert table.loc[0, "source"] in {"osnet", "consensus"}
    assert table.iloc[-1]["source"] == "color_model"
    for name in ("roc_auc", "average_precision"):
        assert table[name].between(table[f"{name}_low"] - 0.01, table[f"{name}_high"] + 0.01).all()
    low, high = table.iloc[-1][["roc_auc_low", "roc_auc_high"]]
    assert low < 0.5 < high


def test_without_known_damage_the_others_are_what_is_compared_with(scores):
    table = compare_detectors(scores)
    assert "roc_auc" not in table
    assert table["overlap"].dropna().is_monotonic_decreasing
    assert table.loc[table["overlap"].idxmin(), "source"] == "color_model"
    assert table["overlap"].dropna().between(0, 1).all()
    alone = table.set_index("source").loc["consensus"]
    assert alone[["agreement", "overlap", "agreement_low"]].isna().all()


def test_follows_the_seed_and_whole_vehicles_widen_the_interval(scores, damaged):
    kwargs = {"n_repeats": 100}
    once, again = (compare_detectors(scores, damaged, random_state=1, **kwargs) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)
    vehicles = compare_detectors(scores, damaged, vehicles=np.arange(400) // 10, **kwargs)
    rows = (table.set_index(["source", "detector"]).loc[("type_model", "KNN")] for table in (once, vehicles))
    images, whole = (row["average_precision_high"] - row["average_precision_low"] for row in rows)
    assert whole > images
    each = compare_detectors(scores, damaged, vehicles=np.arange(400), random_state=1, **kwargs)
    pd.testing.assert_frame_equal(each, once)


def test_images_of_unknown_vehicles_are_drawn_one_by_one(scores, damaged):
    vehicles = np.array([f"{image // 10:05}" for image in range(400)], dtype=object)
    some = vehicles.copy()
    some[:100], some[100:200], some[200:300] = None, np.nan, ""
    wide, narrow = (
        compare_detectors(scores, damaged, vehicles=names, n_repeats=100).set_index(["source", "detector"])
        for names in (vehicles, some)
    )
    width = [table["average_precision_high"] - table["average_precision_low"] for table in (wide, narrow)]
    assert width[0]["type_model", "KNN"] > width[1]["type_model", "KNN"]


def test_images_that_lack_a_part_are_left_out(scores, damaged):
    table = scores.table.copy()
    table.loc[380:, "type_model: KNN"] = np.nan
    holed, short = OutlierScores(table), OutlierScores(scores.table.iloc[:380])
    pd.testing.assert_frame_equal(compare_detectors(holed, damaged), compare_detectors(short, damaged[:380]))


def test_one_descriptor_has_no_others(scores, damaged):
    table = compare_detectors(OutlierScores(scores.table[["osnet: KNN", "osnet: ECOD"]]), damaged)
    assert table["agreement"].isna().all()
    assert table["roc_auc"].notna().all()


def test_bad_input(scores, damaged):
    with pytest.raises(ValueError, match="must have True and False"):
        compare_detectors(scores, np.zeros(400, dtype=bool))
    with pytest.raises(ValueError, match="one entry per image"):
        compare_detectors(scores, damaged[:9])
    holes = scores.table.copy()
    holes.iloc[:200, 0] = holes.iloc[200:, 1] = np.nan
    with pytest.raises(ValueError, match="must have an image with all parts"):
        compare_detectors(OutlierScores(holes))
