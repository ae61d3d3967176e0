"""Conditions as filters of Qdrant keep the rows that they match in the image table, whatever the columns hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from veriwild_clustering.search.backends.payloads import filter_of, payloads, with_times
from veriwild_clustering.search.filters import conditions, matching


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


TEXTS = st.sampled_from(["red", "Red", "dark red", "", "1", "true"])
TIMES = st.datetimes(pd.Timestamp("2017-02-27").to_pydatetime(), pd.Timestamp("2017-03-03").to_pydatetime())
KINDS: dict[str, tuple[st.SearchStrategy[Any], str]] = {
    "text": (TEXTS, "str"),
    "category": (TEXTS, "category"),
    "flag": (st.booleans(), "boolean"),
    "flag as object": (st.booleans(), "object"),
    "whole as object": (st.integers(-3, 3), "object"),
    "whole": (st.integers(-3, 3), "Int64"),
    "identifier": (st.sampled_from([7, 2**53 + 1, 2**53 + 2]), "Int64"),
    "real": (st.integers(-3, 3) | st.floats(-3, 3) | st.just(np.inf), "float64"),
    "time": (TIMES, "datetime64[us]"),
    "written time": (TIMES.map(lambda time: str(pd.Timestamp(time))), "str"),
}
RANGES = {"whole", "real", "time", "written time"}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a random table with missing values, and a random condition on each of some columns."""
    n_rows = draw(st.integers(1, 8))
    columns = {
        f"{kind}.of it": pd.Series(draw(st.lists(optional(values), min_size=n_rows, max_size=n_rows)), dtype=dtype)
        for kind, (values, dtype) in KINDS.items()
    }
    table = pd.DataFrame(columns)
    where = {}
    for name in draw(st.sets(st.sampled_from(list(columns)), max_size=3)):
        known = table[name].dropna().unique().tolist()
        known = [value for value in known if not isinstance(value, float) or np.isfinite(value)]
        if not known:
            continue
        chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        forms = ["value", "list", *(["range"] if name.removesuffix(".of it") in RANGES else [])]
        form = draw(st.sampled_from(forms))
        low, high = min(chosen), max(chosen)
        open_end = draw(st.sampled_from(["low", "high", "none"]))
        where[name] = {
            "value": chosen[0],
            "list": chosen,
            "range": (None if open_end == "low" else low, None if open_end == "high" else high),
        }[form]
    return table, where


@given(tables())
@settings(max_examples=60, deadline=None)
def test_filters_keep_the_rows_that_match(drawn: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    table, where = drawn
    client = QdrantClient(":memory:")
    client.create_collection("rows", vectors_config=models.VectorParams(size=1, distance=models.Distance.DOT))
    contents = payloads(with_times(table))
    client.upsert("rows", models.Batch(ids=[*range(len(table))], vectors=[[1.0]] * len(table), payloads=contents))
    kept = filter_of(conditions(table, where), allowed=None, excluded=np.array([], dtype=np.int64))
    points, _ = client.scroll("rows", scroll_filter=kept, limit=len(table))
    assert sorted(point.id for point in points) == np.flatnonzero(matching(table, where)).tolist()


def test_what_is_missing_is_not_in_the_payload() -> None:
    table = pd.DataFrame(
        {"color": ["red", None], "width": [np.nan, 64.0], "time": [pd.NaT, pd.Timestamp("2017-03-01")]}
    )
    assert payloads(with_times(table)) == [
        {"color": "red"},
        {"width": 64.0, "time-as-time": "2017-03-01T00:00:00+00:00"},
    ]
