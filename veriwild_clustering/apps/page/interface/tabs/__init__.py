"""The tabs of the page, one module each; a further tab is a module and a line in `TABS`."""

from __future__ import annotations

from types import ModuleType

from veriwild_clustering.apps.page.interface.tabs import (
    clusters,
    compare,
    criteria,
    map,  # noqa: A004
    outliers,
    painting,
    search,
)

__all__ = ["TABS"]

TABS: tuple[ModuleType, ...] = (map, clusters, criteria, search, outliers, compare, painting)
