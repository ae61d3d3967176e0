"""What pages are made of: filled templates, figures and tables as parts of a page that fetches nothing."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from veriwild_clustering import __version__
from veriwild_clustering.core.storage.atomic import write_atomically

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

__all__ = ["chart", "plotly_js", "render", "table", "write_page"]

# Nothing may be fetched: what the page shows is in the page.
_POLICY = (
    "default-src 'none'; {scripts}style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
_REPORTING = Path(__file__).parents[1]
_INTERNAL_SCORES = ("calinski_harabasz", "davies_bouldin", "silhouette")


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([_REPORTING / name / "templates" for name in ("pages", "viewer")]),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def render(template: str, **context: Any) -> str:
    """Return a template of the pages or the viewer filled with `context`; everything but Markup is escaped."""
    return _templates().get_template(template).render(context)


def write_page(path: str | Path, template: str, *, scripts: bool = False, **context: Any) -> Path:
    """Write a filled template as a page that may fetch nothing, and run nothing but for its own `scripts`."""
    policy = _POLICY.format(scripts="script-src 'unsafe-inline'; " if scripts else "")
    page = render(template, policy=policy, version=__version__, **context)
    path = Path(path)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def plotly_js() -> Any:
    """Return plotly.js as text that a script element may hold."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs().replace("</script", "<\\/script"))  # noqa: S704 - code of an installed package


def chart(figure: Figure, alt: str) -> dict[str, Any]:
    """Return a figure as an image of the page, at twice the resolution for sharp screens, and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    width, height = (round(side * 100) for side in figure.get_size_inches())
    plt.close(figure)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"uri": uri, "alt": alt, "width": width, "height": height}


def table(frame: pd.DataFrame, *, marked: Any = None, within: str = "descriptor") -> dict[str, Any]:
    """Return a frame as cells with their text and, for numbers, the key to sort by."""
    numeric = [pd.api.types.is_numeric_dtype(frame[c]) and not pd.api.types.is_bool_dtype(frame[c]) for c in frame]
    columns = [
        {"name": str(c).replace("_", " "), "numeric": n, "within": c in _INTERNAL_SCORES and within in frame}
        for c, n in zip(frame, numeric, strict=True)
    ]
    rows = [
        {"marked": index == marked, "cells": [_cell(v, n) for v, n in zip(row, numeric, strict=True)]}
        for index, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    ]
    position = list(frame.columns).index(within) if within in frame else 0
    return {"columns": columns, "rows": rows, "within": position}


def _cell(value: Any, numeric: bool) -> dict[str, Any]:  # noqa: FBT001
    if not numeric:
        return {"text": "" if value is None else str(value), "key": None}
    if pd.isna(value):
        return {"text": "–", "key": ""}
    whole = isinstance(value, (int, np.integer)) or (float(value).is_integer() and abs(value) >= 1)
    return {"text": f"{value:,.0f}" if whole or abs(value) >= 1000 else f"{value:.3f}", "key": repr(float(value))}
