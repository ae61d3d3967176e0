"""BRISQUE beside image-quality 1.2.7, image by image on one core, and all quality measures on two.

The images are those of the real sample where it is at hand (VERIWILD_SHARED, or ../shared), else drawn ones: a third as
they are, a third cropped to odd sizes, a third grey; and all of them again, scaled to 250 x 300. image-quality itself
needs three shims to run on current versions of scikit-image and SciPy; they change none of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, shared_folder

SIZES = {"tiny": 12, "small": 200, "medium": 600, "full": 1_284}

Images = Sequence[NDArray[np.uint8]]

_SCALED = (250, 300)  # pixels, width and height
_CHUNK = 32
_PROCESSES = 2


def run(bench: Bench) -> None:
    """Print the figures."""
    images = list(_images(bench.folder, bench.n_images))
    n_scaled = bench.pick(tiny=2, small=50, medium=100, full=200)
    scaled = [_resized(image) for image in images[:: len(images) // n_scaled]]
    for what, some in (("real size", images), ("250 x 300", scaled)):
        ours = bench.measure(our_scores, some, prepare=_imports)
        theirs = bench.measure(image_quality_scores, some, prepare=_import_image_quality)
        answered = np.isfinite(theirs.value)
        sizes: dict[str, Any] = {"n_images": len(some), "n_unanswered": int((~answered).sum())}
        seconds, baseline = (one.cpu_seconds / len(some) for one in (ours, theirs))
        bench.figure(f"BRISQUE, {what}, CPU time of an image", ours=seconds, baseline=baseline, **sizes)
        difference = np.abs(ours.value - theirs.value)[answered].max()
        bench.figure(f"BRISQUE, {what}, largest difference", ours=float(difference), unit="points", **sizes)
    files = list(_files(bench.folder / "scaled", scaled, n_files=bench.pick(tiny=4, small=800, medium=1600, full=3200)))
    bench.figure(
        f"decode and all quality measures, 250 x 300, {_PROCESSES} processes",
        ours=_images_per_second(files),  # here: it has processes of its own
        unit="images/s",
        n_images=len(files),
    )


def our_scores(images: Images) -> NDArray[np.float64]:
    """Return our BRISQUE of RGB images, on one core."""
    from veriwild_clustering.images.quality.brisque import brisque

    with _one_core():
        return brisque(images)


def image_quality_scores(images: Images) -> NDArray[np.float64]:
    """Return image-quality's own BRISQUE of RGB images, on one core; NaN where its search for the shape fails."""
    package = _shimmed()
    scores = np.full(len(images), np.nan)
    with _one_core():
        for place, image in enumerate(images):
            try:
                scores[place] = package.score(image)
            except AssertionError:
                continue
    return scores


def _shimmed() -> Any:
    """Return `imquality.brisque` so that it runs: what it calls by names that are gone gets its present name."""
    import scipy

    vars(scipy).setdefault("ndarray", np.ndarray)
    import skimage.color
    import skimage.transform
    from imquality import brisque as package

    def rescale(image: Any, scale: float, *, multichannel: bool, **options: Any) -> Any:
        return skimage.transform.rescale(image, scale, channel_axis=-1 if multichannel else None, **options)

    def rgb2gray(image: Any) -> Any:
        return image if image.ndim == 2 else skimage.color.rgb2gray(image)

    package.skimage = SimpleNamespace(
        color=SimpleNamespace(rgb2gray=rgb2gray), transform=SimpleNamespace(rescale=rescale)
    )
    return package


@contextmanager
def _one_core() -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    from veriwild_clustering.images.chunks import one_opencv_thread

    with one_opencv_thread, threadpool_limits(1):
        yield


def _imports() -> None:
    our_scores([_warm_up_image()])


def _import_image_quality() -> None:
    image_quality_scores([_warm_up_image()])


def _warm_up_image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size=(32, 32, 3), dtype=np.uint8)


def _images(folder: Path, n_images: int) -> Iterator[NDArray[np.uint8]]:
    from PIL import Image

    for place, file in enumerate(_image_files(folder, n_images)):
        with Image.open(file) as opened:
            grey = place % 3 == 2
            image = np.asarray((opened.convert("L") if grey else opened).convert("RGB"))
        height, width = image.shape[:2]
        yield image[: height - 1 + height % 2, : width - 1 + width % 2] if place % 3 == 1 else image


def _image_files(folder: Path, n_images: int) -> list[Path]:
    """Return files spread over the real sample, or over a drawn one."""
    from veriwild_clustering import draw_sample

    raw = shared_folder() / "data/veriwild_sample/raw_data"
    if not raw.is_dir():
        raw = draw_sample(folder / "drawn", n_images=max(n_images, 50), random_state=0, progress=False)
    found = sorted(raw.rglob("*.jpg"))
    return [found[place] for place in np.linspace(0, len(found) - 1, n_images).astype(int)]


def _resized(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(_SCALED, Image.Resampling.BICUBIC))


def _files(folder: Path, images: Images, *, n_files: int) -> Iterator[Path]:
    """Write the images as JPEG files, over and over, and yield their paths."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    for place in range(n_files):
        file = folder / f"{place:06d}.jpg"
        Image.fromarray(images[place % len(images)]).save(file, quality=90)
        yield file


def _images_per_second(files: Sequence[Path]) -> float:
    from joblib import Parallel, delayed

    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    with Parallel(n_jobs=_PROCESSES) as parallel:
        parallel(delayed(_measure_files)(files[:2]) for _ in range(2 * _PROCESSES))  # starts the workers
        started = perf_counter()
        parallel(delayed(_measure_files)(chunk) for chunk in chunks)
        return len(files) / (perf_counter() - started)


def _measure_files(files: Sequence[Path]) -> None:
    from PIL import Image

    from veriwild_clustering import quality_measures

    with _one_core():
        quality_measures([np.asarray(Image.open(file).convert("RGB")) for file in files])
