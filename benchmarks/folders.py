"""Files sorted into folders by copy, hard link and move, and taken back, beside loops over shutil.

Ours hashes each file, writes a journal before it touches one, and brings everything to the disk in the end; the loops
do nothing of that. Files hold 30 KB of noise and were just written, so they are in memory.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Bench

__all__ = ["SIZES", "run"]

SIZES = {"tiny": 40, "small": 2_000, "full": 20_000}
_BYTES = 30_000
_N_CLUSTERS = 20
_TRANSFERS: dict[str, Any] = {"copy": shutil.copy2, "hardlink": os.link, "move": shutil.move}


def run(bench: Bench) -> None:
    """Print the seconds of each way there, and of the way back."""
    images = bench.folder / "images"
    _write(images, bench.n_images)
    for transfer in _TRANSFERS:
        with bench.independent():
            ours, plain = bench.folder / f"ours-{transfer}", bench.folder / f"plain-{transfer}"
            there = bench.measure(_sort, images, ours, bench.n_images, transfer, prepare=_get_ready)
            back = bench.measure(_undo, images, ours, prepare=_get_ready)
            plain_there = bench.measure(_loop, images, plain, bench.n_images, transfer, prepare=_get_ready)
            plain_back = bench.measure(_loop_back, images, plain, bench.n_images, transfer, prepare=_get_ready)
            n_bytes = bench.n_images * _BYTES
            bench.compare(f"{transfer}, beside a loop", there, plain_there, n_bytes=n_bytes)
            bench.compare(f"{transfer} undone, beside a loop", back, plain_back, n_bytes=n_bytes)


def _write(images: Path, n_files: int) -> None:
    images.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for row in range(n_files):
        (images / f"{row}.jpg").write_bytes(rng.bytes(_BYTES))


def _get_ready() -> None:
    """Import what sorting needs, and let the disk come to rest."""
    import filelock  # noqa: F401

    import veriwild_clustering.reporting.folders.undo
    import veriwild_clustering.reporting.folders.write  # noqa: F401

    os.sync()


def _sort(images: Path, out: Path, n_files: int, transfer: Any) -> None:
    import veriwild_clustering as vc

    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(n_files)]})
    dataset = vc.Dataset(table, image_store=vc.ImageStore(images))
    space = vc.Descriptor("none", np.zeros((n_files, 1), dtype=np.float32))
    partition = vc.Partition((np.arange(n_files) % _N_CLUSTERS).astype(np.int32), space, "by row")
    vc.write_folders(dataset, partition, out, transfer=transfer, contact_sheets=False, progress=False)


def _undo(images: Path, out: Path) -> None:
    import veriwild_clustering as vc

    vc.undo_folders(out, source=images, progress=False)


def _loop(images: Path, out: Path, n_files: int, transfer: str) -> None:
    bring = _TRANSFERS[transfer]
    for row in range(n_files):
        folder = out / f"cluster_{row % _N_CLUSTERS}"
        folder.mkdir(parents=True, exist_ok=True)
        bring(images / f"{row}.jpg", folder / f"{row}.jpg")


def _loop_back(images: Path, out: Path, n_files: int, transfer: str) -> None:
    if transfer == "move":
        for row in range(n_files):
            shutil.move(out / f"cluster_{row % _N_CLUSTERS}" / f"{row}.jpg", images / f"{row}.jpg")
    shutil.rmtree(out)
