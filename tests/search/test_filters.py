"""Conditions on columns select the images that they say, and say what is wrong with those that cannot."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering.search.filters import Condition, conditions, matching

IMAGES = pd.DataFrame(
    {
        "path": [f"{i}.jpg" for i in range(5)],
        "vehicle_id": ["00001", "00001", "00002", "00003", None],
        "color": ["red", "white", None, "red", "grey"],
        "width": [64.0, 128.0, np.nan, 32.0, 64.0],
        "camera": [1, 2, 3, 1, 2],
        "time": [
            "2017-03-01 08:30:00", "2017-03-02 23:59:59", "2017-03-03 00:00:00", None, "2017-02-28 12:00:00",
        ],
        "taken": pd.to_datetime(["2017-03-01", None, "2017-03-03", "2017-03-04", "2017-03-05"]),
        "is_outlier": [True, False, False, True, False],
        "is_night": [True, None, False, True, False],
        "type": pd.Categorical(["sedan", "bus", "sedan", None, "truck"]),
        "empty": [None] * 5,
        "doors": pd.Categorical([2, 4, None, 5, 2]),
        "seats": pd.Series([2, 5, None, 7, 2], dtype=object),
        "seen": pd.to_datetime(
            ["2017-03-01 08:00", "2017-03-02 08:00", None, "2017-03-01 23:00", "2017-02-28 20:00"], format="ISO8601"
        ).tz_localize("Asia/Shanghai"),
        "day": [date(2017, 3, 1), date(2017, 3, 2), None, date(2017, 3, 4), date(2017, 3, 1)],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (None, [0, 1, 2, 3, 4]),
        ({}, [0, 1, 2, 3, 4]),
        ({"color": "red"}, [0, 3]),
        ({"color": ["red", "white"]}, [0, 1, 3]),
        ({"color": {"grey"}}, [4]),
        ({"color": np.array(["grey", "white"])}, [1, 4]),
        ({"color": "purple"}, []),
        ({"color": "red' or 1 == 1"}, []),
        ({"vehicle_id": "00001"}, [0, 1]),
        ({"width": 64}, [0, 4]),
        ({"width": (32, 64)}, [0, 3, 4]),
        ({"width": (65, None)}, [1]),
        ({"width": (None, np.int64(40))}, [3]),
        ({"camera": [np.int32(1), 3]}, [0, 2, 3]),
        ({"time": ("2017-03-01", "2017-03-02")}, [0, 1]),
        ({"time": ("2017-03-01 08:30", "2017-03-01 08:30")}, [0]),
        ({"time": (None, "2017-03-01T09:00:00+01:00")}, [4]),
        ({"time": (pd.Timestamp("2017-03-02"), None)}, [1, 2]),
        ({"time": "2017-03-01 08:30:00"}, [0]),
        ({"taken": ("2017-03-03", "2017-03-04")}, [2, 3]),
        ({"taken": "2017-03-03"}, [2]),
        ({"is_outlier": False}, [1, 2, 4]),
        ({"is_outlier": np.bool_(True)}, [0, 3]),  # noqa: FBT003
        ({"is_night": False}, [2, 4]),
        ({"type": "sedan"}, [0, 2]),
        ({"type": ["bus", "truck"], "is_outlier": False}, [1, 4]),
        ({"color": "red", "camera": 2}, []),
        ({"doors": (3, None)}, [1, 3]),
        ({"doors": (None, 2.5)}, [0, 4]),
        ({"seats": (3, None)}, [1, 3]),
        ({"seen": "2017-03-01"}, [0]),  # midnight in UTC
        ({"seen": ["2017-03-01 08:00+08:00", pd.Timestamp("2017-02-28 12:00")]}, [0, 4]),
        ({"seen": ("2017-03-01", "2017-03-01")}, [0, 3]),
        ({"day": "2017-03-01"}, [0, 4]),
        ({"day": [date(2017, 3, 2), "2017-03-04"]}, [1, 3]),
        ({"time": (None, date(2017, 3, 2))}, [0, 1, 4]),  # that whole day
        ({"taken": (date(2017, 3, 4), pd.Timestamp("2017-03-04 12:00"))}, [3]),
    ],
)
def test_selects_what_is_asked_for(where: Any, rows: list[int]) -> None:
    before = IMAGES.copy()
    assert np.flatnonzero(matching(IMAGES, where)).tolist() == rows
    pd.testing.assert_frame_equal(IMAGES, before)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"colour": "red"}, r"Unknown column 'colour'\. Did you mean 'color'\?"),
        ({"zzz": "red"}, r"Unknown column 'zzz'\. Known: path, vehicle_id, color"),
        ({"color": 3}, r"'color' holds text, such as red, white, grey\. Got 3 instead"),
        ({"vehicle_id": 1}, r"'vehicle_id' holds text, such as 0000.*Got 1 instead"),
        ({"color": None}, r"'color' holds text.*Got None instead"),
        ({"color": ["red", True]}, r"'color' holds text.*Got True instead"),
        ({"color": []}, r"'color' names no value"),
        ({"color": ("a", "b")}, r"'color' holds text, which has no ranges"),
        ({"is_outlier": 1}, r"'is_outlier' holds true or false.*Got 1 instead"),
        ({"is_outlier": (False, True)}, r"true or false, which has no ranges"),
        ({"width": "64"}, r"'width' holds numbers.*Got '64' instead"),
        ({"width": True}, r"'width' holds numbers.*Got True instead"),
        ({"width": float("nan")}, r"'width' holds numbers.*Got nan instead"),
        ({"width": 10**400}, r"'width' holds numbers.*Got 1000"),
        ({"width": (0, float("inf"))}, r"'width' holds numbers.*Got inf instead"),
        ({"width": (2, 1)}, r"range of 'width' ends before it begins"),
        ({"width": (1, 2, 3)}, r"A range of 'width' must be \(low, high\)"),
        ({"width": (None, None)}, r"A range of 'width' must be \(low, high\)"),
        ({"time": (20170301, None)}, r"'time' holds times, such as .*Got 20170301 instead"),
        ({"time": ("yesterday at noon", None)}, r"'time' holds times.*Got 'yesterday at noon' instead"),
        ({"taken": True}, r"'taken' holds times.*Got True instead"),
        ("color == 'red'", r"`where` must be a mapping from columns to values"),
    ],
)
def test_impossible_conditions_are_named(where: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matching(IMAGES, where)


def test_columns_named_by_numbers_are_listed() -> None:
    with pytest.raises(ValueError, match=r"Unknown column 'zzz'\. Known: 0, 1"):
        matching(pd.DataFrame([[1, 2]]), {"zzz": 1})


def test_column_without_values_matches_nothing() -> None:
    assert not matching(IMAGES, {"empty": "red"}).any()


def test_conditions_carry_plain_values() -> None:
    found = conditions(IMAGES, {"camera": np.array([1, 2]), "time": ("2017-03-01", None)})
    assert found == [
        Condition("camera", (1, 2)),
        Condition("time", None, pd.Timestamp("2017-03-01"), None),
    ]
    assert [type(value) for value in found[0].values or ()] == [int, int]
    assert [condition.is_time for condition in found] == [False, True]


@given(
    values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=30),
    ends=st.tuples(st.integers(-6, 6), st.integers(-6, 6)).map(sorted),
)
@settings(max_examples=40, deadline=None)
def test_range_is_what_comparing_one_by_one_gives(values: list[int | None], ends: list[int]) -> None:
    images = pd.DataFrame({"x": pd.array(values, dtype="Int64")})
    expected = [value is not None and ends[0] <= value <= ends[1] for value in values]
    if any(value is not None for value in values):
        assert matching(images, {"x": tuple(ends)}).tolist() == expected
        assert matching(images, {"x": list(range(ends[0], ends[1] + 1))}).tolist() == expected
