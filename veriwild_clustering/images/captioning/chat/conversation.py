"""One question until it is answered or given up: limits, tries, what the server understands, one round of repair."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from veriwild_clustering.images.captioning.budget import Budget, text_tokens
from veriwild_clustering.images.captioning.chat.calls import ChatClient, Outcome, Reply
from veriwild_clustering.images.captioning.chat.dialects import Dialect, Question
from veriwild_clustering.images.captioning.chat.parsing import UnfitAnswerError, parse_object, spoken
from veriwild_clustering.images.captioning.chat.retries import Patience, Pause

__all__ = ["Conversation", "Manner", "Verdict"]


@dataclass(frozen=True)
class Manner:
    """How answers are asked for.

    Parameters
    ----------
    max_tokens : int
        The longest answer.
    temperature : float
        Chance in answers; 0 for as little as the server can do.
    image_tokens : int
        Tokens that an image counts with until the server says how many they were.
    """

    max_tokens: int
    temperature: float
    image_tokens: int

    def input_tokens(self, question: Question, correction: Sequence[str] = ()) -> int:
        """Return about how many tokens are sent."""
        schema = "" if question.schema is None else str(question.schema)
        words = text_tokens(question.text, question.system, schema, *correction)
        return words + (self.image_tokens if question.image else 0)


@dataclass(frozen=True)
class Verdict:
    """What became of a question.

    Parameters
    ----------
    value : object
        The answer, None where there is none.
    outcome : Outcome
        What became of the last request.
    reason : str
        Why there is no answer.
    n_tokens : int
        Tokens that were sent and received.
    """

    value: Any
    outcome: Outcome
    reason: str = ""
    n_tokens: int = 0


class Conversation:
    """Asks questions, from any number of threads.

    Parameters
    ----------
    client : ChatClient
        The connection.
    manner : Manner
        How answers are asked for.
    budget : Budget
        What may be spent.
    patience : Patience
        How often and how long.
    """

    def __init__(self, client: ChatClient, manner: Manner, budget: Budget, *, patience: Patience) -> None:
        self._client, self._manner, self._budget, self._patience = client, manner, budget, patience
        self._dialects: dict[str, Dialect] = {}
        self._generator, self._pause = patience.generator(), Pause()
        self._first, self._tried = threading.Lock(), set[Hashable]()
        self._reached = False

    def put(self, question: Question, stop: threading.Event) -> Verdict:
        """Ask until there is an answer or none is to be had."""
        with self._alone_at_first((question.model, question.schema is not None)):
            dialect = self._dialects.setdefault(question.model, Dialect())
            correction: Sequence[str] = ()
            n_tokens = 0
            for _ in range(2):
                reply = self._reply(question, dialect, stop, correction)
                n_tokens += sum(reply.tokens or ())
                if reply.outcome is not Outcome.SAID or question.schema is None:
                    return self._spoken(reply, question, n_tokens)
                said = spoken(reply.text)
                try:
                    return Verdict(parse_object(said, question.schema), Outcome.SAID, "", n_tokens)
                except UnfitAnswerError as error:
                    correction = (said, str(error))
            return Verdict(None, Outcome.DECLINED, f"not an answer as asked, twice. {correction[1]}", n_tokens)

    @contextmanager
    def _alone_at_first(self, kind: Hashable) -> Iterator[None]:
        """Let the first question of a kind go alone: what it shows, a wrong key say, others need not find out too."""
        if kind not in self._tried:
            with self._first:
                if kind not in self._tried:
                    try:
                        yield
                    finally:
                        self._tried.add(kind)
                    return
        yield

    def _spoken(self, reply: Reply, question: Question, n_tokens: int) -> Verdict:
        """Return what a reply is without a schema, or without being an answer."""
        limit = f"cut off after {self._manner.max_tokens} tokens"
        if reply.outcome is Outcome.SAID:
            return Verdict(spoken(reply.text), Outcome.SAID, "", n_tokens)
        if reply.outcome is Outcome.CUT:
            said = spoken(reply.text) if question.schema is None else ""
            return Verdict(said or None, Outcome.CUT, "" if said else limit, n_tokens)
        return Verdict(None, reply.outcome, reply.text, n_tokens)

    def _reply(self, question: Question, dialect: Dialect, stop: threading.Event, correction: Sequence[str]) -> Reply:
        """Send a request until there is a reply, as often as patience allows."""
        n_sent = n_received = 0
        for attempt in range(self._patience.n_tries):
            if attempt:
                stop.wait(self._patience.wait_after(attempt - 1, self._generator))
            reply = self._understood(question, dialect, stop, correction)
            n_sent, n_received = (a + b for a, b in zip((n_sent, n_received), reply.tokens or (0, 0), strict=True))
            if reply.outcome is not Outcome.FAILED:
                break
        else:
            reply = self._given_up(reply)
        if reply.outcome is Outcome.FATAL:
            stop.set()
        return replace(reply, tokens=(n_sent, n_received))

    def _given_up(self, reply: Reply) -> Reply:
        reason = f"no answer after {self._patience.n_tries} tries: {reply.text}"
        return replace(reply, text=reason, outcome=Outcome.FAILED if self._reached else Outcome.FATAL)

    def _understood(
        self, question: Question, dialect: Dialect, stop: threading.Event, correction: Sequence[str]
    ) -> Reply:
        """Send a request, and again without what the server does not understand."""
        known = dialect.structured
        while True:
            body = dialect.body(
                question,
                max_tokens=self._manner.max_tokens,
                temperature=self._manner.temperature,
                correction=correction,
            )
            reply = self._sent(body, self._manner.input_tokens(question, correction), stop)
            if reply.outcome is not Outcome.REJECTED:
                if reply.outcome is Outcome.SAID and question.schema is not None:
                    dialect.note(body, fits=spoken(reply.text).startswith("{"))
                return reply
            if not dialect.learn(body, reply.text):
                if known is None:  # it was not the schema that was not understood
                    dialect.structured = None
                return reply

    def _sent(self, body: Mapping[str, Any], n_input: int, stop: threading.Event) -> Reply:
        """Send one request if there is room for it and nobody has stopped."""
        self._pause.wait(stop)
        if stop.is_set():
            return Reply(Outcome.WITHHELD, "not asked: asking was stopped")
        with self._budget.request(n_input=n_input, n_output=self._manner.max_tokens) as room:
            if room.refusal:
                return Reply(Outcome.WITHHELD, room.refusal)
            reply = self._client.send(body)
            if reply.tokens is None and reply.outcome in {Outcome.SAID, Outcome.CUT}:
                reply = replace(reply, tokens=(n_input, text_tokens(reply.text)))
            if reply.tokens is not None:
                room.settle(*reply.tokens)
        self._reached = self._reached or reply.reached
        return self._paused(reply)

    def _paused(self, reply: Reply) -> Reply:
        """Let everybody wait as long as the server asks for, unless that is too long."""
        wait, longest = reply.wait or 0.0, self._patience.max_wait
        if wait <= longest:
            self._pause.extend(wait)
        elif reply.outcome is Outcome.FAILED:
            reason = f"it asks to wait for {wait:,.0f} s, and `max_wait` is {longest:,.0f} s ({reply.text})"
            return replace(reply, outcome=Outcome.FATAL, text=reason)
        return reply
