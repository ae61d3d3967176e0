"""Bad images of every kind are recognised, and no warning or error of a decoder gets out."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import Dataset, DatasetError, ImageStore, inspect_images, read_image, thumbnail


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def encoded(size: tuple[int, int] = (64, 48), *, kind: str = "JPEG", orientation: int = 1) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, size=(size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, exif=exif)
    return stream.getvalue()


FILES = {
    "good.jpg": (encoded(), "ok", ""),
    "good.png": (encoded(kind="PNG"), "ok", ""),
    "good.webp": (encoded(kind="WEBP"), "ok", ""),
    "empty.jpg": (b"", "empty", "zero bytes"),
    "half.jpg": (encoded()[: len(encoded()) // 2], "truncated", "truncated"),
    "nearly.jpg": (encoded()[:-64], "truncated", "truncated"),
    "half.png": (encoded(kind="PNG")[: len(encoded(kind="PNG")) // 2], "truncated", "truncated"),
    "start.jpg": (encoded()[:100], "truncated", "Truncated File Read"),
    "text.jpg": (b"<html>404 Not Found</html>", "unreadable", "not an image"),
    "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unreadable", "not an image"),
    "header.jpg": (encoded()[:4], "unreadable", ""),
    "huge.png": (png_header(20_000, 5_001), "too large", "20000 x 5001 pixels"),
    "bomb.png": (png_header(60_000, 60_000), "too large", "3600000000"),
    "lost.jpg": (None, "missing", "no such file"),
    "../outside.jpg": (None, "refused", "leaves the folder"),
}


@pytest.fixture(params=["folder", "zip"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    present = {name: data for name, (data, _, _) in FILES.items() if data is not None}
    if request.param == "zip":
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
            for name, data in present.items():
                archive.writestr(name, data)
        return ImageStore(tmp_path / "images.zip")
    for name, data in present.items():
        (tmp_path / name).write_bytes(data)
    return ImageStore(tmp_path)


def test_every_kind_of_bad_image_is_told(store: ImageStore) -> None:
    found = inspect_images(store, list(FILES), n_jobs=1)
    assert dict(zip(FILES, found["image_status"], strict=True)) == {
        name: status for name, (_, status, _) in FILES.items()
    }
    assert all(words in detail for detail, (_, _, words) in zip(found["detail"], FILES.values(), strict=True))
    good = found["image_status"] == "ok"
    assert (found.loc[good, "width"] == 64).all()
    assert (found.loc[good, "height"] == 48).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_of_the_upright_image(orientation: int, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(orientation=orientation))
    store = ImageStore(tmp_path)
    found = inspect_images(store, ["a.jpg"])
    dataset = Dataset(found.assign(path=["a.jpg"]), image_store=store)
    assert read_image(dataset, 0).size == (found["width"][0], found["height"][0])
    assert thumbnail(dataset, 0, size=16).size == ((12, 16) if orientation >= 5 else (16, 12))


def test_workers_agree_with_one_process(tmp_path: Path) -> None:
    paths = [f"{row}.jpg" for row in range(300)]
    for row, path in enumerate(paths):
        if row % 50:
            (tmp_path / path).write_bytes(encoded((8 + row % 9, 8)))
    store = ImageStore(tmp_path)
    alone, together = inspect_images(store, paths, n_jobs=1), inspect_images(store, paths, n_jobs=2)
    assert alone.equals(together)
    assert (alone["image_status"] == "missing").sum() == 6


def test_no_images_give_an_empty_table(tmp_path: Path) -> None:
    found = inspect_images(ImageStore(tmp_path), [])
    assert list(found.columns) == ["width", "height", "image_status", "detail"]
    assert found.empty


def test_bad_images_raise_when_read_and_give_a_tile_as_thumbnail(store: ImageStore) -> None:
    dataset = Dataset(inspect_images(store, list(FILES), n_jobs=1).assign(path=list(FILES)), image_store=store)
    for row, (name, (_, status, _)) in enumerate(FILES.items()):
        if status == "ok":
            assert read_image(dataset, row).mode == "RGB"
            assert max(thumbnail(dataset, row, size=32).size) == 32
        else:
            with pytest.raises(DatasetError, match=f"The image of row {row}, '{name}', cannot be read: {status}: "):
                read_image(dataset, row)
            tile = np.asarray(thumbnail(dataset, row, size=32))
            assert tile.shape == (32, 32, 3)
            assert len(np.unique(tile)) == 2


def test_dataset_without_images_says_how_to_name_them(store: ImageStore) -> None:
    dataset = Dataset(inspect_images(store, ["good.jpg"]).assign(path=["good.jpg"]))
    with pytest.raises(DatasetError, match=r"does not know where its image files lie\. Open it with"):
        read_image(dataset, 0)
    assert thumbnail(dataset, 0).size == (96, 96)


@pytest.mark.parametrize("row", [-1, 1])
def test_rows_outside_the_table_are_refused(row: int, store: ImageStore) -> None:
    dataset = Dataset(inspect_images(store, ["good.jpg"]).assign(path=["good.jpg"]), image_store=store)
    with pytest.raises(ValueError, match=rf"`row` must be an int in \[0, n_images\)\. Got {row} instead"):
        read_image(dataset, row)


def test_images_of_every_mode_become_rgb(tmp_path: Path) -> None:
    modes = ["1", "L", "LA", "P", "RGBA", "I;16"]
    for place, mode in enumerate(modes):
        Image.new(mode, (9, 7)).save(tmp_path / f"{place}.png")
    Image.new("CMYK", (9, 7)).save(tmp_path / "6.jpg")
    paths = [f"{place}.png" for place in range(len(modes))] + ["6.jpg"]
    store = ImageStore(tmp_path)
    dataset = Dataset(inspect_images(store, paths, n_jobs=1).assign(path=paths), image_store=store)
    assert (dataset.images["image_status"] == "ok").all()
    assert {read_image(dataset, row).mode for row in range(len(paths))} == {"RGB"}
