"""Quality measures as outlier scores: the bad end of each, what is missing, what is found beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import OutlierScores, consensus, near_duplicates, quality_outliers
from veriwild_clustering.outliers.calibration import tail_evidence


@pytest.fixture
def images() -> pd.DataFrame:
    """Measures of 400 ordinary images."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(400)],
            "brisque": np.nan,
            "sharpness": rng.lognormal(6, 0.5, size=400),
            "brightness": rng.normal(0.5, 0.05, size=400),
            "glare_share": np.maximum(0, rng.normal(-0.02, 0.02, size=400)),
        }
    )


def test_each_bad_end_is_a_part_and_what_was_not_measured_is_none(images):
    before = images.copy()
    found = quality_outliers(images)
    ends = ["low sharpness", "low brightness", "high brightness", "high glare_share"]
    assert list(found.table) == [f"quality: {end}" for end in ends]
    assert found.detector == "quality"
    assert found.n_outliers <= 4
    np.testing.assert_allclose(found.scores, found.table.mean(axis=1))
    pd.testing.assert_frame_equal(images, before)


@pytest.mark.parametrize(
    ("column", "value", "part"),
    [
        ("sharpness", 1.0, "low sharpness"),
        ("sharpness", 0.0, "low sharpness"),
        ("brightness", 0.05, "low brightness"),
        ("brightness", 0.97, "high brightness"),
        ("glare_share", 0.6, "high glare_share"),
    ],
)
def test_the_bad_end_stands_out_and_the_good_end_does_not(images, column, value, part):
    images.loc[17, column] = value
    table = quality_outliers(images).table
    assert table.loc[17].idxmax() == f"quality: {part}"
    assert table.loc[17, f"quality: {part}"] > 3
    images.loc[17, "sharpness"] = 1e6
    assert quality_outliers(images).table.loc[17, "quality: low sharpness"] < 0.01


@given(st.lists(st.integers(1, 10_000), min_size=20, max_size=40), st.sampled_from([0.125, 3, 100]))
@settings(max_examples=30, deadline=None)
def test_evidence_of_a_low_end_does_not_depend_on_the_unit(values, unit):
    ours, scaled = (quality_outliers(pd.DataFrame({"sharpness": np.array(values) * u})).scores for u in (1, unit))
    np.testing.assert_allclose(scaled, ours, rtol=1e-3, atol=1e-3)


def test_other_columns_need_their_bad_end(images):
    images["width"] = np.append(np.random.default_rng(1).normal(300, 20, size=399), 9.0)
    found = quality_outliers(images, columns={"width": "low"})
    np.testing.assert_allclose(found.table["quality: low width"], tail_evidence(-np.log(images["width"])))
    assert found.reasons[399] == "unusual width: width in the lowest 0.25 %"
    with pytest.raises(ValueError, match="Unknown quality measure, so say which end of it is bad, 'width'"):
        quality_outliers(images, columns=["sharpness", "width"])
    with pytest.raises(ValueError, match=r"`columns\['width'\]` must be one of 'low', 'high', 'both'"):
        quality_outliers(images, columns={"width": "wide"})
    with pytest.raises(ValueError, match="Unknown column 'height'"):
        quality_outliers(images, columns={"height": "low"})


def test_images_without_any_measure_are_flagged_and_those_without_one_are_not(images):
    images.loc[3, ["sharpness", "brightness", "glare_share"]] = np.nan
    images.loc[5, "sharpness"] = np.nan
    images["image_status"] = pd.Series(["ok"] * 400, dtype="str")
    images.loc[8, ["sharpness", "brightness", "glare_share"]] = np.nan
    images.loc[8, "image_status"] = "truncated"
    found = quality_outliers(images)
    assert found.is_outlier[[3, 8]].all()
    assert not found.is_outlier[5]
    assert np.isnan(found.scores[[3, 8]]).all()
    assert found.reasons[3] == "no quality measures"
    assert found.reasons[8] == "image file truncated; no quality measures"


def test_images_without_a_vehicle_are_flagged(images):
    images["n_vehicles"] = pd.array([1] * 399 + [pd.NA], dtype="Int64")
    images.loc[7, "n_vehicles"] = 0
    found = quality_outliers(images)
    assert found.is_outlier[7]
    assert found.reasons[7] == "no vehicle found"
    assert not found.is_outlier[399]


def test_near_duplicates_are_flagged_where_they_are_given(images):
    hashes = [f"{code:016x}" for code in np.random.default_rng(2).integers(2**62, size=400)]
    hashes[30] = hashes[20]
    assert not quality_outliers(images).is_outlier[30]
    found = quality_outliers(images, duplicates=near_duplicates(hashes))
    assert found.reasons[30] == "near-duplicate of 20.jpg"
    assert not found.is_outlier[20]
    np.testing.assert_allclose(found.scores, quality_outliers(images).scores)


def test_a_table_without_measures(images):
    with pytest.raises(ValueError, match="must have values in a quality column"):
        quality_outliers(images[["path", "brisque"]])


def test_quality_counts_as_much_as_many_descriptors(images):
    rng = np.random.default_rng(3)
    parts = pd.DataFrame({f"space {i}: KNN": tail_evidence(rng.normal(size=400)) for i in range(40)})
    images.loc[11, ["sharpness", "glare_share"]] = 1.0, 0.9
    joined = consensus([OutlierScores(parts), quality_outliers(images)])
    assert joined.ranking()[0] == 11
    assert joined.is_outlier[11]
    expected = [tail_evidence(one.scores) for one in (OutlierScores(parts), quality_outliers(images))]
    np.testing.assert_allclose(joined.scores, np.mean(expected, axis=0))


def test_consensus_keeps_what_was_found(images):
    images["n_vehicles"] = np.where(np.arange(400) == 7, 0, 1)
    joined = consensus([quality_outliers(images), OutlierScores(pd.DataFrame({"osnet: KNN": np.linspace(0, 1, 400)}))])
    assert joined.is_outlier[7]
    assert joined.reasons[7] == "no vehicle found"
