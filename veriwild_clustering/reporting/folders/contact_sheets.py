"""A sheet of thumbnails per cluster, so that its content can be seen without opening the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.reading import thumbnail
from veriwild_clustering.reporting.figures.style import INK, NOISE_COLOR, OUTLINE
from veriwild_clustering.reporting.folders.plan import Plan, cluster_folder

if TYPE_CHECKING:
    from PIL import ImageFont

__all__ = ["Sheet", "sheets_of", "write_sheet"]

_COLUMNS, _MAX_SHOWN = 8, 64
_TILE, _GAP, _MARGIN, _HEADER, _CAPTION = 120, 10, 16, 44, 18


@dataclass(frozen=True)
class Sheet:
    """What stands on a sheet: a title and the images, as a dataset of their own."""

    name: str
    title: str
    images: Dataset
    captions: tuple[str, ...]


def sheets_of(plan: Plan, table: pd.DataFrame, out: Path) -> Iterator[Sheet]:
    """Yield a sheet per cluster; of a large one, images at even distances in the order of rows are shown."""
    sorted_images = table[table["destination"] != ""]
    store, column = (ImageStore(out), "destination") if plan.transfer == "move" else (plan.store, "path")
    for cluster, members in sorted_images.groupby("cluster"):
        number = int(str(cluster))
        rows = np.unique(np.linspace(0, len(members) - 1, min(len(members), _MAX_SHOWN)).round().astype(int))
        shown = members.iloc[rows]
        name = "" if number == NOISE else plan.cluster_name(number)
        some = f"{len(rows)} of {len(members):,} images" if len(rows) < len(members) else f"{len(members):,} images"
        title = (
            cluster_folder(number) + (f" ({name})" if name else "") + f"  ·  {some if len(members) > 1 else '1 image'}"
        )
        images = Dataset(pd.DataFrame({"path": shown[column].to_numpy()}), image_store=store)
        captions = tuple(PurePosixPath(place).name for place in shown["destination"])
        yield Sheet(f"contact_sheets/{cluster_folder(number)}.jpg", title, images, captions)


def write_sheet(sheet: Sheet, file: Path) -> None:
    """Draw a sheet as JPEG; an image that cannot be read is a grey tile with a cross."""
    from PIL import Image, ImageDraw

    n_columns = max(4, min(_COLUMNS, len(sheet.images)))
    n_lines = ceil(len(sheet.images) / n_columns)
    width = 2 * _MARGIN + n_columns * (_TILE + _GAP) - _GAP
    height = _HEADER + n_lines * (_TILE + _CAPTION + _GAP) + _MARGIN
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    title, small = _font(17, bold=True), _font(11)
    draw.text((_MARGIN, 12), _shortened(sheet.title, title, width - 2 * _MARGIN), fill=INK, font=title)
    for row, caption in enumerate(sheet.captions):
        left = _MARGIN + row % n_columns * (_TILE + _GAP)
        top = _HEADER + row // n_columns * (_TILE + _CAPTION + _GAP)
        tile = thumbnail(sheet.images, row, size=_TILE)
        corner = left + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2
        canvas.paste(tile, corner)
        draw.rectangle((left - 1, top - 1, left + _TILE, top + _TILE), outline=NOISE_COLOR)
        draw.text((left, top + _TILE + 3), _shortened(caption, small, _TILE), fill=OUTLINE, font=small)
    canvas.save(file, "JPEG", quality=85)


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a text that fits, its middle left out: the ends of file names tell them apart."""
    text = " ".join(text.split())
    kept = len(text)
    shown = text
    while font.getlength(shown) > width and kept > 2:
        kept = min(kept - 1, int(kept * width / font.getlength(shown)) + 1)
        shown = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
    return shown


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font that comes with matplotlib: it has Latin, Greek and Cyrillic letters on every machine."""
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf", size)
