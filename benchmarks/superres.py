"""Super-resolution beside bicubic interpolation: signal-to-noise ratio against held-back originals, and its time.

Each image is cut to a multiple of three, shrunk to a third by averaging (cv2.INTER_AREA), made large again and compared
with what it was, three pixels of the border left out. Undamaged images of the real sample where it is at hand
(VERIWILD_SHARED, or ../shared), view by view, else drawn ones; Lanczos interpolation, and all models whose weights lie
there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, shared_folder

SIZES = {"tiny": 4, "small": 100, "medium": 400, "full": 1_234}

FACTOR = 3
MIN_SIDE = 60  # pixels: of a smaller image too little would be left
_LUMA = np.array([0.299, 0.587, 0.114])

Image = NDArray[np.uint8]


def run(bench: Bench) -> None:
    """Print the figures."""
    from veriwild_clustering import Upscaler

    models = _models(bench.folder)
    for view, images in originals(bench.folder, bench.n_images).items():
        small = [shrunk(image) for image in images]
        baseline = [Upscaler("bicubic")(image) for image in small]
        for name in ["lanczos", "fsrcnn-x3", "espcn-x3", "edsr-x3", "sisr-1033"]:
            with bench.independent():
                upscale = _upscaler(name, models)
                if upscale is None:
                    bench.say(f"no weights of {name}")
                    continue
                upscale(small[0])
                started = perf_counter()
                ours = [upscale(image) for image in small]
                seconds = (perf_counter() - started) / len(small)
                for channels, luma in (("luma", True), ("RGB", False)):
                    bench.figure(
                        f"{name}, {view} view, PSNR of {channels}",
                        ours=mean_psnr(images, ours, luma=luma),
                        baseline=mean_psnr(images, baseline, luma=luma),
                        unit="dB",
                        n_images=len(small),
                        seconds=seconds,
                    )


def shrunk(image: Image) -> Image:
    """Return an image at a third of its size, each pixel the mean of nine."""
    import cv2

    height, width = image.shape[:2]
    target = width // FACTOR, height // FACTOR
    return np.asarray(cv2.resize(_whole(image), target, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def mean_psnr(originals: Sequence[Image], others: Sequence[Image], *, luma: bool) -> float:
    """Return the mean over images of the peak signal-to-noise ratio in dB, the border left out."""
    inner = slice(FACTOR, -FACTOR)
    ratios = []
    for original, other in zip(originals, others, strict=True):
        difference = _whole(original)[inner, inner].astype(np.float64) - other[inner, inner]
        error = np.mean((difference @ _LUMA if luma else difference) ** 2)
        ratios.append(10 * np.log10(255**2 / error))
    return float(np.mean(ratios))


def _whole(image: Image) -> Image:
    height, width = (side // FACTOR * FACTOR for side in image.shape[:2])
    return image[:height, :width]


def _upscaler(name: str, models: Path | None) -> Callable[[Image], Image] | None:
    """Return what makes an image large; None where its weights are not at hand."""
    import cv2

    from veriwild_clustering import Upscaler
    from veriwild_clustering.images.models.catalog import find_model

    if name == "lanczos":
        return lambda image: np.asarray(
            cv2.resize(image, None, fx=FACTOR, fy=FACTOR, interpolation=cv2.INTER_LANCZOS4), dtype=np.uint8
        )
    if models is None or not all((models / file.name).exists() for file in find_model(name).files):
        return None
    return Upscaler(name, folder=models)


def _models(folder: Path) -> Path | None:
    """Return a folder with all real weights side by side."""
    weights = shared_folder() / "weights"
    if not weights.is_dir():
        return None
    models = folder / "models"
    models.mkdir(exist_ok=True)
    for file in weights.glob("*/*"):
        if not (models / file.name).exists():
            (models / file.name).symlink_to(file.resolve())
    return models


def originals(folder: Path, n_images: int) -> dict[str, list[Image]]:
    """Return undamaged images of decent size by view, as many of each, from all over the real or a drawn sample."""
    import pandas as pd

    from veriwild_clustering import draw_sample

    raw = shared_folder() / "data/veriwild_sample/raw_data"
    if not raw.is_dir():
        raw = draw_sample(folder / "drawn", n_images=max(n_images, 50), random_state=0, progress=False)
        return {"drawn": _some(sorted(raw.rglob("*.jpg")), n_images)}
    truth = pd.read_csv(raw.parent / "truth.csv")
    views = truth[truth["corruption"].isna()].groupby("view")["path"]
    return {
        str(view): _some([raw / "veriwild" / path for path in paths], n_images // len(views)) for view, paths in views
    }


def _some(files: Sequence[Path], n_images: int) -> list[Image]:
    from PIL import Image as Pillow

    large = []
    for file in files:
        with Pillow.open(file) as opened:
            if min(opened.size) >= MIN_SIDE:
                large.append(file)
    chosen = np.unique(np.linspace(0, len(large) - 1, min(n_images, len(large))).astype(int))
    return [np.asarray(Pillow.open(large[place]).convert("RGB")) for place in chosen]
