"""The page itself: a header and the bar of all tabs, over frames that are loaded one after the other."""

from __future__ import annotations

from typing import NamedTuple

from veriwild_clustering.apps.page.interface.fragments import fill
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["TITLE", "shell_page"]

TITLE = "Vehicle images"


class _Tab(NamedTuple):
    """A tab: its name in addresses, what it is called, and the panel that it opens."""

    name: str
    title: str
    panel: str


def shell_page(workspace: Workspace) -> str:
    """Return the page at `/` as HTML: the map comes first, the tabs of Gradio once it is painted."""
    from veriwild_clustering.apps.page.interface.tabs import TABS

    tabs = [
        _Tab("map", "Map", "map"),
        *(_Tab(name, module.TITLE, "tabs") for name, module in TABS.items()),
        _Tab("painting", "Painting", "painting"),
    ]
    dataset = workspace.dataset
    return fill("shell", title=TITLE, n_images=len(dataset), origin=dataset.origin, tabs=tabs)
