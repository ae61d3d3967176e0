"""The page within a notebook: a server of this machine alone that runs beside the kernel until it is closed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.html import frame
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import DatasetError, check_int

if TYPE_CHECKING:
    from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["Explorer", "explore"]

_HOST = "127.0.0.1"
_NOTEBOOKS = ("http://localhost:*", "http://127.0.0.1:*")  # whose pages may show this one in a frame
_PATIENCE = 30.0  # seconds


def explore(
    dataset: Dataset | str | Path,
    partitions: Partition | Sequence[Partition] = (),
    *,
    folder: str | Path | None = None,
    descriptor: str | None = None,
    umap: bool | None = None,
    port: int = 0,
    height: int = 760,
) -> Explorer:
    """Open the page of `veriwild app` from a notebook: map, clusters, search, outliers, comparison.

    Parameters
    ----------
    dataset : Dataset or path
        What is shown, or its CSV.
    partitions : Partition or sequence of Partition
        Partitions of the dataset, the first of which is shown first; by default the best of a modest sweep.
    folder : path, optional
        Where maps, thumbnails and corrections of clusters are kept; it is of this dataset alone. By default
        `reports/app` beside the CSV, or, for a dataset that is open, a folder that goes when the page is closed.
    descriptor : str, optional
        What is mapped and grouped; by default the first descriptor that tells images apart.
    umap : bool, optional
        Whether there are maps by UMAP; by default up to 20,000 images.
    port : int, default=0
        Where the server listens; 0 takes a free port.
    height : int, default=760
        Height of the frame in pixels.

    Returns
    -------
    Explorer
        Its representation shows the page; `url` opens it in a browser of this machine, `close` ends it.

    Raises
    ------
    DatasetError
        If there is nothing to show, the packages of the extra `app` are missing, or the port is taken.

    Notes
    -----
    The server answers this machine alone, and the kernel stays free. Where the notebook runs on another machine than
    the browser, forward the port. Beyond the PCA map, what a tab shows is worked out when it is opened.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, Partition, explore
    >>> space = Descriptor("osnet", np.random.default_rng(0).normal(size=(40, 8)))
    >>> dataset = Dataset(pd.DataFrame({"path": [f"{row}.jpg" for row in range(40)]}), {"osnet": space})
    >>> with explore(dataset, Partition(np.repeat([0, 1], 20), space, "by hand"), umap=False) as page:
    ...     page.url
    'http://127.0.0.1:...'
    """
    check_int("port", port, low=0, high=65535)
    check_int("height", height, low=200)
    kept = TemporaryDirectory(prefix="veriwild-", ignore_cleanup_errors=True)
    try:
        workspace = _opened(dataset, Path(kept.name), folder=folder, descriptor=descriptor, umap=umap)
        for partition in [partitions] if isinstance(partitions, Partition) else partitions:
            workspace.add_partition(partition)
        workspace.prepare()
        return Explorer(workspace, port=port, height=height, kept=kept)
    except BaseException:
        kept.cleanup()
        raise


class Explorer:
    """A page that is open; made by `explore`.

    Parameters
    ----------
    workspace : Workspace
        What it shows.
    port : int
        Where it listens; 0 takes a free port.
    height : int
        Height of its frame in a notebook, in pixels.
    kept : TemporaryDirectory
        A folder that goes when the page is closed.
    """

    def __init__(self, workspace: Workspace, *, port: int, height: int, kept: TemporaryDirectory[str]) -> None:
        import uvicorn

        from veriwild_clustering.apps.page.server.application import create_app

        self.workspace, self._height, self._kept = workspace, height, kept
        application = create_app(workspace, framed_by=_NOTEBOOKS)
        try:
            listener = socket.create_server((_HOST, port))
        except OSError as error:
            raise DatasetError(f"Port {port} is not to be had: {error}. Leave `port` out for a free one.") from error
        self.url = f"http://{_HOST}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            application, log_level="warning", server_header=False, proxy_headers=False, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        run: dict[str, Any] = {"sockets": [listener]}
        self._thread = threading.Thread(target=self._server.run, kwargs=run, name="veriwild page", daemon=True)
        self._thread.start()
        self._wait()

    def __repr__(self) -> str:
        return f"Explorer({self.url!r}{'' if self._thread.is_alive() else ', closed'})"

    def _repr_html_(self) -> str:
        if not self._thread.is_alive():
            return frame("", title="The page is closed.", height=0)
        return frame(self.url, title="Map, clusters, search, outliers", height=self._height)

    def __enter__(self) -> Explorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and remove what is not kept; closing twice does nothing."""
        self._server.should_exit = True
        self._thread.join(_PATIENCE)
        self._kept.cleanup()

    def _wait(self) -> None:
        """Return once the server answers."""
        until = time.monotonic() + _PATIENCE
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                self.close()
                raise DatasetError(f"The server of the page did not start at {self.url}.")
            time.sleep(0.01)


def _opened(dataset: Dataset | str | Path, temporary: Path, *, folder: str | Path | None, **options: Any) -> Workspace:
    """Return the workspace, or say which package is missing."""
    try:
        import fastapi  # noqa: F401
        import gradio  # noqa: F401
        import uvicorn  # noqa: F401

        from veriwild_clustering.apps.page.workspace import Workspace
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"The page needs the package {error.name!r}: install it with `pip install veriwild-clustering[app]`."
        ) from error
    if isinstance(dataset, Dataset):
        return Workspace(dataset, folder or temporary / "app", **options)
    return Workspace.open(dataset, folder=folder, **options)
