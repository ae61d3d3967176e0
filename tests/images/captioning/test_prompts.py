"""Prompts, what is read of answers, and when to ask again: the parts alone."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriwild_clustering.images.captioning.chat.parsing import UnfitAnswerError, parse_object, spoken
from veriwild_clustering.images.captioning.chat.retries import Patience, asked_wait, exhausted_wait
from veriwild_clustering.images.captioning.prompts import choice, quoted

RED = {"answer": "red"}
COLOURS = choice(["red", "blue"])


@given(st.text())
def test_quoted_words_are_one_line_that_says_the_same(text: str) -> None:
    shown = quoted(text)
    assert json.loads(shown) == text
    assert shown.isprintable()
    assert json.JSONDecoder().raw_decode(f'{shown} and "more"')[1] == len(shown)  # nothing in it ends it before


@pytest.mark.parametrize(
    ("choices", "error"), [("red", TypeError), ([1], TypeError), ([], ValueError), (["a", "a"], ValueError)]
)
def test_choices_that_cannot_be_are_refused(choices: list[str], error: type[Exception]) -> None:
    with pytest.raises(error, match="choices"):
        choice(choices)


@pytest.mark.parametrize(
    "content",
    [
        '{"answer": "red"}',
        '```json\n{"answer": "red"}\n```',
        'Sure {happy to help}: ```\n{"answer": "red"}\n``` Fine?',
        'The schema {"type": "object"} gives {"answer": "red"}, see?',
        '{"answer": "crimson"}? No: {"answer": "red"}. I said {"answer": "red"}.',
    ],
)
def test_the_object_is_found(content: str) -> None:
    assert parse_object(content, COLOURS) == RED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("red", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("{" * 2_000, "not a JSON object"),
        ('{"answer": NaN}', "not a JSON object"),
        ('{"answer": "green"}', "'green' is not one of"),
        ('{"answer": "red", "also": 1}', "also"),
        ('I read {"answer": "red"}, so {"answer": "blue"}.', "several objects"),
    ],
)
def test_what_is_no_answer_says_why(content: str, message: str) -> None:
    with pytest.raises(UnfitAnswerError, match=message):
        parse_object(content, COLOURS)


@given(st.text())
def test_any_text_is_read_or_unfit(text: str) -> None:
    with suppress(UnfitAnswerError):
        assert parse_object(spoken(text), COLOURS)["answer"] in {"red", "blue"}


def test_waits_that_servers_ask_for() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert asked_wait({"retry-after": "3"}) == 3
    assert asked_wait({"retry-after-ms": "250", "retry-after": "3"}) == 0.25
    assert 98 < (asked_wait({"retry-after": later}) or 0) <= 100
    assert asked_wait({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}) == 0
    assert [asked_wait({"retry-after": text}) for text in ("", "soon", "-1", "nan", "inf")] == [None] * 5
    limits = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-remaining-requests": "7"}
    resets = {"x-ratelimit-reset-tokens": "1m2.5s", "x-ratelimit-reset-requests": "9h"}
    assert exhausted_wait({**limits, **resets}) == 62.5
    assert exhausted_wait(resets) == exhausted_wait({}) == 0
    assert exhausted_wait({**limits, "x-ratelimit-reset-tokens": "20ms"}) == 0.02


def test_waits_grow_and_are_drawn_again_from_a_seed() -> None:
    patience = Patience(random_state=3)
    draws = [patience.wait_after(attempt, patience.generator()) for attempt in range(12)]
    for attempt, wait in enumerate(draws):
        longest = min(0.5 * 2**attempt, 30)
        assert longest / 2 <= wait <= longest
    assert draws == [patience.wait_after(attempt, patience.generator()) for attempt in range(12)]
    for wrong in ({"n_tries": 0}, {"timeout": 0}, {"max_wait": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Patience(**wrong)  # type: ignore[arg-type]
