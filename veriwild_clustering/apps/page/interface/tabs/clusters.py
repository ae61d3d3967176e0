"""Clusters: what each one holds, corrections by hand as further versions, and the exports of a partition."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

import gradio as gr
import numpy as np

from veriwild_clustering.apps.page.interface.asking import Refresh, choice_label, kindly, parse_rows, warn
from veriwild_clustering.apps.page.interface.fragments import API, clickable, fill
from veriwild_clustering.apps.page.interface.tabs.wording import edit_text, figures_of, partition_facts, profile_bars
from veriwild_clustering.apps.page.services import clusters as service
from veriwild_clustering.apps.page.services.clusters import ClusterDetail, EditRequest, PartitionInfo
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.clustering.editing import MAX_NAME
from veriwild_clustering.core.partition import NOISE
from veriwild_clustering.core.storage.partitions import VersionConflictError

__all__ = ["TITLE", "add", "partition_choices"]

TITLE = "Clusters"
_MAX_LISTED = 60
_N_MEMBERS = 24


class _Components(NamedTuple):
    """What a shown cluster fills, in the order in which `_Callbacks.show` returns it."""

    partition: Any
    cluster: Any
    version: Any
    history: Any
    listed: Any
    detail: Any
    images: Any
    name: Any
    other: Any
    rows: Any
    downloads: Any


def add(workspace: Workspace) -> Refresh:
    """Add the components to the tab that is being built."""
    shown, buttons = _layout()
    calls = _Callbacks(workspace)
    asked = [shown.partition, shown.cluster]
    for component in asked:
        component.input(kindly(calls.show), inputs=asked, outputs=list(shown))
    shown.listed.click(kindly(calls.pick_cluster), inputs=[shown.partition], outputs=list(shown))
    shown.images.click(
        kindly(calls.pick_image),
        inputs=[*asked, shown.rows],
        outputs=[shown.rows, shown.images],
        show_progress="hidden",
    )
    base = [*asked, shown.version]
    for button, function, inputs in (
        (buttons["rename"], calls.rename, [*base, shown.name]),
        (buttons["merge"], calls.merge, [*base, shown.other]),
        (buttons["mark"], calls.mark, [*base, shown.rows]),
        (buttons["unmark"], calls.unmark, [*base, shown.rows]),
    ):
        button.click(kindly(function), inputs=inputs, outputs=list(shown))
    return Refresh(calls.show, asked, list(shown))


def _layout() -> tuple[_Components, dict[str, Any]]:
    with gr.Row():
        partition = gr.Dropdown([], label="Partition", scale=3, min_width=240, elem_id="clusters-partition")
        cluster = gr.Dropdown([], label="Cluster", scale=2, min_width=200, elem_id="clusters-cluster")
    history = gr.HTML()
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            listed = clickable(elem_id="clusters-list")
            downloads = gr.HTML(elem_id="clusters-downloads")
        with gr.Column(scale=3, min_width=320):
            detail = gr.HTML(elem_id="clusters-detail")
            with gr.Accordion("Correct it by hand", open=False, elem_classes="corrections"):
                gr.HTML(fill("correcting"))
                with gr.Row():
                    name = gr.Textbox(label="Name of the cluster", max_lines=1, max_length=MAX_NAME, scale=3)
                    rename = gr.Button("Rename", scale=1, min_width=120)
                with gr.Row():
                    other = gr.Dropdown([], label="Merge it with", scale=3)
                    merge = gr.Button("Merge", scale=1, min_width=120)
                with gr.Row():
                    rows = gr.Textbox(label="Rows of images, clicked below or typed", max_lines=1, scale=3)
                    mark = gr.Button("Mark as outliers", scale=1, min_width=120)
                    unmark = gr.Button("Put back", scale=1, min_width=120)
            images = clickable(elem_id="clusters-images")
    shown = _Components(
        partition, cluster, gr.State(0), history, listed, detail, images, name, other, rows, downloads
    )  # fmt: skip
    return shown, {"rename": rename, "merge": merge, "mark": mark, "unmark": unmark}


def partition_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """Return the saved partitions as (label, id)."""
    page = service.partition_page(workspace, offset=0, limit=500)
    return [(choice_label(info.name, version=info.version), info.id) for info in page.items]


class _Callbacks:
    """What happens when something is chosen or a button is pressed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def show(self, partition: str | None, cluster: int | None) -> _Components:
        """Fill the tab with a partition and one of its clusters; by default the first of each."""
        choices = partition_choices(self._workspace)
        partition = partition if partition in {name for _, name in choices} else choices[0][1]
        info = service.partition_info(self._workspace, partition)
        page = service.cluster_page(self._workspace, partition, offset=0, limit=500)
        numbers = [(f"{card.name} ({card.size:,})", card.cluster) for card in page.items]
        known = {number for _, number in numbers}
        cluster = cluster if cluster in known else 0 if 0 in known else NOISE
        detail = self._detail(partition, cluster)
        cards = [_listed(card) for card in page.items[:_MAX_LISTED]]
        return _Components(
            partition=gr.Dropdown(choices, value=partition),
            cluster=gr.Dropdown(numbers, value=cluster),
            version=info.version,
            history=_history(info),
            listed=fill("clusters", clusters=cards, chosen=cluster, n_more=page.total - len(cards)),
            detail=_detail_html(detail),
            images=_images_html(detail, chosen=[]),
            name=gr.Textbox(value=detail.card.name, interactive=cluster != NOISE),
            other=gr.Dropdown([choice for choice in numbers if choice[1] not in {cluster, NOISE}], value=None),
            rows="",
            downloads=_downloads(partition),
        )

    def pick_cluster(self, partition: str, event: gr.EventData) -> _Components:
        """Show the cluster that was clicked."""
        return self.show(partition, int(event.value))

    def pick_image(self, partition: str, cluster: int, rows: str, event: gr.EventData) -> tuple[str, str]:
        """Add the image that was clicked to the chosen ones, or take it away."""
        row, chosen = int(event.value), parse_rows(rows)
        chosen = [other for other in chosen if other != row] if row in chosen else [*chosen, row]
        return ", ".join(map(str, chosen)), _images_html(self._detail(partition, cluster), chosen=chosen)

    def rename(self, partition: str, cluster: int, version: int, name: str) -> _Components:
        """Save the partition with another name of the cluster."""
        return self._apply(partition, cluster, version, {"kind": "rename", "cluster": cluster, "name": name})

    def merge(self, partition: str, cluster: int, version: int, other: int | None) -> _Components:
        """Save the partition with two clusters as one."""
        if other is None:
            raise ValueError("Choose first with which cluster this one is to be merged.")
        return self._apply(partition, cluster, version, {"kind": "merge", "clusters": [cluster, other]})

    def mark(self, partition: str, cluster: int, version: int, rows: str) -> _Components:
        """Save the partition with the chosen images as noise."""
        return self._apply(partition, cluster, version, {"kind": "mark_outlier", "rows": _some(rows)})

    def unmark(self, partition: str, cluster: int, version: int, rows: str) -> _Components:
        """Save the partition with marked images back where they came from."""
        return self._apply(partition, cluster, version, {"kind": "unmark_outlier", "rows": _some(rows)})

    def _apply(self, partition: str, cluster: int, version: int, edit: dict[str, Any]) -> _Components:
        request = EditRequest.model_validate({"base_version": version, "edit": edit})
        members = self._workspace.partition(partition, version=version).members(cluster)
        try:
            info = service.apply_edit(self._workspace, partition, request)
        except VersionConflictError as error:
            warn(
                f"Somebody else has corrected this partition meanwhile: it is at version {error.current}, and what you "
                f"saw was version {version}. You now see version {error.current}. Make your correction again."
            )
            return self.show(partition, cluster)
        gr.Info(f"Saved as version {info.version}.", duration=4)
        return self.show(partition, self._followed(partition, members, edit.get("rows", [])))

    def _followed(self, partition: str, members: Any, without: list[int]) -> int | None:
        """Return what the cluster of these members is now: correcting may have renumbered it."""
        left = np.setdiff1d(members, without)
        return int(self._workspace.partition(partition).labels[left[0]]) if len(left) else None

    def _detail(self, partition: str, cluster: int) -> ClusterDetail:
        return service.cluster_detail(self._workspace, partition, cluster, offset=0, limit=_N_MEMBERS)


def _some(rows: str) -> list[int]:
    chosen = parse_rows(rows)
    if not chosen:
        raise ValueError("Choose images first: click them below, or type their row numbers.")
    return chosen


def _listed(card: service.ClusterCard) -> dict[str, Any]:
    row = card.exemplars[0] if card.exemplars else None
    return {**card.model_dump(include={"cluster", "name", "color", "size", "share"}), "row": row, "sentence": card.text}


def _history(info: PartitionInfo) -> str:
    edits = [f"Version {entry.version}: {edit_text(entry.edit)}" for entry in info.history]
    return fill("history", facts=partition_facts(info), edits=edits, version=info.version)


def _detail_html(detail: ClusterDetail) -> str:
    card = detail.card
    return fill(
        "cluster", name=card.name, sentence=card.text, color=card.color, figures=figures_of(card),
        profile=profile_bars(detail.profile), is_noise=card.cluster == NOISE,
    )  # fmt: skip


def _images_html(detail: ClusterDetail, *, chosen: list[int]) -> str:
    """Return typical and doubtful images of a cluster; of noise, which has neither, the first ones."""
    members = {member.row: member for member in detail.members.items}
    card = detail.card

    def item(row: int, *lines: str) -> dict[str, Any]:
        path = members[row].path if row in members else f"image of {card.name}"
        return {"row": row, "alt": path, "caption": f"row {row}", "lines": lines}

    if card.cluster == NOISE:
        title = f"The first {len(members)} of {detail.members.total:,} images"
        strips = [(title, "", [item(row) for row in members])]
    else:
        doubtful = [
            item(one.row, f"leans to cluster {one.other}", f"confidence {one.confidence:.2f}")
            for one in card.borderline
        ]
        strips = [
            ("Most typical", "The image nearest to the centre first.", [item(row) for row in card.exemplars]),
            ("At the border", "The most doubtful first.", doubtful),
        ]
    return "".join(
        fill("strip", title=title, note=note, items=items, chosen=chosen, action="Choose", empty="There are none.")
        for title, note, items in strips
    )


def _downloads(partition: str) -> str:
    which = quote(partition, safe="")
    links = [
        ("Partition as CSV", f"{API}/export/partition.csv?partition={which}"),
        ("Records as JSON", f"{API}/export/records.json?partition={which}"),
    ]
    return fill("downloads", links=links)
