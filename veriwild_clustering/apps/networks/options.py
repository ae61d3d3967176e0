"""The options that name networks and what is done to images first, shared by the commands that run them."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.models.catalog import MODELS, user_model
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.weights import ModelError, accept_license
from veriwild_clustering.images.preparation.detection import Detector
from veriwild_clustering.images.preparation.masking import Masker
from veriwild_clustering.images.preparation.prepare import Preparation
from veriwild_clustering.images.preparation.super_resolution import Upscaler

__all__ = ["add_model_options", "add_preparation_options", "if_at_hand", "models_from", "preparation_from"]

UPSCALER, DETECTOR, MASKER = "sisr-1033", "yolox-nano", "deeplab-v3"

_PARAMETERS = {"input": "size", "mean": "mean", "std": "std", "color": "color", "node": "output"}  # of `user_model`

T = TypeVar("T")
_log = logging.getLogger(__name__)


def add_model_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Add the options that `models_from` reads: names of known networks, or a file of one's own."""
    usual = f"; default: {default}" if default else ""
    models = parser.add_argument_group("models")
    models.add_argument(
        "--models",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"what to describe images with (see `veriwild models`{usual})",
    )
    models.add_argument("--model", metavar="FILE", help="a network of your own: .onnx, .xml (OpenVINO) or .tflite")
    models.add_argument(
        "--input", type=_size, metavar="SIZE", help="side of its input in pixels, or HEIGHTxWIDTH (default: as in FILE)"
    )
    channels: dict[str, Any] = {"type": float, "nargs": 3, "metavar": ("C1", "C2", "C3")}
    models.add_argument("--mean", **channels, help="of each channel, pixels from 0 to 1 (default: 0 0 0)")
    models.add_argument("--std", **channels, help="of each channel, pixels from 0 to 1 (default: 1 1 1)")
    models.add_argument("--color", choices=["RGB", "BGR"], help="order of channels (default: RGB)")
    models.add_argument("--node", metavar="NAME", help="output or inner node to take (default: the first output)")
    models.add_argument(
        "--accept-license", action="store_true", help="accept licences that bind whoever uses a model, such as the AGPL"
    )


def models_from(arguments: argparse.Namespace, *, folder: Path | None = None) -> list[str | Model]:
    """Return the networks that the options name, in their order, the file of one's own last.

    Names are not looked up: some commands know descriptors that need no network.

    Raises
    ------
    DatasetError
        If there is no such file, or options describe a file that is not named.
    """
    given = [option for option in _PARAMETERS if getattr(arguments, option) is not None]
    models: list[str | Model] = list(dict.fromkeys(arguments.models))
    if arguments.accept_license:
        _accept(arguments.models, folder)
    if arguments.model is not None:
        models.append(
            user_model(arguments.model, **{_PARAMETERS[option]: getattr(arguments, option) for option in given})
        )
    elif given:
        raise DatasetError(f"--{given[0]} describes the network of --model FILE, which is not given.")
    return models


def add_preparation_options(parser: argparse.ArgumentParser, *, by_default: bool) -> None:
    """Add the options that `preparation_from` reads; `by_default` says whether images are upscaled and cut unasked."""
    group = parser.add_argument_group("preparation of each image")
    for name, model, what, unasked in (
        (
            "upscale",
            UPSCALER,
            "make images below 32 pixels three times larger by this model, or `bicubic`",
            by_default,
        ),
        ("crop", DETECTOR, "cut out the vehicle that this model finds", by_default),
        ("mask", MASKER, "grey out what is no vehicle to this model, or to `grabcut`", False),
    ):
        usual = f"default: {model}, if it can be had" if unasked else f"default: not done; without MODEL: {model}"
        step = group.add_mutually_exclusive_group()
        step.add_argument(
            f"--{name}", nargs="?", const=model, default=None if unasked else "", metavar="MODEL",
            help=f"{what} ({usual})",
        )  # fmt: skip
        step.add_argument(f"--no-{name}", dest=name, action="store_const", const="", help="leave this step out")


def preparation_from(
    arguments: argparse.Namespace, *, folder: Path | None = None, provider: str | None = None
) -> Preparation | None:
    """Return what is done to each image first, None where that is nothing.

    Raises
    ------
    ModelError
        If a model that was named cannot be had; one that is only usual is left out with a warning.
    """
    if arguments.accept_license:
        _accept([arguments.upscale, arguments.crop, arguments.mask], folder)
    cache: dict[str, Any] = {"folder": folder, "provider": provider}
    upscaler = _step(
        arguments.upscale, lambda name: Upscaler(name, **cache), UPSCALER, without="small images stay small"
    )
    detector = _step(arguments.crop, lambda name: Detector(name, **cache), DETECTOR, without="images are not cropped")
    masker = _step(arguments.mask, lambda name: Masker(name, **cache), MASKER, without="backgrounds stay")
    if upscaler is None and detector is None and masker is None:
        return None
    return Preparation(upscaler, detector, masker=masker)


def if_at_hand(made: Callable[[], T], *, without: str) -> T | None:
    """Return what is made, or warn what happens without it where its weights cannot be had."""
    try:
        return made()
    except ModelError as error:
        _log.warning("%s So %s.", error, without)
        return None


def _accept(names: list[str | None], folder: Path | None) -> None:
    for name in names:
        if name is not None and name in MODELS:
            accept_license(name, folder=folder)


def _step(asked: str | None, opened: Callable[[str], T], usual: str, *, without: str) -> T | None:
    """Return the model that was asked for, the usual one if it can be had, or None; "" asks for none."""
    if asked is None:
        return if_at_hand(lambda: opened(usual), without=without)
    return opened(asked) if asked else None


def _size(text: str) -> int | tuple[int, int]:
    sides = text.lower().split("x")
    if not (1 <= len(sides) <= 2 and all(side.isdecimal() and int(side) for side in sides)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size in pixels, such as 224 or 256x128")
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else int(sides[0])
