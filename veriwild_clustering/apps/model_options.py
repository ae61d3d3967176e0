"""The options that name networks, shared by the commands that run them: `add_model_options`, `models_from`."""

from __future__ import annotations

import argparse

from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.models.catalog import MODELS, user_model
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.models.weights import accept_license

__all__ = ["add_model_options", "models_from"]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `models_from` reads: names of known networks, or a file of one's own."""
    models = parser.add_argument_group("models")
    models.add_argument(
        "--models", nargs="+", default=[], metavar="NAME", help="what to describe images with (see `veriwild models`)"
    )
    models.add_argument("--model", metavar="FILE", help="a network of your own: .onnx, .xml (OpenVINO) or .tflite")
    models.add_argument(
        "--input", type=_size, metavar="SIZE", help="side of its input in pixels, or HEIGHTxWIDTH (default: as in FILE)"
    )
    channels = {"type": float, "nargs": 3, "metavar": ("C1", "C2", "C3")}
    models.add_argument("--mean", **channels, help="of each channel, pixels from 0 to 1 (default: 0 0 0)")
    models.add_argument("--std", **channels, help="of each channel, pixels from 0 to 1 (default: 1 1 1)")
    models.add_argument("--color", choices=["RGB", "BGR"], help="order of channels (default: RGB)")
    models.add_argument("--node", metavar="NAME", help="output or inner node to take (default: the first output)")
    models.add_argument(
        "--accept-license", action="store_true", help="accept licences that bind whoever uses a model, such as the AGPL"
    )


def models_from(arguments: argparse.Namespace) -> list[str | Model]:
    """Return the networks that the options name, in their order, the file of one's own last.

    Names are not looked up: some commands know descriptors that need no network.

    Raises
    ------
    DatasetError
        If there is no such file, or options describe a file that is not named.
    """
    described = {option: getattr(arguments, option) for option in _DESCRIBING if getattr(arguments, option) is not None}
    models: list[str | Model] = list(dict.fromkeys(arguments.models))
    if arguments.accept_license:
        for name in arguments.models:
            if name in MODELS:
                accept_license(name)
    if arguments.model is not None:
        models.append(user_model(arguments.model, **described))
    elif described:
        raise DatasetError(f"--{next(iter(described))} describes the network of --model FILE, which is not given.")
    return models


def _size(text: str) -> int | tuple[int, int]:
    sides = text.lower().split("x")
    if not (1 <= len(sides) <= 2 and all(side.isdecimal() and int(side) for side in sides)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size in pixels, such as 224 or 256x128")
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else int(sides[0])
