"""Files of networks opened by what can run them: ONNX by onnxruntime, OpenVINO and TensorFlow Lite by openvino."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.models.onnx_graphs import free_batch, take_output, tensor_names
from veriwild_clustering.images.models.record import NETWORK_FORMATS
from veriwild_clustering.images.models.weights import ModelError

__all__ = ["Port", "Session", "cause_of", "needed_package", "open_session", "providers"]

_EXECUTION = {"cuda": "CUDAExecutionProvider", "coreml": "CoreMLExecutionProvider", "cpu": "CPUExecutionProvider"}
_ROWS = {"cuda": 32, "coreml": 32, "cpu": 4}  # how many rows a run takes; a core keeps few of them in its cache
_N_OPEN = 8

Arrays = Mapping[str, NDArray[Any]]


class Port(NamedTuple):
    """What goes in or comes out under one name; None is an axis of any length."""

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class Session(Protocol):
    """An open network. It runs on the thread that calls it, and any number of threads may call it at a time."""

    provider: str
    inputs: dict[str, Port]
    n_rows: int  # how many rows to give it at a time
    batch_size: int | None  # how many rows it insists on

    @property
    def outputs(self) -> Mapping[str, Port]:
        """What comes out, by name."""

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return the outputs by name."""


def providers() -> list[str]:
    """Return what can run ONNX files on this machine, the preferred first.

    Returns
    -------
    list of str
        Some of "cuda", "coreml", "cpu" (all three through onnxruntime) and "openvino".

    Examples
    --------
    >>> from veriwild_clustering.images.models.networks import providers
    >>> set(providers()) <= {"cuda", "coreml", "cpu", "openvino"}
    True
    """
    available = needed_package("onnxruntime").get_available_providers() if find_spec("onnxruntime") else []
    found = [name for name, execution in _EXECUTION.items() if execution in available]
    return found + ["openvino"] * (find_spec("openvino") is not None)


def open_session(files: Sequence[Path], *, output: str | None, provider: str, n_threads: int) -> Session:
    """Return the open network of a file, or of a file and that of its weights.

    A process keeps the last eight open, so that what is sent to it again and again is opened once.

    Raises
    ------
    ModelError
        If the file cannot be opened, has no such output, or what opens it is not installed.
    ValueError
        If this machine has no such provider.
    """
    if provider not in {"auto", *providers()}:
        listed = ", ".join(map(repr, ["auto", *providers()]))
        raise ValueError(f"`provider` must be one of {listed}, which this machine has. Got {provider!r} instead.")
    if files[0].suffix.lower() not in NETWORK_FORMATS:
        raise ModelError(f"{files[0]} is no network that can be opened: it is no {', '.join(NETWORK_FORMATS)} file.")
    for file in files:
        if not file.is_file():
            raise ModelError(f"There is no file {file}.")
    state = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    with _opening:
        return _opened(state, output, provider, n_threads)


_opening = threading.Lock()


@lru_cache(maxsize=_N_OPEN)
def _opened(state: tuple[tuple[str, int, int], ...], output: str | None, provider: str, n_threads: int) -> Session:
    files = [Path(name) for name, *_ in state]
    onnx = files[0].suffix.lower() == ".onnx"
    try:
        if onnx and (provider in _EXECUTION or (provider == "auto" and find_spec("onnxruntime"))):
            return _open_onnx(files[0], output, provider)
        return _OpenvinoSession(files, output, n_threads)
    except ModelError:
        raise
    except Exception as error:  # parsers raise anything on damaged files
        raise ModelError(
            f"{files[0]} cannot be opened as a network ({cause_of(error)}). Put the right file there; one that was "
            f"downloaded is downloaded again once it is deleted."
        ) from error


def needed_package(name: str) -> Any:
    """Return a package; ModelError says how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(
            f"This network needs the package {name}, which is not installed. "
            f"Install it with `pip install 'veriwild-clustering[models]'`."
        ) from error


def cause_of(error: Exception) -> str:
    """Return the last line of what an error says: OpenVINO names its cause there, below where in its code it arose."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".! ")


def _find_tensor(file: Path, output: str, names: Mapping[str, Any]) -> Any:
    if output not in names:
        near = get_close_matches(output, names, n=3, cutoff=0.3)
        raise ModelError(
            f"{file} has no output or inner node {output!r}. Near: {', '.join(map(repr, near)) or 'none'}."
        )
    return names[output]


def _fixed_batch(inputs: Mapping[str, Port]) -> int | None:
    first = {port.shape[0] if port.shape else None for port in inputs.values()}
    return first.pop() if len(first) == 1 else None


def _open_onnx(file: Path, output: str | None, provider: str) -> Session:
    """Open an ONNX file, with a batch of any size where that gives the same rows as the size that is written in it."""
    session = _OnnxSession(str(file), provider)
    inner = output is not None and output not in session.tensors
    if session.batch_size is not None or inner:
        model = needed_package("onnx").load(str(file))
    if output is not None and inner:
        tensor = _find_tensor(file, output, tensor_names(model.graph))
        take_output(model.graph, tensor)
        session = _OnnxSession(model.SerializeToString(), provider, {output: tensor})
    elif output is not None:
        session.tensors = {output: output}
    if session.batch_size is None:
        return session
    try:
        free_batch(model.graph)
        free = _OnnxSession(model.SerializeToString(), provider, session.tensors)
        return free if _same_rows(session, free) else session
    except Exception:  # whatever stands against it, the file as it is will do
        return session


def _same_rows(whole: Session, free: Session) -> bool:
    """Return whether a network with a freed batch gives each of two batches what the network as written gives it."""
    rng = np.random.default_rng(0)
    one, two = ({name: _noise(rng, port) for name, port in whole.inputs.items()} for _ in range(2))
    apart = [whole.run(one), whole.run(two)]
    together = free.run({name: np.concatenate([one[name], two[name]]) for name in one})
    for name, values in together.items():
        first, second = (np.asarray(part[name], dtype=np.float64) for part in apart)
        tolerance = 1e-3 * max(np.abs(first).max(), np.abs(second).max())
        expected = np.concatenate([first, second])
        if values.shape != expected.shape or not np.allclose(values, expected, rtol=0, atol=tolerance):
            return False
        if np.abs(first - second).max() <= 2 * tolerance:  # rows that look alike would not tell if they were mixed up
            return False
    return True


def _noise(rng: np.random.Generator, port: Port) -> NDArray[Any]:
    shape = [side or 1 for side in port.shape]
    values = rng.normal(size=shape) if port.dtype.kind == "f" else rng.integers(0, 100, shape)
    return values.astype(port.dtype)


class _OnnxSession:
    """A network in onnxruntime; `tensors` are those to take, by the names under which they are given."""

    def __init__(self, source: str | bytes, provider: str, tensors: Mapping[str, str] | None = None) -> None:
        runtime = needed_package("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # rows run side by side instead
        options.log_severity_level = 4  # what fails is raised
        wanted = [name for name in providers() if name in _EXECUTION and provider in {"auto", name}]
        execution = dict.fromkeys([*(_EXECUTION[name] for name in wanted), _EXECUTION["cpu"]])
        self._session = runtime.InferenceSession(source, options, providers=list(execution))
        active = self._session.get_providers()
        self.provider = next(name for name in _EXECUTION if _EXECUTION[name] in active)
        if provider not in {"auto", self.provider}:
            raise ModelError(
                f"onnxruntime knows {provider!r} but cannot use it on this machine. Use another `provider`."
            )
        self.inputs = {port.name: _onnx_port(port) for port in self._session.get_inputs()}
        self._ports = {port.name: _onnx_port(port) for port in self._session.get_outputs()}
        self.tensors = dict(tensors or {name: name for name in self._ports})
        self.batch_size = _fixed_batch(self.inputs)
        self.n_rows = self.batch_size or _ROWS[self.provider]

    @property
    def outputs(self) -> dict[str, Port]:
        return {name: self._ports[tensor] for name, tensor in self.tensors.items()}

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        values = self._session.run(list(self.tensors.values()), dict(inputs))
        return dict(zip(self.tensors, values, strict=True))


def _onnx_port(port: Any) -> Port:
    name = port.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(side if isinstance(side, int) else None for side in port.shape)
    return Port(shape, np.dtype({"float": "float32", "double": "float64"}.get(name, name)))


class _OpenvinoSession:
    """A network in OpenVINO, on the CPU.

    A batch of one is left as it is: rows side by side, each on a thread of its own, are faster than together. On CPUs
    that have bfloat16, OpenVINO computes its own files in it: faster, and vectors turn by a cosine of some 0.9999.
    """

    provider = "openvino"

    def __init__(self, files: Sequence[Path], output: str | None, n_threads: int) -> None:
        openvino = needed_package("openvino")
        core = openvino.Core()
        model = core.read_model(*(str(file) for file in files))
        if output is not None:
            tensor = _find_tensor(files[0], output, _openvino_tensors(model))
            model = openvino.Model([tensor], model.get_parameters(), model.get_friendly_name())
        config: dict[str, Any] = {"INFERENCE_NUM_THREADS": n_threads, "NUM_STREAMS": n_threads}
        if files[0].suffix.lower() == ".onnx":  # as onnxruntime; its own files run as OpenVINO's users have run them
            config["INFERENCE_PRECISION_HINT"] = "f32"
        self._network = core.compile_model(model, "CPU", config)
        self._threads = threading.local()
        self.inputs = {_openvino_name(port): _openvino_port(port) for port in self._network.inputs}
        named = [output or _openvino_name(port) for port in self._network.outputs]
        self.outputs = {name: _openvino_port(port) for name, port in zip(named, self._network.outputs, strict=True)}
        self.batch_size = _fixed_batch(self.inputs)
        self.n_rows = self.batch_size or 1

    @property
    def _request(self) -> Any:
        """What runs the network for the thread that asks."""
        if not hasattr(self._threads, "request"):
            self._threads.request = self._network.create_infer_request()
        return self._threads.request

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        values = self._request.infer([inputs[name] for name in self.inputs], share_inputs=True)
        return {name: np.asarray(values[place]) for place, name in enumerate(self.outputs)}


def _openvino_tensors(model: Any) -> dict[str, Any]:
    """Return the tensors of a graph by their own names and by those of their nodes."""
    outputs = [(node, node.output(0)) for node in model.get_ordered_ops() if node.get_output_size()]
    by_node = {node.get_friendly_name(): tensor for node, tensor in outputs if node.get_type_name() != "Result"}
    return by_node | {name: tensor for _, tensor in outputs for name in tensor.get_names()}


def _openvino_name(port: Any) -> str:
    return port.get_any_name() if port.get_names() else port.get_node().get_friendly_name()


def _openvino_port(port: Any) -> Port:
    shape = port.get_partial_shape()
    sides = [] if shape.rank.is_dynamic else [None if side.is_dynamic else side.get_length() for side in shape]
    return Port(tuple(sides), np.dtype(port.get_element_type().to_dtype()))
