"""What a model's server understands of the protocol: tried once, then remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Dialect", "Question"]


@dataclass(frozen=True)
class Question:
    """One question as it is sent.

    Parameters
    ----------
    model : str
        Who shall answer.
    text, system : str
        The messages.
    image : str
        `data:` URL of the image that goes along, "" without one.
    schema : mapping, optional
        JSON schema of the answer.
    """

    model: str
    text: str
    system: str = ""
    image: str = ""
    schema: Mapping[str, Any] | None = None


@dataclass
class Dialect:
    """How to ask one model.

    Parameters
    ----------
    structured : bool, optional
        Whether `response_format` with a schema is understood; None: not tried yet.
    limit : str
        What the parameter that limits the length of an answer is called.
    temperature : bool
        Whether a temperature may be given.
    """

    structured: bool | None = None
    limit: str = "max_tokens"
    temperature: bool = True

    def body(
        self, question: Question, *, max_tokens: int, temperature: float, correction: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the request; `correction` holds an answer that does not fit, and what is wrong with it."""
        schema, structured = question.schema, self.structured is not False
        text = question.text if schema is None or structured else f"{question.text}\n\n{_instruction(schema)}"
        content: Any = text
        if question.image:
            # Words first: they are the same for all images, and servers that keep prefixes compute them once.
            content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": question.image}}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if question.system:
            messages.insert(0, {"role": "system", "content": question.system})
        if correction:
            answer, complaint = correction
            asked = f"That is not an answer as asked. {complaint} {_instruction(schema or {})}"
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": asked}]
        body: dict[str, Any] = {"model": question.model, "messages": messages, self.limit: max_tokens}
        if self.temperature:
            body["temperature"] = temperature
        if schema is not None and structured:
            named = {"name": "answer", "schema": dict(schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def learn(self, body: Mapping[str, Any], complaint: str) -> bool:
        """Change what a server complains of in a request; False where nothing can be changed."""
        if "max_completion_tokens" in complaint and "max_tokens" in body:
            self.limit = "max_completion_tokens"
        elif "temperature" in complaint and "temperature" in body:
            self.temperature = False
        elif "response_format" in body and not self.structured:
            self.structured = False
        else:
            return False
        return True

    def note(self, body: Mapping[str, Any], *, fits: bool) -> None:
        """Remember whether an answer to a request was the object that `response_format` asked for."""
        if "response_format" in body and self.structured is None:
            self.structured = fits


def _instruction(schema: Mapping[str, Any]) -> str:
    return (
        "Answer with one JSON object and nothing else. It must fit this JSON schema: "
        f"{json.dumps(schema, ensure_ascii=False)}"
    )
