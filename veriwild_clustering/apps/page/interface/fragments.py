"""Parts of the page as HTML: filled templates in which everything that comes from data is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

__all__ = ["API", "clickable", "fill", "percent"]

API = "../api"
"""Where the JSON API lies, seen from the tabs."""

_TEMPLATES = Path(__file__).parent / "templates"

# Whoever clicks a button tells the server what it stands for: the data- attributes of the button.
_TELL = """element.addEventListener("click", event => {
  const button = event.target.closest("button[data-value]");
  if (button) trigger("click", { value: Number(button.dataset.value) });
});"""


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.globals["api"] = API
    environment.filters |= {"count": lambda number: f"{number:,}", "percent": percent}
    return environment


def fill(template: str, **context: Any) -> str:
    """Return a template filled with `context`; everything but Markup is escaped."""
    return _templates().get_template(f"{template}.html").render(context)


def clickable(value: str = "", **options: Any) -> Any:
    """Return a component that shows HTML and has the event `click`, with `value` of the button that was clicked."""
    import gradio

    return gradio.HTML(value, js_on_load=_TELL, **options)


def percent(share: float) -> str:
    """Write a share in percent, with a decimal where it is small."""
    return f"{100 * share:.0f} %" if share >= 0.1 or not share else f"{100 * share:.1f} %"
