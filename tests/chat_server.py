"""A chat-completions server for tests: real HTTP on this machine, answers by a function, misbehaviour by a script."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chat_messages import ChatRequest, Fault, Script, seeded_faults

__all__ = ["ChatRequest", "ChatServer", "Fault", "chat_server", "seeded_faults"]


class ChatServer:
    """Answers /v1/chat/completions and /v1/models on 127.0.0.1 until it is closed.

    Parameters
    ----------
    answer : function of ChatRequest
        Returns a text, or an object that is sent as JSON; for a schema with `answer`, a text is made such an object.
    script : function, optional
        Says how to misbehave, see `Script`.
    models : sequence of str
        Models that exist; none: any.
    key : str
        The key that clients must give; "": any.
    structured : {"yes", "refused", "ignored"}
        What `response_format` leads to.
    refused : sequence of str
        Parameters of the request that lead to status 400.
    latency : float
        Seconds that each answer takes.
    """

    def __init__(
        self,
        answer: Callable[[ChatRequest], Any],
        *,
        script: Script | None = None,
        models: Sequence[str] = (),
        key: str = "",
        structured: str = "yes",
        refused: Sequence[str] = (),
        latency: float = 0.0,
    ) -> None:
        self.answer, self.script, self.models, self.key = answer, script, models, key
        self.structured, self.refused, self.latency = structured, refused, latency
        self.requests: list[ChatRequest] = []
        self.n_at_once = self.most_at_once = 0
        self._seen: Counter[str] = Counter()
        self._lock, self._closing = threading.Lock(), threading.Event()
        handler = type("Handler", (_Handler,), {"chat": self})
        self._http = _Listener(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def n_requests(self) -> int:
        return len(self.requests)

    @property
    def by_image(self) -> Counter[str]:
        """Number of requests per image, by `image_digest`."""
        return Counter(request.image_digest for request in self.requests if request.jpeg)

    def close(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def note(self, request: ChatRequest) -> Fault | None:
        """Count a request and return how it is to be answered."""
        with self._lock:
            self.requests.append(request)
            n_before = self._seen[request.digest]
            self._seen[request.digest] += 1
        return self._wrong(request) or (self.script(request, n_before) if self.script else None)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count how many are answered at once, each as late as `latency` says."""
        with self._lock:
            self.n_at_once += 1
            self.most_at_once = max(self.most_at_once, self.n_at_once)
        try:
            self.wait(self.latency)
            yield
        finally:
            with self._lock:
                self.n_at_once -= 1

    def wait(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def content(self, request: ChatRequest) -> str:
        """What a well-behaved model says."""
        said = self.answer(request)
        schema = request.schema or {}
        if isinstance(said, str) and self.structured == "yes" and "answer" in schema.get("properties", {}):
            said = {"answer": said}
        return said if isinstance(said, str) else json.dumps(said)

    def _wrong(self, request: ChatRequest) -> Fault | None:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            return Fault("401", message=f"Incorrect API key provided: {given}.", code="invalid_api_key")
        if self.models and request.model not in self.models:
            return Fault("404", message=f"The model '{request.model}' does not exist.", code="model_not_found")
        refused = {*self.refused, *(["response_format"] if self.structured == "refused" else [])}
        for name in refused.intersection(request.body):
            return Fault("400", message=f"Unsupported parameter: '{name}'.", code="unsupported_parameter")
        return None


@contextmanager
def chat_server(answer: Callable[[ChatRequest], Any], **options: Any) -> Iterator[ChatServer]:
    """Give a server that ends with the block; options are those of ChatServer."""
    server = ChatServer(answer, **options)
    try:
        yield server
    finally:
        server.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a head and its body in one packet
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        known = [{"id": name, "object": "model"} for name in self.chat.models]
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": known})
        else:
            self._send(404, {"error": {"message": "no such page"}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/chat/completions":
            self._send(404, {"error": {"message": "no such page"}})
            return
        request = ChatRequest(json.loads(raw), {name.lower(): value for name, value in self.headers.items()})
        fault = self.chat.note(request)
        with self.chat.answering():
            if fault and fault.kind.isdigit():
                error = {"message": fault.message or f"status {fault.kind}", "code": fault.code}
                self._send(int(fault.kind), {"error": error}, headers=fault.headers)
            elif fault and fault.kind in {"timeout", "reset"}:
                self.chat.wait(fault.seconds if fault.kind == "timeout" else 0)
                self._hang_up()
            elif request.body.get("stream"):
                self._stream(self._completion(request, fault))
            else:
                self._send(200, self._completion(request, fault), fault=fault)

    def _completion(self, request: ChatRequest, fault: Fault | None) -> Mapping[str, Any]:
        kind = fault.kind if fault else ""
        content: str | None = self.chat.content(request)
        message: dict[str, Any] = {"role": "assistant"}
        finish = {"filter": "content_filter", "length": "length"}.get(kind, "stop")
        if kind == "refusal":
            content, message["refusal"] = None, (fault.message if fault else "") or "I cannot help with that."
        changed = {
            "chatter": f"Sure! Here it is: {content} Let me know if you need more.",
            "fenced": f"Certainly:\n```json\n{content}\n```\n",
            "nonsense": (fault.message if fault else "") or "A fine vehicle indeed.",
            "empty": "",
            "filter": "",
            "length": (content or "")[:3],
        }
        message["content"] = changed.get(kind, content)
        n_in, n_out = len(json.dumps(request.body["messages"])) // 4, len(message["content"] or "") // 4 + 1
        return {
            "id": f"chatcmpl-{request.digest}",
            "object": "chat.completion",
            "created": 0,
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": n_in, **({} if kind == "uncounted" else {"completion_tokens": n_out})},
        }

    def _send(
        self,
        status: int,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        kind = fault.kind if fault else ""
        bodies = {"not json": b"<html>Bad gateway</html>", "deep": b"[" * 100_000}
        data = bodies.get(kind) or json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in {**(headers or {}), **(fault.headers if fault else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if kind == "cut":
            self.wfile.write(data[: len(data) // 2])
            self._hang_up()
        elif kind == "slow" and fault:
            for place in range(len(data)):
                self.wfile.write(data[place : place + 1])
                self.wfile.flush()
                self.chat.wait(fault.seconds / len(data))
        else:
            self.wfile.write(data)

    def _stream(self, completion: Mapping[str, Any]) -> None:
        choice = completion["choices"][0]
        words = (choice["message"]["content"] or "").split(" ")
        deltas = [{"content": word if place == 0 else f" {word}"} for place, word in enumerate(words)]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        head = {"id": completion["id"], "object": "chat.completion.chunk", "created": 0, "model": completion["model"]}
        for delta in [*deltas, {}]:
            finish = None if delta else choice["finish_reason"]
            chunk = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
