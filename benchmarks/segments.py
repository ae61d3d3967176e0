"""Segmentation: boundary recall and undersegmentation error of every method against drawn masks, and its time.

The images are drawn with masks of their vehicles. Scored are the parts of segments that hang together. Recall and error
stand beside those of as many squares of a grid, since more parts make both better; seconds beside those of the plain
call of the library. Each method runs as it does by default and, where a parameter decides about the number of parts, at
the value that comes nearest to fifty; k-means of pixels falls into more, however few its clusters are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.harness import Bench

SIZES = {"tiny": 2, "small": 40, "medium": 150, "full": 600}

SOUGHT = 50  # parts
SETTINGS: Mapping[str, tuple[str, Sequence[float]]] = {
    "slic": ("region_size", (12, 20, 28, 32, 36)),
    "mslic": ("region_size", (12, 28, 36, 48, 56)),
    "superpixel-kmeans": ("n_segments", (26, 36, 50)),
    "felzenszwalb": ("scale", (25, 50, 100, 200, 400, 800)),
    "graph": ("scale", (25, 50, 100, 200, 400, 800)),
    "quickshift": ("kernel_size", (3, 4, 5)),
    "watershed": ("n_segments", (SOUGHT,)),
}
_TRIED = 20  # images on which a setting is sought
_ROOM = 0.03  # share of a side that is left around the vehicle in the box for GrabCut

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Labels = NDArray[Any]


def run(bench: Bench) -> None:
    """Print the figures."""
    from veriwild_clustering.images.segmentation.segmenting import METHODS

    largest = bench.pick(tiny=96, small=320, medium=320, full=320)
    images, masks = scenes(bench.folder / "drawn", bench.n_images, largest=largest)
    for method in METHODS:
        if method == "sam":  # its weights are nobody's to pass on
            continue
        with bench.independent():
            _print(bench, method, images, masks)
        if method in SETTINGS:
            with bench.independent():
                name, value = _nearest(method, images)
                _print(bench, method, images, masks, params={name: value}, title=f"{method}, {name} {value}")
    with bench.independent():
        _print_masks(bench, images, masks)


def scenes(folder: Path, n_images: int, *, largest: int = 320) -> tuple[list[Image], list[Mask]]:
    """Return drawn images of vehicles, no larger than that many pixels a side, and where each vehicle is."""
    from PIL import Image as Pillow

    from veriwild_clustering import draw_sample

    if not folder.exists():
        draw_sample(folder, n_images=max(50, n_images + n_images // 5), masks=True, random_state=0, progress=False)
    truth = pd.read_csv(folder / "truth.csv", dtype=str, keep_default_na=False)
    paths = truth.loc[truth["corruption"] == "", "path"].tolist()
    chosen = [paths[place] for place in np.linspace(0, len(paths) - 1, n_images).astype(int)]
    images, masks = [], []
    for path in chosen:
        with Pillow.open(folder / "veriwild" / path) as image, Pillow.open(_mask_file(folder, path)) as mask:
            image.thumbnail((largest, largest))
            images.append(np.asarray(image.convert("RGB")))
            masks.append(np.asarray(mask.resize(image.size, Pillow.Resampling.NEAREST)) > 0)
    return images, masks


def _mask_file(folder: Path, path: str) -> Path:
    return (folder / "masks" / path).with_suffix(".png")


def _print(
    bench: Bench,
    method: str,
    images: Sequence[Image],
    masks: Sequence[Mask],
    *,
    params: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> None:
    """Print recall, error, parts and time of a method, with the plain call beside it where it runs by default."""
    from veriwild_clustering import segment, segment_scores
    from veriwild_clustering.images.segmentation.label_maps import connected_regions

    plain = None if params else PLAIN_CALLS.get(method)
    ours, squares, seconds, plain_seconds = [], [], [], []
    for place, (image, mask) in enumerate(zip(images, masks, strict=True)):
        given = {"boxes": [_box(mask)]} if method == "grabcut" else dict(params or {})
        labels, taken = _timed(partial(segment, image, method, **given), twice=not place)
        seconds.append(taken)
        if plain is not None:
            plain_seconds.append(_timed(partial(plain, image, mask), twice=not place)[1])
        parts = connected_regions(labels)
        ours.append(segment_scores(parts, mask))
        squares.append(segment_scores(_squares(mask.shape, int(parts.max())), mask))
    named = title or method
    for score in ("boundary_recall", "undersegmentation_error"):
        found, chance = (float(np.mean([one[score] for one in scores])) for scores in (ours, squares))
        bench.figure(f"{named}: {score.replace('_', ' ')}", ours=found, baseline=chance, unit="", n_images=len(images))
    number = float(np.mean([one["n_segments"] for one in ours]))
    bench.figure(f"{named}: parts", ours=number, unit="", n_images=len(images))
    wall, cpu = np.mean(seconds, axis=0)
    plain_wall, plain_cpu = np.mean(plain_seconds, axis=0) if plain_seconds else (None, None)
    bench.figure(
        f"{named}: time of an image", ours=float(wall), baseline=plain_wall, n_images=len(images), cpu_seconds=cpu,
        baseline_cpu_seconds=plain_cpu,
    )  # fmt: skip


def _timed(call: Callable[[], Labels], *, twice: bool) -> tuple[Labels, tuple[float, float]]:
    """Return what a call returns, its seconds and CPU seconds; done `twice`, those of the second time: no imports."""
    if twice:
        call()
    cpu, started = process_time(), perf_counter()
    labels = call()
    return labels, (perf_counter() - started, process_time() - cpu)


def _print_masks(bench: Bench, images: Sequence[Image], masks: Sequence[Mask]) -> None:
    """Print how well masks of vehicles cover them, beside the whole image and beside GrabCut told the box."""
    from veriwild_clustering import Masker, segment

    masker = Masker("grabcut")
    started = perf_counter()
    found = masker(images)
    seconds = (perf_counter() - started) / len(images)
    told = [segment(image, "grabcut", boxes=[_box(mask)]) == 2 for image, mask in zip(images, masks, strict=True)]
    whole = [np.ones_like(mask) for mask in masks]
    for name, ours in (("Masker", found), ("GrabCut told the box", told)):
        shares, chance = _overlap(ours, masks), _overlap(whole, masks)
        bench.figure(
            f"{name}: intersection over union", ours=shares, baseline=chance, unit="", n_images=len(images),
        )  # fmt: skip
    bench.figure("Masker: time of an image", ours=seconds, n_images=len(images))


def _overlap(found: Sequence[Mask], masks: Sequence[Mask]) -> float:
    return float(np.mean([(one & mask).sum() / (one | mask).sum() for one, mask in zip(found, masks, strict=True)]))


def _nearest(method: str, images: Sequence[Image]) -> tuple[str, float]:
    """Return the parameter of a method and the value that comes nearest to the number of parts that is sought."""
    from veriwild_clustering import segment

    name, values = SETTINGS[method]
    if len(values) == 1:
        return name, values[0]
    some = images[:: max(1, len(images) // _TRIED)]
    settings: list[dict[str, Any]] = [{name: value} for value in values]
    maps = [[segment(image, method, connected=True, **one) for image in some] for one in settings]
    numbers = [np.mean([labels.max() for labels in found]) for found in maps]
    return name, values[int(np.argmin(np.abs(np.log(np.array(numbers) / SOUGHT))))]


def _squares(size: tuple[int, ...], number: int) -> Labels:
    """Return about as many equal squares as a number says, by row."""
    height, width = size
    columns = min(width, max(1, round(float(np.sqrt(number * width / height)))))
    rows = min(height, max(1, round(number / columns)))
    down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
    return np.asarray(down[:, None] * columns + across + 1)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Return the box of a mask with some room, and a pixel of background at each edge of the image."""
    y, x = np.nonzero(mask)
    height, width = mask.shape
    down, across = round(_ROOM * height), round(_ROOM * width)
    top, bottom = max(1, int(y.min()) - down), min(height - 1, int(y.max()) + 1 + down)
    left, right = max(1, int(x.min()) - across), min(width - 1, int(x.max()) + 1 + across)
    return left, top, right, bottom


def _slic(image: Image, _mask: Mask) -> Labels:
    import cv2

    slic = cv2.ximgproc.createSuperpixelSLIC(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), cv2.ximgproc.SLIC, 20, 30.0)
    slic.iterate(10)
    slic.enforceLabelConnectivity(25)
    return np.asarray(slic.getLabels())


def _kmeans(image: Image, _mask: Mask) -> Labels:
    import cv2

    place = 0.2 * np.indices(image.shape[:2]).reshape(2, -1).T
    rows = np.hstack([image.reshape(-1, 3), place]).astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.2)
    call: Any = cv2.kmeans
    return np.asarray(call(rows, 15, None, stop, 10, cv2.KMEANS_PP_CENTERS)[1])


def _graph(image: Image, _mask: Mask) -> Labels:
    import cv2

    graph = cv2.ximgproc.segmentation.createGraphSegmentation(0.5, 300, 100)
    return np.asarray(graph.processImage(np.ascontiguousarray(image[..., ::-1])))


def _felzenszwalb(image: Image, _mask: Mask) -> Labels:
    from skimage.segmentation import felzenszwalb

    return np.asarray(felzenszwalb(image, scale=100, sigma=0.5, min_size=100))


def _quickshift(image: Image, _mask: Mask) -> Labels:
    from skimage.segmentation import quickshift

    return np.asarray(quickshift(image, kernel_size=3, max_dist=100, ratio=0.5, rng=0))


def _chan_vese(image: Image, _mask: Mask) -> Labels:
    from skimage.color import rgb2gray
    from skimage.segmentation import chan_vese

    return np.asarray(chan_vese(rgb2gray(image), mu=0.25, max_num_iter=100, init_level_set="checkerboard"))


def _watershed(image: Image, _mask: Mask) -> Labels:
    from skimage.color import rgb2gray
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    return np.asarray(watershed(sobel(rgb2gray(image)), markers=100, compactness=0.001))


def _grabcut(image: Image, mask: Mask) -> Labels:
    import cv2

    left, top, right, bottom = _box(mask)
    found = np.zeros(mask.shape, dtype=np.uint8)
    inside, outside = np.zeros((1, 65)), np.zeros((1, 65))
    rectangle = left, top, right - left, bottom - top
    cv2.grabCut(image[..., ::-1].copy(), found, rectangle, outside, inside, 5, cv2.GC_INIT_WITH_RECT)
    return found


PLAIN_CALLS: Mapping[str, Callable[[Image, Mask], Labels]] = {
    "slic": _slic,
    "kmeans": _kmeans,
    "graph": _graph,
    "felzenszwalb": _felzenszwalb,
    "quickshift": _quickshift,
    "chan-vese": _chan_vese,
    "watershed": _watershed,
    "grabcut": _grabcut,
}
"""What a user would call instead. MSLIC would write outside of its memory, the others are no single call."""
