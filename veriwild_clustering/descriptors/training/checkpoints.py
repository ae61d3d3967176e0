"""The state of an unfinished training on disk: written whole after each epoch, taken up by the next call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["CHECKPOINT", "read_checkpoint", "write_checkpoint"]

CHECKPOINT = "checkpoint.pt"


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Put `state`, tensors and plain values, in the place of the checkpoint before."""
    with write_atomically(folder / CHECKPOINT) as temporary:
        torch.save(dict(state), temporary)


def read_checkpoint(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the checkpoint of a folder, None if it has none.

    Raises
    ------
    DatasetError
        If it is damaged, or of a training with other settings or images.
    """
    file = folder / CHECKPOINT
    if not file.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        made_with = state["settings"]
    except Exception as error:  # torch raises anything on damaged bytes: RuntimeError, UnpicklingError, EOFError …
        raise DatasetError(f"{file} cannot be read: {reason_of(error)}. Remove it to train from the start.") from error
    changed = [key for key in settings if made_with.get(key) != settings[key]]
    if changed:
        told = ", ".join(f"{key} was {made_with.get(key)!r} and is {settings[key]!r}" for key in changed)
        raise DatasetError(f"{file} belongs to another training: {told}. Choose another folder, or the same settings.")
    return state
