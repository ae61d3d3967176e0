"""What a client asked a chat server of tests, and the ways in which that may misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

__all__ = ["ChatRequest", "Fault", "Script", "seeded_faults"]


@dataclass(frozen=True)
class ChatRequest:
    """What a client asked."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of `response_format`, if there is one."""
        wanted: Mapping[str, Any] = self.body.get("response_format") or {}
        return wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None

    @property
    def system(self) -> str:
        return "\n".join(m["content"] for m in self.body["messages"] if m["role"] in {"system", "developer"})

    @property
    def text(self) -> str:
        """What the user said last, without images."""
        return "\n".join(part["text"] for part in self._parts() if part["type"] == "text")

    @property
    def is_repair(self) -> bool:
        """Whether an earlier answer is among the messages."""
        return any(message["role"] == "assistant" for message in self.body["messages"])

    @cached_property
    def jpeg(self) -> bytes:
        """The bytes of the image that came along, b"" without one."""
        urls = [part["image_url"]["url"] for part in self._parts(last=False) if part["type"] == "image_url"]
        return base64.b64decode(urls[-1].partition(",")[2]) if urls else b""

    @cached_property
    def image(self) -> Any:
        """The image that came along, decoded by Pillow; None without one."""
        from PIL import Image

        return Image.open(BytesIO(self.jpeg)).convert("RGB") if self.jpeg else None

    @property
    def digest(self) -> str:
        """What was asked, in 16 characters: the same for the same question."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def image_digest(self) -> str:
        """The image in 16 characters, "" without one."""
        return hashlib.sha256(self.jpeg).hexdigest()[:16] if self.jpeg else ""

    def _parts(self, *, last: bool = True) -> Iterator[Mapping[str, Any]]:
        users = [message["content"] for message in self.body["messages"] if message["role"] == "user"]
        for content in users[-1:] if last else users:
            yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


@dataclass(frozen=True)
class Fault:
    """One way to misbehave.

    `kind` is a status such as "429", "500", "401", "404", "400"; or "timeout" (no answer for `seconds`), "cut" (half an
    answer), "reset" (none), "slow" (an answer that drips for `seconds`), "not json" (a body that is none), "chatter"
    (the answer between other words), "fenced", "refusal", "empty", "filter" (of content), "length" (cut off by the
    limit of tokens), "nonsense" (an answer that is not what was asked for), "deep" (a body of nested lists),
    "uncounted" (an answer that does not say how many tokens were received), "ok" (nothing wrong: for `headers` alone).
    """

    kind: str
    _: KW_ONLY
    seconds: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    code: str | None = None


Script = Callable[[ChatRequest, int], Fault | None]
"""Takes a request and how often the same was asked before; None: behave."""


def seeded_faults(seed: int, faults: Sequence[tuple[float, Fault]]) -> Script:
    """Return a script that misbehaves at these rates, the same for the same question in whatever order they come."""

    def script(request: ChatRequest, n_before: int) -> Fault | None:
        drawn = random.Random(f"{seed}/{request.digest}/{n_before}").random()  # noqa: S311
        for rate, fault in faults:
            if drawn < rate:
                return fault
            drawn -= rate
        return None

    return script
