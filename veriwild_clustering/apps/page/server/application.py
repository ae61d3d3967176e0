"""The application: the JSON API, the login, and the page, behind one guard."""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any

from fastapi import APIRouter, FastAPI

from veriwild_clustering import __version__
from veriwild_clustering.apps.page.problems import NotFoundError
from veriwild_clustering.apps.page.server import login
from veriwild_clustering.apps.page.server.errors import RESPONSES, install_handlers
from veriwild_clustering.apps.page.server.routers import ROUTERS
from veriwild_clustering.apps.page.server.security import Guard
from veriwild_clustering.apps.page.workspace import Workspace

__all__ = ["create_app"]

_INTERFACE = "veriwild_clustering.apps.page.interface.blocks:mount_interface"
_ABOUT = """
A dataset of vehicle images: its table, maps, clusters, outliers, and search.

Lists come in pages, `offset` and `limit`, as `{"total": n, "items": [...]}`. Every error is
`{"error": {"code": ..., "message": ..., "field": ...}}`. Where a token is set, send `Authorization: Bearer TOKEN`.
"""


def create_app(
    workspace: Workspace,
    *,
    token: str | None = None,
    interface: bool = True,
    hosts: Sequence[str] = (),
    framed_by: Sequence[str] = (),
) -> FastAPI:
    """Return the application of a workspace.

    Parameters
    ----------
    workspace : Workspace
        What it shows.
    token : str, optional
        What requests must know; by default nothing.
    interface : bool, default=True
        Whether there is a page beside the JSON API.
    hosts : sequence of str
        Names under which the server may be asked for, beside "localhost" and addresses.
    framed_by : sequence of str
        Origins whose pages may show this one in a frame, such as that of a notebook.

    Returns
    -------
    FastAPI
        An ASGI application. What takes long runs in the pool of threads.
    """
    # The browsable documentation would load scripts from another host.
    application = FastAPI(
        title="veriwild app", version=__version__, description=_ABOUT,
        openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    application.state.workspace, application.state.token = workspace, token
    install_handlers(application)
    for router in ROUTERS:
        application.include_router(router, prefix="/api", responses=RESPONSES)
    application.include_router(_unknown)
    application.include_router(login.router)
    options: dict[str, Any] = {"token": token, "hosts": tuple(hosts), "framed_by": tuple(framed_by)}
    application.add_middleware(Guard, **options)
    return resolve_name(_INTERFACE)(application, workspace) if interface else application


_unknown = APIRouter(include_in_schema=False)


@_unknown.get("/api/{path:path}")
async def unknown(path: str) -> None:
    """Answer for what is not there."""
    raise NotFoundError(f"There is no /api/{path}.")
