"""What asking takes: the estimate, and limits that hold to the last request whoever asks at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.chat_server import Fault, chat_server, seeded_faults
from tests.images.captioning.conftest import Connect, tell_row
from veriwild_clustering import Dataset
from veriwild_clustering.images.captioning.budget import Budget, Prices
from veriwild_clustering.images.captioning.prompts import Prompt, choice

QUESTIONS = [Prompt(f"Question {n}") for n in range(100)]


@pytest.mark.parametrize("n_before", [0, 7])
def test_the_estimate_is_what_it_takes(pictured: Dataset, connect: Connect, n_before: int) -> None:
    prompts = [Prompt("Colour?", row=row % 20, schema=choice(["a", "b"])) for row in range(30)]
    with chat_server(lambda _: "a") as server:
        connect(server).ask(prompts[:n_before], pictured)
        before = server.n_requests
        endpoint = connect(server, prices=(2.0, 10.0))
        expected = endpoint.estimate(prompts, pictured)
        assert (expected.n_prompts, expected.n_known) == (30, 10 + n_before)
        assert server.n_requests == before  # nothing was sent for it
        endpoint.ask(prompts, pictured)
        assert expected.n_requests == server.n_requests - before == endpoint.usage.n_requests == 20 - n_before
        assert endpoint.usage.n_known == expected.n_known
        assert expected.n_output_tokens == expected.n_requests * 300
        assert expected.n_input_tokens >= expected.n_requests * 256
        assert expected.cost == pytest.approx((2 * expected.n_input_tokens + 10 * expected.n_output_tokens) / 1e6)
        assert endpoint.estimate(prompts, pictured).cost == 0


def test_usage_is_what_the_server_says(connect: Connect) -> None:
    with chat_server(tell_row) as server:
        endpoint = connect(server, prices=(1.0, 1.0))
        answers = endpoint.ask(QUESTIONS[:10])
        usage = endpoint.usage
        assert usage.n_input_tokens + usage.n_output_tokens == sum(answer.n_tokens for answer in answers)
        assert usage.cost == pytest.approx(sum(answer.n_tokens for answer in answers) / 1e6)
        assert "10 questions, 0 of them known: 10 requests" in str(usage)
        assert "tokens sent" in usage._repr_html_()


def test_tokens_that_the_server_does_not_count_are_estimated(connect: Connect) -> None:
    with chat_server(tell_row, script=lambda *_: Fault("uncounted")) as server:
        [answer] = connect(server).ask(QUESTIONS[:1])
        assert answer.value == "said: Question 0"
        assert answer.n_tokens >= 2
        assert server.n_requests == 1


@pytest.mark.parametrize("misbehaving", [False, True])
@pytest.mark.parametrize("max_requests", [0, 1, 37])
def test_no_request_goes_beyond_the_limit(connect: Connect, max_requests: int, misbehaving: Any) -> None:
    faults = [(0.2, Fault("500")), (0.1, Fault("reset"))] if misbehaving else []
    with chat_server(tell_row, script=seeded_faults(0, faults), latency=0.01) as server:
        endpoint = connect(server, max_requests=max_requests)
        found: list[list[object]] = []
        halves = [QUESTIONS[:50], QUESTIONS[50:]]
        threads = [threading.Thread(target=lambda half=half: found.append(endpoint.ask(half))) for half in halves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.n_requests == max_requests == endpoint.usage.n_requests
        answers = [answer for half in found for answer in half]
        n_answered = sum(answer.value is not None for answer in answers)
        assert n_answered == max_requests or misbehaving
        assert {answer.reason for answer in answers if answer.value is None} == {"over the limit of requests"}
        # What is known needs no request, so it is answered beyond the limit too.
        assert sum(answer.value is not None for answer in endpoint.ask(QUESTIONS)) == n_answered
        assert server.n_requests == max_requests


def test_no_more_is_spent_than_may_be(connect: Connect) -> None:
    with chat_server(tell_row, latency=0.01) as server:
        one = connect(server, prices=(1.0, 1.0), max_tokens=20)
        one.ask(QUESTIONS[:1])
        endpoint = connect(server, prices=(1.0, 1.0), max_tokens=20, max_cost=20 * (one.usage.cost or 0))
        answers = endpoint.ask(QUESTIONS)
        assert 15 <= server.n_requests <= 20
        assert (endpoint.usage.cost or 0) <= 20 * (one.usage.cost or 0)
        assert {answer.reason for answer in answers if answer.value is None} == {"over the limit of cost"}


def test_a_request_without_an_answer_counts_with_the_most_it_may_cost() -> None:
    budget = Budget(None, 0.9, Prices(1e5, 0))
    with budget.request(n_input=4, n_output=0) as room:
        assert not room.refusal
        with budget.request(n_input=10, n_output=0) as beside:
            assert beside.refusal == "over the limit of cost"
    with budget.request(n_input=5, n_output=0) as room:
        room.settle(1, 0)
    assert (budget.n_input, budget.n_requests, budget.cost) == (5, 2, pytest.approx(0.5))


def test_a_lost_request_counts_with_what_the_server_counted_of_others() -> None:
    budget = Budget(None, 10.0, Prices(1e6, 0))
    with budget.request(n_input=1, n_output=0) as room:
        room.settle(4, 0)  # four times what was estimated
    with budget.request(n_input=1, n_output=0):
        pass
    assert budget.cost == 4 + 5
