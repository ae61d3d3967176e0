"""Which columns are attributes: the known before the measured, no uncertainty, no bookkeeping."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Descriptor, Partition, profile, summarize


@pytest.fixture
def partition() -> Partition:
    return Partition(np.repeat([0, 1], 30), Descriptor("toy", np.zeros((60, 2))), "kmeans")


@pytest.fixture
def measured() -> pd.DataFrame:
    """What measuring the images adds to a table."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(60)],
            "vehicle_id": [f"{i:05d}" for i in range(60)],
            "brisque": rng.uniform(0, 100, 60),
            "dark_share": np.where(rng.random(60) < 0.8, 0.0, rng.random(60)),
            "measured_color": rng.choice(["white", "black", "uncertain"], 60),
            "measured_color_confidence": rng.random(60),
            "light": rng.choice(["day", "night", "uncertain"], 60),
            "light_confidence": rng.random(60),
            "focus": rng.choice(["sharp", "blurred", "uncertain"], 60),
            "focus_confidence": rng.random(60),
            "phash": [f"{i % 7:016x}" for i in range(60)],
        }
    )


def columns(partition: Partition, images: pd.DataFrame) -> list[str]:
    return list(profile(partition, images)["column"].unique())


def test_measured_columns_speak_and_bookkeeping_does_not(partition, measured):
    assert columns(partition, measured) == ["brisque", "dark_share", "measured_color", "light", "focus"]


def test_uncertain_is_not_known(partition, measured):
    table = profile(partition, measured)
    for column in ("measured_color", "light", "focus"):
        rows = table[(table["column"] == column) & (table["cluster"] == 0)]
        uncertain = (measured[column][:30] == "uncertain").sum()
        assert "uncertain" not in set(rows["value"])
        assert set(rows["missing"]) == {uncertain}
        assert rows["count"].sum() == 30 - uncertain


def test_what_is_known_is_not_said_again_as_measured(partition, measured):
    known = measured.assign(color=["white", "black"] * 30, time_of_day=["day", "night"] * 30)
    assert not {"measured_color", "light"} & set(columns(partition, known))
    assert {"color", "time_of_day", "focus"} <= set(columns(partition, known))
    asked = profile(partition, known, columns=["measured_color"])
    assert set(asked["column"]) == {"measured_color"}


def test_what_is_known_of_few_images_leaves_the_measured(partition, measured):
    known = measured.assign(color=["white"] * 10 + ["black"] * 10 + [None] * 40)
    assert {"color", "measured_color"} <= set(columns(partition, known))


@pytest.mark.parametrize("time", ["2018-03-01 {:02d}:12:00", "{:d}:12", "20180301T{:02d}:12:59"])
def test_hours_come_from_any_time_with_a_colon(partition, measured, time):
    hours = np.arange(60) % 24
    images = measured.assign(time=[time.format(hour) for hour in hours])
    table = profile(partition, images)
    quarter = table[(table["column"] == "hours") & (table["cluster"] == 1)].set_index("value")["count"]
    expected = pd.Series(hours[30:] // 6).value_counts().rename({0: "00–06", 1: "06–12", 2: "12–18", 3: "18–24"})
    assert quarter.to_dict() == expected.to_dict()
    assert "light" not in set(table["column"])
    by_hour = summarize(partition, images).sources
    own = by_hour[(by_hour["cluster"] == 0) & (by_hour["column"] == "hour")]
    assert own.set_index("value")["count"].to_dict() == pd.Series(hours[:30]).value_counts().to_dict()


def test_time_that_cannot_be_read_is_not_known(partition, measured):
    images = measured.assign(time=["25:10", "noon", None, "12"] * 15)
    assert "hours" not in columns(partition, images)
    assert len(summarize(partition, images).sources) == 0


def test_cameras_are_sources_however_many_there_are(partition, measured):
    images = measured.assign(camera=[f"cam{i}" for i in range(60)])
    assert "camera" not in columns(partition, images)
    sources = summarize(partition, images).sources
    assert len(sources) == 60
    assert set(sources["column"]) == {"camera"}


def test_a_bin_holds_what_its_name_says(partition):
    values = np.random.default_rng(3).random(60) / 3
    table = profile(partition, pd.DataFrame({"sharpness": values}))
    for row in table.itertuples():
        own = values[partition.labels == row.cluster]
        words = row.value.split()
        ends = [float(word) for word in words if word[0].isdigit()]
        inside = {"at": own <= ends[0], "above": own > ends[0]}.get(words[0], (own > ends[0]) & (own <= ends[-1]))
        assert row.count == inside.sum()


def test_an_empty_text_is_no_value(partition):
    images = pd.DataFrame({"type": [""] * 10 + ["bus"] * 20 + ["car"] * 30})
    table = profile(partition, images)
    assert table["value"].tolist() == ["bus", "car"]
    assert table[["known", "missing"]].to_numpy().tolist() == [[20, 10], [30, 0]]
