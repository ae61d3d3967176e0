"""A sweep on a cluster: every partition is there in the end, though a worker died in the middle of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

psutil = pytest.importorskip("psutil")
pytest.importorskip("distributed")

LONGEST = 300  # seconds until what hangs is ended

SCRIPT = """
import hashlib, json, os, signal, sys
from pathlib import Path

import joblib
import numpy as np
from distributed import Client, LocalCluster
from PIL import Image

from veriwild_clustering import Descriptor, ImageStore, inspect_images, leaderboard, sweep
from veriwild_clustering.clustering import store as stores

stores._COPIED_BYTES = 10_000  # so that what is in memory goes through a file too

GRID = {
    "kmeans": {"n_clusters": range(2, 12), "n_init": [10]},
    "gaussian_mixture": {"n_clusters": range(2, 6)},
    "agglomerative": {"n_clusters": [2, 3, 4]},
    "hdbscan": {"min_cluster_size": [10, 20]},
    "dbscan": {"eps": "knee"},
}

folder = Path(sys.argv[1])


def spaces():
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=4, size=(6, 12))
    points = centers[rng.integers(0, 6, size=1500)] + rng.normal(size=(1500, 12))
    np.save(folder / "mapped.npy", points.astype(np.float32))
    yield Descriptor("mapped", np.load(folder / "mapped.npy", mmap_mode="r"))
    yield Descriptor("in memory", points[:, ::2])


def the_first_to_store_dies(flag):
    write = stores.PartitionStore.write

    def writes_and_dies(self, key, record):
        write(self, key, record)
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        flag.write_text(str(self.path(key)))
        os.kill(os.getpid(), signal.SIGKILL)

    stores.PartitionStore.write = writes_and_dies


def digest(partition):
    digest = hashlib.sha256(partition.labels.tobytes() + partition.confidence.round(5).tobytes())
    return [partition.name, digest.hexdigest()]


def main():
    descriptors, store, told = list(spaces()), folder / "store", {}
    Image.new("RGB", (40, 30)).save(folder / "a.jpg")
    paths = ["a.jpg", "b.jpg"] * 400
    alone = sweep(descriptors, GRID)
    cluster = LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
        silence_logs="CRITICAL", local_directory=str(folder / "dask"),
    )
    with cluster, Client(cluster) as client, joblib.parallel_config(backend="dask"):
        client.run(the_first_to_store_dies, folder / "died")
        together = sweep(descriptors, GRID, store=store, progress=True)
        board = leaderboard(together, silhouette_sample=200).table
        inspected = inspect_images(ImageStore(folder), paths)
    died = folder / "died"
    told["kept"] = Path(died.read_text()).stat().st_mtime_ns <= died.stat().st_mtime_ns
    told["stored"] = len(list(store.glob("[!.]*.npz")))
    told["same"] = [digest(a) == digest(b) for a, b in zip(alone, together, strict=True)]
    scores = leaderboard(alone, silhouette_sample=200).table["davies_bouldin"]
    told["scored"] = np.allclose(board["davies_bouldin"], scores, equal_nan=True)
    told["inspected"] = inspected["image_status"].tolist() == ["ok", "missing"] * 400
    told["written"] = len(list((store / "vectors").iterdir()))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
"""


def _processes_of(session: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes by their session")
def test_a_sweep_outlives_a_worker_and_ends_with_every_partition(tmp_path: Path):
    script = tmp_path / "on_a_cluster.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, "-W", "error", script, tmp_path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as run:  # fmt: skip
        try:
            output, errors = run.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise
    assert run.returncode == 0, errors
    told = json.loads(output)
    assert all(told["same"])
    assert told["stored"] == len(told["same"])
    assert told["kept"], "what the lost worker had stored was computed again"
    assert told["scored"]
    assert told["inspected"]
    assert told["written"] == 1
    assert "sweep: " in errors
    deadline = time.monotonic() + 10
    while (left := _processes_of(run.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
