"""The page in Chromium: from the address to the painted map and to all tabs, a click on the map, and a search.

The server runs in the same process, over simulated vectors without image files (thumbnails are tiles). Chromium draws
without a graphics card, which is the slowest that the map meets. Needs the extras `app` and `test`, and Chromium at
`/usr/bin/chromium`.
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from time import perf_counter, time
from typing import Any

import veriwild_clustering as vc
from benchmarks.app import joined_dataset
from benchmarks.harness import Bench

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}
_CHROMIUM = Path("/usr/bin/chromium")
_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_PATIENCE = 600_000  # milliseconds
_PAINTED = "() => [performance.timeOrigin, performance.getEntriesByName('painted')[0].startTime].map(ms => ms / 1000)"


def run(bench: Bench) -> None:
    from playwright.sync_api import sync_playwright

    folder = bench.folder / f"page-{bench.n_images}"
    try:
        csv = joined_dataset(folder, bench.n_images)
        started = perf_counter()
        with vc.explore(csv, umap=False) as page, sync_playwright() as playwright:
            bench.figure("first start", ours=perf_counter() - started)
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_SOFTWARE_GL))
            for figure in ("first visit", "second visit"):
                shown = browser.new_page(viewport={"width": 1280, "height": 900})
                shown.set_default_timeout(_PATIENCE)
                _paint(bench, shown, page.url, figure=figure)
            _search(bench, shown, bench.n_images // 2)
            browser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _paint(bench: Bench, shown: Any, url: str, *, figure: str) -> None:
    """Time from the address to the painted map, and from a click to the image with its neighbours."""
    opened = time()
    shown.goto(url)
    inside = shown.frame_locator(".map-frame")
    inside.locator("body[data-ready]").wait_for()
    # By the browser's clock: what is loaded next keeps it from answering here at once.
    began, painted = inside.locator("body").evaluate(_PAINTED)
    bench.figure(f"{figure}, until the map is painted", ours=began + painted - opened, of_it_the_map=painted)
    inside.locator("#marks").focus()
    started = perf_counter()
    shown.keyboard.press("Enter")
    inside.locator(".neighbors button").first.wait_for()
    bench.figure(f"{figure}, selected image with neighbours", ours=perf_counter() - started)
    shown.locator("body[data-ready]").wait_for()
    all_there = shown.evaluate("() => performance.getEntriesByName('tabs')[0].startTime / 1000")
    bench.figure(f"{figure}, until all tabs are there", ours=all_there)


def _search(bench: Bench, shown: Any, row: int) -> None:
    """Time from pressing the button to the images, for one row after the other."""
    shown.get_by_role("tab", name="Search").click()
    inside, seconds = shown.frame_locator(".tabs-frame"), []
    for place in range(6):
        inside.get_by_label("Like these rows").fill(str(row + place))
        started = perf_counter()
        inside.locator("#search-button").click()
        inside.locator("#search-results button").first.wait_for()
        seconds.append(perf_counter() - started)
        inside.locator("#search-results ul").evaluate("one => one.remove()")  # so that the next one is seen to come
    bench.figure("search from the page", ours=statistics.median(seconds[1:]), first=seconds[0], worst=max(seconds[1:]))
