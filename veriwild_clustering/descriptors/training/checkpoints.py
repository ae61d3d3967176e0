"""The state of an unfinished training on disk: written whole after each epoch, taken up by the next call."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError

__all__ = ["CHECKPOINT", "damaged", "read_checkpoint", "write_checkpoint"]

CHECKPOINT = "checkpoint.pt"
DIGESTS = ("images", "groups")  # settings whose values tell a reader nothing


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Put `state`, tensors and plain values, in the place of the checkpoint before.

    Raises
    ------
    DatasetError
        If there is no room, or no permission to write there.
    """
    data = BytesIO()
    torch.save(dict(state), data)  # of a file on a full disk, torch would say neither which it is nor why
    with write_atomically(folder / CHECKPOINT) as temporary:
        temporary.write_bytes(data.getbuffer())


def damaged(folder: Path) -> DatasetError:
    """Return the error that says that the checkpoint of a folder cannot be used."""
    return DatasetError(f"{folder / CHECKPOINT} is damaged, or is no checkpoint. Remove it to train from the start.")


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
        made_with = dict(state["settings"])
    except Exception as error:  # torch raises anything on damaged bytes: RuntimeError, UnpicklingError, EOFError …
        raise damaged(folder) from error
    changed = [key for key in settings if made_with.get(key) != settings[key]]
    if changed:
        told = ", ".join(
            f"other {key}" if key in DIGESTS else f"{key} was {made_with.get(key)!r} and is {settings[key]!r}"
            for key in changed
        )
        raise DatasetError(
            f"{file} belongs to another training: {told}. Remove it, choose another folder, or ask for the same again."
        )
    return state
