"""Painting, in a frame of its own: it draws on a canvas and sends each stroke to the JSON API."""

from __future__ import annotations

from veriwild_clustering.apps.page.interface.fragments import fill
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["TITLE", "add"]

TITLE = "Painting"


def add(_workspace: Workspace) -> None:
    """Add painting to the tab that is being built."""
    import gradio

    gradio.HTML(fill("painting_frame"))
