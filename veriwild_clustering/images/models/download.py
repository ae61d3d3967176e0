"""One file over HTTP: continued where it broke off, its checksum taken while it comes in."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import DatasetError, reason_of

if TYPE_CHECKING:
    import requests

__all__ = ["DownloadError", "fetch"]

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
MAX_FAILURES = 5
PAUSE_SECONDS = 0.5

_PIECE = 1 << 16
_MEGABYTE = 1_000_000
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_PARTIAL, _NOT_THAT_RANGE = 206, 416
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DownloadError(DatasetError):
    """A file that did not come: the message says why."""


class _BrokenOffError(Exception):
    """An attempt that ended before the file was whole; another may bring the rest."""


def fetch(
    url: str, part: Path, *, may_resume: bool = False, n_bytes: int | None = None, progress: bool | None = None
) -> str:
    """Bring what lies at `url` into the file `part`, from where it ends, and return its SHA-256.

    When the download fails, `part` keeps what has come, and a note beside it says of which version of the file, so
    that the next call continues. Where the server names no version, that happens only if `may_resume` allows it, as
    whoever knows the checksum can.

    Raises
    ------
    DownloadError
        If the file is not there, nothing answers, the connection breaks off again and again, or it cannot be written.
    """
    if not url.lower().startswith(("https://", "http://")):
        raise DownloadError(f"{url} is no http or https address")
    with _plain_errors(part):
        transfer = _Transfer(url, part, may_resume=may_resume, n_bytes=n_bytes, progress=progress)
        failures = 0
        while True:
            before = transfer.received
            try:
                return transfer.attempt()
            except _BrokenOffError as error:
                failures = 1 if transfer.received > before else failures + 1
                if failures == MAX_FAILURES or not transfer.answered:
                    raise DownloadError(str(error)) from error
                time.sleep(PAUSE_SECONDS * 2 ** (failures - 1))


class _Transfer:
    """A download under way: how much has come in, and of which version of the file."""

    def __init__(self, url: str, part: Path, *, may_resume: bool, n_bytes: int | None, progress: bool | None) -> None:
        self.answered = False
        self.received = 0
        self._url = url
        self._part = part
        self._note = part.with_name(f"{part.name}.json")
        self._n_bytes = n_bytes
        self._total = n_bytes
        self._progress = progress
        self._hash = hashlib.sha256()
        self._version: str | None = None
        with suppress(OSError, ValueError, KeyError, TypeError):  # without a note that can be read
            note = json.loads(self._note.read_text(encoding="utf-8"))
            self._version = note["version"] if note["url"] == url else None
        if (self._version or may_resume) and part.is_file():
            with part.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    self._take(piece)

    def attempt(self) -> str:
        """Ask for what is missing, write what comes, and return the checksum of the whole."""
        import requests

        waits = (CONNECT_SECONDS, SILENCE_SECONDS)
        try:
            with requests.get(self._url, headers=self._headers(), stream=True, timeout=waits) as response:
                self.answered = True
                self._check_way(response)
                if self._goes_on(response):
                    self._receive(response)
        except requests.Timeout as error:
            raise _BrokenOffError(f"{self._url} did not answer in time") from error
        except requests.exceptions.SSLError as error:
            raise DownloadError(f"the certificate of {self._url} is not trusted") from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            what = f"broke off after {self.received:,} bytes" if self.answered else "could not be made"
            raise _BrokenOffError(f"the connection to {self._url} {what}") from error
        except requests.RequestException as error:
            raise DownloadError(f"{self._url} cannot be read: {reason_of(error)}") from error
        if self._total is not None and self.received < self._total:
            raise _BrokenOffError(f"{self._url} sent {self.received:,} of {self._total:,} bytes")
        self._note.unlink(missing_ok=True)
        return self._hash.hexdigest()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}  # ranges and lengths then count bytes of the file itself
        if self.received:
            headers["Range"] = f"bytes={self.received}-"
            if self._version:
                headers["If-Range"] = self._version
        return headers

    def _check_way(self, response: requests.Response) -> None:
        """Raise if a protected address leads to one on which anybody could change the file."""
        way = [one.url for one in (*response.history, response)]
        if self._url.lower().startswith("https://") and not all(url.lower().startswith("https://") for url in way):
            raise DownloadError(f"{self._url} leads to {way[-1]}, which is not protected by https")

    def _goes_on(self, response: requests.Response) -> bool:
        """Make ready for what an answer brings; tell whether it brings anything."""
        status = response.status_code
        spoken = f"{self._url} answered {status} {response.reason}"
        covered = response.headers.get("Content-Range", "").removeprefix("bytes").strip()
        if status == _NOT_THAT_RANGE and covered == f"*/{self.received}":
            return False
        other_part = not covered.startswith(f"{self.received}-") or _is_encoded(response)
        if status == _NOT_THAT_RANGE or (status == _PARTIAL and other_part):
            self._start_anew()
            raise _BrokenOffError(spoken)
        if status in _BUSY:
            raise _BrokenOffError(spoken)
        if status not in {200, _PARTIAL}:
            raise DownloadError(spoken)
        if status == 200:  # the whole file, whatever was asked for
            self._start_anew()
        self._expect(response)
        return True

    def _start_anew(self) -> None:
        self.received, self._hash = 0, hashlib.sha256()
        self._note.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # before another note speaks of another version
            os.truncate(self._part, 0)

    def _expect(self, response: requests.Response) -> None:
        """Note the version that comes in, and see that there is room for it."""
        strong = {name: value for name, value in response.headers.items() if not value.startswith("W/")}
        self._version = strong.get("ETag") or strong.get("Last-Modified")
        told = _size_of(response)
        if None not in {told, self._n_bytes} and told != self._n_bytes:
            raise DownloadError(f"{self._url} has {told:,} bytes instead of {self._n_bytes:,}")
        self._total = self._n_bytes if told is None else told
        missing, free = (self._total or 0) - self.received, shutil.disk_usage(self._part.parent).free
        if free < missing:
            raise DownloadError(f"the disk is full: {missing:,} bytes are to come, {free:,} are free")
        if self._version and not _is_encoded(response):
            self._note.write_text(json.dumps({"url": self._url, "version": self._version}), encoding="utf-8")

    def _receive(self, response: requests.Response) -> None:
        missing = None if self._total is None else math.ceil((self._total - self.received) / _MEGABYTE)
        steps = self._megabytes(response)
        for _ in track(steps, description=self._part.stem, total=missing, unit=" MB", show=self._progress):
            pass

    def _megabytes(self, response: requests.Response) -> Iterator[None]:
        """Write what comes, with a stop after each megabyte."""
        with self._part.open("r+b" if self.received else "wb") as stream:
            stream.truncate(self.received)
            stream.seek(self.received)
            for piece in response.iter_content(_PIECE):
                whole = self.received // _MEGABYTE
                stream.write(piece)
                self._take(piece)
                if self._total is not None and self.received > self._total:
                    raise DownloadError(f"{self._url} sent more than its {self._total:,} bytes")
                if self.received // _MEGABYTE > whole:
                    yield
            stream.flush()
            os.fsync(stream.fileno())

    def _take(self, piece: bytes) -> None:
        self._hash.update(piece)
        self.received += len(piece)


def _is_encoded(response: requests.Response) -> bool:
    """Tell whether the bytes on the way are not those of the file, so that they cannot be counted or continued."""
    return response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}


def _size_of(response: requests.Response) -> int | None:
    """Return how many bytes the whole file has, None if the server does not say."""
    if _is_encoded(response):
        return None
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    size = total if response.status_code == _PARTIAL else response.headers.get("Content-Length", "")
    return int(size) if size.isdecimal() else None


@contextmanager
def _plain_errors(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise DownloadError("the disk is full" if full else f"{part} cannot be written: {reason_of(error)}") from error
