"""A saved index opens with its own dataset alone, and a killed save leaves the old one or the new one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.simulation import simulated_raw_data, simulated_space
from veriwild_clustering import Dataset, DatasetError, Descriptor, join_dataset, locate_raw_data
from veriwild_clustering.search.index import SearchIndex
from veriwild_clustering.search.indexing.files import saving

# Saves an index from which row 7 was removed and kills itself at the n-th call of one method of Path.
KILLED_SAVE = """
import os, signal, sys
from pathlib import Path
from veriwild_clustering import Dataset
from veriwild_clustering.search.index import SearchIndex

csv, path, method, calls = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
dataset = Dataset.open(csv)
index = SearchIndex.build(dataset, "osnet", factory="SQfp16")
index.remove([7])
original = getattr(Path, method)

def counted(self, *arguments, **options):
    global calls
    if self.name.endswith((".faiss", ".json")) and "index" in self.name:
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        calls -= 1
    return original(self, *arguments, **options)

setattr(Path, method, counted)
index.save(path)
"""


def as_dataset(vectors: np.ndarray, name: str = "osnet") -> Dataset:
    images = pd.DataFrame({"path": [f"{i}.jpg" for i in range(len(vectors))]})
    return Dataset(images, {name: Descriptor(name, vectors)})


@pytest.fixture
def dataset() -> Dataset:
    return as_dataset(simulated_space(400, 16).vectors)


@pytest.fixture
def saved(dataset: Dataset, tmp_path: Path) -> Path:
    SearchIndex.build(dataset, "osnet", tmp_path / "index.json", factory="HNSW8,SQfp16")
    return tmp_path / "index.json"


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose vectors are files with checksums in a manifest."""
    folder = tmp_path_factory.mktemp("joined")
    simulated_raw_data(folder / "raw_data", 300, names=("osnet", "color_model"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small descriptors do not tell simulated vehicles apart
        join_dataset(locate_raw_data(folder / "raw_data"), folder / "transport_dataset.csv")
    return folder / "transport_dataset.csv"


@pytest.fixture
def on_disk(csv: Path) -> Dataset:
    return Dataset.open(csv)


def faiss_file(path: Path) -> Path:
    (file,) = path.parent.glob(f"{path.stem}.*.faiss")
    return file


@pytest.mark.parametrize(
    "factory", ["Flat", "SQfp16", "SQ8", "HNSW8,SQfp16", "HNSW8,Flat", "IVF8,Flat", "IVF8,SQ8", "PCA8,HNSW8,SQfp16"]
)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_opened_index_finds_what_the_saved_one_did(factory: str, metric: Any, dataset: Dataset, tmp_path: Path) -> None:
    built = SearchIndex.build(dataset, "osnet", metric=metric, factory=factory)
    built.remove([3, 5])
    queries = built.space.rows([1, 3, 300])
    before = built.nearest(queries, 12)
    built.save(tmp_path / "index.json")
    opened = SearchIndex.open(tmp_path / "index.json", dataset, verify=True)
    for index in (built, opened):
        found = index.nearest(queries, 12)
        np.testing.assert_array_equal(found.rows, before.rows)
        np.testing.assert_array_equal(found.scores, before.scores)
        exact = index.nearest(queries, 12, exact=True, allowed=np.arange(400) < 100)
        assert not np.isin(exact.rows, [3, 5]).any()
    assert (opened.recall, opened.factory, len(opened)) == (built.recall, factory, 398)


def test_record_says_what_the_index_is(saved: Path) -> None:
    record = json.loads(saved.read_text())
    (descriptor,) = record["descriptors"]
    assert (descriptor["name"], descriptor["weight"], descriptor["n_features"]) == ("osnet", 1.0, 16)
    assert (record["metric"], record["factory"], record["n_images"]) == ("cosine", "HNSW8,SQfp16", 400)
    assert {"faiss-cpu", "numpy", "veriwild_clustering"} <= set(record["versions"])
    assert record["bytes"] == faiss_file(saved).stat().st_size


def test_euclidean_mixture_keeps_its_scales(tmp_path: Path) -> None:
    images = pd.DataFrame({"path": [f"{i}.jpg" for i in range(300)]})
    parts = {name: Descriptor(name, simulated_space(300, 8, seed).vectors) for seed, name in enumerate("ab")}
    dataset = Dataset(images, parts)
    built = SearchIndex.build(dataset, {"a": 0.7, "b": 0.3}, tmp_path / "index.json", metric="euclidean")
    opened = SearchIndex.open(tmp_path / "index.json", dataset)
    assert opened.space.scales == built.space.scales
    assert opened.space.fingerprint == built.space.fingerprint


def test_mapped_dataset_is_known_by_its_manifest(
    on_disk: Dataset, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {on_disk.names[0]: 0.5, on_disk.names[1]: 0.5}
    SearchIndex.build(on_disk, names, tmp_path / "index.json")
    in_memory = on_disk.take(np.arange(len(on_disk)))
    assert len(SearchIndex.open(tmp_path / "index.json", in_memory)) > 0
    monkeypatch.setattr(Descriptor, "fingerprint", property(lambda self: pytest.fail("reads all vectors")))
    index = SearchIndex.open(tmp_path / "index.json", Dataset.open(csv))
    index.remove([1])
    index.save()
    assert len(SearchIndex.open(tmp_path / "index.json", Dataset.open(csv))) == len(index)


def test_part_of_a_mapped_file_is_not_the_file(on_disk: Dataset, tmp_path: Path) -> None:
    name = on_disk.names[0]
    SearchIndex.build(on_disk, name, tmp_path / "index.json")
    backwards = Descriptor(name, on_disk[name].vectors[::-1], on_disk[name].valid[::-1])
    with pytest.raises(DatasetError, match=f"built from other vectors of '{name}' than this dataset has"):
        SearchIndex.open(tmp_path / "index.json", Dataset(on_disk.images, {name: backwards}))


def changed(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.copy()
    vectors[200, 3] += 1
    return vectors


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda v: as_dataset(changed(v)), "was built from other vectors of 'osnet' than this dataset has"),
        (lambda v: as_dataset(v[::-1].copy()), "was built from other vectors of 'osnet'"),
        (lambda v: as_dataset(v[:, :8].copy()), "16 features of 'osnet', this dataset's have 8: .* another model"),
        (lambda v: as_dataset(v[:399].copy()), "built from 400 images, this dataset has 399.*Build the index again"),
        (lambda v: as_dataset(np.vstack([v, v])), "has 800.*If the dataset has grown, .*call `extend`"),
        (lambda v: as_dataset(v, "type_model"), "descriptor 'osnet', which this dataset does not have: .* type_model"),
        (lambda v: as_dataset(v[:0]), "built from 400 images, this dataset has 0"),
    ],
)
def test_other_datasets_are_refused(
    other: Callable[[np.ndarray], Dataset], message: str, saved: Path, dataset: Dataset
) -> None:
    with pytest.raises(DatasetError, match=message):
        SearchIndex.open(saved, other(dataset["osnet"].vectors))


def test_other_usable_rows_are_refused(saved: Path, dataset: Dataset) -> None:
    valid = np.arange(400) != 9
    flagged = Dataset(dataset.images, {"osnet": Descriptor("osnet", dataset["osnet"].vectors, valid)})
    with pytest.raises(DatasetError, match="other vectors of 'osnet'"):
        SearchIndex.open(saved, flagged)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip(file: Path, place: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: truncate(faiss_file(path)), r"\.faiss has .* bytes, not .*: it is truncated or changed"),
        (lambda path: flip(faiss_file(path)), r"\.faiss has changed since it was written"),
        (lambda path: flip(faiss_file(path), -1), r"\.faiss has changed since it was written"),
        (lambda path: faiss_file(path).unlink(), r"\.faiss, the vectors of .*index\.json, is missing"),
        (lambda path: path.unlink(), r"The index .*index\.json does not exist"),
        (truncate, r"index\.json is damaged"),
        (lambda path: path.write_text("[]"), r"index\.json is damaged"),
        (lambda path: path.write_text('{"format_version": 1}'), r"index\.json is damaged: it lacks bytes, descriptors"),
        (lambda path: path.write_text('{"format_version": 3}'), r"has format 3; this version reads 2\. Update"),
    ],
)
def test_damaged_files_are_named(damage: Callable[[Path], None], message: str, saved: Path, dataset: Dataset) -> None:
    damage(saved)
    with pytest.raises(DatasetError, match=message):
        SearchIndex.open(saved, dataset)


def test_change_between_sampled_blocks_is_found_on_demand(tmp_path: Path) -> None:
    dataset = as_dataset(np.random.default_rng(0).random((20_000, 128), dtype=np.float32))
    SearchIndex.build(dataset, "osnet", tmp_path / "index.json")
    file = faiss_file(tmp_path / "index.json")
    flip(file, file.stat().st_size // 126)  # half way between the first blocks
    SearchIndex.open(tmp_path / "index.json", dataset)
    with pytest.raises(DatasetError, match="has changed since it was written"):
        SearchIndex.open(tmp_path / "index.json", dataset, verify=True)


@pytest.mark.parametrize(
    "entry",
    [
        {"n_images": 400, "metric": "euclidean"},
        {"removed": [400]},
        {"removed": [0.5]},
        {"file": "../x.faiss"},
        {"descriptors": [{}]},
    ],
)
def test_record_that_does_not_fit_its_file_is_refused(entry: dict[str, Any], saved: Path, dataset: Dataset) -> None:
    saved.write_text(json.dumps(json.loads(saved.read_text()) | entry))
    with pytest.raises(DatasetError, match=r"do not belong together|is damaged|is missing"):
        SearchIndex.open(saved, dataset)


def test_removal_rewrites_the_record_alone(saved: Path, dataset: Dataset) -> None:
    file = faiss_file(saved)
    before = file.stat().st_mtime_ns
    index = SearchIndex.open(saved, dataset)
    index.remove([1, 2])
    index.save()
    assert faiss_file(saved) == file
    assert file.stat().st_mtime_ns == before
    assert len(SearchIndex.open(saved, dataset)) == 398


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "HNSW8,SQfp16", "IVF8,SQ8", "PCA8,L2norm,HNSW8,SQfp16"])
def test_opened_index_grows_with_its_dataset(factory: str, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    SearchIndex.build(dataset, "osnet", path, factory=factory)
    grown = as_dataset(np.vstack([dataset["osnet"].vectors, simulated_space(90, 16, random_state=1).vectors]))
    index = SearchIndex.open(path, dataset)
    index.extend(grown)
    index.save()
    again = SearchIndex.open(path, grown, verify=True)
    found = again.nearest(again.space.rows(np.arange(400, 490)), 1, exact=True)
    assert found.rows[:, 0].tolist() == list(range(400, 490))
    assert [file.name for file in sorted(tmp_path.iterdir())] == [faiss_file(path).name, "index.json"]
    with pytest.raises(DatasetError, match="built from 490 images, this dataset has 400"):
        SearchIndex.open(path, dataset)


@pytest.mark.parametrize("path", [None, "index.faiss", "index"])
def test_index_needs_a_json_to_go_to(path: str | None, dataset: Dataset, tmp_path: Path) -> None:
    index = SearchIndex.build(dataset, "osnet")
    with pytest.raises(ValueError, match=r"`path` must be the \.json of an index"):
        index.save(None if path is None else tmp_path / path)


def test_folder_that_cannot_be_written_is_named(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="Cannot write"):
        SearchIndex.build(dataset, "osnet", tmp_path / "file" / "index.json")


def test_another_run_that_saves_is_waited_for(saved: Path, dataset: Dataset) -> None:
    index = SearchIndex.open(saved, dataset)
    with saving(saved), pytest.raises(DatasetError, match=r"Another run is writing .*index\.json"):
        index.save()
    index.save()
    assert len(list(saved.parent.iterdir())) == 2


def test_save_writes_the_vectors_that_another_run_replaced(saved: Path, dataset: Dataset) -> None:
    first, second = SearchIndex.open(saved, dataset), SearchIndex.open(saved, dataset)
    first.extend(dataset)
    first.save()
    second.remove([7])
    second.save()
    opened = SearchIndex.open(saved, dataset, verify=True)
    assert len(opened) == 399
    assert opened.nearest(opened.space.rows([7]), 1, exact=True).rows[0, 0] != 7
    assert len(list(saved.parent.iterdir())) == 2


# The first replace moves FAISS's file to its place, the second the record; then the old file is removed.
@pytest.mark.parametrize(
    ("method", "calls", "leaves_new"),
    [("chmod", 0, False), ("replace", 0, False), ("chmod", 1, False), ("replace", 1, False), ("unlink", 2, True)],
)
def test_killed_save_leaves_old_or_new(
    method: str, calls: int, *, leaves_new: bool, csv: Path, on_disk: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "index.json"
    SearchIndex.build(on_disk, "osnet", path, factory="SQfp16")
    command = [sys.executable, "-c", KILLED_SAVE, str(csv), str(path), method, str(calls)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    index = SearchIndex.open(path, on_disk, verify=True)
    found = index.nearest(index.space.rows([7]), 1, exact=True).rows[0, 0]
    assert (found != 7) == leaves_new
    index.remove([8])
    index.save()
    assert len(list(tmp_path.iterdir())) == 2  # what the killed one left is gone
