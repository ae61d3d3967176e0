"""A stopped sweep goes on where it was, and what lies broken on the disk is never trusted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import Birch, KMeans

from veriwild_clustering import Descriptor, sweep
from veriwild_clustering.clustering.families.family import Family
from veriwild_clustering.clustering.grid import FAMILIES
from veriwild_clustering.clustering.store import PartitionRecord, PartitionStore

GRID = {
    "kmeans": {"n_clusters": [2, 3]},
    "gaussian_mixture": {"n_clusters": 3},
    "agglomerative": {"n_clusters": [2, 3]},
    "hdbscan": {"min_cluster_size": 5},
    "dbscan": {"eps": "knee"},
    "birch": (Birch(), {"n_clusters": 3}),
}

# One process loads the libraries and forks the sweeps, so that none has to load them again.
KILLED_SWEEPS = """
import hashlib, json, os, signal, sys, time
from pathlib import Path

import numpy as np

from veriwild_clustering import Descriptor, sweep
from veriwild_clustering.clustering.store import PartitionStore

GRID = {
    "kmeans": {"n_clusters": range(2, 6)},
    "gaussian_mixture": {"n_clusters": range(2, 5)},
    "agglomerative": {"n_clusters": [2, 3]},
    "hdbscan": {"min_cluster_size": [5, 8]},
    "dbscan": {"eps": [0.7, "knee"]},
}
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
centers = rng.normal(scale=3, size=(4, 5))
points = centers[rng.integers(0, 4, size=150)] + rng.normal(size=(150, 5))
SPACES = [Descriptor("all", points), Descriptor("some", points[:, :3])]


def digest(partition):
    digest = hashlib.sha256(partition.labels.tobytes() + partition.confidence.tobytes())
    for name, value in sorted(partition.state.items()):
        digest.update(name.encode() + value.tobytes())
    return [partition.name, repr(dict(partition.params)), digest.hexdigest()]


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_write(moment, number):
    # Before a partition is written, between writing and naming the file, or when it is there.
    write, rename, written = PartitionStore.write, Path.replace, []
    def count(self, *args):
        written.append(1)
        if moment == "before" and len(written) == number:
            die()
        write(self, *args)
        if moment == "after" and len(written) == number:
            die()
    def renaming(self, target):
        if moment == "within" and len(written) == number:
            die()
        return rename(self, target)
    PartitionStore.write, Path.replace = count, renaming


def forked(store, out=None, before=lambda: None, seconds=None):
    child = os.fork()
    if child == 0:
        before()
        partitions = sweep(SPACES, GRID, store=store)
        if out:
            out.write_text(json.dumps([digest(partition) for partition in partitions]))
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stored(store):
    return len(list(store.glob("[!.]*.npz")))


sweep(Descriptor("other", points[::-1] * 2), GRID)  # loads and compiles once what all sweeps need
draw = np.random.default_rng(seed)
started = time.perf_counter()
assert forked(None, folder / "whole.json") == 0
took = time.perf_counter() - started
whole = json.loads((folder / "whole.json").read_text())
kills = []
for run, number in enumerate(draw.integers(1, len(whole) + 1, size=6)):
    moment = ["before", "within", "after"][run % 3]
    store = folder / f"run{run}"  # of its own, even where two runs draw one number
    status = forked(store, before=lambda: die_at_write(moment, number))
    kills.append([moment, int(number), status, stored(store), store.name])
store = folder / "moments"
for seconds in draw.uniform(0, took, size=3):  # one store, killed again and again
    store.mkdir(exist_ok=True)
    forked(store, seconds=seconds)
kills.append(["moments", 0, -9, 0, store.name])
resumed = {}
for *_, name in kills:
    assert forked(folder / name, folder / f"{name}.json") == 0
    resumed[name] = json.loads((folder / f"{name}.json").read_text()) == whole
print(json.dumps({"whole": len(whole), "kills": kills, "resumed": resumed}))
"""


def _assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        assert a.name == b.name
        assert dict(a.params) == dict(b.params)
        assert a.seconds == b.seconds
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.confidence, b.confidence)
        assert a.state.keys() == b.state.keys()
        for key in a.state:
            np.testing.assert_array_equal(a.state[key], b.state[key])


def test_second_run_reads_what_the_first_wrote(toy_space: Descriptor, tmp_path: Path):
    first = sweep(toy_space, GRID, store=tmp_path / "new" / "store")
    _assert_same(first, sweep(toy_space, GRID, store=tmp_path / "new" / "store"))
    assert len(list((tmp_path / "new" / "store").iterdir())) == len(first)


def test_only_what_is_missing_is_fitted(toy_space: Descriptor, tmp_path: Path, monkeypatch):
    def grid(*n_clusters):
        return {"mine": (KMeans(), {"n_clusters": n_clusters})}

    sweep(toy_space, grid(2, 3), store=tmp_path)
    fitted, fit = [], KMeans.fit
    monkeypatch.setattr(
        KMeans, "fit", lambda self, *args, **kw: fitted.append(self.n_clusters) or fit(self, *args, **kw)
    )
    sweep(toy_space, grid(2, 3, 4), store=tmp_path)
    assert fitted == [4]


def test_other_data_seeds_and_parameters_have_other_files(toy_space: Descriptor, tmp_path: Path):
    other = Descriptor("toy", toy_space.vectors + np.float32(0.5))
    for space, params, seed in [
        (toy_space, {"n_clusters": 3}, 0),
        (other, {"n_clusters": 3}, 0),
        (toy_space, {"n_clusters": 3}, 1),
        (toy_space, {"n_clusters": 3, "tol": 0.1}, 0),
        (toy_space, {"n_clusters": 3, "init": toy_space.vectors[None, :3]}, 0),
    ]:
        sweep(space, {"kmeans": params}, random_state=seed, store=tmp_path)
    sweep(toy_space, {"mine": (Birch(threshold=0.5), {"n_clusters": 3})}, store=tmp_path)
    sweep(toy_space, {"mine": (Birch(threshold=0.6), {"n_clusters": 3})}, store=tmp_path)
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text", "foreign"])
def test_broken_files_are_computed_again(toy_space: Descriptor, tmp_path: Path, damage: str):
    grid = {"kmeans": {"n_clusters": 3}}
    [first] = sweep(toy_space, grid, store=tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    if damage == "foreign":
        np.savez(file, labels=np.zeros(120, dtype=np.int32))
    else:
        file.write_bytes(
            {
                "empty": b"",
                "truncated": whole[:middle],
                "flipped": whole[:middle]
                + bytes(byte ^ 255 for byte in whole[middle : middle + 40])
                + whole[middle + 40 :],
                "text": b"not a store file",
            }[damage]
        )
    with pytest.warns(UserWarning, match=r"is broken .* computed again"):
        [again] = sweep(toy_space, grid, store=tmp_path)
    np.testing.assert_array_equal(first.labels, again.labels)
    [file] = tmp_path.iterdir()
    assert sweep(toy_space, grid, store=tmp_path)[0].seconds == again.seconds


def test_a_pickle_in_the_store_runs_nothing(toy_space: Descriptor, tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    grid = {"kmeans": {"n_clusters": 3}}
    sweep(toy_space, grid, store=tmp_path / "store")
    [file] = (tmp_path / "store").iterdir()
    with np.load(file) as content:
        arrays = {**content, "labels": np.array([Bomb()] * 120, dtype=object)}
    np.savez(file, **arrays)
    with pytest.warns(UserWarning, match="is broken"):
        sweep(toy_space, grid, store=tmp_path / "store")
    assert not (tmp_path / "exploded").exists()


def test_a_file_in_place_of_the_folder_is_refused(toy_space: Descriptor, tmp_path: Path):
    (tmp_path / "store").write_text("taken")
    with pytest.raises(NotADirectoryError, match=r"`store` must be a folder\. Got the file"):
        sweep(toy_space, {"kmeans": {"n_clusters": 3}}, store=tmp_path / "store")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the sweeps that it kills")
def test_a_killed_sweep_goes_on_and_ends_the_same(tmp_path: Path):
    script = tmp_path / "killed_sweeps.py"
    script.write_text(KILLED_SWEEPS)
    seed = str(random.SystemRandom().randrange(2**32))
    run = subprocess.run(
        [sys.executable, script, tmp_path, seed],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},  # no threads that forks would miss
    )  # fmt: skip
    assert run.returncode == 0, f"seed {seed}: {run.stderr}"
    told = json.loads(run.stdout)
    assert told["whole"] == 26
    for moment, number, status, stored, _ in told["kills"][:-1]:
        assert status == -signal.SIGKILL, seed
        assert stored == (number if moment == "after" else number - 1), seed
    assert all(told["resumed"].values()), (seed, told)


def test_new_code_does_not_take_what_old_code_stored(toy_space: Descriptor, tmp_path: Path, monkeypatch):
    grid = {"kmeans": {"n_clusters": 3}}
    sweep(toy_space, grid, store=tmp_path)
    monkeypatch.setattr(Family, "revision", 1000)
    monkeypatch.setattr(type(FAMILIES["kmeans"]), "revision", 1000)
    sweep(toy_space, grid, store=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("veriwild_clustering.clustering.grid.__version__", "1000")
    sweep(toy_space, grid, store=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(("n_clusters", "dtype"), [(100, np.int8), (128, np.int8), (129, np.int16)])
def test_labels_take_as_few_bytes_as_they_need(tmp_path: Path, n_clusters: int, dtype: type):
    labels = np.arange(n_clusters, dtype=np.int32)
    store = PartitionStore(tmp_path)
    store.write("a", PartitionRecord(labels, np.ones(n_clusters, dtype=np.float32), {}, {}, 0.0))
    with np.load(tmp_path / "a.npz") as file:
        assert file["labels"].dtype == dtype
    read = store.read("a", n_clusters)
    assert read is not None
    assert read.labels.dtype == np.int32
    np.testing.assert_array_equal(read.labels, labels)
