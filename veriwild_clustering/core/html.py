"""Small HTML fragments from which the nouns build their notebook representations."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["card", "frame"]

_STYLE = "border:1px solid #8884;border-radius:6px;padding:.5em 1em;margin:.3em 0;max-width:60em;overflow-x:auto"


def card(title: str, rows: Mapping[str, Any], *, body: str = "") -> str:
    """Return a titled table of `rows` (escaped) followed by `body`, which is HTML already."""
    lines = "".join(
        f'<tr><th style="text-align:left;padding-right:1em;font-weight:600">{escape(str(key))}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for key, value in rows.items()
    )
    return f'<div style="{_STYLE}"><b>{escape(title)}</b><table style="margin:.4em 0">{lines}</table>{body}</div>'


def frame(url: str, *, title: str, height: int) -> str:
    """Return a page in a frame with a link to it; without an address the title alone."""
    if not url:
        return f"<p>{escape(title)}</p>"
    address = escape(url, quote=True)
    return (
        f'<iframe src="{address}" title="{escape(title, quote=True)}" width="100%" height="{height}" '
        f'style="border:1px solid #8884;border-radius:6px"></iframe>'
        f'<p><a href="{address}" target="_blank" rel="noopener">Open in a tab</a></p>'
    )
