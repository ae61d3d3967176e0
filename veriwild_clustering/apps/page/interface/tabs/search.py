"""Search: images like an upload, like rows or as words say, within filters, and why each was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from veriwild_clustering.apps.page.interface.asking import Refresh, kindly, parse_rows
from veriwild_clustering.apps.page.interface.fragments import clickable, fill
from veriwild_clustering.apps.page.interface.tabs.filters import Filters, add_filters
from veriwild_clustering.apps.page.services.describing import MAX_UPLOAD_BYTES, decode_upload
from veriwild_clustering.apps.page.services.searching import SearchRequest, SearchResponse, search, words_missing
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["TITLE", "add"]

TITLE = "Search"
_RERANKINGS = [("as found", ""), ("k-reciprocal neighbours", "k-reciprocal"), ("local scaling", "local-scaling")]
_NOTHING_YET = "Nothing has been looked for yet. Give an image, rows or words, and press Search."


def add(workspace: Workspace) -> Refresh | None:
    """Add the components to the tab that is being built."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            wanted = _wanted(workspace)
            weights = _weights(workspace)
            filters = add_filters(workspace)
            with gr.Accordion("More", open=False):
                settings = _settings()
            button = gr.Button("Search", variant="primary", elem_id="search-button")
        with gr.Column(scale=3, min_width=320):
            facts = gr.HTML(fill("sentences", title="", sentences=[], empty=_NOTHING_YET))
            found = clickable(elem_id="search-results")
    inputs = [*wanted, *weights, *settings, *filters.components]
    calls = _Callbacks(workspace, filters)
    button.click(kindly(calls.search), inputs=inputs, outputs=[facts, found])
    image, rows, _ = wanted
    rows.submit(kindly(calls.search), inputs=inputs, outputs=[facts, found])
    picked = found.click(_picked, outputs=[image, rows])
    picked.then(kindly(calls.search), inputs=inputs, outputs=[facts, found])
    return None


def _picked(event: gr.EventData) -> tuple[None, str]:
    """Look for images like the one that was clicked, and no longer like the upload."""
    return None, str(int(event.value))


def _wanted(workspace: Workspace) -> list[Any]:
    """Add what is looked for: an upload, rows, words."""
    image = gr.Image(  # the server opens no more than its header here: the services decode, within their limits

        label="Like this image", type="filepath", image_mode=None, sources=["upload"], height=190,
        alt_text="The image that was uploaded", buttons=[], elem_id="search-image",
    )  # fmt: skip
    rows = gr.Textbox(label="Like these rows", placeholder="3, 17", max_lines=1, elem_id="search-rows")
    missing = words_missing(workspace)
    words = gr.Textbox(
        label="Words, in English", placeholder="a red truck", max_lines=1, max_length=500, visible=not missing
    )
    if missing:
        gr.HTML(fill("note", title="Words", text=missing))
    return [image, rows, words]


def _weights(workspace: Workspace) -> list[Any]:
    """Add a slider per descriptor."""
    with gr.Accordion("What counts", open=len(workspace.dataset.names) > 1):
        return [
            gr.Slider(0, 1, value=_shown_weight(workspace, name), step=0.05, label=f"Weight of {name}")
            for name in workspace.dataset.names
        ]


def _shown_weight(workspace: Workspace, name: str) -> float:
    """Return where the slider of a descriptor stands at first."""
    return float(min(1.0, workspace.default_weights.get(name, 0.0)))


def _settings() -> list[Any]:
    """Add what is not wanted, and how results are ranked."""
    return [
        gr.Checkbox(label="Leave out images of the same vehicle"),
        gr.Checkbox(label="Leave out images of the same camera"),
        gr.Textbox(label="Unlike these rows", placeholder="12", max_lines=1),
        gr.Dropdown(_RERANKINGS, value="", label="Order"),
        gr.Slider(4, 100, value=20, step=4, label="Number of images"),
    ]


class _Callbacks:
    """What happens when a button is pressed or an image is clicked."""

    def __init__(self, workspace: Workspace, filters: Filters) -> None:
        self._workspace, self._filters = workspace, filters
        self._names = workspace.dataset.names

    def search(self, image: str | None, rows: str, words: str, *others: Any) -> tuple[str, str]:
        """Return what was found, as facts and as images."""
        weights, rest = others[: len(self._names)], others[len(self._names) :]
        same_vehicle, same_camera, unlike, order, n_results, *filters = rest
        chosen = {name: float(weight) for name, weight in zip(self._names, weights, strict=True)}
        if not any(chosen.values()):
            raise ValueError("Every weight is 0. Give at least one descriptor some weight.")
        is_untouched = chosen == {name: _shown_weight(self._workspace, name) for name in self._names}
        request = SearchRequest.model_validate(
            {
                "rows": parse_rows(rows, name="Like these rows"),
                "texts": [words.strip()] if words and words.strip() else [],
                # What nobody has moved is left to the search, which takes for words what they can be compared with.
                "weights": {} if is_untouched else {name: weight for name, weight in chosen.items() if weight},
                "where": self._filters.conditions(filters),
                "negatives": {"rows": parse_rows(unlike, name="Unlike these rows")},
                "n_results": int(n_results),
                "exclude_same_vehicle": same_vehicle,
                "exclude_same_camera": same_camera,
                "rerank": order or None,
            }
        )
        if not (request.rows or request.texts or image):
            raise ValueError(_NOTHING_YET)
        response = search(self._workspace, request, [] if image is None else [decode_upload(_content(image))])
        return _facts(response), _found(response)


def _content(path: str) -> bytes:
    file = Path(path)
    if file.stat().st_size > MAX_UPLOAD_BYTES:
        raise ValueError(f"An image may have at most {MAX_UPLOAD_BYTES // 2**20} MB.")
    return file.read_bytes()


def _facts(response: SearchResponse) -> str:
    weights = ", ".join(f"{weight:.0%} {name}" for name, weight in response.weights.items())
    metric = "cosine similarity, higher is nearer" if response.metric == "cosine" else "distance, lower is nearer"
    sentences = [f"{len(response.items)} images in {1000 * response.seconds:.0f} ms. Score: {metric}, of {weights}."]
    if response.approximation:
        sentences.append(response.approximation)
    return fill("sentences", title="", sentences=sentences, empty="")


def _found(response: SearchResponse) -> str:
    items = [
        {
            "row": hit.row,
            "alt": hit.path,
            "caption": f"{place}. {hit.score:.3f}",
            "lines": [f"row {hit.row}", *_why(hit.parts), *_known(hit.record)],
        }
        for place, hit in enumerate(response.items, start=1)
    ]
    return fill(
        "strip", title="", note="Click an image to look for those like it.", items=items, chosen=[],
        action="Search like", empty="No image meets all conditions. Take some of the filters away.",
    )  # fmt: skip


def _why(parts: dict[str, float]) -> list[str]:
    return [f"{value:.2f} from {name}" for name, value in parts.items()] if len(parts) > 1 else []


def _known(record: dict[str, Any]) -> list[str]:
    shown = [str(record[name]) for name in ("color", "type") if record.get(name)]
    vehicle = [f"vehicle {record['vehicle_id']}"] if record.get("vehicle_id") else []
    return [" ".join(shown)] * bool(shown) + vehicle
