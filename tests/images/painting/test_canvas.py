"""One image that is painted on: what counts as a change, objects and templates, other processes, kills."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import Dataset, DatasetError, ImageStore, Painting, PaintingSession, Stroke
from veriwild_clustering.images.painting.canvas import Canvas
from veriwild_clustering.images.painting.folder import PaintingFolder
from veriwild_clustering.images.painting.kept import Method

RED, BLUE = (204, 0, 0), (0, 40, 255)
GRAPH = Method("graph")

MOMENTS = {"half written": [RED], "before it counts": [RED], "when it counts": [BLUE, RED]}
DYING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from veriwild_clustering import PaintingSession

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def half(stream, **arrays):
    stream.write(b"PK")
    stream.flush()
    die()

def paint(folder, moment, rename=Path.replace):
    def renamed(self, target):
        if moment == "before it counts":
            die()
        rename(self, target)
        die()

    session = PaintingSession(sys.argv[1], Path(sys.argv[1]) / moment, method="graph", ahead=False)
    session.fill([(2, 2)], (204, 0, 0))
    if moment == "half written":
        np.savez = half
    else:
        Path.replace = renamed
    session.fill([(15, 15)], (0, 40, 255))

for moment in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        paint(Path(sys.argv[1]), moment)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, moment
"""


def scene(*corners: tuple[int, int]) -> np.ndarray:
    """Return a grey image with a striped red square of 10 pixels at each corner."""
    image = np.full((40, 60, 3), 100, np.uint8)
    for x, y in corners:
        image[y : y + 10, x : x + 10] = (200, 20, 20)
        image[y + 2 : y + 4, x + 2 : x + 6] = (220, 60, 60)
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.fromarray(scene((10 + 5 * number, 10))).save(tmp_path / name)
    return tmp_path


def test_a_change_that_changes_nothing_is_none(tmp_path: Path) -> None:
    canvas = Canvas(scene((10, 10)), tmp_path / "a.npz", method=GRAPH)
    assert not canvas.unfill([(2, 2)])
    assert not canvas.can_undo
    assert not (tmp_path / "a.npz").exists()
    assert canvas.fill([(2, 2)], RED)
    assert not canvas.fill([(3, 3)], RED)
    assert (canvas.version, canvas.can_undo, canvas.can_redo) == (1, True, False)


def test_every_state_comes_back_exactly_and_the_method_with_it(tmp_path: Path) -> None:
    canvas = Canvas(scene((10, 10)), tmp_path / "a.npz", method=GRAPH)
    states = [(canvas.painting, canvas.method)]
    for change in (
        lambda: canvas.fill([(2, 2)], RED),
        lambda: canvas.cut([(0, 5), (59, 5)]),
        lambda: canvas.divide(Method("slic", params={"region_size": 8})),
        canvas.reset,
    ):
        assert change()
        states.append((canvas.painting, canvas.method))
    assert states[3][0].mask(RED).sum() == states[2][0].mask(RED).sum()  # divided anew, the paint stays
    assert states[3][0].labels.max() > 10
    for painting, method in states[-2::-1]:
        assert canvas.undo()
        assert canvas.painting.same_as(painting)
        assert canvas.method == method
    for painting, _ in states[1:]:
        assert canvas.redo()
        assert canvas.painting.same_as(painting)
    assert canvas.version == 12
    again = Canvas(scene((10, 10)), tmp_path / "a.npz")
    assert again.painting.same_as(canvas.painting)
    assert (again.version, again.method) == (12, canvas.method)


def test_what_can_be_undone_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veriwild_clustering.images.painting.canvas._MOST_BYTES", 1)
    canvas = Canvas(scene((10, 10)), tmp_path / "a.npz", method=GRAPH)
    for color in (RED, BLUE, RED):
        canvas.fill([(2, 2)], color)
    assert canvas.undo()
    assert not canvas.undo()


def test_what_is_kept_is_damaged_or_of_another_image(tmp_path: Path) -> None:
    canvas = Canvas(scene((10, 10)), tmp_path / "a.npz", method=GRAPH)
    canvas.fill([(2, 2)], RED)
    other = Canvas(scene((10, 10))[:30], tmp_path / "a.npz", method=GRAPH)
    assert (other.version, other.painting.colors, other.painting.paint.shape) == (0, [], (30, 60))
    whole = (tmp_path / "a.npz").read_bytes()
    for data in (b"", whole[:200], whole.replace(b"note.npy", b"mote.npy")):
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(DatasetError, match="cannot be read"):
            Canvas(scene((10, 10)), tmp_path / "a.npz")


def test_another_process_is_noticed(tmp_path: Path) -> None:
    one, other = (Canvas(scene((10, 10)), tmp_path / "a.npz", method=GRAPH) for _ in range(2))
    one.fill([(2, 2)], RED)
    other.refresh()
    assert other.painting.same_as(one.painting)
    other.fill([(12, 12)], BLUE)
    one.refresh()
    assert (one.version, one.painting.colors) == (2, [BLUE, RED])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_kill_leaves_the_stroke_before_or_the_new_one(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(folder), *MOMENTS], check=True)
    for moment, colors in MOMENTS.items():
        session = PaintingSession(folder, folder / moment, method="graph", ahead=False)
        assert session.painting.colors == colors, moment
        session.fill([(15, 15)], RED)
        assert session.painting.colors == [RED]


def test_an_object_is_cut_out_by_a_box_or_strokes(tmp_path: Path) -> None:
    canvas = Canvas(scene((20, 10)), tmp_path / "a.npz", method=GRAPH)
    truth = scene((20, 10))[..., 0] != 100
    before = canvas.painting
    canvas.cut_out(RED, boxes=[(15, 5, 36, 26)])
    np.testing.assert_array_equal(canvas.painting.mask(RED), truth)
    assert len(np.unique(canvas.painting.labels[truth])) == 1
    assert canvas.undo()
    assert canvas.painting.same_as(before)
    strokes = [Stroke(((23, 13), (26, 16)), "foreground", 3), Stroke(((2, 2), (50, 2)), "background", 3)]
    canvas.cut_out(BLUE, strokes=strokes)
    np.testing.assert_array_equal(canvas.painting.mask(BLUE), truth)
    with pytest.raises(ValueError, match="neither"):
        canvas.cut_out(RED)


def test_what_is_painted_becomes_a_template() -> None:
    image = scene((5, 5), (30, 22), (42, 4))
    square = np.zeros((40, 60), dtype=bool)
    square[5:15, 5:15] = True
    painting = Painting.of(np.ones((40, 60), np.int32)).cut_out(square, RED)
    template = painting.template(image, (7, 7))
    painted = painting.stamp(image, template, threshold=0.1, overlapping=False)
    np.testing.assert_array_equal(painted.mask(RED), image[..., 0] != 100)
    smeared = painting.stamp(image, template, threshold=0.1)  # also a pixel beside each square
    assert smeared.mask(RED).sum() > 300
    for point in ((40, 38), (-1, 5), (60, 5)):
        with pytest.raises(ValueError, match="must lie on paint"):
            painting.template(image, point)


def test_the_next_image_is_the_same_whether_it_was_made_ahead(folder: Path) -> None:
    table = pd.DataFrame({"path": ["a.png", "b.png", "c.png"]})
    ahead = PaintingSession(Dataset(table, image_store=ImageStore(folder)), folder / "one", method="kmeans")
    alone = PaintingSession(folder, folder / "two", method="kmeans", ahead=False)
    while alone.next():
        assert ahead.next()
        assert ahead.painting.same_as(alone.painting)
        np.testing.assert_array_equal(ahead.image, alone.image)
    assert not ahead.next()
    ahead.fill([(2, 2)], RED)
    assert [file.name for file in ahead.save()] == ["c_mask_(R_204,G_0,B_0).png"]


def test_no_two_images_share_the_name_of_their_masks(folder: Path) -> None:
    paths = ["a.jpg", "a.png", "a.jpg.png", "b", "b.png", "x.y/c", "x.y/c.d.png"]
    names = [PaintingFolder(ImageStore(folder), paths, folder / "out").stem(path) for path in paths]
    assert names == ["a.jpg", "a.png", "a.jpg.png", "b", "b.png", "c", "c.d"]
    with pytest.raises(DatasetError, match="leaves the folder"):
        PaintingFolder(ImageStore(folder), ["../a.png"], folder / "out").open("../a.png")
