"""Arrays out of pickles, without running anything that a pickle says."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["read_pickled_array"]

_RULE = "a pickle must hold one NumPy array and nothing else"


def read_pickled_array(file: Path) -> NDArray[Any]:
    """Return the array of a pickle; nothing that the pickle says is run.

    Raises
    ------
    DatasetError
        If the pickle is damaged or holds anything but one array of real numbers.
    """
    try:
        with file.open("rb") as stream:
            found = _ArraysOnly(stream, encoding="latin1").load()
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
            raw = data.encode("latin1") if isinstance(data, str) else data
            return np.frombuffer(raw, dtype.to_numpy()).reshape(shape, order="F" if fortran else "C")
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


class _ArraysOnly(pickle._Unpickler):  # noqa: SLF001
    """An unpickler that knows the few names of a NumPy array and nothing else.

    The one written in Python: that in C reserves as many places for its memo as a few bytes of a pickle claim, tens of
    gigabytes. An array is a few dozen opcodes, so it costs no time.
    """

    def _load_buffer(self: Any) -> None:
        # Python's own fills a buffer of the size that the pickle claims before it reads what is there.
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_buffer}  # noqa: SLF001

    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise DatasetError(f"it asks for {module}.{name}, and {_RULE}. Nothing was run.") from None
