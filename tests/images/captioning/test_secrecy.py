"""The key is in the header of requests and nowhere else, whatever happens."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import ChatRequest, Fault, chat_server
from tests.images.captioning.conftest import KEY, QUICK, Connect
from veriwild_clustering import Dataset
from veriwild_clustering.images.captioning.chat.keys import ApiKey, EndpointError, find_key, find_url
from veriwild_clustering.images.captioning.chat.retries import Patience
from veriwild_clustering.images.captioning.endpoint import ChatEndpoint
from veriwild_clustering.images.captioning.prompts import Prompt, choice

FAULTS = [
    *(Fault(status, message=f"The key {KEY} is wrong.", code=KEY) for status in ("400", "401", "403", "404", "422")),
    *(Fault(status, message=f"Bearer {KEY}") for status in ("429", "500", "301")),
    Fault("refusal", message=f"I shall not use {KEY}."),
    Fault("nonsense", message=f"Your key is {KEY}."),
    Fault("nonsense", message=json.dumps({"answer": KEY})),
    Fault("chatter"),
    *(Fault(kind) for kind in ("timeout", "cut", "reset", "not json", "empty", "filter", "length", "slow", "ok")),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}{'+' * bool(fault.message)}")
@pytest.mark.parametrize("schema", [None, choice(["red", "blue"])], ids=["words", "schema"])
def test_the_key_is_found_nowhere(
    pictured: Dataset,
    connect: Connect,
    fault: Fault,
    schema: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    shown: list[object] = []
    try:
        with chat_server(lambda _: f"You said {KEY}.", script=lambda *_: fault) as server:
            patience = Patience(2, timeout=0.3, first_wait=0.001)
            endpoint = connect(server, patience=patience, prices=(1.0, 1.0))
            try:
                shown += endpoint.ask([Prompt("Colour?", row=row, schema=schema) for row in range(2)], pictured)
            except EndpointError as error:
                # With the variables of each function, as some tools show them, and whatever lies behind the error.
                frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
                shown += [error, error.__cause__, error.__context__]
                shown += [frame.locals for frame in frames if "/tests/" not in frame.filename]
            shown += [endpoint, vars(endpoint), endpoint.usage, endpoint.name, endpoint._client, vars(endpoint._client)]
            assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    texts = [str(one) + repr(one) for one in shown] + [stream.getvalue(), *capfd.readouterr()]
    texts += [file.read_text("utf-8") + str(file) for file in tmp_path.rglob("*") if file.is_file()]
    assert len(stream.getvalue()) > 100
    assert not [text for text in texts if KEY in text or KEY[3:] in text]


def test_a_key_shows_itself_to_nobody() -> None:
    key = ApiKey(f" {KEY}\n")
    assert key.reveal() == KEY
    assert f"{key} {key!r} {[key]}" == "*** *** [***]"
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(key)
    assert ApiKey("none").hide("This is none of it.") == "This is none of it."


def test_where_the_key_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_key("https://api.example.org/v1").reveal() == KEY
    monkeypatch.delenv("OPENAI_API_KEY")
    for local in ("http://localhost:11434/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"):
        assert find_key(local).reveal() == "none"
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(EndpointError, match="Set the environment variable OPENAI_API_KEY"):
        find_key("https://api.example.org/v1")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: KEY if "api.example.org" in prompt else "")
    assert find_key("https://api.example.org/v1").reveal() == KEY


def test_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_url(None) == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1/")
    assert find_url(None) == "http://localhost:8000/v1"
    assert find_url("https://api.example.org/v1") == "https://api.example.org/v1"
    with pytest.raises(ValueError, match="no user, password or query") as refused:
        find_url(f"https://user:{KEY}@api.example.org/v1")
    assert KEY not in str(refused.value)


def test_models_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def model_of(request: ChatRequest) -> str:
        return request.model

    with chat_server(model_of) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("VERIWILD_TEXT_MODEL", "words")
        monkeypatch.setenv("VERIWILD_ANSWERS", str(tmp_path / "known"))
        assert ChatEndpoint(patience=QUICK).ask([Prompt("?")])[0].value == "words"
        assert list((tmp_path / "known").iterdir())
        assert ChatEndpoint("others", patience=QUICK).ask([Prompt("?")])[0].value == "others"
