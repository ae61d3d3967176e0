"""What a user says of models, limits and the place of answers, checked and completed from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.captioning.budget import Budget, Prices

__all__ = ["answers_folder", "limited_budget", "named_models"]


def named_models(text_model: str | None, vision_model: str | None) -> tuple[str, str]:
    """Return who answers questions of words and who those with an image; ValueError if nobody is named."""
    text = text_model or os.environ.get("VERIWILD_TEXT_MODEL") or ""
    vision = vision_model or os.environ.get("VERIWILD_VISION_MODEL") or ""
    if not (text or vision):
        raise ValueError(
            "`text_model` or `vision_model` must name a model of the endpoint, or the environment variables "
            "VERIWILD_TEXT_MODEL and VERIWILD_VISION_MODEL. Got none."
        )
    return text or vision, vision or text


def limited_budget(max_requests: int | None, max_cost: float | None, prices: tuple[float, float] | None) -> Budget:
    """Return the limits that a user gave, checked."""
    if max_requests is not None:
        check_int("max_requests", max_requests, low=0)
    if max_cost is not None:
        check_real("max_cost", max_cost, low=0)
        if prices is None:
            raise ValueError("`prices` must be given with `max_cost`: those of a million tokens sent and received.")
    if prices is None:
        return Budget(max_requests)
    try:
        sent, received = prices
    except (TypeError, ValueError):
        raise ValueError(
            f"`prices` must be two numbers, of a million tokens sent and of a million received, such as (0.5, 1.5). "
            f"Got {prices!r} instead."
        ) from None
    sent, received = (check_real("prices", price, low=0) for price in (sent, received))
    return Budget(max_requests, max_cost, Prices(sent, received))


def answers_folder(given: str | Path | None) -> Path:
    """Return the folder of known answers: the given one, that of the environment, or one in the user's cache."""
    if chosen := given or os.environ.get("VERIWILD_ANSWERS"):
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("veriwild-clustering", appauthor=False) / "answers"
