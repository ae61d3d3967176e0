"""What a model wrote, read as the object that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["UnfitAnswerError", "parse_object", "spoken"]

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
# Some servers open a thought in the prompt, out of sight; one that is cut off is never closed.
_THOUGHT = re.compile(r"\A(?:\s*<think>.*?(?:</think>|\Z)|(?!\s*\{).*?</think>)", re.DOTALL)


class UnfitAnswerError(Exception):
    """An answer that is not what was asked for: the message says in what, and can be told to the model."""


def spoken(content: str) -> str:
    """Return what a model says without what it thought aloud before."""
    return _THOUGHT.sub("", content).strip()


def parse_object(content: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one object in a text that fits a JSON schema.

    The text may be the object itself, or hold it in a fence or between other words. Two different objects that fit are
    none: one of them may have been quoted from somewhere.

    Raises
    ------
    UnfitAnswerError
        If no object fits, or several do.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    validator = Draft202012Validator(schema)
    objects = _objects(content)
    fitting = [value for value in objects if validator.is_valid(value)]
    distinct = {json.dumps(value, sort_keys=True) for value in fitting}
    if len(distinct) == 1:
        return fitting[0]
    if distinct:
        raise UnfitAnswerError("It holds several objects that differ.")
    if not objects:
        raise UnfitAnswerError("It is not a JSON object.")
    error: Any = best_match(validator.iter_errors(objects[-1]))
    raise UnfitAnswerError(f"Its object does not fit the schema: {error.message[:200]}.")


def _objects(content: str) -> list[dict[str, Any]]:
    """Return the objects of a text: itself, else those in fences, else those between other words."""
    for candidates in ([content], _FENCED.findall(content)):
        found = [value for value in map(_loaded, candidates) if isinstance(value, dict)]
        if found:
            return found
    return list(_embedded(content))


def _embedded(content: str) -> Iterator[dict[str, Any]]:
    decoder, place = json.JSONDecoder(parse_constant=_refuse), content.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(content, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            yield value
        place = content.find("{", end)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
