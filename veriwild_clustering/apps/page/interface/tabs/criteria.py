"""Criteria: groups by what is said in words, who answers, what asking takes, and what came of it."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pandas as pd
from pydantic import ValidationError

from veriwild_clustering.apps.page.interface.asking import Refresh, kindly
from veriwild_clustering.apps.page.interface.fragments import fill, percent
from veriwild_clustering.apps.page.interface.tabs.clusters import partition_choices
from veriwild_clustering.apps.page.services.criteria.answerers import answerers
from veriwild_clustering.apps.page.services.criteria.clustering import cluster_by_criteria, estimate_criteria
from veriwild_clustering.apps.page.services.criteria.schemas import (
    MAX_CRITERIA,
    MAX_TEXT,
    CriteriaRequest,
    CriteriaResponse,
    CriterionResult,
    Estimate,
    Ungrouped,
)
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["TITLE", "add"]

TITLE = "Criteria"
_NAMES = {
    "measured": "Measurements, on the server",
    "clip": "CLIP, on the server",
    "endpoint": "A model behind an endpoint",
}
_NOTHING_YET = (
    "Nothing has been asked for yet. Say by what the images are to be told apart, such as “colour of the vehicle”, and "
    "press Group the images. Each criterion becomes a partition that Map, Clusters and Compare show."
)
_BY_ITSELF = "(what is measured)"


def add(workspace: Workspace) -> Refresh:
    """Add the components to the tab that is being built."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            inputs = _wanted(workspace)
            with gr.Row():
                estimate = gr.Button("Estimate", elem_id="criteria-estimate", min_width=120)
                button = gr.Button("Group the images", variant="primary", elem_id="criteria-button", min_width=160)
            told = gr.HTML(elem_id="criteria-told")
        with gr.Column(scale=3, min_width=320):
            other = gr.Dropdown([], label="Cross-table with", elem_id="criteria-other")
            found = gr.HTML(fill("sentences", title="", sentences=[], empty=_NOTHING_YET), elem_id="criteria-found")
    calls = _Callbacks(workspace)
    estimate.click(kindly(calls.estimate), inputs=inputs, outputs=[told])
    button.click(kindly(calls.cluster), inputs=[*inputs, other], outputs=[told, found, other])
    return Refresh(calls.partitions, [other], [other])


def _wanted(workspace: Workspace) -> list[Any]:
    """Add what is asked for, in the order in which `_request` takes it."""
    known = answerers(workspace).items
    columns = [_BY_ITSELF, *map(str, workspace.dataset.images.columns)]
    words = gr.Textbox(
        label=f"Criteria in words, one per line, at most {MAX_CRITERIA}", placeholder="colour of the vehicle", lines=2,
        max_length=MAX_CRITERIA * MAX_TEXT, elem_id="criteria-words",
    )  # fmt: skip
    who = gr.Dropdown(
        [(_NAMES[one.name], one.name) for one in known if one.is_at_hand], value="measured", label="Who answers",
        elem_id="criteria-who",
    )  # fmt: skip
    gr.HTML(
        "".join(
            fill("note", title=_NAMES[one.name] + ("" if one.is_at_hand else ", not at hand"), text=one.about)
            for one in known
        )
    )
    with gr.Accordion("More", open=False):
        labels = gr.Textbox(
            label="The only groups, separated by commas (one criterion)", placeholder="red, white, black", max_lines=2
        )
        number = gr.Number(label="Number of groups; 0 for as many as needed", value=0, precision=0, minimum=0)
        ignore = gr.Textbox(label="Not to consider, separated by commas", placeholder="the licence plate", max_lines=2)
        column = gr.Dropdown(columns, value=_BY_ITSELF, label="Column that says it (measurements, one criterion)")
        asked = gr.Number(label="Ask about so many images; 0 for all", value=0, precision=0, minimum=0)
    with gr.Accordion("Limits of the endpoint", open=True, visible=False) as limits:
        cap = gr.Number(label="Requests at most", value=0, precision=0, minimum=0, elem_id="criteria-cap")
        sent = gr.Number(label="Price of a million tokens sent", value=0, minimum=0)
        received = gr.Number(label="Price of a million tokens received", value=0, minimum=0)
        cost = gr.Number(label="Cost at most; 0 for no limit", value=0, minimum=0)
    sending = {one.name for one in known if one.sends}
    who.change(lambda name: gr.Accordion(visible=name in sending), inputs=[who], outputs=[limits])
    return [words, who, labels, number, ignore, column, asked, cap, sent, received, cost]


class _Callbacks:
    """What happens when a button is pressed or the tab is opened."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def partitions(self, chosen: str | None) -> Any:
        """Return the partitions that a cross-table can be made with."""
        choices = partition_choices(self._workspace)
        names = [name for _, name in choices]
        return gr.Dropdown(choices, value=chosen if chosen in names else names[0])

    def estimate(self, *inputs: Any) -> str:
        """Say what asking would take."""
        return _sentence(estimate_criteria(self._workspace, _request(*inputs)), "Asking would take")

    def cluster(self, *inputs: Any) -> tuple[str, str, Any]:
        """Group the images, and show what came of it."""
        *wanted, other = inputs
        request = _request(*wanted, other=other or "")
        response = cluster_by_criteria(self._workspace, request)
        told = _sentence(response.usage, "Asking took") if response.usage else ""
        return told, _found(response, self._workspace.dataset.images["path"]), self.partitions(other)


def _request(*inputs: Any, other: str = "") -> CriteriaRequest:
    """Return the request that the components say."""
    words, who, labels, number, ignore, column, asked, cap, sent, received, cost = inputs
    texts = [line.strip() for line in (words or "").splitlines() if line.strip()]
    if not texts:
        raise ValueError("Say first by what the images are to be told apart, in words.")
    of_one = _listed(labels) or column != _BY_ITSELF
    if of_one and len(texts) > 1:
        raise ValueError("Groups and a column are those of one criterion: ask by the others afterwards.")
    if who == "endpoint" and not cap:
        raise ValueError("Say how many requests may be sent at most. Estimate tells how many it takes.")
    criterion = {
        "labels": _listed(labels),
        "n_clusters": int(number) if number else None,
        "ignore": _listed(ignore),
        "column": "" if column == _BY_ITSELF else column,
    }
    try:
        return CriteriaRequest.model_validate(
            {
                "criteria": [{"text": text, **criterion} for text in texts],
                "answerer": who,
                "n_asked": int(asked) if asked else None,
                "max_requests": int(cap) if cap and who == "endpoint" else None,
                "prices": (sent or 0, received or 0) if sent or received or cost else None,
                "max_cost": cost or None,
                "compare_with": other,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{' '.join(map(str, first['loc']))}: {first['msg']}.".removeprefix(": ")) from error


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _sentence(estimate: Estimate, title: str) -> str:
    if not estimate.n_prompts:
        return fill("sentences", title="", sentences=[estimate.text], empty="")
    return fill("sentences", title="", sentences=[f"{title}: {estimate.text}."], empty="")


def _found(response: CriteriaResponse, paths: pd.Series[str]) -> str:
    return "".join(_told(result, paths) for result in response.items)


def _told(result: CriterionResult, paths: pd.Series[str]) -> str:
    """Return the groups of a criterion, their images, what is uncertain, and the cross-table as HTML."""
    others = result.ungrouped
    figures = [
        ("groups", f"{len(result.groups):,}"),
        ("images with a group", percent(result.coverage)),
        ("without a group", f"{others.size:,}"),
    ]
    note = f"{result.outcome}. Saved as “{result.partition.name}”, version {result.partition.version}."
    if result.approximation:
        note += f" {result.approximation}."
    strips = "".join(
        _strip(f"{group.name}: {group.size:,} images, {percent(group.share)}", group.examples, paths)
        for group in result.groups
    )
    table = result.cross_table
    columns = [("group", False), *((name, True) for name in table.columns)]
    rows = [[name, *(f"{count:,}" for count in counts)] for name, counts in zip(table.rows, table.counts, strict=True)]
    return (
        fill("sentences", title=result.criterion, sentences=[], empty="")
        + fill("figures", figures=figures, note=note)
        + strips
        + (_strip(f"Without a group: {_why(others)}", others.examples, paths) if others.size else "")
        + fill("table", title="Images of each group by cluster of the other partition", columns=columns, rows=rows)
    )


def _why(others: Ungrouped) -> str:
    reasons = {
        "uncertain": others.uncertain,
        "with an answer that makes no group": others.other_label,
        "without an answer": others.no_answer,
        "without a vector": others.no_vector,
    }
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)


def _strip(title: str, rows: list[int], paths: pd.Series[str]) -> str:
    items = [
        {"row": row, "alt": str(paths.iloc[row]), "caption": f"row {row}", "lines": []} for row in rows
    ]  # fmt: skip
    return fill("strip", title=title, note="", items=items, chosen=[], action="", empty="No image.")
