"""Servers that misbehave: every question ends with an answer or a reason, and what is fatal ends everything at once."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.chat_server import ChatRequest, Fault, chat_server, seeded_faults
from tests.images.captioning.conftest import Connect, tell_row
from veriwild_clustering import Dataset
from veriwild_clustering.images.captioning.chat.keys import EndpointError
from veriwild_clustering.images.captioning.chat.retries import Patience
from veriwild_clustering.images.captioning.prompts import Prompt, choice

EACH = [Prompt("What is it?", row=row) for row in range(24)]
TOLD = [f"row {row}" for row in range(24)]
HASTY = Patience(timeout=0.4, first_wait=0.01, random_state=0)


def once(fault: Fault) -> object:
    """Misbehave at the first time that a question is asked."""
    return lambda request, n_before: fault if n_before == 0 else None


@pytest.mark.parametrize(
    "fault",
    [
        Fault("429"),
        Fault("429", headers={"Retry-After": "0"}),
        Fault("429", headers={"retry-after-ms": "30"}),
        Fault("500"),
        Fault("503", headers={"Retry-After": "0.02"}),
        Fault("408"),
        Fault("timeout", seconds=2),
        Fault("slow", seconds=3),
        Fault("cut"),
        Fault("reset"),
        Fault("not json"),
        Fault("deep"),
        Fault("empty"),
    ],
    ids=lambda fault: f"{fault.kind}{''.join(fault.headers)}",
)
def test_what_passes_is_tried_again(pictured: Dataset, connect: Connect, fault: Fault) -> None:
    with chat_server(tell_row, script=once(fault)) as server:
        answers = connect(server, patience=HASTY).ask(EACH, pictured)
        assert [answer.value for answer in answers] == TOLD
        assert set(server.by_image.values()) == {2}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("429"), "no answer after 3 tries: 429"),
        (Fault("500", message="out of memory"), "no answer after 3 tries: 500 out of memory"),
        (Fault("timeout"), "no answer after 3 tries: no whole answer within 0.4 s"),
        (Fault("slow", seconds=9), "no answer after 3 tries: no whole answer within 0.4 s"),
        (Fault("cut"), "no answer after 3 tries: the answer broke off"),
        (Fault("reset"), "no answer after 3 tries: no connection to"),
        (Fault("not json"), "no answer after 3 tries: what came is no chat completion"),
        (Fault("empty"), "no answer after 3 tries: an empty answer"),
        (Fault("400", message="image too small"), "400 image too small"),
        (Fault("422"), "422 status 422"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_what_does_not_pass_has_a_reason_and_is_asked_anew_by_the_next_run(
    pictured: Dataset, connect: Connect, fault: Fault, reason: str
) -> None:
    patience = Patience(3, timeout=0.4, first_wait=0.01)
    with chat_server(tell_row, script=lambda request, _: fault if request.jpeg else None) as server:
        endpoint = connect(server, patience=patience)
        assert endpoint.ask([Prompt("Are you there?")])[0].value
        for answer in endpoint.ask(EACH[:4], pictured):
            assert answer.value is None
            assert answer.reason.startswith(reason)
        assert set(server.by_image.values()) == {1 if fault.kind in {"400", "422"} else 3}
        server.script = None
        assert [answer.value for answer in endpoint.ask(EACH[:4], pictured)] == TOLD[:4]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("refusal", message="I do not look at cars."), "refused: I do not look at cars."),
        (Fault("filter"), "stopped by a filter of content"),
        (Fault("400", code="content_filter"), "stopped by a filter of content"),
        (Fault("403", message="Your input was flagged."), "stopped by a filter of content"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_what_a_model_will_not_answer_is_not_asked_twice(
    pictured: Dataset, connect: Connect, fault: Fault, reason: str
) -> None:
    with chat_server(tell_row, script=lambda *_: fault) as server:
        for _ in range(2):
            assert {answer.reason for answer in connect(server).ask(EACH[:4], pictured)} == {reason}
        assert server.n_requests == 4


@pytest.mark.parametrize("kind", ["chatter", "fenced", "nonsense"])
def test_objects_are_found_between_words(connect: Connect, kind: str) -> None:
    """Where `response_format` is refused, models chat; what is no answer at all is repaired."""

    def script(request: ChatRequest, _: int) -> Fault | None:
        return None if request.is_repair else Fault(kind)

    with chat_server(lambda _: {"answer": "red"}, script=script, structured="refused") as server:
        prompts = [Prompt(f"Question {n}", schema=choice(["red", "blue"])) for n in range(6)]
        assert all(answer.value == {"answer": "red"} for answer in connect(server).ask(prompts))
        assert server.n_requests == (13 if kind == "nonsense" else 7)


def test_everything_at_once_loses_and_repeats_nothing(pictured: Dataset, connect: Connect) -> None:
    faults = ["429", "500", "cut", "reset", "empty", "not json", "timeout"]
    script = seeded_faults(1, [(0.08, Fault(kind, seconds=0.6)) for kind in faults])
    with chat_server(tell_row, script=script) as server:
        patience = Patience(12, timeout=0.4, first_wait=0.01)
        answers = connect(server, patience=patience).ask(EACH * 2, pictured)
        assert [answer.value for answer in answers] == TOLD * 2
        n_asked = Counter(server.by_image.values())
        assert len(server.by_image) == len(EACH)
        assert n_asked[1] < len(EACH)  # some did misbehave
        before = server.n_requests
        assert all(answer.cached for answer in connect(server).ask(EACH, pictured))
        assert server.n_requests == before


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_nobody_asks_before_the_server_wants_it(connect: Connect, form: str) -> None:
    """One answer of status 429 holds back all that ask."""
    times: list[float] = []
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # in whole seconds: 1 to 2 are left
    fault = Fault("429", headers={"Retry-After": "1" if form == "seconds" else until})

    def script(request: ChatRequest, _: int) -> Fault | None:
        times.append(time.monotonic())
        return fault if len(times) == 1 else None

    with chat_server(tell_row, script=script) as server:
        answers = connect(server).ask([Prompt(f"Question {n}") for n in range(20)])
        assert all(answer.value for answer in answers)
        assert min(times[1:]) - times[0] >= (0.99 if form == "seconds" else 0.9)
        assert server.n_requests == 21


def test_a_limit_that_is_used_up_is_waited_for(connect: Connect) -> None:
    times: list[float] = []

    def script(request: ChatRequest, _: int) -> Fault | None:
        times.append(time.monotonic())
        spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "0m0.6s"}
        return Fault("ok", headers=spent) if len(times) == 1 else None

    with chat_server(tell_row, script=script) as server:
        connect(server).ask([Prompt(f"Question {n}") for n in range(6)])
        assert times[1] - times[0] >= 0.59
        assert times[-1] - times[1] < 0.55


@pytest.mark.parametrize(
    ("options", "script", "message"),
    [
        ({"key": "another key"}, None, "the key is refused"),
        ({"models": ["llava"]}, None, "404 The model 'words' does not exist"),
        ({}, Fault("402", message="Insufficient balance"), "402 Insufficient balance"),
        ({}, Fault("403", message="no access"), "403 no access"),
        ({}, Fault("429", code="insufficient_quota", message="You exceeded your quota"), "exceeded your quota"),
        ({}, Fault("429", headers={"Retry-After": "3600"}), "it asks to wait for 3,600 s"),
        ({}, Fault("301", headers={"Location": "http://127.0.0.1:9/v1"}), "301"),
    ],
)
def test_what_is_fatal_is_said_after_one_request(
    connect: Connect, options: dict[str, object], script: Fault | None, message: str
) -> None:
    with chat_server(tell_row, script=lambda *_: script, **options) as server:
        with pytest.raises(EndpointError, match=message):
            connect(server).ask([Prompt(f"Question {n}") for n in range(40)])
        assert server.n_requests == 1


def test_a_key_that_is_withdrawn_ends_the_run_and_what_was_answered_is_kept(
    pictured: Dataset, connect: Connect
) -> None:
    def script(request: ChatRequest, _: int) -> Fault | None:
        return Fault("401") if server.n_requests > 10 else None

    with chat_server(tell_row, script=script, latency=0.02) as server:
        with pytest.raises(EndpointError, match="goes on from there"):
            connect(server, concurrency=4).ask(EACH, pictured)
        assert 11 <= server.n_requests <= 14  # those under way
        server.script = None
        answers = connect(server).ask(EACH, pictured)
        assert [answer.value for answer in answers] == TOLD
        assert sum(answer.cached for answer in answers) == 10


def test_nobody_at_the_address_is_one_error(connect: Connect) -> None:
    with chat_server(tell_row) as gone:
        endpoint = connect(gone, patience=Patience(2, timeout=1, first_wait=0.01))
    with pytest.raises(EndpointError, match=r"no connection to http://127\.0\.0\.1"):
        endpoint.ask([Prompt(f"Question {n}") for n in range(40)])


def test_a_server_that_never_recovers_is_not_asked_for_ever(connect: Connect) -> None:
    with chat_server(tell_row, script=lambda *_: Fault("500")) as server:
        answers = connect(server, patience=Patience(2, timeout=1, first_wait=0.001)).ask(
            [Prompt(f"Question {n}") for n in range(200)]
        )
        assert not any(answer.value for answer in answers)
        assert answers[-1].reason == "not asked: 50 questions in a row had failed before"
        assert server.n_requests <= 2 * (50 + 16)
