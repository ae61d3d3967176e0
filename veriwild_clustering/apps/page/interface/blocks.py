"""What Gradio draws, its tabs, and how they and the page around them are mounted beside the JSON API."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from veriwild_clustering.apps.page.interface.asking import kindly
from veriwild_clustering.apps.page.interface.look import STATIC, style_sheets, theme
from veriwild_clustering.apps.page.interface.shell import TITLE, shell_page
from veriwild_clustering.apps.page.services.maps import ready_first_map
from veriwild_clustering.apps.page.workspace import Workspace

if TYPE_CHECKING:
    from fastapi import FastAPI
    from gradio import Blocks

__all__ = ["build_interface", "mount_interface"]

_MAX_UPLOAD = "20mb"
# The page around Gradio's learns that whatever is clicked from now on is heard.
_TELL = '() => { document.body.dataset.settled = "yes"; frameElement?.dispatchEvent(new Event("settled")); }'
T = TypeVar("T")
_AT_ONCE = 4  # callbacks of one kind that run side by side


def build_interface(workspace: Workspace) -> Blocks:
    """Return Gradio's tabs over a workspace; they call the same services as the JSON API."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by gradio whenever it would report something
    os.environ.setdefault("GRADIO_TEMP_DIR", _uploads())  # by default a folder that all users of the machine share
    import gradio

    from veriwild_clustering.apps.page.interface.tabs import FIRST, TABS

    with _page_class()(title=TITLE, analytics_enabled=False, fill_width=True) as blocks:
        with gradio.Tabs(selected=FIRST):
            for name, module in TABS.items():
                with gradio.Tab(module.TITLE, id=name, elem_id=f"tab-{name}") as tab:
                    refresh = module.add(workspace)
                if refresh is not None:
                    tab.select(kindly(refresh.function), inputs=refresh.inputs, outputs=refresh.outputs)
        blocks.load(None, js=_TELL)
    blocks.queue(default_concurrency_limit=_AT_ONCE)
    return blocks


@cache
def _uploads() -> str:
    """Return a folder for uploads that nobody else can read and that goes with this process."""
    folder = TemporaryDirectory(prefix="veriwild-gradio-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return folder.name


def _page_class() -> type[Blocks]:
    """Return Gradio's page, but one that takes no file which nobody uploaded."""
    import gradio

    class Page(gradio.Blocks):
        async def preprocess_data(self, block_fn: Any, inputs: list[Any], *others: Any, **options: Any) -> Any:
            # Gradio checks this only on servers that it launched itself; on others it copies any file that is named to
            # where it can be downloaded, and fetches any address.
            check_uploaded(inputs)
            return await super().preprocess_data(block_fn, inputs, *others, **options)

    return Page


def check_uploaded(given: Any) -> None:
    """Raise if what a browser sent names, however deep within, a file that is not one of the uploads."""
    from gradio import Error
    from gradio.utils import get_upload_folder

    for part in given.values() if isinstance(given, dict) else given if isinstance(given, list) else ():
        check_uploaded(part)
    path = given.get("path") if isinstance(given, dict) else None
    if isinstance(path, str) and not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise Error("The file was not uploaded here.", print_exception=False)


def mount_interface(application: FastAPI, workspace: Workspace) -> FastAPI:
    """Return the application with the page at `/`, the files of its frames under `/map`, and Gradio at `/tabs/`."""
    from fastapi.responses import HTMLResponse
    from fastapi.staticfiles import StaticFiles
    from gradio import mount_gradio_app

    options: dict[str, Any] = {
        "theme": theme(), **style_sheets(), "max_file_size": _MAX_UPLOAD, "footer_links": [],
        "run_history": False, "ssr_mode": False, "mcp_server": False, "pwa": False, "enable_monitoring": False,
    }  # fmt: skip
    application.mount("/map", StaticFiles(directory=STATIC), name="map")
    page = shell_page(workspace)

    async def shell() -> str:
        return page

    application.add_api_route("/", shell, methods=["GET", "HEAD"], response_class=HTMLResponse, include_in_schema=False)
    ready_first_map(workspace)
    return _within_loop(lambda: mount_gradio_app(application, build_interface(workspace), path="/tabs", **options))


def _within_loop(make: Callable[[], T]) -> T:
    """Return what is made while an event loop runs: without one Gradio opens several and closes none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:

        async def made() -> T:
            return make()

        return asyncio.run(made())
    return make()
