"""Reasons in words: the damage that accounts for the others first, then the descriptors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import OutlierScores

MEASURES = {
    "high brisque", "low sharpness", "low brightness", "high brightness", "high dark_share", "high glare_share",
    "low contrast", "high noise", "high blockiness", "low entropy",
}  # fmt: skip


def scores_of(first: dict[str, float], n_images: int = 300) -> OutlierScores:
    """Scores of which image 0 has the given evidence and the others little."""
    rng = np.random.default_rng(0)
    names = [f"quality: {name}" for name in sorted(MEASURES)] + ["osnet: KNN", "osnet: ECOD", "type_model: KNN"]
    table = pd.DataFrame(rng.exponential(0.2, size=(n_images, len(names))).clip(max=1), columns=names)
    table.loc[0] = 0.1
    for name, evidence in first.items():
        table.loc[0, f"quality: {name}" if name in MEASURES else name] = evidence
    return OutlierScores(table, groups=["quality"] * 10 + ["vectors"] * 3)


@pytest.mark.parametrize(
    ("evidence", "damage"),
    [
        ({"low sharpness": 8, "low contrast": 2.5, "low entropy": 1.2}, "blurred"),
        ({"low sharpness": 8, "low contrast": 6, "low entropy": 3}, "empty frame"),
        ({"low entropy": 3, "low sharpness": 1}, "empty frame"),
        ({"high dark_share": 5, "low contrast": 9, "low entropy": 6, "low sharpness": 5}, "too dark"),
        ({"low brightness": 5, "low contrast": 8, "low sharpness": 5}, "too dark"),
        ({"high glare_share": 5, "high brightness": 6, "low entropy": 4}, "glare"),
        ({"high brightness": 5, "low entropy": 3}, "too bright"),
        ({"high noise": 5, "high brisque": 9}, "noisy"),
        ({"high blockiness": 5}, "JPEG blocks"),
        ({"low contrast": 5}, "little contrast"),
        ({"high brisque": 5}, "unnatural"),
    ],
)
def test_one_damage_is_named_for_what_moves_several_measures(evidence, damage):
    reason = scores_of(evidence | {"osnet: KNN": 6}).reasons[0]
    assert reason.split("; ")[0].startswith(f"{damage}: ")
    assert reason.split("; ")[1:] == ["far from its neighbours in osnet: KNN score in the top 0.33 %"]


def test_two_damages_are_both_named_the_stronger_first():
    reason = scores_of({"high noise": 5, "high glare_share": 3}).reasons[0]
    assert reason == "noisy: noise in the highest 0.33 %; glare: glare share in the highest 0.33 %"


def test_a_weak_cause_does_not_take_the_place_of_a_strong_one():
    assert scores_of({"high glare_share": 2, "low sharpness": 9}).reasons[0].startswith("blurred: ")


def test_all_descriptors_in_which_the_detector_finds_it_are_named():
    found = scores_of({"osnet: KNN": 6, "type_model: KNN": 5, "osnet: ECOD": 4})
    assert found.reasons[0] == "far from its neighbours in osnet and type_model: KNN score in the top 0.33 %"


def test_the_share_is_that_of_the_images_at_least_as_bad():
    scores = scores_of({"low sharpness": 7, "osnet: KNN": 7})
    table = scores.table.copy()
    table.loc[:5, "quality: low sharpness"] = 7.0
    table.loc[:5, "osnet: KNN"] = 7.0
    found = OutlierScores(table, groups=scores.groups)
    assert found.is_outlier[:6].all()
    assert found.reasons[3].startswith("blurred: sharpness in the lowest 2 %; far from its neighbours")


def test_what_stands_out_nowhere_is_named_by_its_strongest_part():
    found = OutlierScores(pd.DataFrame({"osnet: KNN": np.linspace(0, 1, 100)}), contamination=0.02)
    assert found.reasons[99] == "far from its neighbours in osnet: KNN score in the top 1 %"


def test_a_finding_flags_an_image_and_comes_after_its_damage():
    scores = scores_of({"low sharpness": 9, "osnet: KNN": 6})
    findings = ["near-duplicate of a.jpg", "no vehicle found"] + [""] * 298
    found = OutlierScores(scores.table, groups=scores.groups, findings=findings)
    assert found.reasons[0].split("; ")[0].startswith("blurred")
    assert found.reasons[0].split("; ")[1] == "near-duplicate of a.jpg"
    assert found.is_outlier[1]
    assert found.reasons[1] == "no vehicle found"
    assert all(bool(reason) == flag for reason, flag in zip(found.reasons, found.is_outlier, strict=True))


@pytest.mark.parametrize("change", [{"groups": ["vectors"]}, {"groups": ["other"] * 13}, {"findings": ["", ""]}])
def test_groups_and_findings_of_another_length(change):
    with pytest.raises(ValueError, match=r"`groups` must say|`findings` must have one entry"):
        OutlierScores(scores_of({}).table, **change)
