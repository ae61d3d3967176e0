"""What the page looks like: system fonts, the library's colours in light and dark, and the style sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["STATIC", "style_sheets", "theme"]

STATIC = Path(__file__).parent / "static"
_SANS = ["system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
_MONO = ["ui-monospace", "Consolas", "monospace"]

_LIGHT = {
    "ink": "#1f2328", "soft": "#57606a", "line": "#d0d7de", "paper": "#ffffff", "raised": "#f6f8fa",
    "accent": "#0969da",
}  # fmt: skip
_DARK = {
    "ink": "#e6edf3", "soft": "#9da7b1", "line": "#30363d", "paper": "#0f1318", "raised": "#171d24",
    "accent": "#6cb6ff",
}  # fmt: skip

# Which of Gradio's variables take which colour.
_USES = {
    "ink": ("body_text_color", "block_title_text_color", "button_secondary_text_color", "checkbox_label_text_color"),
    "soft": ("body_text_color_subdued", "block_info_text_color", "block_label_text_color", "input_placeholder_color"),
    "line": (
        "border_color_primary", "block_border_color", "input_border_color", "button_secondary_border_color",
        "checkbox_border_color",
    ),
    "paper": (
        "body_background_fill", "background_fill_primary", "block_background_fill", "input_background_fill",
        "block_label_background_fill", "button_primary_text_color", "panel_background_fill",
    ),
    "raised": (
        "background_fill_secondary", "button_secondary_background_fill", "button_secondary_background_fill_hover",
        "checkbox_label_background_fill",
    ),
    "accent": (
        "button_primary_background_fill", "button_primary_background_fill_hover", "link_text_color",
        "input_border_color_focus", "border_color_accent", "slider_color", "checkbox_background_color_selected",
        "link_text_color_hover", "link_text_color_visited", "link_text_color_active",
    ),
}  # fmt: skip


def theme() -> Any:
    """Return Gradio's theme: nothing of it is fetched from elsewhere."""
    import gradio

    base = gradio.themes.Base(
        font=_SANS, font_mono=_MONO, spacing_size="md", radius_size="md", text_size="md", neutral_hue="gray"
    )
    variables = {
        f"{variable}{suffix}": colors[color]
        for colors, suffix in ((_LIGHT, ""), (_DARK, "_dark"))
        for color, names in _USES.items()
        for variable in names
    }
    return base.set(
        **variables,
        block_border_width="0px",
        input_border_width="1px",
        block_shadow="none",
        block_title_text_weight="500",
    )


def style_sheets() -> dict[str, str]:
    """Return the rules of the page's parts, and those of the page, which Gradio would confine to its parts."""
    parts, page = ((STATIC / name).read_text(encoding="utf-8") for name in ("interface.css", "page.css"))
    return {"css": parts, "head": f"<style>{page}</style>"}
