"""Saved partitions: versions, conflicts between threads and between processes, kills, damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from veriwild_clustering import DatasetError, Descriptor, Partition
from veriwild_clustering.core.storage.atomic import create_atomically
from veriwild_clustering.core.storage.partitions import PartitionLibrary, VersionConflictError

SPACE = Descriptor("toy", np.eye(6))


def partition(*labels: int, names: tuple[str, ...] = ()) -> Partition:
    return Partition(
        list(labels), SPACE, "by hand", params={"k": 2, "edits": [{"kind": "x"}]}, confidence=np.linspace(0, 1, 6),
        state={"centers": np.arange(4.0).reshape(2, 2)}, cluster_names=names, seconds=1.5,
    )  # fmt: skip


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    library, saved = PartitionLibrary(tmp_path), partition(1, 1, 1, 0, 0, -1, names=("small", "große"))
    library.save("mine", saved)
    read = library.read("mine", SPACE)
    np.testing.assert_array_equal(read.labels, saved.labels)
    np.testing.assert_array_equal(read.confidence, saved.confidence)
    np.testing.assert_array_equal(read.state["centers"], saved.state["centers"])
    assert (read.algorithm, dict(read.params), read.cluster_names) == (
        "by hand",
        dict(saved.params),
        saved.cluster_names,
    )
    assert read.seconds == 1.5
    assert library.space_of("mine") == "toy"


def test_every_version_stays(tmp_path: Path) -> None:
    library = PartitionLibrary(tmp_path)
    for base, labels in enumerate([(0, 0, 0, 1, 1, 1), (0, 0, 0, 0, 1, 1), (0, 0, 0, 0, 0, 1)]):
        assert library.save("mine", partition(*labels), base=base) == base + 1
    assert [library.read("mine", SPACE, version=v).sizes.tolist() for v in (1, 2, 3)] == [[3, 3], [4, 2], [5, 1]]


@pytest.mark.parametrize("base", [0, 1, 3])
def test_a_stale_base_is_a_conflict_that_tells_the_current_version(tmp_path: Path, base: int) -> None:
    library = PartitionLibrary(tmp_path)
    library.save("mine", partition(0, 0, 0, 1, 1, 1))
    library.save("mine", partition(0, 0, 0, 1, 1, 1), base=1)
    with pytest.raises(VersionConflictError, match="is at version 2") as raised:
        library.save("mine", partition(0, 0, 0, 1, 1, 1), base=base)
    assert raised.value.current == 2


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", ".hidden", "x" * 65, "a\0"])
def test_names_that_are_no_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name of a partition"):
        PartitionLibrary(tmp_path / "library").save(name, partition(0, 0, 0, 1, 1, 1))
    assert not list(tmp_path.iterdir())


def test_missing_partitions_and_versions(tmp_path: Path) -> None:
    library = PartitionLibrary(tmp_path)
    assert library.names() == []
    library.save("mine", partition(0, 0, 0, 1, 1, 1))
    for name, version in (("yours", None), ("mine", 2)):
        with pytest.raises(KeyError, match="no version"):
            library.read(name, SPACE, version=version)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"no archive"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: object) -> None:
    library = PartitionLibrary(tmp_path)
    library.save("mine", partition(0, 0, 0, 1, 1, 1))
    [file] = tmp_path.glob("mine/*.npz")
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DatasetError, match=r"000001\.npz is damaged"):
        library.read("mine", SPACE)


def test_a_partition_of_other_images_is_refused(tmp_path: Path) -> None:
    library = PartitionLibrary(tmp_path)
    library.save("mine", partition(0, 0, 0, 1, 1, 1))
    with pytest.raises(DatasetError, match="of 6 images"):
        library.read("mine", Descriptor("toy", np.eye(7)))


def test_of_many_threads_one_wins_each_version(tmp_path: Path) -> None:
    library = PartitionLibrary(tmp_path)
    library.save("mine", partition(0, 0, 0, 1, 1, 1))

    def edit(_: int) -> int:
        won = 0
        while won < 5:
            try:
                won += bool(library.save("mine", partition(0, 0, 0, 0, 1, 1), base=library.current("mine")))
            except VersionConflictError:
                continue
        return won

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(edit, range(8))) == 40
    assert library.current("mine") == 41
    assert sorted(file.name for file in (tmp_path / "mine").iterdir()) == [f"{v:06d}.npz" for v in range(1, 42)]


_WRITER = """
import sys
import numpy as np
from veriwild_clustering import Descriptor, Partition
from veriwild_clustering.core.storage.partitions import PartitionLibrary, VersionConflictError

library, wanted = PartitionLibrary(sys.argv[1]), int(sys.argv[2])
n_images = int(sys.argv[3])
made = Partition(np.zeros(n_images, int), Descriptor("toy", np.zeros((n_images, 1))), sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
won = []
while len(won) < wanted:
    try:
        won.append(library.save("mine", made, base=library.current("mine")))
    except VersionConflictError:
        pass
print(*won, flush=True)
"""


def writer(folder: Path, wanted: int, n_images: int, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(folder), str(wanted), str(n_images), name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_of_two_processes_one_wins_each_version(tmp_path: Path) -> None:
    processes = {name: writer(tmp_path, 20, 6, name) for name in ("one", "other")}
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    won = {name: [int(v) for v in process.communicate()[0].split()] for name, process in processes.items()}
    assert sorted(won["one"] + won["other"]) == list(range(1, 41))
    library = PartitionLibrary(tmp_path)
    for name, versions in won.items():
        assert all(library.read("mine", SPACE, version=version).algorithm == name for version in versions)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03])
def test_a_killed_save_leaves_a_whole_version(tmp_path: Path, moment: float) -> None:
    from time import sleep

    n_images = 200_000
    process = writer(tmp_path, 10_000, n_images, "mine")
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    library = PartitionLibrary(tmp_path)
    while not library.current("mine"):
        assert process.poll() is None
    sleep(moment)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.communicate()
    space = Descriptor("toy", np.zeros((n_images, 1)))
    current = library.current("mine")
    for version in {1, current}:
        assert library.read("mine", space, version=version).sizes.tolist() == [n_images]
    assert library.save("mine", library.read("mine", space), base=current) == current + 1


def test_creating_never_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(FileExistsError), create_atomically(target) as mine:  # noqa: PT012
        mine.write_text("mine")
        target.write_text("theirs")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "theirs")]
