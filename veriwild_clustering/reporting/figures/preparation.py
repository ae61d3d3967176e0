"""Images before and after their preparation, side by side: the box that was found, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.images.preparation.prepare import Preparation, Prepared
from veriwild_clustering.images.reading import read_image, thumbnail
from veriwild_clustering.reporting.figures.style import INK, OUTLINE, THEME, literal, palette, wrap_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_preparation"]

_ARROW = 26  # pixels between an image and what became of it
_GAP = 44  # between one pair and the next
_CAPTION = 34
_BACKGROUND = (246, 248, 250)
_UPSCALED_COLOR, _BOX_COLOR = palette(4)[0], palette(4)[3]


def plot_preparation(
    dataset: Dataset,
    preparation: Preparation,
    *,
    rows: ArrayLike,
    n_columns: int = 3,
    size: int = 150,
    title: str | None = None,
) -> tuple[Figure, Axes]:
    """Draw images with the box of their main object, each beside what the preparation makes of it.

    Parameters
    ----------
    dataset : Dataset
        Where the images come from.
    preparation : Preparation
        What is done to them, here and now.
    rows : array of int
        Rows of the image table.
    n_columns : int, default 3
        Pairs of images in a line.
    size : int, default 150
        Side of an image in the figure, in pixels. Small images are drawn larger, so that detail can be compared.
    title : str, optional
        By default how many of the images were upscaled and cropped.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If a row does not exist.

    Notes
    -----
    Costs what the preparation of these rows costs. An image that cannot be read is a grey tile with a cross.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from PIL import Image
    >>> from veriwild_clustering import Dataset, ImageStore, Preparation, Upscaler, plot_preparation
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (40, 30), "teal").save(folder / "a.png")
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.png"]}), image_store=ImageStore(folder))
    >>> fig, ax = plot_preparation(dataset, Preparation(Upscaler("bicubic")), rows=[0])
    >>> ax.get_title(loc="left")
    '1 of 1 images upscaled, 0 cropped'
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    n_columns = check_int("n_columns", n_columns, low=1)
    size = check_int("size", size, low=32)
    index = [check_int("rows", row, low=0, high=len(dataset), high_name="n_images") for row in np.ravel(rows).tolist()]
    pairs = _pairs(dataset, preparation, index)
    width, height = 2 * size + _ARROW + _GAP, size + _CAPTION
    n_shown, n_lines = max(1, min(n_columns, len(index))), max(1, -(-len(index) // n_columns))
    canvas = Image.new("RGB", (n_shown * width - _GAP, n_lines * height), "white")

    with plt.rc_context(THEME):
        figure_size = (max(canvas.width, 320) / 100, (canvas.height + 40) / 100)
        fig, ax = plt.subplots(figsize=figure_size, layout="constrained")
        for place, row in enumerate(index):
            left, top = place % n_columns * width, place // n_columns * height
            if row in pairs:
                _draw_pair(ax, canvas, *pairs[row], left=left, top=top, size=size)
            else:
                canvas.paste(thumbnail(dataset, row, size=size), (left, top))
                _caption(ax, "cannot be read", left=left, top=top + size)
        ax.imshow(canvas)
        ax.set(xlim=(-1, max(canvas.width, 320)), ylim=(canvas.height, -2))
        ax.axis("off")
        done = [after for _, after in pairs.values()]
        n_upscaled, n_cropped = sum(one.upscaled for one in done), sum(one.cropped for one in done)
        counted = f"{n_upscaled:,} of {len(pairs):,} images upscaled, {n_cropped:,} cropped"
        ax.set_title(wrap_title(fig, counted if title is None else title))
    return fig, ax


def _pairs(dataset: Dataset, preparation: Preparation, index: list[int]) -> dict[int, tuple[Image.Image, Prepared]]:
    """Return image and what the preparation makes of it, for each row that can be read."""
    images = {}
    for row in dict.fromkeys(index):
        try:
            images[row] = read_image(dataset, row)
        except DatasetError:
            continue
    prepared = preparation([np.asarray(image) for image in images.values()])
    return {row: (images[row], one) for row, one in zip(images, prepared, strict=True)}


def _draw_pair(
    ax: Axes, canvas: Image.Image, before: Image.Image, after: Prepared, *, left: int, top: int, size: int
) -> None:
    """Draw an image with its box, an arrow, and the prepared image, with their sizes under them."""
    from matplotlib.patches import Rectangle

    x, y, scale = _paste(canvas, before, left=left, top=top, size=size)
    right = left + size + _ARROW
    _paste(canvas, Image.fromarray(after.image), left=right, top=top, size=size)
    ax.annotate("", (right - 5, top + size / 2), (left + size + 5, top + size / 2),
                arrowprops={"arrowstyle": "-|>", "color": OUTLINE, "linewidth": 1.2})  # fmt: skip
    if after.box is not None:
        x_min, y_min, x_max, y_max = (scale * edge for edge in after.box)
        corner, extent = (x + x_min, y + y_min), (x_max - x_min, y_max - y_min)
        for color, line_width in (("white", 3.2), (_BOX_COLOR, 1.6)):  # white around it: seen on dark and on red paint
            ax.add_patch(Rectangle(corner, *extent, fill=False, edgecolor=color, linewidth=line_width))
        _badge(ax, f"{after.box_label} {after.box_confidence:.2f}", left + 4, top + 4, color=_BOX_COLOR)
    if after.upscaled:
        _badge(ax, "upscaled", right + 4, top + 4, color=_UPSCALED_COLOR)
    _caption(ax, _size(*before.size), left=left, top=top + size)
    _caption(ax, _size(after.image.shape[1], after.image.shape[0]), left=right, top=top + size)


def _paste(canvas: Image.Image, image: Image.Image, *, left: int, top: int, size: int) -> tuple[float, float, float]:
    """Draw an image in the middle of its tile and return where it begins and how much it was scaled."""
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    x, y = left + (size - width) // 2, top + (size - height) // 2
    canvas.paste(_BACKGROUND, (left, top, left + size, top + size))
    canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), (x, y))
    return x - 0.5, y - 0.5, scale  # the first pixel of a canvas reaches from -0.5 to 0.5


def _size(width: int, height: int) -> str:
    return f"{width:,} × {height:,} px"


def _caption(ax: Axes, text: str, *, left: float, top: float) -> None:
    ax.text(left, top + 5, text, ha="left", va="top", fontsize=8, color=INK)


def _badge(ax: Axes, text: str, left: float, top: float, *, color: str) -> None:
    frame = {"boxstyle": "round,pad=0.25", "facecolor": color, "edgecolor": "white", "linewidth": 0.6}
    ax.text(left, top, literal(text), ha="left", va="top", fontsize=7, color="white", fontweight="bold", bbox=frame)
