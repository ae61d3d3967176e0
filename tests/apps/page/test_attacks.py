"""What strangers send: paths that lead outside, files that are no images, filters that are code, no numbers."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from urllib.parse import quote
from zipfile import ZipFile

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from veriwild_clustering.apps.page.server.errors import ErrorBody
from veriwild_clustering.apps.page.server.security import MAX_BODY_BYTES
from veriwild_clustering.apps.page.services.describing import MAX_UPLOAD_BYTES
from veriwild_clustering.apps.page.workspace import Workspace

OUTSIDE = ["../../etc/passwd", "..\\..\\etc", "/etc/passwd", "%2e%2e%2f", "a\x00b", "....//", "C:\\", "~", "*"]


def check_refused(answer: object, *statuses: int) -> str:
    """Return the message of an answer that must be an error in the one shape."""
    assert answer.status_code in statuses, answer.text  # type: ignore[attr-defined]
    return ErrorBody.model_validate(answer.json()).error.message  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", OUTSIDE)
@pytest.mark.parametrize(
    "path",
    [
        "/api/layouts/{}", "/api/partitions/{}/clusters", "/api/partitions/{}/clusters/0", "/api/images/{}",
        "/api/images/{}/thumbnail", "/api/images/3/thumbnail?size={}", "/api/colors?by={}", "/api/colors?partition={}",
        "/api/export/partition.csv?partition={}", "/api/export/records.json?partition={}", "/api/comparisons?first={}",
        "/api/images?partition={}", "/api/outliers?partition={}", "/api/{}", "/api/painting/{}",
        "/api/painting/{}/segments.png", "/api/painting/{}/masks.zip", "/api/painting/3/{}",
        "/api/painting/3/coco.json?form={}",
    ],
)  # fmt: skip
def test_no_parameter_leads_outside(client: TestClient, path: str, text: str) -> None:
    check_refused(client.get(path.format(quote(text, safe=""))), 404, 405, 422)


@pytest.mark.parametrize("text", OUTSIDE)
def test_no_edit_leads_outside(client: TestClient, workspace: Workspace, text: str) -> None:
    before = sorted(workspace.folder.rglob("*"))
    edit = {"base_version": 1, "edit": {"kind": "rename", "cluster": 0, "name": "x"}}
    check_refused(client.post(f"/api/partitions/{quote(text, safe='')}/edits", json=edit), 404, 405, 422)
    assert sorted(workspace.folder.rglob("*")) == before


def zip_of_zeros() -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("a.jpg", b"\0" * 10_000)
    return stream.getvalue()


def large_png(width: int, height: int) -> bytes:
    """A PNG that says it is large; what is in it would unpack to zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


NO_IMAGES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "zip": zip_of_zeros(),
    "nothing": b"",
    "text behind a magic number": b"\xff\xd8\xff\xe0" + b"no image" * 10,
    "100 megapixels": large_png(10_000, 10_000),
    "60 megapixels": large_png(10_000, 6_000),
    "a gigapixel GIF": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + b"\0" * 64 + b";",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\n",
    "a truncated PNG": large_png(64, 64)[:60],
}


@pytest.mark.parametrize("data", NO_IMAGES.values(), ids=NO_IMAGES)
def test_what_is_no_image_is_refused(client: TestClient, data: bytes) -> None:
    assert "cannot be used" in check_refused(client.post("/api/describe", files={"image": ("a.jpg", data)}), 422)
    check_refused(client.post("/api/search/upload", files={"images": ("a.jpg", data)}), 422)


def test_of_a_gif_of_many_frames_the_first_is_read(client: TestClient) -> None:
    frames = [Image.fromarray(np.full((50, 50), shade, np.uint8)) for shade in range(0, 250, 2)]
    stream = BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    answer = client.post("/api/describe", files={"image": ("a.gif", stream.getvalue())})
    assert answer.status_code == 200


def test_too_large_uploads_are_refused(client: TestClient) -> None:
    data = b"\xff" * (MAX_UPLOAD_BYTES + 1)
    assert "at most 20 MB" in check_refused(client.post("/api/describe", files={"image": ("a.jpg", data)}), 422)
    check_refused(client.post("/api/describe", content=b"", headers={"Content-Length": str(10**12)}), 413)
    check_refused(client.post("/api/search", content=b'{"rows": [1]}' + b" " * 2**21), 413)


def test_a_body_without_a_length_is_cut_off(client: TestClient) -> None:
    def endless() -> object:
        for _ in range(2 * MAX_BODY_BYTES // 2**20):
            yield b"\0" * 2**20

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    check_refused(client.post("/api/describe", content=endless(), headers=headers), 400, 413)
    check_refused(client.post("/api/search", content=(b" " * 2**19 for _ in range(9))), 400, 413)


def test_many_files_at_once_are_refused(client: TestClient, jpeg: bytes) -> None:
    files = [("images", ("a.jpg", jpeg))] * 40
    check_refused(client.post("/api/search/upload", files=files), 422)


@pytest.mark.parametrize("path", ["/api/images", "/api/outliers", "/api/partitions"])
def test_pages_far_beyond_the_end_are_empty(client: TestClient, path: str) -> None:
    answers = [client.get(path, params={"offset": 10_000 * page, "limit": 500}).json() for page in (1, 100, 10_000)]
    assert all(answer["items"] == [] and answer["total"] == answers[0]["total"] for answer in answers)
    for wrong in ({"limit": 10**9}, {"limit": 0}, {"offset": -1}, {"offset": 10**30}, {"limit": "all"}):
        check_refused(client.get(path, params=wrong), 422)


INJECTIONS = [
    {"__class__": "x"},
    {"path; drop table images": "x"},
    {"path": "' or 1=1 --"},
    {"width": {"low": "__import__('os').system('id')"}},
    {"width": {"$gt": 0}},
    {"width": {"low": 1, "high": 2, "other": 3}},
    {"width": []},
    {"width": [[1, 2]]},
    {"type": {"low": "a"}},
    {"width": None},
    {"cluster": "0 or True"},
    {"@width > 3": True},
]


@pytest.mark.parametrize("where", INJECTIONS, ids=json.dumps)
def test_a_filter_is_never_an_expression(client: TestClient, where: dict[str, object]) -> None:
    listed = client.get("/api/images", params={"where": json.dumps(where)})
    searched = client.post("/api/search", json={"rows": [1], "where": where})
    if where == INJECTIONS[2]:  # a text like any other, which no path is
        assert listed.json()["total"] == 0
        assert searched.json()["items"] == []
    else:
        check_refused(listed, 422)
        check_refused(searched, 422)


@pytest.mark.parametrize("text", ["[1]", "{", "{}}", '"a"', "null", "[" * 5_000, '{"width": NaN}', '{"width": 1e999}'])
def test_a_filter_that_is_no_object_is_refused(client: TestClient, text: str) -> None:
    check_refused(client.get("/api/images", params={"where": text}), 422)


@pytest.mark.parametrize(
    "body",
    [
        '{"rows": [NaN]}', '{"rows": [1], "text_weight": NaN}', '{"rows": [1], "text_weight": Infinity}',
        '{"rows": [1], "weights": {"osnet": NaN}}', '{"rows": [1], "weights": {"osnet": -1}}',
        '{"rows": [1], "weights": {"osnet": 1e999}}', '{"rows": [1], "weights": {"osnet": 0}}',
        '{"rows": [1], "where": {"width": {"low": NaN}}}', '{"rows": [1e400]}', '{"rows": [1.5]}', '{"rows": [true]}',
        '{"rows": [-1]}', '{"rows": [90]}', '{"rows": [89]}', '{"rows": ["1"]}', '{"rows": []}', "{}", "", "[]", "1",
        '{"rows": [1], "n_results": 1e9}', '{"rows": [1], "n_results": 100000}', '{"rows": [1], "unknown": 1}',
        '{"rows": [1], "rerank": "pickle"}', '{"rows": [1], "weights": {"../osnet": 1}}', '{"texts": [""]}',
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(client: TestClient, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    check_refused(client.post("/api/search", content=body, headers=headers), 422)


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "rename", "cluster": 99, "name": "x"},
        {"kind": "rename", "cluster": -1, "name": "x"},
        {"kind": "rename", "cluster": 0, "name": "x" * 81},
        {"kind": "rename", "cluster": 0, "name": "a\nb"},
        {"kind": "merge", "clusters": [0]},
        {"kind": "merge", "clusters": [0, 0]},
        {"kind": "merge", "clusters": [0, 99]},
        {"kind": "mark_outlier", "rows": []},
        {"kind": "mark_outlier", "rows": [90]},
        {"kind": "mark_outlier", "rows": list(range(20_000))},
        {"kind": "unmark_outlier", "rows": [0]},
        {"kind": "delete"},
        {},
    ],
    ids=lambda edit: json.dumps(edit)[:40],
)
def test_impossible_edits_change_nothing(client: TestClient, workspace: Workspace, edit: dict[str, object]) -> None:
    name = workspace.default_partition
    check_refused(client.post(f"/api/partitions/{name}/edits", json={"base_version": 1, "edit": edit}), 422)
    assert workspace.library.current(name) == 1


def test_names_are_shown_as_text(fresh: Workspace, client_of: Callable[..., TestClient]) -> None:
    client, name = client_of(fresh), fresh.default_partition
    markup = "<img src=x onerror=alert(1)>"
    edit = {"base_version": 1, "edit": {"kind": "rename", "cluster": 0, "name": markup}}
    assert client.post(f"/api/partitions/{name}/edits", json=edit).status_code == 201
    answer = client.get(f"/api/partitions/{name}/clusters")
    assert answer.json()["items"][0]["name"] == markup
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
