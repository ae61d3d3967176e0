"""Pickles into a dataset, streamed, beside copying the files and beside loading and saving each.

Ours does more than the baselines: it checks every number and the order of the rows, hashes, writes the table, and
opens what it wrote. The largest memory of each is in the figures.
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np

from benchmarks.harness import SIZES, Bench
from benchmarks.simulation import simulated_raw_data

__all__ = ["SIZES", "run"]


def run(bench: Bench) -> None:
    """Print the join beside each baseline, and what opening the dataset costs."""
    raw = bench.folder / "raw_data"
    if not (raw / "groups.npz").exists():  # written last
        bench.measure(_simulate, raw, bench.n_images)
    n_bytes = sum(file.stat().st_size for file in _pickles(raw))
    _warm(raw)
    copied = bench.measure(_copy, raw, bench.folder / "copied")
    shutil.rmtree(bench.folder / "copied")
    saved = bench.measure(_load_and_save, raw, bench.folder / "saved")
    shutil.rmtree(bench.folder / "saved")
    csv = bench.folder / "joined" / "transport_dataset.csv"
    joined = bench.measure(_join, raw, csv, prepare=_imports)
    opened = bench.measure(_open, csv, prepare=_imports)
    shutil.rmtree(csv.parent)
    bench.compare("join beside copying the files", joined, copied, n_bytes=n_bytes)
    bench.compare("join beside pickle.load and numpy.save", joined, saved, n_bytes=n_bytes)
    bench.compare("open the dataset", opened, n_bytes=n_bytes)


def _simulate(raw: Path, n_images: int) -> None:
    simulated_raw_data(raw, n_images)


def _pickles(raw: Path) -> list[Path]:
    return sorted((raw / "descriptors").glob("*.pickle"))


def _warm(raw: Path) -> None:
    """Read the files once, so that none of those that are compared finds them colder than the others."""
    for file in _pickles(raw):
        with file.open("rb") as stream:
            while stream.read(2**24):
                pass


def _imports() -> None:
    import sklearn.metrics  # noqa: F401

    import veriwild_clustering.core.storage.join  # noqa: F401


def _copy(raw: Path, target: Path) -> None:
    target.mkdir()
    for file in _pickles(raw):
        shutil.copyfile(file, target / file.name)


def _load_and_save(raw: Path, target: Path) -> None:
    target.mkdir()
    for file in _pickles(raw):
        with file.open("rb") as stream:
            np.save(target / file.with_suffix(".npy").name, pickle.load(stream))


def _join(raw: Path, csv: Path) -> None:
    from veriwild_clustering import join_dataset, locate_raw_data

    csv.parent.mkdir()
    join_dataset(locate_raw_data(raw), csv)


def _open(csv: Path) -> None:
    from veriwild_clustering import Dataset

    Dataset.open(csv)
