"""Arrays out of pickles, without running anything that a pickle says and without reading large ones into memory."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["read_pickled_array"]

_RULE = "a pickle must hold one NumPy array and nothing else"
_MAPPED_BYTES = 2**20  # bytes objects of this size and above stay in the file


def read_pickled_array(file: Path) -> NDArray[Any]:
    """Return the array of a pickle, memory-mapped where it lies in the file; nothing that the pickle says is run.

    Protocols 3 to 5 write an array's bytes as they are, so a large one is mapped, read-only. Protocols 0 to 2, the
    default of Python 2, write them as text: such an array is read into memory, at a few times its own size.

    Raises
    ------
    DatasetError
        If the pickle is damaged or holds anything but one array of real numbers.
    """
    try:
        with file.open("rb") as stream:
            found = _ArraysOnly(stream).load()
    except DatasetError as error:
        raise DatasetError(f"{file} was refused: {error}") from error
    except Exception as error:  # a damaged pickle can raise anything; nothing in it can run
        raise DatasetError(f"{file} is not a readable pickle, truncated or damaged: {reason_of(error)}.") from error
    if not isinstance(found, _Array):
        raise DatasetError(f"{file} holds a {type(found).__name__}; {_RULE}.")
    return found.to_numpy(file)


class _Record:
    """What a pickle may build: plain records, so that no state in it ever reaches NumPy unchecked."""

    def __setstate__(self, state: Any) -> None:
        raise DatasetError("it sets the state of something that has none.")


class _Marker(_Record):
    """Stands for the class numpy.ndarray, which pickles name as an argument."""


@dataclass(frozen=True)
class _Bytes(_Record):
    """The record of a large bytes object: where it lies in the file."""

    offset: int
    length: int


class _Dtype(_Record):
    """The record of a dtype: its code and byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def to_numpy(self) -> np.dtype[Any]:
        if not re.fullmatch(r"[fiu](1|2|4|8)", self.code) or self.order not in "<>=|":
            what = "an object array" if self.code.startswith("O") else f"an array of dtype {self.code!r}"
            raise DatasetError(f"it holds {what}; vectors must be real numbers.")
        return np.dtype(f"{self.order}{self.code}")


class _Array(_Record):
    """The record of an array: shape, dtype, order and the bytes."""

    def __init__(self, *_: Any) -> None:
        self.parts: tuple[Any, Any, bool, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.parts = shape, dtype, bool(fortran), data

    def to_numpy(self, file: Path) -> NDArray[Any]:
        try:
            shape, dtype, fortran, data = self.parts or ((), None, False, b"")
            if not isinstance(dtype, _Dtype):
                raise DatasetError("it holds an array without a dtype.")
            kind = dtype.to_numpy()
            if isinstance(data, _Bytes):
                raw: NDArray[Any] = np.memmap(file, np.uint8, "r", offset=data.offset, shape=(data.length,))
            else:
                raw = np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, np.uint8)
            return raw.view(kind).reshape(shape, order="F" if fortran else "C")
        except DatasetError as error:
            raise DatasetError(f"{file} was refused: {error}") from error
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raise DatasetError(f"{file} is truncated or damaged: {error}.") from error


class _Buffer(_Array):
    """The record of an array as protocol 5 writes it."""

    def __init__(self, data: Any, dtype: Any, shape: Any, order: Any, *axis_order: Any) -> None:
        if axis_order and axis_order[0] is not None:
            raise DatasetError("it holds an array with permuted axes; save `numpy.ascontiguousarray(array)`.")
        self.parts = shape, dtype, order == "F", data


class _Encoded(_Record):
    """Text that old protocols use for bytes."""

    def __new__(cls, text: Any, encoding: Any = None) -> Any:
        if encoding not in {"latin1", "latin-1"} or not isinstance(text, str):
            raise DatasetError("it encodes text in a way that NumPy's pickles never do.")
        return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], type[_Record]] = {
    ("numpy", "ndarray"): _Marker,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")},
}


def _bytes_loader(width: int) -> Callable[[Any], None]:
    """Return what loads a bytes object whose length is written in `width` bytes: passing over it if it is large."""

    def load(unpickler: Any) -> None:
        length = int.from_bytes(unpickler.read(width), "little")
        # Picklers write large objects outside of frames; one inside has been read with its frame.
        framed = unpickler._unframer.current_frame is not None  # noqa: SLF001
        unpickler.append(unpickler.read(length) if framed or length < _MAPPED_BYTES else unpickler.skip(length))

    return load


class _ArraysOnly(pickle._Unpickler):  # noqa: SLF001
    """An unpickler that knows the few names of a NumPy array and nothing else.

    The one written in Python: that in C reserves as many places for its memo as a few bytes of a pickle claim, tens of
    gigabytes. An array is a few dozen opcodes, so it costs no time.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,  # noqa: SLF001
        pickle.BINBYTES[0]: _bytes_loader(4),
        pickle.BINBYTES8[0]: _bytes_loader(8),
        pickle.BYTEARRAY8[0]: _bytes_loader(8),
    }

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding="latin1")
        self._stream = stream

    def skip(self, length: int) -> _Bytes:
        offset = self._stream.tell()
        if length > os.fstat(self._stream.fileno()).st_size - offset:
            raise EOFError("it ends within the array")
        self._stream.seek(length, os.SEEK_CUR)
        return _Bytes(offset, length)

    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise DatasetError(f"it asks for {module}.{name}, and {_RULE}. Nothing was run.") from None
