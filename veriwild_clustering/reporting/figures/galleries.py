"""Galleries: the images of chosen rows side by side, one row of thumbnails per cluster or one grid."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.images.reading import thumbnail
from veriwild_clustering.reporting.figures.style import INK, NOISE_COLOR, THEME, literal, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Album", "plot_gallery", "thumbnail_uris"]

_GAP = 6


def thumbnail_uris(
    dataset: Dataset, rows: Sequence[int] | NDArray[np.int64], *, size: int = 96, progress: bool | None = None
) -> list[str]:
    """Return the thumbnails of `rows` as JPEG data URIs, read by as many workers as joblib is told to use."""
    from joblib import Parallel, delayed

    # Workers get the paths of these rows, not the dataset with all its vectors.
    shown = Dataset(dataset.images[["path"]].iloc[np.asarray(rows, dtype=np.int64)], image_store=dataset.image_store)
    images = Parallel(return_as="generator")(delayed(_jpeg_uri)(shown, i, size) for i in range(len(shown)))
    return list(track(images, description="thumbnails", total=len(shown), show=progress))


def _jpeg_uri(dataset: Dataset, row: int, size: int) -> str:
    buffer = io.BytesIO()
    thumbnail(dataset, row, size=size).save(buffer, "JPEG", quality=78)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Album:
    """Tiles of images for a page: thumbnails, at most `size` pixels wide and high, with what stands under them."""

    dataset: Dataset
    size: int = 96
    progress: bool | None = None

    def tiles(self, rows: Iterable[int], captions: Sequence[str] | None = None) -> list[dict[str, str]]:
        """Return thumbnail, alternative text and caption of each row."""
        index = [int(row) for row in rows]
        paths = self.dataset.images["path"].iloc[index].astype(str).to_numpy()
        uris = thumbnail_uris(self.dataset, index, size=self.size, progress=self.progress)
        captions = [""] * len(index) if captions is None else captions
        return [
            {"uri": uri, "alt": f"{path}: {caption}" if caption else path, "caption": caption}
            for uri, path, caption in zip(uris, paths, captions, strict=True)
        ]


def plot_gallery(
    dataset: Dataset,
    rows: Mapping[int, ArrayLike] | ArrayLike,
    *,
    partition: Partition | None = None,
    captions: ArrayLike | None = None,
    n_columns: int = 8,
    size: int = 96,
    title: str | None = None,
) -> tuple[Figure, Axes]:
    """Draw the images of chosen rows.

    Parameters
    ----------
    dataset : Dataset
        Where the images come from.
    rows : mapping of int to array of int, or array of int
        Row numbers per cluster, as `exemplars` returns them: one line of images per cluster. Or a flat array: a grid.
    partition : Partition, optional
        Adds each cluster's colour and its number of images to its line.
    captions : array of shape (n_images,), optional
        Text under each image, such as a column of the image table; long texts are shortened.
    n_columns : int, default=8
        Images per line; further images of a cluster are left out, those of a grid go to the next line.
    size : int, default=96
        Side of a thumbnail in pixels.
    title : str, optional
        By default the number of images shown.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If a row does not exist, or `captions` or `partition` do not have one entry per image.

    Notes
    -----
    O(images shown). An image that cannot be read is drawn as a grey tile with a cross.

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import Dataset, plot_gallery
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg"]}))
    >>> fig, ax = plot_gallery(dataset, {0: [0], 1: [1]}, title="Two images that are not there")
    >>> [text.get_text() for text in ax.texts]
    ['cluster 0', 'cluster 1']
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    n_columns = check_int("n_columns", n_columns, low=1)
    size = check_int("size", size, low=16)
    texts = None if captions is None else check_rows("captions", captions, len(dataset))
    if partition is not None:
        check_rows("partition.labels", partition.labels, len(dataset))
    lines = _lines(rows, n_columns, n_images=len(dataset))
    written = {} if texts is None else {row: _caption(texts[row], size) for _, line in lines for row in line}
    caption_height = 14 * max((text.count("\n") + 1 for text in written.values()), default=0)
    n_shown = max((len(line) for _, line in lines), default=1)
    height = len(lines) * (size + _GAP + caption_height)
    margin = 110 if isinstance(rows, Mapping) else 0
    width = margin + n_shown * (size + _GAP)

    with plt.rc_context(THEME):
        fig, ax = plt.subplots(figsize=(max(width, 320) / 100, (height + 40) / 100), layout="constrained")
        canvas = Image.new("RGB", (n_shown * (size + _GAP), max(height, 1)), "white")
        for number, (cluster, line) in enumerate(lines):
            top = number * (size + _GAP + caption_height)
            for column, row in enumerate(line):
                left = column * (size + _GAP)
                tile = thumbnail(dataset, int(row), size=size)
                canvas.paste(tile, (left + (size - tile.width) // 2, top + (size - tile.height) // 2))
                if texts is not None:
                    ax.text(left + size / 2, top + size + 3, written[row], ha="center", va="top", fontsize=7.5)
            if cluster is not None:
                _label_line(ax, cluster, partition, middle=top + size / 2)
        ax.imshow(canvas)
        ax.set(xlim=(-margin, max(canvas.width, 320 - margin)), ylim=(canvas.height, -2))
        ax.axis("off")
        total = sum(len(line) for _, line in lines)
        ax.set_title(f"{total:,} of {len(dataset):,} images" if title is None else title)
    return fig, ax


def _caption(text: Any, size: int) -> str:
    """Return a text in at most three lines as wide as a thumbnail."""
    return "\n".join(wrap(str(text), max(8, size // 6), max_lines=3, placeholder="…"))


def _lines(rows: Any, n_columns: int, *, n_images: int) -> list[tuple[int | None, NDArray[np.int64]]]:
    """Return (cluster, rows) per line of the gallery; cluster is None in a grid."""
    if isinstance(rows, Mapping):
        lines = [(int(cluster), _checked(line, n_images)[:n_columns]) for cluster, line in rows.items()]
        return sorted(lines, key=lambda line: (line[0] == NOISE, line[0]))  # noise last
    flat = _checked(rows, n_images)
    return [(None, flat[start : start + n_columns]) for start in range(0, len(flat), n_columns)]


def _checked(rows: ArrayLike, n_images: int) -> NDArray[np.int64]:
    index = np.asarray(rows, dtype=np.int64).reshape(-1)
    if len(index) and (index.min() < 0 or index.max() >= n_images):
        wrong = int(index[(index < 0) | (index >= n_images)][0])
        raise ValueError(f"`rows` must hold ints in [0, {n_images}), one per image to show. Got {wrong} instead.")
    return index


def _label_line(ax: Axes, cluster: int, partition: Partition | None, *, middle: float) -> None:
    unnamed = "noise" if cluster == NOISE else f"cluster {cluster}"
    name = unnamed if partition is None else partition.cluster_name(cluster)
    ax.text(-14, middle - 2, literal(name), ha="right", va="bottom", fontsize=9.5, fontweight="bold", color=INK)
    if partition is None:
        return
    count = int(np.sum(partition.labels == cluster))
    ax.text(-14, middle + 2, f"{count:,} images", ha="right", va="top", fontsize=8.5, color="#57606a")
    color = NOISE_COLOR if cluster == NOISE else palette(partition.n_clusters)[cluster]
    ax.plot([-7, -7], [middle - 28, middle + 28], color=color, linewidth=3.5, solid_capstyle="round")
