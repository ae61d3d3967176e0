"""The page around its frames, in a browser: what is loaded when, addresses, keys, and what is there without WebGL2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from veriwild_clustering import Dataset, Partition, explore
from veriwild_clustering.apps.page.exploring import Explorer
from veriwild_clustering.clustering.editing import rename_cluster

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000  # milliseconds; the machine may be busy
TITLES = ["Map", "Clusters", "Criteria", "Search", "Outliers", "Compare", "Painting"]
# What the frame of the map knew when that of Gradio got its address.
NOTED = """new MutationObserver(() => {
  const map = document.querySelector(".map-frame"), rest = document.querySelector(".tabs-frame");
  if (rest?.src) window.noted ??= map.contentDocument.body.dataset.ready ?? "unpainted";
}).observe(document, { subtree: true, attributes: true, childList: true });"""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"there is no {CHROMIUM}"),
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|copy keyword)"),  # of pandas, in gradio
    pytest.mark.filterwarnings("ignore:Exception ignored in.*gradio"),  # which leaves closing uploads to the collector
]


@pytest.fixture(scope="module")
def explorer(page_dataset: Dataset) -> Iterator[Explorer]:
    labels = Partition([row // 30 for row in range(90)], page_dataset["osnet"], "by 30")
    with explore(page_dataset, labels, descriptor="osnet", umap=False) as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


def expect(locator: Any) -> Any:
    return sync_api.expect(locator)


def tab(page: Any, name: str) -> Any:
    return page.get_by_role("tab", name=name)


def check_shown(page: Any, name: str) -> None:
    """Check that a tab is selected, and that only its panel is there, under its name."""
    expect(page.get_by_role("tab", selected=True)).to_have_text(name, timeout=PATIENCE)
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def test_the_map_is_painted_before_gradio_begins_to_load(page: Any, explorer: Explorer) -> None:
    page.add_init_script(NOTED)
    page.goto(explorer.url)
    page.locator("body[data-ready]").wait_for()
    assert page.evaluate("window.noted") == "yes"
    assert page.get_by_role("tab").all_inner_texts() == TITLES
    check_shown(page, "Map")
    assert page.locator(".painting-frame").get_attribute("src") is None  # nobody has opened it


def test_a_tab_that_is_chosen_first_loads_gradio_at_once(page: Any, explorer: Explorer) -> None:
    page.route("**/api/layouts/**", lambda _: None)  # the map waits for ever
    page.add_init_script(NOTED)
    page.goto(explorer.url)
    tab(page, "Search").click()
    expect(page.locator(".tabs-frame")).to_have_attribute("src", "tabs/")
    check_shown(page, "Search")
    page.frame_locator(".tabs-frame").locator("#search-button").wait_for()
    assert page.evaluate("window.noted") == "unpainted"
    expect(page.get_by_text("Loading …").locator("visible=true")).to_have_count(0)


def test_without_webgl_the_other_tabs_are_loaded(page: Any, explorer: Explorer) -> None:
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more)"
        " { return kind === 'webgl2' ? null : get.call(this, kind, ...more); };"
    )
    page.goto(explorer.url)
    page.frame_locator(".map-frame").get_by_text("no WebGL2").wait_for()
    page.locator("body[data-ready]").wait_for()  # unasked
    tab(page, "Clusters").click()
    page.frame_locator(".tabs-frame").locator("#clusters-list button").first.wait_for()


def test_each_tab_has_an_address(page: Any, explorer: Explorer) -> None:
    page.goto(f"{explorer.url}/#outliers")
    check_shown(page, "Outliers")
    page.frame_locator(".tabs-frame").locator("#outliers-shown li").first.wait_for()
    tab(page, "Search").click()
    tab(page, "Painting").click()
    assert page.url.endswith("#painting")
    page.go_back()
    check_shown(page, "Search")
    page.frame_locator(".tabs-frame").locator("#search-button").wait_for()
    page.go_back()
    check_shown(page, "Outliers")
    page.go_forward()
    check_shown(page, "Search")
    page.reload()
    check_shown(page, "Search")
    page.frame_locator(".tabs-frame").locator("#search-button").wait_for()
    page.evaluate("location.hash = 'nothing'")
    check_shown(page, "Map")


def test_tabs_are_chosen_by_keyboard(page: Any, explorer: Explorer) -> None:
    page.goto(explorer.url)
    page.keyboard.press("Tab")
    for key, name in (
        ("ArrowRight", "Clusters"), ("ArrowLeft", "Map"), ("ArrowLeft", "Painting"), ("ArrowRight", "Map"),
        ("End", "Painting"), ("Home", "Map"), ("ArrowRight", "Clusters"), ("ArrowRight", "Criteria"),
    ):  # fmt: skip
        page.keyboard.press(key)
        expect(tab(page, name)).to_be_focused()
        check_shown(page, "Map")  # moving alone opens nothing
        assert page.locator("[role=tab][tabindex='0']").all_inner_texts() == [name]
    assert tab(page, "Criteria").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    check_shown(page, "Criteria")


def test_a_tab_is_brought_up_to_date_whenever_it_is_opened(page: Any, explorer: Explorer) -> None:
    page.goto(f"{explorer.url}/#clusters")
    inside = page.frame_locator(".tabs-frame")
    expect(inside.locator("#clusters-list strong").first).to_have_text("cluster 0", timeout=PATIENCE)
    library, space = explorer.workspace.library, explorer.workspace.dataset["osnet"]
    [name] = library.names()
    library.save(name, rename_cluster(library.read(name, space), 0, "from elsewhere"), base=1)
    tab(page, "Map").click()
    tab(page, "Clusters").click()
    expect(inside.locator("#clusters-list")).to_contain_text("from elsewhere", timeout=PATIENCE)


def test_alone_gradio_shows_a_bar_of_its_own(page: Any, explorer: Explorer) -> None:
    page.goto(explorer.url)
    page.locator("body[data-ready]").wait_for()
    tab(page, "Search").click()
    expect(page.frame_locator(".tabs-frame").get_by_role("tab")).to_have_count(0)  # one bar is enough
    page.goto(f"{explorer.url}/tabs/")
    expect(page.get_by_role("tab")).to_have_text(TITLES[1:-1])
    tab(page, "Clusters").click()
    page.locator("#clusters-list img").first.wait_for()


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_only_frames_scroll(page: Any, explorer: Explorer, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(explorer.url)
    page.locator("body[data-ready]").wait_for()
    for name in TITLES:
        tab(page, name).click()
        assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [*size]
        box = page.locator("iframe:visible").bounding_box()
        assert (box["width"], box["y"] + box["height"]) == size
        expect(tab(page, name)).to_be_in_viewport(ratio=1)


def test_the_page_needs_no_script_to_say_what_it_shows(explorer: Explorer) -> None:
    sent = httpx.get(explorer.url)
    assert sent.headers["content-type"].startswith("text/html")
    assert "90 images. Squares for tests." in sent.text
    assert httpx.head(explorer.url).status_code == 200
