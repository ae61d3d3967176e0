"""The map of all images, in a frame of its own: it draws with WebGL and asks the JSON API for what it needs."""

from __future__ import annotations

from veriwild_clustering.apps.page.interface.fragments import fill
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["TITLE", "add"]

TITLE = "Map"


def add(_workspace: Workspace) -> None:
    """Add the map to the tab that is being built."""
    import gradio

    gradio.HTML(fill("map_frame"))
