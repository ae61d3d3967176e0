"""Work on many images in chunks: in processes, under one bar, each finished chunk kept where a folder is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pandas as pd

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.image_store import ImageStore

__all__ = ["Work", "in_chunks"]

_PACKAGES = frozenset({"image-quality", "ImageHash", "numpy", "opencv-python-headless", "pillow"})

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
