"""A leaderboard as it is shown: four digits, the best marked, and what each column means."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from veriwild_clustering.evaluation.trust.explanations import explanation

__all__ = ["four_digits", "in_words", "styled"]

_LONG = 40


def styled(table: pd.DataFrame) -> str:
    """Return the table as HTML: four digits, the best of each descriptor marked; of a long one, the notable rows."""
    by_descriptor = table.groupby("descriptor", sort=False)
    best = pd.DataFrame(
        {
            "calinski_harabasz": table["calinski_harabasz"] == by_descriptor["calinski_harabasz"].transform("max"),
            "davies_bouldin": table["davies_bouldin"] == by_descriptor["davies_bouldin"].transform("min"),
            "silhouette": table["silhouette"] == by_descriptor["silhouette"].transform("max"),
        }
    )
    central = by_descriptor["mean_agreement"].rank(ascending=False, method="first") <= 5
    shown = table if len(table) <= _LONG else table[best.any(axis=1) | central]
    caption = (
        "Calinski–Harabasz, Davies–Bouldin and silhouette compare within one descriptor only; its best are marked."
    )
    if len(shown) < len(table):
        notable = "per descriptor those marked and the five with the highest mean agreement"
        caption += f" {len(shown)} of {len(table)} rows: {notable}."
    marks = best.loc[shown.index].replace({True: "font-weight:bold;background:#e69f0055", False: ""})
    formats: dict[Any, Any] = dict.fromkeys(shown.select_dtypes("float"), four_digits) | {"noise_fraction": "{:.1%}"}
    styler = shown.style.format(formats, escape="html").apply(lambda _: marks, axis=None, subset=marks.columns)
    return styler.format_index(_header, axis="columns").set_caption(caption).to_html()


def _header(column: object) -> str:
    """Return the name of a column, which says what it means when pointed at."""
    return f'<span title="{escape(explanation(str(column)))}">{escape(in_words(column))}</span>'


def four_digits(value: float) -> str:
    """Return a number with four significant digits and no exponent where it is large; a dash for NaN."""
    if np.isnan(value):
        return "–"
    return f"{float(f'{value:.4g}'):,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def in_words(column: object) -> str:
    """Return the name of a column with spaces, at which a table header can break."""
    return str(column).replace("_", " ")
