"""A stopped sweep goes on where it was, and what lies broken on the disk is never trusted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import Birch, KMeans

from veriwild_clustering import Descriptor, sweep

GRID = {
    "kmeans": {"n_clusters": [2, 3]},
    "gaussian_mixture": {"n_clusters": 3},
    "agglomerative": {"n_clusters": [2, 3]},
    "hdbscan": {"min_cluster_size": 5},
    "dbscan": {"eps": "knee"},
    "birch": (Birch(), {"n_clusters": 3}),
}

KILLED_SWEEP = """
import json, os, signal, sys
import numpy as np
from sklearn.cluster import KMeans
from veriwild_clustering import Descriptor, sweep

class Fragile(KMeans):
    fitted = []
    def fit_predict(self, X, y=None):
        if len(self.fitted) == 3 and sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        self.fitted.append(self.n_clusters)
        return super().fit_predict(X)

space = Descriptor("noise", np.random.default_rng(0).normal(size=(80, 3)))
store = sys.argv[1] if sys.argv[1] != "-" else None
partitions = sweep(space, {"fragile": (Fragile(), {"n_clusters": range(2, 8)})}, store=store)
print(json.dumps([Fragile.fitted, *([p.labels.tolist(), p.confidence.tolist()] for p in partitions)]))
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
    sweep(toy_space, {"kmeans": {"n_clusters": [2, 3]}}, store=tmp_path)
    fitted, fit = [], KMeans.fit
    monkeypatch.setattr(KMeans, "fit", lambda self, X: fitted.append(self.n_clusters) or fit(self, X))
    sweep(toy_space, {"kmeans": {"n_clusters": [2, 3, 4]}}, store=tmp_path)
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


def _run(script: Path, store: str, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script, store, mode], capture_output=True, text=True, check=False)


def test_a_killed_sweep_goes_on_and_ends_the_same(tmp_path: Path):
    script, store = tmp_path / "killed_sweep.py", tmp_path / "store"
    script.write_text(KILLED_SWEEP)
    assert _run(script, str(store), "killed").returncode == -signal.SIGKILL
    assert len(list(store.glob("*.npz"))) == 3
    resumed, untouched = (json.loads(_run(script, place, "whole").stdout) for place in (str(store), "-"))
    assert resumed[0] == [5, 6, 7]
    assert untouched[0] == [2, 3, 4, 5, 6, 7]
    assert resumed[1:] == untouched[1:]
