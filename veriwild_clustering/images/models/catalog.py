"""The networks that are known by name, and any other file as a network."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.images.models.checksums import file_checksum
from veriwild_clustering.images.models.record import NETWORK_FORMATS, ImageInput, Model, ModelFile
from veriwild_clustering.images.models.zoo.records import RECORDS

__all__ = ["METADATA", "MODELS", "find_model", "user_model"]

METADATA = "veriwild.model"  # the key under which an ONNX file tells its record, as JSON without the files

MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in RECORDS})
"""Networks by name. `clip-vocabulary` is the vocabulary of the text model alone."""


def find_model(name: str | Model) -> Model:
    """Return the network of the catalog with a name; a record is returned as it is.

    Parameters
    ----------
    name : str or Model
        A name in the catalog, or a record.

    Returns
    -------
    Model
        Its record.

    Raises
    ------
    ValueError
        If the catalog has no such name; near ones are named.

    Examples
    --------
    >>> from veriwild_clustering import find_model
    >>> find_model("osnet-x0-25").n_features
    512
    """
    if isinstance(name, Model):
        return name
    if name not in MODELS:
        raise ValueError(f"Unknown model {str(name)!r}. {_hint(str(name))}")
    return MODELS[name]


def _hint(name: str) -> str:
    if Path(name).suffix.lower() in NETWORK_FORMATS:
        return "For a file of your own: `user_model(path)`, or `--model FILE` of a command."
    wanted = name.lower()
    near = [known for known in MODELS if wanted and wanted in known] or get_close_matches(wanted, MODELS, cutoff=0.5)
    return f"{'Near' if near else 'Known'} names: {', '.join(near or MODELS)}."


def user_model(
    path: str | Path,
    *,
    name: str | None = None,
    size: int | tuple[int, int] | None = None,
    resize: str = "stretch",
    color: str = "RGB",
    scale: float = 1 / 255,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    layout: str | None = None,
    dtype: str = "float32",
    output: str | None = None,
    pooling: str = "",
    task: str = "embedding",
    labels: Sequence[str] = (),
    decoder: str = "",
) -> Model:
    """Return the record of a network in a file of one's own.

    An ONNX file that `TrainedDescriptor.export` wrote says itself what goes in and comes out; then `name` alone counts.

    Parameters
    ----------
    path : str or Path
        An ONNX file, the .xml of an OpenVINO model with its .bin beside it, or a TensorFlow Lite file.
    name : str, optional
        What the descriptor is called. By default the name of the file.
    size : int or tuple of int, optional
        Side of the square that goes in, or height and width, in pixels. By default what the file says.
    resize, color, scale, mean, std
        As in `ImageInput`. By default pixels become numbers between 0 and 1.
    layout : {"NCHW", "NHWC"}, optional
        By default channels last for TensorFlow Lite, else first.
    dtype : {"float32", "uint8"}
        As in `ImageInput`.
    output, pooling, task, labels, decoder
        As in `Model`.

    Returns
    -------
    Model
        The record; the file stays where it is.

    Raises
    ------
    DatasetError
        If there is no such file, or it is of another kind.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import user_model
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "cars.onnx"
    >>> size = file.write_bytes(b"weights")
    >>> model = user_model(file, size=224, color="BGR")
    >>> model.name, model.input.height, model.input.color
    ('cars', 224, 'BGR')
    """
    file = Path(path).expanduser().absolute()
    files = tuple(ModelFile(str(part), sha256=file_checksum(part)) for part in _parts(file))
    told = _told_by(file)
    if told is not None:
        return replace(told, name=name or file.stem, files=files)
    height, width = size if isinstance(size, tuple) and len(size) == 2 else (size, size)
    taken = ImageInput(
        height,
        width,
        resize,
        color=color,
        scale=scale,
        mean=tuple(mean),
        std=tuple(std),
        layout=layout or ("NHWC" if file.suffix.lower() == ".tflite" else "NCHW"),
        dtype=dtype,
    )
    return Model(
        name or file.stem,
        task,
        files,
        license="",
        source=str(file),
        input=taken,
        output=output,
        pooling=pooling,
        labels=tuple(labels),
        decoder=decoder,
    )


def _parts(file: Path) -> list[Path]:
    suffix = file.suffix.lower()
    if suffix not in NETWORK_FORMATS:
        raise DatasetError(f"{file} is no network that can be read: it must be an .onnx, .xml or .tflite file.")
    parts = [file, file.with_suffix(".bin")] if suffix == ".xml" else [file]
    for part in parts:
        if not part.is_file():
            raise DatasetError(f"There is no file {part}. Give the path of the network that is to be used.")
    return parts


def _told_by(file: Path) -> Model | None:
    """Return the record that an ONNX file tells of itself, None where it tells nothing."""
    if file.suffix.lower() != ".onnx" or not _mentions(file, METADATA.encode()):
        return None
    import onnx

    try:
        facts = {entry.key: entry.value for entry in onnx.load(file, load_external_data=False).metadata_props}
        told: dict[str, Any] = json.loads(facts[METADATA])
        spec: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in told["input"].items()}
        told |= {"input": ImageInput(**spec), "labels": tuple(told["labels"]), "files": (ModelFile(str(file)),)}
        return Model(**told)
    except Exception as error:  # protobuf raises its own errors on damaged bytes
        raise DatasetError(f"{file} does not say what goes in: {reason_of(error)}. Export it again.") from error


def _mentions(file: Path, text: bytes) -> bool:
    if not file.stat().st_size:
        return False  # nothing to map
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(text) >= 0
