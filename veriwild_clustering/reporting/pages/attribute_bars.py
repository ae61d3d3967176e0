"""Attributes as bars: tables of shares with their intervals, turned into what a template fills in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from veriwild_clustering.reporting.pages.wording import Wording

__all__ = ["difference_bars", "hour_columns", "known_of", "share_bars", "telling_columns"]

_HOURS = 24


def telling_columns(profile: pd.DataFrame, n: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the columns in which a cluster differs most from all images, by divergence where values are known."""
    known = profile["known"] / (profile["known"] + profile["missing"])
    divergence = (known * profile["share"] * np.log(profile["lift"])).groupby(profile["column"]).sum()
    for column in divergence.sort_values(ascending=False, kind="stable").index[:n]:
        yield str(column), profile[profile["column"] == column]


def known_of(values: pd.DataFrame, words: Wording) -> str:
    """Say of how many images of a cluster the values of a column are known, if not of all."""
    known, missing = values[["known", "missing"]].to_numpy()[0]
    return words.say("known_of", n=words.count(known)) if missing else ""


def share_bars(values: pd.DataFrame, words: Wording, *, n: int) -> dict[str, Any]:
    """Return the `n` most frequent values of one column of a cluster: share, interval, share overall, lift."""
    notes = [known_of(values, words)]
    if len(values) > n:
        notes.append(words.say("more", n=words.count(len(values) - n)))
    bars = [
        _bar(row, words, other=row["overall_share"], span=(row["low"], row["high"]))
        | {
            "texts": [
                f"{words.percent(row['share'])} ({words.span(row['low'], row['high'])})",
                words.percent(row["overall_share"]),
                f"×{words.decimal(row['lift'], n=1)}",
            ]
        }
        for row in values.head(n).to_dict("records")
    ]
    return {"name": words.attribute(values["column"].iloc[0]), "note": ", ".join(filter(None, notes)), "bars": bars}


def difference_bars(differences: pd.DataFrame, words: Wording) -> list[dict[str, Any]]:
    """Return the values in which two groups differ, by column: share here and there, difference with its interval."""
    return [
        {
            "name": words.attribute(str(column)),
            "note": "",
            "bars": [_difference_bar(row, words) for row in values.to_dict("records")],
        }
        for column, values in differences.groupby("column", sort=False)
    ]


def _difference_bar(row: dict[Any, Any], words: Wording) -> dict[str, Any]:
    # The interval is that of the difference: drawn from the share there, it lies around the share here.
    span = row["other_share"] + row["low"], row["other_share"] + row["high"]
    difference = (
        f"{words.points(row['difference'])} ({words.points(row['low'])}\u00a0…\u00a0{words.points(row['high'])})"
    )
    texts = [words.percent(row["share"]), words.percent(row["other_share"]), difference]
    return _bar(row, words, other=row["other_share"], span=span) | {"texts": texts}


def _bar(row: dict[Any, Any], words: Wording, *, other: float, span: tuple[float, float]) -> dict[str, Any]:
    low, high = np.clip(span, 0, 1)
    return {
        "value": words.value(row["column"], row["value"]),
        **{
            name: round(100 * float(share), 1)
            for name, share in {"share": row["share"], "low": low, "high": high, "other": other}.items()
        },
    }


def hour_columns(hours: pd.DataFrame, cluster: int, words: Wording) -> list[dict[str, Any]]:
    """Return the 24 hours of the day with their shares in a cluster and overall, scaled to the largest."""
    here = hours[hours["cluster"] == cluster].set_index("value")["share"]
    overall = hours.drop_duplicates("value").set_index("value")["overall_share"]
    if here.empty:
        return []
    shares = pd.DataFrame({"here": here, "overall": overall}).reindex(range(_HOURS)).fillna(0.0)
    scaled = (100 * shares / shares.to_numpy().max()).round(1)
    return [
        {
            "hour": hour,
            "height": float(scaled["here"][hour]),
            "mark": float(scaled["overall"][hour]),
            "text": words.say(
                "hour",
                hour=hour,
                share=words.percent(shares["here"][hour]),
                overall=words.percent(shares["overall"][hour]),
            ),
        }
        for hour in range(_HOURS)
    ]
