"""The two files of an index: a record in JSON of what it was built from, and FAISS's file that the record names."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from veriwild_clustering import __version__
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import only_run, write_atomically
from veriwild_clustering.core.storage.reading import recorded_checksum
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.search.indexing.candidates import Candidates
from veriwild_clustering.search.space import SearchSpace

__all__ = ["described", "read_candidates", "read_record", "recorded_space", "saving", "write_record", "write_vectors"]

FORMAT_VERSION = 2  # 1 knew no leading directions
_REMEDY = "Build the index again with `SearchIndex.build`."
_SAMPLED_BLOCKS = 64
_BLOCK_BYTES = 2**16
_KEYS = {
    "format_version", "descriptors", "metric", "factory", "n_images", "n_indexed", "removed", "effort", "recall",
    "error", "norm", "file", "bytes", "sha256", "sampled_sha256",
}  # fmt: skip
_ENTRY = {"name", "n_features", "usable_sha256", "file_sha256", "fingerprint", "weight", "scale"}


def described(space: SearchSpace) -> list[dict[str, Any]]:
    """Return what tells each descriptor from any other, its content and where known its file, with its weight."""
    return [
        {
            "name": descriptor.name,
            "weight": weight,
            "scale": scale,
            "n_features": descriptor.n_features,
            "usable_sha256": _usable(descriptor),
            "file_sha256": recorded_checksum(descriptor),
            "fingerprint": descriptor.fingerprint,
        }
        for descriptor, weight, scale in zip(space.descriptors, space.weights, space.scales, strict=True)
    ]


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of an index.

    Raises
    ------
    DatasetError
        If it is missing, damaged or of a newer format.
    """
    if not path.is_file():
        raise DatasetError(f"The index {path} does not exist. {_REMEDY}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found, missing = int(record["format_version"]), _KEYS - set(record)
        if not missing:
            missing = set().union(*(_ENTRY - set(entry) for entry in record["descriptors"]))
            if not all(type(row) is int and 0 <= row < record["n_images"] for row in record["removed"]):
                raise ValueError("it removes rows that the dataset does not have")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: {reason_of(error)}. {_REMEDY}") from error
    if found > FORMAT_VERSION:
        raise DatasetError(f"{path} has format {found}; this version reads {FORMAT_VERSION}. Update it.")
    if missing:
        raise DatasetError(f"{path} is damaged: it lacks {', '.join(sorted(missing))}. {_REMEDY}")
    return dict(record)


def recorded_space(file: Path, record: Mapping[str, Any], dataset: Dataset) -> SearchSpace:
    """Return the space from which an index was built, or raise if the dataset does not have it."""
    entries = record["descriptors"]
    missing = [entry["name"] for entry in entries if entry["name"] not in dataset.names]
    if missing:
        raise DatasetError(
            f"{file} was built from the descriptor {missing[0]!r}, which this dataset does not have: it has "
            f"{', '.join(dataset.names) or 'none'}. Open it with the dataset from which it was built."
        )
    for entry in entries:
        _check_same_vectors(file, entry, dataset[entry["name"]], n_images=record["n_images"])
    descriptors = tuple(dataset[entry["name"]] for entry in entries)
    weights, scales = (tuple(entry[key] for entry in entries) for key in ("weight", "scale"))
    return SearchSpace(descriptors, weights, record["metric"], scales=scales)


def read_candidates(path: Path, record: Mapping[str, Any], space: SearchSpace, *, verify: bool) -> Candidates:
    """Return FAISS's index after a look at the size and a sample of blocks of its file, or at all of it to `verify`."""
    file = path.with_name(Path(str(record["file"])).name)
    if not file.is_file():
        raise DatasetError(f"{file}, the vectors of {path}, is missing. {_REMEDY}")
    size = file.stat().st_size
    if size != record["bytes"]:
        raise DatasetError(f"{file} has {size:,} bytes, not {record['bytes']:,}: it is truncated or changed. {_REMEDY}")
    is_whole = _sampled(file) == record["sampled_sha256"]
    if not is_whole or (verify and _checksum(file) != record["sha256"]):
        raise DatasetError(f"{file} has changed since it was written. {_REMEDY}")
    known = {key: record[key] for key in ("effort", "error", "norm")}
    found = Candidates.read(file, rest=record.get("rest", 0.0), **known)
    if (len(found), found.dim, found.is_cosine) != (int(space.valid.sum()), space.dim, space.metric == "cosine"):
        raise DatasetError(f"{path} and {file.name} do not belong together. {_REMEDY}")
    return found


def saving(path: Path) -> AbstractContextManager[None]:
    """Keep other runs from saving the same index; DatasetError if one does."""
    return only_run(path.with_name(f".{path.stem}.saving"), target=path)


def write_vectors(path: Path, write: Callable[[Path], None]) -> dict[str, Any]:
    """Write FAISS's file under a name of its own beside the record, and return what the record says of it."""
    file = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.faiss")
    with write_atomically(file) as temporary:
        write(temporary)
        return {
            "file": file.name,
            "bytes": temporary.stat().st_size,
            "sha256": _checksum(temporary),
            "sampled_sha256": _sampled(temporary),
        }


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record, from which moment on the file that it names counts; then remove files of earlier saves."""
    with write_atomically(path) as temporary:
        text = json.dumps({"format_version": FORMAT_VERSION, **record, "versions": _versions()}, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    stem, vectors = re.escape(path.stem), r"[0-9a-f]{8}\.faiss"
    stale = re.compile(rf"{stem}\.{vectors}|\.{stem}\.({vectors}|json)\..*")  # those with a point were being written
    for file in path.parent.iterdir():
        if stale.fullmatch(file.name) and file.name != record["file"]:
            with suppress(OSError):  # somebody may have it mapped, where that keeps a file from being removed
                file.unlink()


def _check_same_vectors(file: Path, entry: Mapping[str, Any], descriptor: Descriptor, *, n_images: int) -> None:
    """Raise unless the descriptor is that from which the index was built.

    The checksum in the manifest of the dataset is enough where it and the usable rows agree; else all vectors are read.
    """
    name, n_features = descriptor.name, descriptor.n_features
    if n_features != entry["n_features"]:
        raise DatasetError(
            f"{file} was built from {entry['n_features']} features of {name!r}, this dataset's have {n_features}: "
            f"they come from another model. {_REMEDY}"
        )
    if len(descriptor) != n_images:
        grown = " If the dataset has grown, `SearchIndex.open` it with the old one and call `extend`."
        raise DatasetError(
            f"{file} was built from {n_images:,} images, this dataset has {len(descriptor):,}. {_REMEDY}"
            + (grown if len(descriptor) > n_images else "")
        )
    known = recorded_checksum(descriptor)
    if known is not None and known == entry["file_sha256"] and _usable(descriptor) == entry["usable_sha256"]:
        return
    if descriptor.fingerprint != entry["fingerprint"]:
        raise DatasetError(f"{file} was built from other vectors of {name!r} than this dataset has. {_REMEDY}")


def _versions() -> dict[str, str]:
    return {"veriwild_clustering": __version__} | {name: version(name) for name in ("faiss-cpu", "numpy")}


def _usable(descriptor: Descriptor) -> str:
    return hashlib.sha256(np.packbits(descriptor.valid).tobytes()).hexdigest()


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sampled(file: Path) -> str:
    """Return a checksum of blocks spread evenly from the first to the last: 4 MiB at most, of however large a file."""
    digest, last = hashlib.sha256(), max(0, file.stat().st_size - _BLOCK_BYTES)
    with file.open("rb") as stream:
        for start in sorted(set(np.linspace(0, last, _SAMPLED_BLOCKS).astype(int).tolist())):
            stream.seek(start)
            digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()
