"""Filters on columns of the image table: values of categories, and a range of one column of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from veriwild_clustering.apps.page.services.images import dataset_overview
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.interpretation.language.languages import language_of

__all__ = ["Filters", "add_filters"]

_FIRST = ("color", "type", "camera", "view", "time_of_day", "measured_color", "light", "model")
_MAX_CATEGORIES = 6


@dataclass(frozen=True)
class Filters:
    """The components of the filters, and what they mean.

    Parameters
    ----------
    columns : sequence of str
        The categories, in the order of their components.
    components : list
        One per category, then the column of numbers and its two ends.
    """

    columns: Sequence[str]
    components: list[Any]

    def conditions(self, given: Sequence[Any]) -> dict[str, Any]:
        """Return what the components say as the services take it."""
        *chosen, column, first, last = given
        low, high = _number("from", first), _number("to", last)
        where: dict[str, Any] = {
            name: values for name, values in zip(self.columns, chosen, strict=True) if values
        }  # nothing chosen is no condition
        if (low is not None or high is not None) and not column:
            raise ValueError("Choose the column of numbers that the range is of.")
        if column and (low is not None or high is not None):
            where[column] = {"low": low, "high": high}
        return where


def _number(name: str, text: str | None) -> float | None:
    if not (text or "").strip():
        return None
    try:
        return float(str(text).replace(",", "."))
    except ValueError as error:
        raise ValueError(f"The end “{name}” of the range must be a number. Got {text!r} instead.") from error


def add_filters(workspace: Workspace) -> Filters:
    """Add the filters to what is being built: the categories that tell most of vehicles first."""
    language, columns = language_of("en"), dataset_overview(workspace).columns
    categories = {
        column.name: column.values
        for column in columns
        if column.kind == "category" and len(column.values) > 1 and not column.name.startswith("has_")
    }
    ranked = sorted(categories, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    shown = ranked[:_MAX_CATEGORIES]
    numbers = [(language.attribute(column.name), column.name) for column in columns if column.kind == "number"]

    def choices(name: str) -> list[Any]:
        return [(language.value(name, value), value) for value in categories[name]]

    with gr.Accordion("Filters", open=False):
        components: list[Any] = [
            gr.Dropdown(
                choices(name),
                label=language.attribute(name), multiselect=True, value=[], elem_id=f"filter-{name}",
            )
            for name in shown
        ]  # fmt: skip
        if not shown and not numbers:
            gr.Markdown("The image table has no column to filter by.")
        with gr.Row(visible=bool(numbers)):
            components += [
                gr.Dropdown(numbers, value=None, label="Numbers of", min_width=120),
                gr.Textbox(label="from", max_lines=1, min_width=80),
                gr.Textbox(label="to", max_lines=1, min_width=80),
            ]
    return Filters(shown, components)
