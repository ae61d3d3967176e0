"""Work on many images in chunks: in processes, under one bar, each finished chunk kept where a folder is given."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pandas as pd

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.image_store import ImageStore

__all__ = ["Work", "in_chunks", "one_opencv_thread"]

_PACKAGES = frozenset({"image-quality", "ImageHash", "numpy", "opencv-contrib-python-headless", "pillow", "scipy"})

Work = Callable[[ImageStore, list[str]], pd.DataFrame]


def in_chunks(
    work: Work,
    image_store: ImageStore,
    paths: Sequence[str],
    *,
    size: int,
    folder: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the rows that `work`, a top-level function, gives for each `size` paths, one below the other.

    With a folder, each finished chunk is kept there under a key of all that it depends on, and taken from there next
    time: a run that was killed goes on where it stopped.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    listed = list(paths)
    chunks = [listed[start : start + size] for start in range(0, len(listed), size)] or [[]]
    if n_jobs is None and effective_n_jobs() == 1:
        n_jobs = -1
    if len(chunks) == 1:
        n_jobs = 1  # starting processes costs more than one chunk
    # Workers may stand in another folder.
    store = replace(image_store, location=image_store.location.absolute())
    kept = None if folder is None else Path(folder).absolute()
    done = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(_rows)(work, store, part, kept) for part in chunks)
    bar = track(done, description="Images", total=len(chunks), unit=" images", per_step=size, show=progress)
    return pd.concat(bar, ignore_index=True)


class _OneThread:
    """Keeps OpenCV to one thread while any thread of this process is inside: the cores are shared already.

    BLAS is left to joblib, which limits it in its processes: what one thread sets, another cannot set back.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside, self._n_threads = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        import cv2

        with self._lock:
            if not self._n_inside:
                self._n_threads = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._n_inside += 1

    def __exit__(self, *_: object) -> None:
        import cv2

        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                cv2.setNumThreads(self._n_threads)


one_opencv_thread = _OneThread()


def _rows(work: Work, store: ImageStore, paths: list[str], folder: Path | None) -> pd.DataFrame:
    if folder is None:
        return work(store, paths)
    file = folder / f"{_key(work, store, paths)}.parquet"
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError):  # not there yet, or damaged
        rows = work(store, paths)
    with write_atomically(file) as temporary:
        rows.to_parquet(temporary)
    return rows


def _key(work: Work, store: ImageStore, paths: list[str]) -> str:
    """Return the hash of the work, the code behind it, its own and that of packages, and the state of the files."""
    facts = [work.__qualname__, _code(), [(path, store.stamp(path)) for path in paths]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@cache
def _code() -> str:
    """Return the digest of the source of this package, which holds all measures, and of what they are computed with."""
    sources = [file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.rglob("*.py"))]
    versions = sorted(f"{one.name} {one.version}" for one in distributions() if one.name in _PACKAGES)
    return hashlib.sha256("\0".join(sources + versions).encode()).hexdigest()
