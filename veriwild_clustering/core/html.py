"""Small HTML fragments from which the nouns build their notebook representations."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["card"]

_STYLE = "border:1px solid #8884;border-radius:6px;padding:.5em 1em;margin:.3em 0;max-width:60em;overflow-x:auto"


def card(title: str, rows: Mapping[str, Any], *, body: str = "") -> str:
    """Return a titled table of `rows` (escaped) followed by `body`, which is HTML already."""
    lines = "".join(
        f'<tr><th style="text-align:left;padding-right:1em;font-weight:600">{escape(str(key))}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for key, value in rows.items()
    )
    return f'<div style="{_STYLE}"><b>{escape(title)}</b><table style="margin:.4em 0">{lines}</table>{body}</div>'
