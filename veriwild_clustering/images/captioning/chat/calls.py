"""One request over HTTP, whatever becomes of it: a reply, never an exception, and nothing in it that tells the key."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from veriwild_clustering.images.captioning.chat.keys import ApiKey, EndpointError
from veriwild_clustering.images.captioning.chat.retries import asked_wait, exhausted_wait

__all__ = ["ChatClient", "Outcome", "Reply"]

_LONGEST_MESSAGE = 200
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_FILTERS = ("content_filter", "content_policy", "ResponsibleAIPolicyViolation", "flagged")


class Outcome(Enum):
    """What became of a request."""

    SAID = "an answer"
    CUT = "an answer that ends at the limit of its length"
    DECLINED = "the model or a filter does not want to answer this question"
    REJECTED = "the server does not understand this request"
    FAILED = "no answer; another try may get one"
    WITHHELD = "not asked: a limit is reached, or asking was stopped"
    FATAL = "no question will be answered"


@dataclass(frozen=True)
class Reply:
    """What came back.

    Parameters
    ----------
    outcome : Outcome
        What became of the request.
    text : str
        The answer, or why there is none.
    tokens : pair of int, optional
        Tokens sent and received, where the server says it.
    wait : float, optional
        Seconds that the server asks this client to wait.
    reached : bool
        Whether a server was there at all.
    """

    outcome: Outcome
    text: str
    tokens: tuple[int, int] | None = None
    wait: float | None = None
    reached: bool = True


@dataclass(frozen=True, repr=False)
class ChatClient:
    """The connection to a server.

    Parameters
    ----------
    url : str
        Its base URL.
    key : ApiKey
        The key to it.
    timeout : float
        Seconds within which an answer must be complete.

    Raises
    ------
    EndpointError
        If the package openai is not installed.
    """

    url: str
    key: ApiKey
    timeout: float
    _client: Any = field(init=False)

    def __post_init__(self) -> None:
        try:
            import openai
        except ModuleNotFoundError as error:
            raise EndpointError(
                f"Endpoints need the package {error.name!r}: install it with "
                f"`pip install veriwild-clustering[criteria]`."
            ) from error
        client = openai.OpenAI(
            base_url=self.url,
            api_key=self.key.reveal(),
            max_retries=0,  # tries are counted and limited here
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        object.__setattr__(self, "_client", client)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, body: Mapping[str, Any]) -> Reply:
        """Send one request and wait for the whole answer."""
        import openai

        deadline = time.monotonic() + self.timeout
        create = self._client.chat.completions.with_streaming_response.create
        try:
            with create(**body, timeout=self.timeout) as response:
                return self._read(response, deadline)
        except openai.APIStatusError as error:
            return self._status(error.status_code, error.response.headers, _details(error.body, str(error)))
        except openai.APITimeoutError:
            return self._late()
        except openai.APIConnectionError as error:
            reason = f"no connection to {self.url}: {self._shown(_innermost(error))}"
            return Reply(Outcome.FAILED, reason, reached=False)
        except openai.OpenAIError as error:
            return Reply(Outcome.REJECTED, self._shown(error), (0, 0))

    def _read(self, response: Any, deadline: float) -> Reply:
        """Read an answer, which may drip for ever: time-outs of sockets are for each piece alone."""
        pieces = []
        try:
            for piece in response.iter_bytes():
                pieces.append(piece)
                if time.monotonic() > deadline:
                    return self._late()
        except Exception as error:  # each HTTP package that may lie below has errors of its own
            late = time.monotonic() > deadline or "timed out" in str(error)
            return self._late() if late else Reply(Outcome.FAILED, f"the answer broke off: {self._shown(error)}")
        try:
            completion = json.loads(b"".join(pieces))
            reply = self._completion(completion["choices"][0], completion.get("usage") or {})
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return Reply(Outcome.FAILED, "what came is no chat completion")
        return Reply(reply.outcome, reply.text, reply.tokens, exhausted_wait(response.headers) or None)

    def _completion(self, choice: Mapping[str, Any], usage: Mapping[str, Any]) -> Reply:
        sent, received = usage.get("prompt_tokens"), usage.get("completion_tokens")
        tokens = (sent, received) if isinstance(sent, int) and isinstance(received, int) else None
        message, finish = choice["message"], choice.get("finish_reason")
        content = self.key.hide(str(message.get("content") or ""))
        if refusal := message.get("refusal"):
            return Reply(Outcome.DECLINED, f"refused: {self._shown(refusal)}", tokens)
        if finish == "content_filter":
            return Reply(Outcome.DECLINED, "stopped by a filter of content", tokens)
        if finish == "length":
            return Reply(Outcome.CUT, content, tokens)
        if not content.strip():
            return Reply(Outcome.FAILED, "an empty answer", tokens)
        return Reply(Outcome.SAID, content, tokens)

    def _status(self, status: int, headers: Mapping[str, str], details: tuple[str, str]) -> Reply:
        code, message = details
        said = f"{status} {self._shown(message)}".strip()
        if status == 401:  # the server's own words may hold a part of the key
            return Reply(Outcome.FATAL, "the key is refused (401). Check OPENAI_API_KEY", (0, 0))
        if status in {400, 403} and any(one in code or one in message for one in _FILTERS):
            return Reply(Outcome.DECLINED, "stopped by a filter of content", (0, 0))
        if status in {402, 403, 404} or status < 400 or code in _NO_CREDIT:
            return Reply(Outcome.FATAL, said, (0, 0))
        if status in {408, 409, 425, 429} or status >= 500:
            return Reply(Outcome.FAILED, said, (0, 0), asked_wait(headers))
        return Reply(Outcome.REJECTED, said, (0, 0))

    def _late(self) -> Reply:
        return Reply(Outcome.FAILED, f"no whole answer within {self.timeout:g} s", reached=False)

    def _shown(self, text: object) -> str:
        """Return the beginning of what a server or an error says, on one line and without the key."""
        line = " ".join(self.key.hide(str(text)).split())
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"


def _details(body: object, otherwise: str) -> tuple[str, str]:
    """Return code and message of the body of an error, in whichever of the usual shapes it is."""
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(inner, Mapping):
        return str(inner.get("code") or inner.get("type") or ""), str(inner.get("message") or otherwise)
    return "", str(inner or otherwise)


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
