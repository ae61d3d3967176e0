"""A file server on this machine whose manners a test chooses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from veriwild_clustering.images.models import download


@dataclass
class Server:
    """A file server whose manners a test chooses; it keeps the headers of each request."""

    body: bytes = b""
    etag: str | None = '"1"'
    knows_ranges: bool = True
    says_length: bool = True
    statuses: list[int] = field(default_factory=list)  # what it answers first, before it behaves
    cuts: list[int] = field(default_factory=list)  # after how many bytes each of the first answers ends
    silence: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)  # sent with every answer that brings the file
    longest: int | None = None  # how much of what is asked for it sends at a time
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(dict(handler.headers.items()))
        time.sleep(self.silence)
        if self.statuses:
            handler.send_response(self.statuses.pop(0))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = self.first_byte(handler)
        if start and start >= len(self.body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.body)}")
            handler.end_headers()
            return
        end = len(self.body) if not start or self.longest is None else min(start + self.longest, len(self.body))
        rest = self.body[start:end]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(self.body)}")
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.says_length:
            handler.send_header("Content-Length", str(len(rest)))
        handler.end_headers()
        handler.wfile.write(rest[: self.cuts.pop(0)] if self.cuts else rest)

    def first_byte(self, handler: BaseHTTPRequestHandler) -> int:
        wanted = handler.headers.get("Range", "")
        stale = handler.headers.get("If-Range", self.etag) != self.etag
        return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.knows_ranges and not stale else 0


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever asked may be gone
    state.url = f"http://127.0.0.1:{http.server_port}/weights.onnx"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    monkeypatch.delenv("VERIWILD_MODELS", raising=False)
