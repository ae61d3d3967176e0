"""A network that is ready to run: images in, vectors out, whatever its format and the size of its batch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.checksums import model_identity
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.record import ImageInput, Model
from veriwild_clustering.images.models.sessions import Port, open_session, providers
from veriwild_clustering.images.models.weights import ModelError, model_files

__all__ = ["Network", "open_network", "providers"]

_BLANK = (np.zeros((8, 8, 3), dtype=np.uint8),)


def open_network(
    model: str | Model,
    *,
    folder: str | Path | None = None,
    provider: str | None = None,
    n_threads: int | None = None,
    download: bool = True,
) -> Network:
    """Open a network of the catalog, or one of your own.

    Parameters
    ----------
    model : str or Model
        Name in the catalog, or a record.
    folder : path, optional
        Folder of the weights: by default `$VERIWILD_MODELS`, else the user's cache.
    provider : {"auto", "cuda", "coreml", "cpu", "openvino"}, optional
        What runs ONNX files; by default `$VERIWILD_PROVIDER`, else "auto", the first of `providers()`. OpenVINO and
        TensorFlow Lite files always run in OpenVINO.
    n_threads : int, optional
        How many rows run side by side, each on one thread. By default as many as this process may use cores.
    download : bool, default True
        Whether to download weights that are not there.

    Returns
    -------
    Network
        The open network.

    Raises
    ------
    DatasetError
        If the files cannot be had or opened, or are not what the record says.
    ValueError
        If the model is not known or this machine has no such provider.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, onnx
    >>> from onnx import TensorProto, helper
    >>> from veriwild_clustering import ImageInput, Model, ModelFile
    >>> from veriwild_clustering.images.models.networks import open_network
    >>> image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    >>> mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 3, 1, 1])
    >>> graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["image"], ["mean"])], "mean", [image], [mean])
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    >>> onnx.save(network, folder / "mean.onnx")
    >>> files = (ModelFile("mean.onnx"),)
    >>> record = Model("mean-color", "embedding", files, license="", source="", input=ImageInput(8, 8))
    >>> network = open_network(record, folder=folder, provider="cpu")
    >>> network.embed([np.full((40, 30, 3), (255, 128, 0), np.uint8)]).tolist()
    [[255.0, 128.0, 0.0]]
    """
    record = find_model(model)
    return Network(
        record, model_files(record, folder=folder, download=download), provider=provider, n_threads=n_threads
    )


class Network:
    """An open network. It can be shared by threads, and pickled: the other process opens it anew.

    Parameters
    ----------
    model : Model
        What is known of it.
    files : sequence of paths
        Its files, the one to open first.
    provider : str, optional
        See `open_network`.
    n_threads : int, optional
        See `open_network`.

    Attributes
    ----------
    model : Model
        The record, its input with the size that the file says where the record says none.
    provider : str
        What runs it.
    inputs, outputs : dict of str to Port
        Shapes and types by name; None is an axis of any length.
    """

    def __init__(
        self, model: Model, files: Sequence[str | Path], *, provider: str | None = None, n_threads: int | None = None
    ) -> None:
        self._files = [Path(file) for file in files]
        self._asked = provider, n_threads
        self.n_threads = _usable_cores() if n_threads is None else check_int("n_threads", n_threads, low=1)
        wanted = provider or os.environ.get("VERIWILD_PROVIDER") or "auto"
        weights = self._files if self._files[0].suffix.lower() == ".xml" else self._files[:1]
        self._session = open_session(weights, output=model.output, provider=wanted, n_threads=self.n_threads)
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self.provider = self._session.provider
        self.inputs, self.outputs = dict(self._session.inputs), dict(self._session.outputs)
        self.model = model
        if model.input is not None:
            self.model = replace(model, input=self._checked_input(model.input))
        self._check_n_features()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.model, self._files, *self._asked)

    def __repr__(self) -> str:
        return f"Network({self.model.name!r}, {self.provider}, {self.n_threads} threads)"

    def __call__(self, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name: that of the record alone, or all of the file where the record names none.

        Parameters
        ----------
        inputs : array or mapping of str to array
            The rows of the only input, or of each input by name. Any number of them.

        Returns
        -------
        dict of str to array
            Rows in the order of the inputs.

        Raises
        ------
        ValueError
            If an input is missing or has another shape or type than the network takes.
        """
        arrays = self._checked(inputs)
        n_rows = len(next(iter(arrays.values())))
        if not n_rows:
            return {
                name: np.empty((0, *(side or 0 for side in port.shape[1:])), port.dtype)
                for name, port in self.outputs.items()
            }
        pieces = self._map(n_rows, lambda rows: self._run({name: array[rows] for name, array in arrays.items()}))
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in self.outputs}

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return one vector per image: the output of the record, flattened.

        Parameters
        ----------
        images : sequence of arrays of shape (height, width, 3), uint8
            Decoded images, RGB, of any size.

        Returns
        -------
        array of shape (n_images, n_features), float32
            Memory beyond it is that of a few images per thread.

        Raises
        ------
        ValueError
            If an image is no RGB array of uint8.
        ModelError
            If the network takes no images, or gives another number of features than its record says.
        """
        vectors = np.empty((len(images), self.n_features), dtype=np.float32)

        def fill(rows: slice) -> None:
            vectors[rows] = self._vectors(images[rows])

        self._map(len(images), fill)
        return vectors

    @cached_property
    def params(self) -> dict[str, Any]:
        """All that the outputs depend on, as JSON holds it: the network, what goes in, what is taken, what runs it."""
        spec = asdict(self.model.input) if self.model.input else {}
        return {
            **model_identity(self.model, self._files),
            "input": {key: list(value) if isinstance(value, tuple) else value for key, value in spec.items()} or None,
            "output": self.model.output,
            "pooling": self.model.pooling,
            "provider": self.provider,
        }

    @property
    def output(self) -> str:
        """Name of the output that `embed` takes: that of the record, or the first."""
        return next(iter(self.outputs))

    @cached_property
    def n_features(self) -> int:
        """Length of the vector of an image."""
        return self.model.n_features or _n_features(self._taken) or self._run_images(_BLANK).shape[1]

    @property
    def _taken(self) -> Port:
        """What the file says of the part of the output that becomes the vector."""
        port = self.outputs[self.output]
        return port._replace(shape=port.shape[:1] + port.shape[2:]) if self.model.pooling == "first" else port

    def _vectors(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        vectors = self._run_images(images)
        if vectors.shape[1] != self.n_features:
            raise self._other_features(vectors.shape[1])
        return vectors

    def _run_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        if self.model.input is None:
            raise ModelError(f"Model {self.model.name!r} takes no images: its record has no `input`.")
        inputs = self._checked(image_batch(images, self.model.input))
        values = self._run(inputs)[self.output]
        return (values[:, 0] if self.model.pooling == "first" else values).reshape(len(images), -1)

    def _map(self, n_rows: int, step: Callable[[slice], Any]) -> list[Any]:
        """Return what `step` makes of the rows, a few at a time and side by side."""
        pieces = _pieces(n_rows, self._session.n_rows)
        return list(self._threads().map(step, pieces) if self.n_threads > 1 else map(step, pieces))

    def _threads(self) -> ThreadPoolExecutor:
        """Return the threads of this process: a fork has those of its parent by name alone, and would wait forever."""
        process, pool = os.getpid(), self._pool
        if pool is None or pool[0] != process:
            self._pool = pool = process, ThreadPoolExecutor(self.n_threads, thread_name_prefix=self.model.name)
        return pool[1]

    def _run(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs of no more rows than the network takes at a time."""
        n_rows, size = len(next(iter(arrays.values()))), self._session.batch_size
        if size is not None and n_rows < size:
            arrays = {name: array[np.arange(size).clip(max=n_rows - 1)] for name, array in arrays.items()}
        outputs = self._session.run(arrays)
        for name, values in outputs.items():
            if not values.ndim or len(values) != (size or n_rows):
                raise ModelError(
                    f"Output {name!r} of model {self.model.name!r} has shape {values.shape} for {size or n_rows} rows: "
                    f"it does not give one row for each."
                )
        return {name: values[:n_rows] for name, values in outputs.items()}

    def _checked(self, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = inputs if isinstance(inputs, Mapping) else {next(iter(self.inputs)): inputs}
        if set(given) != set(self.inputs):
            raise ValueError(
                f"`inputs` must name {', '.join(map(repr, self.inputs))}. Got {', '.join(map(repr, given))}."
            )
        arrays = {name: _fitting(name, given[name], port) for name, port in self.inputs.items()}
        if len({len(array) for array in arrays.values()}) != 1:
            raise ValueError("`inputs` must have as many rows under each name.")
        return arrays

    def _checked_input(self, spec: ImageInput) -> ImageInput:
        """Return the record's input, with the size that the file says if it says none; raise if they disagree."""
        name, port = next(iter(self.inputs.items()))
        axes = ("channels", "height", "width") if spec.layout == "NCHW" else ("height", "width", "channels")
        record = {"channels": 3, "height": spec.height, "width": spec.width}
        file = dict(zip(axes, port.shape[1:], strict=False))
        agree = len(port.shape) == 4 and all(
            None in {record[axis], file[axis]} or record[axis] == file[axis] for axis in axes
        )
        if not agree or not np.can_cast(spec.dtype, port.dtype, "same_kind"):
            wanted = _shown(Port((None, *(record[axis] for axis in axes)), np.dtype(spec.dtype)))
            raise ModelError(
                f"Input {name!r} of {self._files[0]} is {_shown(port)}; the record of {self.model.name!r} says "
                f"{wanted}. Correct the `input` of the record."
            )
        height, width = (record[axis] or file[axis] for axis in ("height", "width"))
        if height is None or width is None:
            raise ModelError(
                f"{self._files[0]} takes images of any size: say a height and a width in the record's `input`."
            )
        return replace(spec, height=height, width=width)

    def _check_n_features(self) -> None:
        found = _n_features(self._taken)
        if None not in {found, self.model.n_features} and found != self.model.n_features:
            raise self._other_features(found)

    def _other_features(self, found: int | None) -> ModelError:
        return ModelError(
            f"Output {self.output!r} of {self._files[0]} has {found} features; the record of {self.model.name!r} says "
            f"{self.model.n_features}. Correct the `output` or the `n_features` of the record."
        )


def _reopen(model: Model, files: Sequence[Path], provider: str | None, n_threads: int | None) -> Network:
    return Network(model, files, provider=provider, n_threads=n_threads)


def _usable_cores() -> int:
    """Return how many cores this process may use: joblib's workers are told their share, as BLAS is, by a variable."""
    from joblib import cpu_count

    share = os.environ.get("OMP_NUM_THREADS", "")
    return min(cpu_count(), int(share)) if share.isdigit() and int(share) else cpu_count()


def _pieces(n_rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def _n_features(port: Port) -> int | None:
    """Return how many numbers there are per row, None if the file does not say."""
    sides = [side for side in port.shape[1:] if side is not None]
    return math.prod(sides) if port.shape and len(sides) == len(port.shape) - 1 else None


def _shown(port: Port) -> str:
    return f"{port.dtype} ({', '.join('any' if side is None else str(side) for side in port.shape)})"


def _fitting(name: str, values: NDArray[Any], port: Port) -> NDArray[Any]:
    """Return an input in the type that the network takes, or raise if it has another shape or kind."""
    array = np.asarray(values)
    sides = zip(array.shape[1:], port.shape[1:], strict=False)
    if array.ndim != len(port.shape) or any(taken not in {None, side} for side, taken in sides):
        raise ValueError(f"Input {name!r} must be {_shown(port)}, with any number of rows. Got shape {array.shape}.")
    if not np.can_cast(array.dtype, port.dtype, "same_kind"):
        raise ValueError(f"Input {name!r} must be {_shown(port)}. Got {array.dtype}.")
    return np.ascontiguousarray(array, dtype=port.dtype)
