"""The connection to a Qdrant database: where it is, and what is said when it does not answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from veriwild_clustering.core.validation import DatasetError, reason_of

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

__all__ = ["clear_errors", "connect", "is_local"]

_SECONDS = 60  # for one request: comparing with every vector of a large collection takes some


def connect(location: str | Path | QdrantClient | None = None) -> QdrantClient:
    """Connect to a Qdrant database.

    Parameters
    ----------
    location : str, path or QdrantClient, optional
        A URL, a folder for a few thousand rows without a server, ":memory:", or a connection, which is returned as it
        is. By default what the environment variable QDRANT_URL says. The key of a URL is that in QDRANT_API_KEY.

    Returns
    -------
    QdrantClient
        The connection. A folder is locked until its `close()`.

    Raises
    ------
    DatasetError
        If no location is given or a folder is in use.
    ModuleNotFoundError
        If qdrant-client is not installed.

    Examples
    --------
    >>> from veriwild_clustering.search.backends.connection import connect
    >>> connect(":memory:").get_collections().collections
    []
    """
    try:
        from qdrant_client import QdrantClient
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Qdrant is reached through qdrant-client. Install it with `pip install 'veriwild-clustering[qdrant]'`."
        ) from error
    if isinstance(location, QdrantClient):
        return location
    place = str(location or os.environ.get("QDRANT_URL", ""))
    if not place:
        raise DatasetError("Say where Qdrant is: `location`, or the environment variable QDRANT_URL.")
    if place == ":memory:":
        return QdrantClient(place)
    if "://" in place:
        key = os.environ.get("QDRANT_API_KEY")
        return QdrantClient(url=place, api_key=key, timeout=_SECONDS, check_compatibility=False)
    try:
        return QdrantClient(path=place)
    except RuntimeError as error:
        raise DatasetError(f"{place} is in use: close the other connection, or run a Qdrant server.") from error


def is_local(client: QdrantClient) -> bool:
    """Tell whether the database is the client's own, which is exact and warns at what only servers have."""
    options = client.init_options
    return options["location"] == ":memory:" or options["path"] is not None


@contextmanager
def clear_errors(collection: str) -> Iterator[None]:
    """Say what to look at where the database does not answer or refuses."""
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except ApiException as error:
        raise DatasetError(
            f"Qdrant did not do what was asked of {collection!r}: {reason_of(error)}. Check its address and key "
            f"(QDRANT_URL, QDRANT_API_KEY) and that it runs; an upload is continued by the same call."
        ) from error
