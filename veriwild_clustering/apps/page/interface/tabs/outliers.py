"""Outliers: the most abnormal images with the reason of each, page by page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from veriwild_clustering.apps.page.interface.asking import Refresh, kindly
from veriwild_clustering.apps.page.interface.fragments import clickable, fill
from veriwild_clustering.apps.page.interface.tabs.clusters import partition_choices
from veriwild_clustering.apps.page.services.images import image_detail
from veriwild_clustering.apps.page.services.outliers import OutlierPage, outlier_page, outlier_reasons, short_reasons
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.partition import NOISE

__all__ = ["TITLE", "add"]

TITLE = "Outliers"
_N_PER_PAGE = 24
_ALL = ""


def add(workspace: Workspace) -> Refresh:
    """Add the components to the tab that is being built."""
    with gr.Row():
        partition = gr.Dropdown([], label="Partition", scale=3, min_width=240)
        reason = gr.Dropdown([("any reason", _ALL)], value=_ALL, label="Reason", scale=2, min_width=200)
    facts = gr.HTML()
    shown = clickable(elem_id="outliers-shown")
    with gr.Row():
        previous = gr.Button("Previous page", min_width=120)
        following = gr.Button("Next page", min_width=120)
    detail = gr.HTML(elem_id="outliers-detail")
    number = gr.State(0)
    calls = _Callbacks(workspace)
    outputs = [partition, reason, number, facts, shown, previous, following]
    for component in (partition, reason):
        component.input(kindly(calls.show), inputs=[partition, reason], outputs=outputs)
    for button, step in ((previous, -1), (following, 1)):
        button.click(kindly(calls.turner(step)), inputs=[partition, reason, number], outputs=outputs)
    shown.click(kindly(calls.detail), outputs=detail)
    return Refresh(calls.show, [partition, reason], outputs)


class _Callbacks:
    """What happens when something is chosen or a page is turned."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def show(self, partition: str | None, reason: str | None, number: int = 0) -> list[Any]:
        """Fill the tab with one page of outliers."""
        choices = partition_choices(self._workspace)
        partition = partition if partition in {name for _, name in choices} else choices[0][1]
        counts = outlier_reasons(self._workspace, partition=partition)
        reason = reason if reason in counts else _ALL
        page = outlier_page(
            self._workspace, offset=number * _N_PER_PAGE, limit=_N_PER_PAGE, partition=partition, reason=reason or None
        )
        reasons = [(f"{one} ({count:,})", one) for one, count in counts.items()]
        last = max(0, (page.total - 1) // _N_PER_PAGE)
        return [
            gr.Dropdown(choices, value=partition),
            gr.Dropdown([(f"any reason ({page.n_outliers:,})", _ALL), *reasons], value=reason),
            number,
            _facts(page, number, last),
            _strip(page),
            gr.Button(interactive=number > 0),
            gr.Button(interactive=number < last),
        ]

    def turner(self, step: int) -> Any:
        """Return what turns the page forth or back."""

        def turn(partition: str, reason: str, number: int) -> list[Any]:
            return self.show(partition, reason, max(0, number + step))

        return turn

    def detail(self, event: gr.EventData) -> str:
        """Return all that is known of the image that was clicked."""
        found = image_detail(self._workspace, int(event.value))
        known = [(name.replace("_", " "), value) for name, value in found.record.items() if value is not None]
        return fill("image", row=found.row, path=found.path, reason=found.outlier_reason, facts=known)


def _strip(page: OutlierPage) -> str:
    items = [
        {
            "row": item.row,
            "alt": f"{item.path}, {', '.join(short_reasons(item.reason)) or 'marked by hand'}",
            "caption": "no score" if item.score is None else f"score {item.score:.2f}",
            "lines": [
                *(["marked by hand"] if item.marked else short_reasons(item.reason)),
                "noise" if item.cluster == NOISE else f"cluster {item.cluster}",
                f"row {item.row}",
            ],
        }
        for item in page.items
    ]
    return fill(
        "strip", title="", note="", items=items, chosen=[], action="All that is known of",
        empty="No image is flagged as an outlier.",
    )  # fmt: skip


def _facts(page: OutlierPage, number: int, last: int) -> str:
    sentences = [
        f"{page.n_outliers:,} images are flagged; a higher score is more abnormal. Scores: {page.source}.",
        f"Page {number + 1:,} of {last + 1:,}.",
    ]
    return fill("sentences", title="", sentences=sentences, empty="")
