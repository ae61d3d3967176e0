"""Explore a dataset in the browser: map, clusters, search, outliers; and the same as a JSON API."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import webbrowser
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from veriwild_clustering.core.validation import DatasetError, check_int

if TYPE_CHECKING:
    from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["EXAMPLES", "add_arguments", "run"]

_log = logging.getLogger(__name__)

_KEPT_OPEN = 75  # seconds; longer than browsers and clients keep a connection, or they ask as it is closed
_MOST_AT_ONCE = 1_000  # connections; beyond, the server says that it is busy

EXAMPLES = """\
examples:
  veriwild app transport_dataset.csv
  veriwild app transport_dataset.csv --partition best_partition.csv --port 8000 --no-browser
  VERIWILD_TOKEN=... veriwild app transport_dataset.csv --host 0.0.0.0

What is worked out is kept in --folder, corrections of clusters too: each is a new version of the partition.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `veriwild app`."""
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the CSV that create-dataset wrote")
    parser.add_argument("--images", type=Path, metavar="FOLDER|ZIP", help="the images (default: where they were)")
    parser.add_argument(
        "--folder", type=Path, help="where the page keeps its files (default: reports/app beside DATASET)"
    )
    parser.add_argument(
        "--partition",
        type=Path,
        metavar="CSV",
        help="the partition to begin with (default: best_partition.csv beside DATASET)",
    )
    parser.add_argument("--descriptor", metavar="NAME", help="what is mapped and grouped (default: the first)")
    parser.add_argument("--index", type=Path, metavar="JSON", help="a search index of the dataset")
    parser.add_argument("--models-folder", type=Path, metavar="FOLDER", help="where weights of networks lie")
    maps = parser.add_mutually_exclusive_group()
    maps.add_argument("--umap", action="store_true", default=None, help="maps by UMAP, however many images there are")
    maps.add_argument("--no-umap", dest="umap", action="store_false", help="maps by principal components alone")
    serving = parser.add_argument_group("server")
    serving.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine alone)"
    )
    serving.add_argument("--port", type=int, default=7860, help="default: %(default)s; 0 takes a free one")
    serving.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name the server may be asked for by"
    )
    token = serving.add_mutually_exclusive_group()
    token.add_argument(
        "--token", help="what one must know to see anything; other users of this machine can see it here"
    )
    token.add_argument("--token-file", type=Path, metavar="FILE", help="the token is the first line of this file")
    serving.add_argument("--no-browser", action="store_true", help="do not open a browser")
    serving.add_argument("--api-only", action="store_true", help="the JSON API without the page")


def run(arguments: argparse.Namespace) -> int:
    """Open the workspace, prepare what the page shows first, and serve until interrupted.

    Raises
    ------
    DatasetError
        If the dataset cannot be shown, or the address is not to be had.
    """
    token = _token(arguments)
    try:
        import veriwild_clustering.apps.page.server.application  # noqa: F401
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"The page needs the package {error.name!r}: install it with `pip install veriwild-clustering[app]`."
        ) from error
    with _listener(arguments.host, check_int("--port", arguments.port, low=0, high=2**16)) as listener:
        return _served(arguments, listener, token)


def _served(arguments: argparse.Namespace, listener: socket.socket, token: str | None) -> int:
    """Prepare what the page shows first, then serve it."""
    import uvicorn

    from veriwild_clustering.apps.page.server.application import create_app
    from veriwild_clustering.apps.page.workspace import Workspace

    workspace = Workspace.open(
        arguments.dataset, images=arguments.images, folder=arguments.folder, partition=arguments.partition,
        descriptor=arguments.descriptor, index=arguments.index, umap=arguments.umap, models=arguments.models_folder,
    )  # fmt: skip
    workspace.prepare()
    application = create_app(workspace, token=token, interface=not arguments.api_only, hosts=arguments.allow_host)
    threading.Thread(target=_complete, args=[workspace], daemon=True).start()
    address = f"http://{_shown(arguments.host)}:{listener.getsockname()[1]}"
    print(
        f"{workspace.dataset}\n{address}{'/api/dataset' if arguments.api_only else ''}\nStop with Ctrl+C.", flush=True
    )
    if not _is_loopback(arguments.host) and token is None:
        print(f"Warning: anybody who reaches {arguments.host} sees and edits everything. Set a token.", file=sys.stderr)
    if not (arguments.no_browser or arguments.api_only):
        threading.Timer(1.0, webbrowser.open, [address]).start()
    config = uvicorn.Config(
        application, log_level="warning", server_header=False, proxy_headers=False, limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=_KEPT_OPEN,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _complete(workspace: Workspace) -> None:
    """Work out the rest while the page is already there; what fails is told when it is asked for."""
    try:
        workspace.complete(progress=False)
    except (OSError, ValueError) as error:
        _log.warning("%s", error)


def _token(arguments: argparse.Namespace) -> str | None:
    """Return the token from the option, the file or the environment, None where there is none."""
    given = arguments.token
    if given is None and arguments.token_file is not None:
        given = (arguments.token_file.read_text(encoding="utf-8").splitlines() or [""])[0]
    if given is None:
        given = os.environ.get("VERIWILD_TOKEN") or None
    if given is None:
        return None
    if not given.strip() or not given.isascii() or not given.isprintable():
        raise DatasetError("The token must not be empty, and be of ASCII characters that can be printed.")
    return str(given).strip()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise DatasetError(f"Cannot listen on {host}, port {port}: {error}. Choose another with --port.") from error


def _shown(host: str) -> str:
    """Return under which name this machine can ask."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (it is compared, not bound)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
