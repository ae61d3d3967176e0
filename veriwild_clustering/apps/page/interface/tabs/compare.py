"""Compare: two partitions side by side, how far they agree, and which images moved."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pandas as pd

from veriwild_clustering.apps.page.interface.asking import Refresh, kindly
from veriwild_clustering.apps.page.interface.fragments import fill, percent
from veriwild_clustering.apps.page.services import clusters as clusters_service
from veriwild_clustering.apps.page.services.comparing import Comparison, compare
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.partition import Partition

__all__ = ["TITLE", "add"]

TITLE = "Compare"
_MAX_FLOWS = 60
_MAX_IMAGES = 12
_NOTE = "1 is full agreement, 0 that of chance. Moved is an image that did not go where most of its cluster went."
_MEASURES = {
    "ari": "adjusted Rand index",
    "ami": "adjusted mutual information",
    "nmi": "normalised mutual information",
    "v_measure": "V-measure",
}
_COLUMNS = (
    ("cluster of the first", False), ("of the second", False), ("images", True), ("of its cluster", True),
    ("of the other", True),
)  # fmt: skip
_ONE_ALONE = (
    "There is one partition and one version of it, so there is nothing to compare yet. Correct a cluster by hand, "
    "or open the page with a further partition."
)


def add(workspace: Workspace) -> Refresh:
    """Add the components to the tab that is being built."""
    with gr.Row():
        first = gr.Dropdown([], label="First partition", min_width=240, elem_id="compare-first")
        second = gr.Dropdown([], label="Second partition", min_width=240, elem_id="compare-second")
    figures = gr.HTML(elem_id="compare-figures")
    calls = _Callbacks(workspace)
    outputs = [first, second, figures]
    for component in (first, second):
        component.input(kindly(calls.show), inputs=[first, second], outputs=outputs)
    return Refresh(calls.show, [first, second], outputs)


class _Callbacks:
    """What happens when partitions are chosen."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def show(self, first: str | None, second: str | None) -> list[Any]:
        """Fill the tab; by default the newest version of the first partition beside the one before, or the next."""
        choices = self._choices()
        keys = [key for _, key in choices]
        if len(keys) < 2:
            nothing = fill("sentences", title="", sentences=[], empty=_ONE_ALONE)
            return [gr.Dropdown(choices, value=keys[0]), gr.Dropdown(choices, value=keys[0]), nothing]
        first = first if first in keys else keys[1]
        second = second if second in keys else keys[0]
        (one, one_version), (other, other_version) = _parsed(first), _parsed(second)
        found = compare(self._workspace, one, other, first_version=one_version, second_version=other_version)
        partitions = (
            self._workspace.partition(one, version=one_version),
            self._workspace.partition(other, version=other_version),
        )
        told = _told(found, *partitions, self._workspace.dataset.images["path"])
        return [gr.Dropdown(choices, value=first), gr.Dropdown(choices, value=second), told]

    def _choices(self) -> list[tuple[str, str]]:
        page = clusters_service.partition_page(self._workspace, offset=0, limit=500)
        return [
            (f"{info.name}, version {version}", f"{info.id} {version}")
            for info in page.items
            for version in range(info.version, 0, -1)
        ]


def _parsed(key: str) -> tuple[str, int]:
    name, _, version = key.rpartition(" ")
    return name, int(version)


def _told(found: Comparison, first: Partition, second: Partition, paths: pd.Series[str]) -> str:
    """Return agreement, flow, sentences, the table and the images that moved as HTML."""
    pairs = [(name, f"{found.agreement[key]:.3f}") for key, name in _MEASURES.items() if key in found.agreement]
    pairs += [
        ("clusters, first", f"{first.n_clusters:,}"),
        ("clusters, second", f"{second.n_clusters:,}"),
        ("images that moved", f"{found.n_moved:,}"),
    ]
    rows = [
        [
            first.cluster_name(flow.cluster),
            second.cluster_name(flow.part),
            f"{flow.count:,}",
            percent(flow.share),
            percent(flow.part_share),
        ]
        for flow in found.flows[:_MAX_FLOWS]
    ]
    images = [
        {
            "row": row,
            "alt": str(paths.iloc[row]),
            "caption": f"row {row}",
            "lines": [f"from {first.cluster_name(first.labels[row])}", f"to {second.cluster_name(second.labels[row])}"],
        }
        for row in found.moved[:_MAX_IMAGES]
    ]
    return (
        fill("figures", figures=pairs, note=_NOTE)
        + _flow(first, second)
        + fill(
            "sentences", title="What became of each cluster of the first", sentences=found.texts, empty="No cluster."
        )
        + fill("table", title="Where the images went", columns=_COLUMNS, rows=rows)
        + fill("strip", title="Images that moved", note="", items=images, chosen=[], action="", empty="None moved.")
    )


def _flow(first: Partition, second: Partition) -> str:
    from veriwild_clustering.reporting.figures.comparison import plot_flow
    from veriwild_clustering.reporting.pages.page import chart

    figure, _ = plot_flow(first, second)
    return fill(
        "chart", figure=chart(figure, "Ribbons from the clusters of the first partition to those of the second")
    )
