"""Images by path: every layout gives the same bytes, and no path leaves the location."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed

from veriwild_clustering import DatasetError, ImageStore
from veriwild_clustering.core.storage.image_store import safe_path
from veriwild_clustering.core.storage.raw_data import find_image_store, locate_raw_data

LAYOUTS = ["plain", "doubled", "zip", "doubled zip", "bare zip"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bytes(
    layout: str, build_raw: Callable[..., Path], jpegs: dict[str, bytes]
) -> None:
    store = find_image_store([build_raw(layout)], list(jpegs))
    assert store is not None
    assert all(store.read(path) == data for path, data in jpegs.items())
    assert all(path in store for path in jpegs)
    assert "veriwild/1/00000/999999.jpg" not in store
    with pytest.raises(FileNotFoundError):
        store.read("veriwild/1/00000/999999.jpg")
    with pytest.raises(FileNotFoundError):
        store.read("elsewhere/1/00000/000000.jpg")


@pytest.mark.parametrize("layout", ["plain", "zip"])
def test_store_serves_processes_and_threads(
    layout: str, build_raw: Callable[..., Path], jpegs: dict[str, bytes]
) -> None:
    store = find_image_store([build_raw(layout)], list(jpegs))
    assert store is not None
    store.read(next(iter(jpegs)))  # the zip is open before the store is pickled
    assert pickle.loads(pickle.dumps(store)) == store  # noqa: S301
    in_processes = Parallel(n_jobs=2)(delayed(store.read)(path) for path in jpegs)
    with ThreadPoolExecutor(8) as threads:
        in_threads = list(threads.map(store.read, list(jpegs) * 4))
    assert in_processes == list(jpegs.values())
    assert in_threads == list(jpegs.values()) * 4


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("..\\..\\etc\\passwd", "leaves the folder"),
        ("veriwild/1/../../../etc/passwd", "leaves the folder"),
        ("/etc/passwd", "is absolute"),
        ("\\\\server\\share\\1.jpg", "is absolute"),
        ("C:\\images\\1.jpg", "is absolute"),
        ("c:1.jpg", "is absolute"),
        ("veriwild/1\x00.jpg", "control characters"),
        ("", "names no file"),
        ("./.", "names no file"),
    ],
)
def test_paths_that_could_leave_are_refused(path: str, message: str, tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    assert path not in store
    with pytest.raises(DatasetError, match=message):
        store.read(path)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.jpg", "c:", "...", "..\\", "\\", "/"]), max_size=6))
@settings(max_examples=200, deadline=None)
def test_safe_path_stays_below_its_folder_or_raises(parts: list[str]) -> None:
    try:
        safe = safe_path("/".join(parts))
    except DatasetError:
        return
    pure = PurePosixPath(safe)
    assert not pure.is_absolute()
    assert ".." not in pure.parts
    assert "\\" not in safe
    assert safe_path(safe) == safe


def test_symbolic_links_that_escape_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    inside = tmp_path / "raw_data" / "veriwild"
    inside.mkdir(parents=True)
    (inside / "real.jpg").write_bytes(b"image")
    (inside / "escaping.jpg").symlink_to(tmp_path / "secret.jpg")
    (inside / "folder").symlink_to(tmp_path)
    (inside / "alias.jpg").symlink_to(inside / "real.jpg")
    store = ImageStore(inside, strip="veriwild")
    for path in ("veriwild/escaping.jpg", "veriwild/folder/secret.jpg"):
        assert path not in store
        with pytest.raises(DatasetError, match=r"leads outside .* through a symbolic link"):
            store.read(path)
    assert store.read("veriwild/alias.jpg") == b"image"


def test_image_folder_may_itself_be_a_link(
    tmp_path: Path, jpegs: dict[str, bytes], build_raw: Callable[..., Path]
) -> None:
    """Thirty gigabytes often lie on another disk."""
    raw = build_raw("plain")
    (raw / "veriwild").rename(tmp_path / "big disk")
    (raw / "veriwild").symlink_to(tmp_path / "big disk")
    store = find_image_store([raw], list(jpegs))
    assert store is not None
    assert all(path in store for path in jpegs)


@pytest.mark.parametrize("member", ["../../etc/passwd", "/etc/passwd", "..\\evil.jpg", "C:\\evil.jpg"])
def test_zip_with_a_member_that_escapes_is_refused(member: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "veriwild.zip", "w") as archive:
        archive.writestr("veriwild/1/00001/000001.jpg", b"image")
        archive.writestr(member, b"evil")
    store = ImageStore(tmp_path / "veriwild.zip")
    with pytest.raises(DatasetError, match="holds a member that does not stay inside it"):
        store.read("veriwild/1/00001/000001.jpg")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["veriwild.zip"]


def test_damaged_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "veriwild.zip").write_bytes(b"PK not a zip")
    with pytest.raises(DatasetError, match=r"veriwild\.zip cannot be read as a zip"):
        ImageStore(tmp_path / "veriwild.zip").read("a.jpg")


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2]])
def test_damaged_zip_stops_the_search_for_images(
    damage: Callable[[bytes], bytes], build_raw: Callable[..., Path]
) -> None:
    """Half a download would otherwise pass for a set of images that are all missing."""
    raw = build_raw("zip")
    (raw / "veriwild.zip").write_bytes(damage((raw / "veriwild.zip").read_bytes()))
    with pytest.raises(DatasetError, match=r"veriwild\.zip cannot be read as a zip.*Download it again or move it away"):
        locate_raw_data(raw)


def test_encrypted_member_is_an_os_error(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.jpg", b"image")
    data = bytearray(stream.getvalue())
    data[6] |= 1  # the flag of encryption in the header of the member and in the index
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "veriwild.zip").write_bytes(data)
    with pytest.raises(OSError, match=r"the zip member 'a\.jpg' is damaged or encrypted: .*password"):
        ImageStore(tmp_path / "veriwild.zip").read("a.jpg")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_not_a_plain_file_is_no_image(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.jpg")
    store = ImageStore(tmp_path)
    assert "a.jpg" not in store
    with pytest.raises(FileNotFoundError, match=r"'a\.jpg' is not a file"):
        store.read("a.jpg")


def test_name_too_long_for_the_disk_is_not_there(tmp_path: Path) -> None:
    assert "a/" + "x" * 5000 not in ImageStore(tmp_path)


def test_one_stray_path_does_not_hide_the_images(build_raw: Callable[..., Path], jpegs: dict[str, bytes]) -> None:
    store = find_image_store([build_raw("doubled")], [*jpegs, "elsewhere/1.jpg"])
    assert store is not None
    assert all(path in store for path in jpegs)


def test_damaged_member_is_an_os_error(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.jpg", b"x" * 1000)
    damaged = stream.getvalue().replace(b"x" * 500, b"y" * 500, 1)
    (tmp_path / "veriwild.zip").write_bytes(damaged)
    with pytest.raises(OSError, match=r"the zip member 'a\.jpg' is damaged"):
        ImageStore(tmp_path / "veriwild.zip").read("a.jpg")


def test_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as stream:
        stream.truncate(2**30)
    with pytest.raises(DatasetError, match=r"has 1,024 MiB, more than an image can have"):
        ImageStore(tmp_path).read("a.jpg")
