"""The tabs that Gradio draws, one module each; a further tab is a module and an entry in `TABS`."""

from __future__ import annotations

from types import ModuleType

from veriwild_clustering.apps.page.interface.tabs import clusters, compare, criteria, outliers, search

__all__ = ["FIRST", "TABS"]

TABS: dict[str, ModuleType] = {
    "clusters": clusters, "criteria": criteria, "search": search, "outliers": outliers, "compare": compare,
}  # fmt: skip
"""Each tab by its name in addresses, in the order in which they are shown."""

FIRST = "search"
"""The tab that is open when Gradio's page appears, mostly unseen: it is the one that has nothing to work out."""
