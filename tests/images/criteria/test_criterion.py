"""Criteria refuse what cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest

from veriwild_clustering import Criterion


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"text": " "}, ValueError),
        ({"text": "x" * 301}, ValueError),
        ({"text": 5}, TypeError),
        ({"labels": "red"}, TypeError),
        ({"labels": ["red"]}, ValueError),
        ({"labels": ["red", "Red"]}, ValueError),
        ({"labels": ["red", ""]}, ValueError),
        ({"labels": ["light-truck", "light truck"]}, ValueError),
        ({"labels": ["red", "?"]}, ValueError),
        ({"n_clusters": 1}, ValueError),
        ({"n_clusters": 2.5}, TypeError),
        ({"labels": ["red", "blue"], "n_clusters": 2}, ValueError),
        ({"examples": [("a red car",)]}, ValueError),
        ({"ignore": [None]}, TypeError),
    ],
)
def test_what_is_no_criterion_is_refused(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter({k for k in wrong if k != "labels"} or {"labels"}))):
        Criterion(**{"text": "colour"} | wrong)


def test_white_space_is_made_plain() -> None:
    criterion = Criterion(" colour\n of the car ", labels=["dark  red", "blue"], examples=[["a  car", "blue"]])
    assert (criterion.text, criterion.labels) == ("colour of the car", ("dark red", "blue"))
    assert criterion.examples == (("a car", "blue"),)
