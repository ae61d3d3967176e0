"""The page in a browser: each tab is driven as a person would, and nothing is asked of another machine."""

from __future__ import annotations

import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from gradio.utils import get_upload_folder

from veriwild_clustering import Dataset, Partition, explore, extract
from veriwild_clustering.apps.page.exploring import Explorer
from veriwild_clustering.apps.page.server.application import create_app
from veriwild_clustering.apps.page.workspace import Workspace

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

CHROMIUM = Path("/usr/bin/chromium")
FRAMES = {  # of each tab, its frame and what is there once it is shown
    "Map": (".map-frame", "body[data-ready]"),
    "Clusters": (".tabs-frame", "#clusters-list button"),
    "Criteria": (".tabs-frame", "#criteria-button"),
    "Search": (".tabs-frame", "#search-button"),
    "Outliers": (".tabs-frame", "#outliers-shown li"),
    "Compare": (".tabs-frame", "#compare-figures .chart img"),
    "Painting": (".painting-frame", "body[data-ready]"),
}
WORD = "open sesame"
PATIENCE = 60_000  # milliseconds; the machine may be busy

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"there is no {CHROMIUM}"),
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|copy keyword)"),  # of pandas, in gradio
    pytest.mark.filterwarnings("ignore:Exception ignored in.*gradio"),  # which leaves closing uploads to the collector
]


@pytest.fixture(scope="module")
def dataset(page_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The small dataset with a descriptor that needs no weights, so that new images can be searched."""
    made = extract(
        (page_dataset.image_store, page_dataset.images["path"].tolist()), ["lab-histogram"],
        folder=tmp_path_factory.mktemp("vectors"), progress=False,
    )  # fmt: skip
    return replace(page_dataset, descriptors={**page_dataset.descriptors, **made.descriptors})


@pytest.fixture(scope="module")
def explorer(dataset: Dataset) -> Iterator[Explorer]:
    space = dataset["osnet"]
    partitions = [Partition([row // size for row in range(90)], space, f"by {size}") for size in (30, 18)]
    with explore(dataset, partitions, descriptor="osnet", umap=False) as opened:
        yield opened


@pytest.fixture
def page(browser: Any, explorer: Explorer, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, open; fails afterwards if anything left this machine or complained."""
    width = getattr(request, "param", 1280)
    opened = browser.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(PATIENCE)
    trouble: list[str] = []
    opened.on("request", lambda sent: is_ours(sent.url, explorer.url) or trouble.append(sent.url))
    opened.on("console", lambda told: told.type == "error" and trouble.append(told.text))
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.goto(explorer.url)
    yield opened
    opened.close()
    assert not trouble


def is_ours(address: str, url: str) -> bool:
    return address.startswith((url, "data:", "blob:"))


def open_tab(page: Any, name: str) -> Any:
    """Choose a tab and return the frame that it shows, with something in it."""
    page.get_by_role("tab", name=name).click()
    frame, first = FRAMES[name]
    inside = page.frame_locator(frame)
    inside.locator(first).first.wait_for()
    return inside


def look_for(inside: Any) -> None:
    inside.locator("#search-button").click()
    inside.get_by_text(re.compile(r"\d+ images in \d+ ms")).wait_for()


def test_a_click_on_the_map_shows_the_image_and_its_neighbors(page: Any) -> None:
    inside = open_tab(page, "Map")
    assert inside.locator("#marks").get_attribute("data-drawn") == "90"
    assert page.locator(".map-frame").bounding_box()["width"] > 1100  # of 1280, however short the texts are
    inside.locator("#closer").click()
    inside.locator("#marks").focus()
    page.keyboard.press("Enter")  # the image nearest to the middle
    inside.locator(".card dt", has_text="row").first.wait_for()
    assert inside.locator(".neighbors button").count() == 9
    row = inside.locator(".card dd").first.inner_text()
    inside.locator(".neighbors button").first.click()
    sync_api.expect(inside.locator(".card dd").first).not_to_have_text(row)


def test_the_map_is_coloured_by_a_column_and_values_are_hidden(page: Any) -> None:
    inside = open_tab(page, "Map")
    inside.locator("#by").select_option(label="type")
    inside.locator(".legend label", has_text="sedan").wait_for()
    assert inside.locator(".legend em").all_inner_texts() == ["45", "30", "15"]
    inside.locator("#none").click()
    assert inside.locator(".legend input:checked").count() == 0
    inside.locator("#by").select_option(label="width")
    inside.locator(".ramp").wait_for()
    inside.locator("#layout").select_option(label="PCA, 3 dimensions")
    sync_api.expect(inside.locator("#help")).to_contain_text("turn")


def test_without_webgl_the_map_says_so(browser: Any, explorer: Explorer) -> None:
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(f"{explorer.url}/map/map.html")
    sync_api.expect(page.get_by_text("no WebGL2")).to_be_visible(timeout=PATIENCE)
    page.close()


def test_correcting_makes_versions_and_an_old_one_is_explained(page: Any, dataset: Dataset, explorer: Explorer) -> None:
    inside = open_tab(page, "Clusters")
    inside.get_by_text("Correct it by hand").click()
    name_box = inside.get_by_label("Name of the cluster")
    sync_api.expect(name_box).to_have_value("cluster 0", timeout=PATIENCE)  # what is typed before is written over
    name_box.fill("<i>red</i> & old")
    sync_api.expect(name_box).to_have_value("<i>red</i> & old")
    inside.get_by_role("button", name="Rename").click()
    inside.locator("#clusters-detail h2", has_text="<i>red</i> & old").wait_for()  # as text, not as markup
    inside.get_by_text("this is version 2").wait_for()

    library = explorer.workspace.library
    (name,) = [name for name in library.names() if name.startswith("by-30")]
    current = library.read(name, dataset["osnet"])
    assert current.cluster_name(0) == "<i>red</i> & old"
    library.save(name, current, base=2)  # somebody else
    inside.get_by_label("Merge it with").click()
    inside.get_by_role("option").first.click()
    inside.get_by_role("button", name="Merge", exact=True).click()
    inside.get_by_text("Make your correction again").wait_for()
    inside.get_by_label("Merge it with").click()
    inside.get_by_role("option").first.click()
    inside.get_by_role("button", name="Merge", exact=True).click()
    inside.get_by_text("this is version 4").wait_for()
    assert library.read(name, dataset["osnet"]).sizes.tolist() == [60, 29]  # row 89 has no vector

    inside.locator("#clusters-images button").first.click()
    inside.locator("#clusters-images li.chosen").wait_for()
    inside.get_by_role("button", name="Mark as outliers").click()
    inside.get_by_text("this is version 5").wait_for()
    assert library.read(name, dataset["osnet"]).noise_fraction == pytest.approx(2 / 90)


def test_exports_are_those_of_the_library(page: Any) -> None:
    inside = open_tab(page, "Clusters")
    with page.expect_download() as waiting:
        inside.get_by_role("link", name="Partition as CSV").click()
    lines = Path(waiting.value.path()).read_text().splitlines()
    assert lines[0].startswith("path,vehicle_id,cluster,")  # then the names, where somebody gave some
    assert lines[0].endswith("confidence,is_outlier,outlier_score,outlier_reason")
    assert len(lines) == 91


def test_search_by_row_with_weights_and_a_filter(page: Any) -> None:
    inside = open_tab(page, "Search")
    assert "clip-vit-b-32" in inside.get_by_text("Words can be compared").inner_text()
    inside.locator("#search-button").click()
    sync_api.expect(inside.get_by_text("Nothing has been looked for yet")).to_have_count(2)  # the warning has come
    inside.get_by_label("Like these rows").fill("3, x")
    inside.locator("#search-button").click()
    inside.get_by_text("must be numbers of rows").wait_for()

    inside.get_by_label("Like these rows").fill("3")
    inside.get_by_role("spinbutton", name="Weight of color_model").fill("0.5")
    page.keyboard.press("Tab")
    inside.get_by_role("button", name="Filters").click()
    inside.locator("#filter-type input").click()
    inside.get_by_role("option", name="truck").click()
    inside.get_by_label("to", exact=True).fill("110")  # without its column
    inside.locator("#search-button").click()
    inside.get_by_text("Choose the column of numbers").wait_for()
    inside.get_by_label("Numbers of").click()
    inside.get_by_role("option", name="width").click()
    look_for(inside)
    rows = inside.locator("#search-results button").evaluate_all("all => all.map(one => Number(one.dataset.value))")
    assert sorted(rows) == list(range(75, 81))  # trucks of up to 110 pixels
    assert "from color_model" in inside.locator("#search-results li").first.inner_text()


def test_search_by_an_upload_and_on_from_there(page: Any, dataset: Dataset) -> None:
    inside = open_tab(page, "Search")
    inside.locator("#search-image input[type=file]").set_input_files(dataset.image_store.location / "080.jpg")
    inside.locator("#search-image img").wait_for()
    inside.locator("#search-button").click()
    inside.get_by_text("nothing says which model made it").wait_for()  # osnet was brought along
    for name, weight in (("osnet", "0"), ("lab-histogram", "1")):
        inside.get_by_role("spinbutton", name=f"Weight of {name}").fill(weight)
        page.keyboard.press("Tab")
    look_for(inside)
    assert stat.S_IMODE(Path(get_upload_folder()).stat().st_mode) == 0o700  # uploads are for nobody else
    first = inside.locator("#search-results button").first
    assert int(first.get_attribute("data-value")) in range(75, 89)  # the blue ones
    first.click()
    sync_api.expect(inside.get_by_label("Like these rows")).to_have_value(re.compile(r"\d+"))


def test_a_token_opens_the_page_and_what_is_in_it(browser: Any, workspace: Workspace) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(workspace, token=WORD), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    for given in ("sesame", WORD):
        page.get_by_label("Token").fill(given)
        page.keyboard.press("Enter")
        if given != WORD:
            page.get_by_role("alert").get_by_text("This is not the token.").wait_for()
    assert open_tab(page, "Map").locator("#marks").get_attribute("data-drawn") == "90"
    inside = open_tab(page, "Clusters")
    sync_api.expect(inside.locator("#clusters-images img").first).to_have_js_property("complete", value=True)
    page.close()
    server.should_exit = True
    thread.join()


def test_outliers_have_reasons_and_can_be_filtered(page: Any) -> None:
    inside = open_tab(page, "Outliers")
    shown = inside.locator("#outliers-shown li")
    assert "score" in inside.locator("#outliers-shown").inner_text()
    shown.first.locator("button").click()
    inside.locator("#outliers-detail dt", has_text="vehicle id").wait_for()
    inside.get_by_label("Reason").click()
    choice = inside.get_by_role("option").nth(1)
    n_images = int(re.search(r"\((\d+)\)", choice.inner_text())[1])
    choice.click()
    sync_api.expect(shown).to_have_count(min(n_images, 24))


def test_partitions_are_compared(page: Any) -> None:
    inside = open_tab(page, "Compare")
    inside.locator("#compare-first input").click()
    inside.get_by_role("option", name="by 30").last.click()
    inside.locator("#compare-second input").click()
    inside.get_by_role("option", name="by 18").last.click()
    inside.get_by_text("clusters 0 (60 %) and 1 (40 %)").first.wait_for()
    assert inside.locator("#compare-figures .chart img").get_attribute("alt")


def test_criteria_in_words_become_a_partition_of_all_tabs(page: Any) -> None:
    inside = open_tab(page, "Criteria")
    inside.get_by_text("Nothing has been asked for yet").wait_for()
    assert inside.locator("#criteria-cap:visible").count() == 0  # no endpoint, no limits of one
    inside.locator("#criteria-button").click()
    inside.get_by_text("Say first by what").wait_for()
    inside.locator("#criteria-words textarea").fill("body of the vehicle")
    inside.locator("#criteria-button").click()
    inside.get_by_text("Nothing that is measured tells “body of the vehicle”").wait_for()
    inside.get_by_role("button", name="More").locator("visible=true").click()
    inside.get_by_label("Column that says it").click()
    inside.get_by_role("option", name="type", exact=True).click()
    inside.locator("#criteria-estimate").click()
    inside.get_by_text("Nothing is sent").wait_for()
    inside.locator("#criteria-button").click()
    inside.get_by_text("sedan: 45 images, 50 %").wait_for()
    assert "1 without a vector" in inside.locator("#criteria-found").inner_text()
    assert inside.locator("#criteria-found table tbody tr").count() == 4
    open_tab(page, "Clusters")
    inside.locator("#clusters-partition input").click()
    inside.get_by_role("option", name="body of the vehicle").click()
    inside.locator("#clusters-detail h2", has_text="sedan").wait_for()
    open_tab(page, "Map")
    sync_api.expect(open_tab(page, "Map").locator("#by")).to_contain_text("body of the vehicle")


def test_every_control_is_reached_by_keyboard_and_every_image_has_words(page: Any) -> None:
    for name in FRAMES:
        inside = open_tab(page, name)
        assert inside.locator("img:visible:not([alt]), img[alt='']:visible").count() == 0
        nameless = inside.locator("button:visible").evaluate_all(
            "all => all.filter(one => !(one.innerText.trim() || one.ariaLabel || one.title)).map(one => one.outerHTML)"
        )
        assert nameless == []
    reached = set()
    page.goto(f"{page.url.partition('#')[0]}map/map.html")
    page.locator("body[data-ready]").wait_for()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.type"))
    assert {"marks", "closer", "farther", "reset", "layout", "by", "all", "none", "checkbox"} <= reached


@pytest.mark.parametrize("page", [400], indirect=True)
def test_nothing_is_wider_than_a_small_screen(page: Any) -> None:
    for name in FRAMES:
        inside = open_tab(page, name)
        for shown in (page.locator("html"), inside.locator("html")):
            assert shown.evaluate("one => one.scrollWidth") <= 400, name
