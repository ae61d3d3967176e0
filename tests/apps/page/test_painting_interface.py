"""The tab of painting in a browser: mouse, keys and fingers, and what they paint is there when it is opened again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import Dataset, Descriptor, ImageStore, Painting, Partition, explore, segment
from veriwild_clustering.apps.page.exploring import Explorer

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000  # milliseconds; the machine may be busy
RED, BLACK = (204, 0, 0), (0, 0, 0)
FIRST, SECOND = (20, 20), (90, 70)  # where the same vehicle stands twice
SIZE = (160, 120)

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"there is no {CHROMIUM}"),
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|copy keyword)"),  # of pandas, in gradio
    pytest.mark.filterwarnings("ignore:Exception ignored in.*gradio"),  # which leaves closing uploads to the collector
]


def scene() -> np.ndarray:
    image = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
    for x, y in (FIRST, SECOND):
        image[y : y + 30, x : x + 50] = (30, 60, 190)
        image[y + 4 : y + 12, x + 8 : x + 40] = (220, 230, 240)
    return image


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    """Ten times the same image: each test paints on rows of its own."""
    folder = tmp_path_factory.mktemp("painted")
    for row in range(10):
        Image.fromarray(scene()).save(folder / f"{row}.png")
    space = Descriptor("osnet", np.random.default_rng(0).normal(size=(10, 3)))
    table = pd.DataFrame({"path": [f"{row}.png" for row in range(10)]})
    dataset = Dataset(table, {"osnet": space}, ImageStore(folder), origin="The same two vehicles, ten times.")
    partition = Partition([0, 1] * 5, space, "by hand")
    with explore(dataset, partition, folder=folder / "app", umap=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture
def trouble() -> Iterator[list[str]]:
    """What left this machine or complained; there must be none in the end."""
    found: list[str] = []
    yield found
    assert not found


@pytest.fixture
def page(browser: Any, explorer: Explorer, trouble: list[str], request: pytest.FixtureRequest) -> Iterator[Any]:
    options = getattr(request, "param", {"viewport": {"width": 1280, "height": 900}})
    context = browser.new_context(**options)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.on("request", lambda sent: sent.url.startswith((explorer.url, "data:", "blob:")) or trouble.append(sent.url))
    opened.on("console", lambda told: told.type == "error" and "409" not in told.text and trouble.append(told.text))
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.goto(explorer.url)
    yield opened
    context.close()


def opened(page: Any, row: int | None = None) -> Any:
    """Open the tab and return its frame, with an image in it."""
    page.get_by_role("tab", name="Painting").click()
    frame = page.frame_locator(".painting-frame")
    frame.locator("body[data-ready]").wait_for()
    if row is not None:
        frame.locator("#row").fill(str(row))
        frame.locator("#row").press("Enter")
        frame.locator(f"#canvas[data-row='{row}']").wait_for()
        frame.locator("body[data-busy=no]").wait_for()
    frame.locator("#canvas").focus()
    return frame


def place(frame: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the image is on the page."""
    canvas = frame.locator("#canvas")
    box = canvas.bounding_box()
    left, top, scale = (float(canvas.get_attribute(f"data-{name}")) for name in ("x", "y", "scale"))
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


def told(frame: Any, text: str) -> None:
    sync_api.expect(frame.locator("#said")).to_contain_text(text, timeout=PATIENCE)


def at_rest(frame: Any, version: int) -> None:
    sync_api.expect(frame.locator("#canvas")).to_have_attribute("data-version", str(version), timeout=PATIENCE)
    frame.locator("body[data-busy=no]").wait_for()


def wait_until(page: Any, script: str) -> None:
    """Wait until something holds in the frame."""
    [frame] = [one for one in page.frames if "painting.html" in one.url]
    frame.wait_for_function(script, timeout=PATIENCE)


def drag(page: Any, frame: Any, *points: tuple[float, float]) -> None:
    page.mouse.move(*place(frame, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(frame, *point), steps=5)
    page.mouse.up()


def painted(explorer: Explorer, row: int) -> Painting:
    with explorer.workspace.paintings.held(row) as canvas:
        return canvas.painting


def test_the_mouse_fills_unfills_cuts_and_undoes(page: Any, explorer: Explorer) -> None:
    frame = opened(page, 0)
    new = Painting.of(segment(scene(), "slic"))
    page.mouse.click(*place(frame, 5, 5))
    at_rest(frame, 1)
    told(frame, "Filled with red")
    drag(page, frame, (5, 100), (60, 100))
    at_rest(frame, 2)
    filled = new.fill([(5, 5)], RED).fill([(5, 100), (60, 100)], RED)
    assert painted(explorer, 0).same_as(filled)
    page.mouse.click(*place(frame, 5, 5), button="right")
    at_rest(frame, 3)
    assert painted(explorer, 0).same_as(filled.unfill([(5, 5)]))
    for x in (3, 150):
        page.mouse.click(*place(frame, x, 60), button="middle")
    at_rest(frame, 4)
    assert painted(explorer, 0).same_as(filled.unfill([(5, 5)]).cut([(3, 60), (150, 60)]))
    page.keyboard.press("z")
    page.keyboard.press("z")
    at_rest(frame, 6)
    assert painted(explorer, 0).same_as(filled)
    page.keyboard.press("y")
    at_rest(frame, 7)
    page.keyboard.press("r")
    told(frame, "Reset")
    assert painted(explorer, 0).same_as(new)
    assert frame.locator("#painted li").count() == 0


def test_continuous_painting_goes_on_until_a_double_click(page: Any, explorer: Explorer) -> None:
    frame = opened(page, 1)
    page.mouse.dblclick(*place(frame, 5, 5))
    frame.get_by_text("continuous filling").first.wait_for()
    page.mouse.move(*place(frame, 150, 5), steps=30)
    page.mouse.move(*place(frame, 150, 110), steps=30)
    expected = Painting.of(segment(scene(), "slic")).fill([(5, 5), (150, 5), (150, 90)], RED).mask(RED)
    for _ in range(200):
        if painted(explorer, 1).mask(RED)[expected].mean() > 0.9:  # a segment that was only grazed may be missing
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("The pointer has not painted what it went over.")
    page.keyboard.press("Escape")
    sync_api.expect(frame.locator("#mode")).to_be_hidden()
    page.mouse.move(*place(frame, 80, 60), steps=5)
    frame.locator("body[data-busy=no]").wait_for()
    assert not painted(explorer, 1).mask(RED)[60, 80]


def test_an_object_is_cut_out_becomes_a_template_and_is_saved(page: Any, explorer: Explorer, browser: Any) -> None:
    frame = opened(page, 3)
    assert "SAM needs" in frame.locator("#by option[value=sam]").get_attribute("title")
    page.keyboard.press("b")
    drag(page, frame, (15, 15), (75, 55))
    told(frame, "A box around the object")
    page.keyboard.press("e")
    at_rest(frame, 1)
    vehicles = scene()[..., 0] != 110
    first = vehicles & (np.indices(vehicles.shape)[1] < 80)
    np.testing.assert_array_equal(painted(explorer, 3).mask(RED), first)
    page.keyboard.press("t")
    told(frame, "it becomes the template")
    page.mouse.click(*place(frame, 25, 40))
    told(frame, "found at 2 places")
    page.keyboard.press("t")
    at_rest(frame, 2)
    np.testing.assert_array_equal(painted(explorer, 3).mask(RED), vehicles)
    page.keyboard.press(" ")  # saves and goes on, with the template
    told(frame, "Saved 3_mask_(R_204,G_0,B_0).png")
    sync_api.expect(frame.locator("#pattern")).to_contain_text("2 found here")
    assert frame.locator("#row").input_value() == "4"
    file = explorer.workspace.folder / "paintings" / "3_mask_(R_204,G_0,B_0).png"
    np.testing.assert_array_equal(np.asarray(Image.open(file)) == 255, vehicles)
    page.keyboard.press("t")
    at_rest(frame, 1)
    page.reload()
    frame = opened(page)
    assert frame.locator("#canvas").get_attribute("data-row") == "4"
    assert "red" in frame.locator("#painted").inner_text()
    page.keyboard.press("p")
    told(frame, "3.png")
    at_rest(frame, 2)
    with page.expect_download() as waiting:
        frame.locator("#masks").click()
    assert waiting.value.suggested_filename == "masks-3.zip"


def test_the_keyboard_alone_paints(page: Any, explorer: Explorer) -> None:
    frame = opened(page, 5)
    reached = []
    for _ in range(10):  # back over the tools, and to the canvas again
        page.keyboard.press("Shift+Tab")
        reached.append(frame.locator(":focus").evaluate("one => one.dataset.tool || one.dataset.do"))
    assert reached == ["help", "reset", "move", "template", "background", "foreground", "box", "cut", "unfill", "fill"]
    for _ in range(10):
        page.keyboard.press("Tab")
    page.keyboard.press("9")  # black
    page.keyboard.press("Enter")
    at_rest(frame, 1)
    middle = (SIZE[0] // 2, SIZE[1] // 2)
    new = Painting.of(segment(scene(), "slic"))
    assert painted(explorer, 5).same_as(new.fill([middle], BLACK))
    for key in ("c", "ArrowLeft", "Enter", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    at_rest(frame, 2)
    cut = new.fill([middle], BLACK).cut([(middle[0] - 4, middle[1]), (middle[0] + 4, middle[1] + 1)])
    assert painted(explorer, 5).same_as(cut)
    page.keyboard.press("?")
    frame.get_by_role("heading", name="Keys and buttons").wait_for()
    page.keyboard.press("n")  # means nothing while the keys are shown
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    told(frame, "Segments in colours")
    page.keyboard.press("q")
    frame.get_by_text("Painting is closed").first.wait_for()
    page.keyboard.press("z")  # nor while it is closed
    page.keyboard.press("Enter")  # the button that opens it again
    told(frame, "Painting goes on")
    page.keyboard.press("n")
    told(frame, "6.png")
    assert painted(explorer, 5).same_as(cut)
    assert "6.png" in frame.locator("#canvas").get_attribute("aria-label")


def test_another_painter_is_noticed(page: Any, explorer: Explorer) -> None:
    frame = opened(page, 7)
    with explorer.workspace.paintings.held(7) as canvas:
        canvas.fill([(150, 5)], BLACK)
    page.mouse.click(*place(frame, 5, 5))
    told(frame, "Somebody else has painted here")
    assert "black" in frame.locator("#painted").inner_text()
    page.mouse.click(*place(frame, 20, 5))  # elsewhere: two clicks on one place are a double click on a fast machine
    at_rest(frame, 2)
    assert painted(explorer, 7).colors == [BLACK, RED]


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_fingers_paint_and_two_of_them_zoom(page: Any, explorer: Explorer) -> None:
    frame = opened(page, 8)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    frame.locator("#canvas").scroll_into_view_if_needed()
    page.touchscreen.tap(*place(frame, 5, 5))
    at_rest(frame, 1)
    new = Painting.of(segment(scene(), "slic"))
    assert painted(explorer, 8).same_as(new.fill([(5, 5)], RED))
    before = float(frame.locator("#canvas").get_attribute("data-scale"))
    fingers = page.context.new_cdp_session(page)
    (x0, y0), (x1, y1) = place(frame, 40, 60), place(frame, 120, 60)
    for kind, points in (
        ("touchStart", [(x0, y0)]),
        ("touchStart", [(x0, y0), (x1, y1)]),
        ("touchMove", [(x0 - 30, y0), (x1 + 30, y1)]),
        ("touchEnd", []),
    ):
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    wait_until(page, f"document.querySelector('#canvas').dataset.scale > {1.1 * before}")
    frame.locator("[data-do=fit]").tap()
    frame.locator("[data-tool=unfill]").tap()
    page.touchscreen.tap(*place(frame, 5, 5))
    at_rest(frame, 2)  # two fingers painted nothing
    assert painted(explorer, 8).same_as(new)
