"""Painting: undo restores exactly, what is saved comes back, masks and COCO's JSON hold the same pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from veriwild_clustering import DatasetError, Painting, PaintingSession, Template
from veriwild_clustering.images.painting.masks import mask_name, read_masks, write_masks
from veriwild_clustering.images.painting.templates import find_template

RED, BLACK, BLUE = (204, 0, 0), (0, 0, 0), (0, 40, 255)
LABELS = np.repeat(np.repeat(np.arange(1, 13, dtype=np.int32).reshape(3, 4), 6, axis=0), 6, axis=1)
POINTS = st.lists(st.tuples(st.integers(-3, 27), st.integers(-3, 20)), min_size=1, max_size=3)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), POINTS, st.sampled_from([RED, BLACK, BLUE])),
        st.tuples(st.just("unfill"), POINTS),
        st.tuples(st.just("cut"), POINTS),
    ),
    max_size=6,
)


def states(actions: list[tuple]) -> list[Painting]:
    found = [Painting.of(LABELS)]
    for name, *arguments in actions:
        found.append(getattr(found[-1], name)(*arguments))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.png", "a.jpg"):
        pixels = np.full((30, 40, 3), 100, np.uint8)
        pixels[10:20, 10:30] = (200, 20, 20)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def decoded(annotation: dict, size: tuple[int, int]) -> np.ndarray:
    """Decode run lengths, or rasterise polygons pixel by pixel with exact arithmetic."""
    shape = annotation["segmentation"]
    if isinstance(shape, dict):
        values = np.concatenate([np.full(count, place % 2) for place, count in enumerate(shape["counts"])])
        return values.reshape(shape["size"][::-1]).T.astype(bool)
    mask = np.zeros(size, dtype=bool)
    for polygon in shape:
        corners = list(zip(polygon[::2], polygon[1::2], strict=True))
        for y in range(size[0]):
            for x in range(size[1]):
                crossed = False
                for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
                    if (2 * y0 > 2 * y + 1) != (2 * y1 > 2 * y + 1):
                        crossed ^= 2 * x + 1 < 2 * x0 + (2 * y + 1 - 2 * y0) * (x1 - x0) / (y1 - y0)
                mask[y, x] |= crossed
    return mask


@settings(max_examples=30, deadline=None)
@given(ACTIONS)
def test_states_never_change_and_paint_lies_on_segments_alone(actions: list[tuple]) -> None:
    once, again = states(actions), states(actions)
    assert all(one.same_as(other) for one, other in zip(once, again, strict=True))
    assert once[0].same_as(Painting.of(LABELS))
    assert not once[-1].mask(RED)[once[-1].labels == 0].any()


@settings(max_examples=20, deadline=None)
@given(ACTIONS)
def test_masks_bring_the_paint_back(tmp_path_factory: pytest.TempPathFactory, actions: list[tuple]) -> None:
    folder, painting = tmp_path_factory.mktemp("masks"), states(actions)[-1]
    for colons in (False, True):
        files = write_masks(folder, "a", painting, colons=colons)
        assert sorted(folder.iterdir()) == sorted(files)
        assert read_masks(folder, "a", painting.labels).same_as(painting)


def test_a_stroke_fills_every_segment_it_touches_and_a_cut_parts_one() -> None:
    painting = Painting.of(LABELS).fill([(2, 2), (20, 2)], RED)
    assert set(np.unique(LABELS[painting.mask(RED)])) == {1, 2, 3, 4}
    cut = Painting.of(np.ones((9, 9), np.int32)).cut([(0, 0), (8, 8)])
    assert set(np.unique(cut.labels)) == {0, 1, 2}
    assert cut.fill([(8, 0)], BLACK).mask(BLACK).sum() == (cut.labels == cut.labels[0, 8]).sum()


@pytest.mark.parametrize("n_actions", [1, 4])
def test_undo_redo_and_reset(folder: Path, n_actions: int) -> None:
    session = PaintingSession(folder, folder / "out", method="graph")
    seen = [session.painting]
    for place in range(n_actions):
        (session.fill([(2, 2)], RED), session.cut([(0, place), (39, 29)]))[place % 2 if place else 0]
    while session.undo():
        pass
    assert session.painting.same_as(seen[0])
    assert not session.undo()
    assert session.redo()
    session.reset()
    assert session.painting.same_as(seen[0])
    assert not session.redo()


def test_what_is_painted_outlives_the_session(folder: Path) -> None:
    session = PaintingSession(folder, folder / "out", method="graph")
    assert session.paths == ["a.jpg", "a.png", "b.png"]
    session.fill([(20, 15)], BLACK)
    session.cut([(0, 5), (39, 5)])
    painted = session.painting
    assert session.next()
    session.fill([(2, 2)], BLUE)
    again = PaintingSession(folder, folder / "out", method="graph")
    assert again.painting.same_as(painted)
    assert again.next()
    assert again.painting.colors == [BLUE]
    assert again.previous()
    assert not again.previous()
    assert [file.name for file in again.save()] == [mask_name("a.jpg", BLACK)]


@pytest.mark.parametrize("form", ["rle", "polygons"])
def test_coco_holds_the_same_pixels(folder: Path, form: str) -> None:
    session = PaintingSession(folder, folder / "out", method="graph")
    session.fill([(20, 15)], BLACK)
    session.fill([(2, 2)], RED)  # around it: a region with a hole
    session.save_coco(folder / "coco.json", names={BLACK: "vehicle"}, form=form)
    content = json.loads((folder / "coco.json").read_text())
    colors = {one["id"]: tuple(one["color"]) for one in content["categories"]}
    assert {one["name"] for one in content["categories"]} == {"vehicle", "R_204,G_0,B_0"}
    assert len(content["annotations"]) == 2
    for annotation in content["annotations"]:
        mask = session.painting.mask(colors[annotation["category_id"]])
        np.testing.assert_array_equal(decoded(annotation, (30, 40)), mask)
        assert annotation["area"] == mask.sum()


def test_template_is_found_and_painted() -> None:
    image = np.random.default_rng(0).integers(0, 90, (40, 50, 3)).astype(np.uint8)
    shape = np.zeros((6, 8, 3), np.uint8)
    shape[1:5, 1:7] = np.random.default_rng(1).integers(100, 255, (4, 6, 3))
    for x, y in ((5, 7), (30, 20)):
        image[y + 1 : y + 5, x + 1 : x + 7] = shape[1:5, 1:7]
    paint = np.zeros((6, 8, 3), np.uint8)
    paint[1:5, 1:7] = RED
    template = Template(shape, paint)
    assert template.counted.sum() == template.shown.sum() == 24  # the black border counts for nothing
    assert sorted(find_template(image, template, threshold=1e-4)) == [(5, 7), (30, 20)]
    assert find_template(image, template)[0] in {(5, 7), (30, 20)}
    painted = Painting.of(np.ones((40, 50), np.int32)).stamp(image, template, threshold=1e-4)
    assert painted.mask(RED).sum() == 48
    assert find_template(image[:4], template) == []
    black = Template(shape, np.zeros_like(paint), mask=template.shown)
    assert Painting.of(np.ones((40, 50), np.int32)).stamp(image, black).mask(BLACK).sum() == 24


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.7, 1.0]))
def test_places_of_a_template_are_those_of_brute_force(seed: int, share: float) -> None:
    """Normalised squared differences in float64, place by place, over the pixels that count."""
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 255, (14, 17, 3)).astype(np.uint8)
    shape = image[4:9, 6:12].copy()
    shape[2, 3] = 255 - shape[2, 3]
    counted = rng.random(shape.shape[:2]) < share
    counted[0, 0] = True
    template = Template(shape, shape, attention=counted if share < 1 else None)
    errors = np.empty((14 - 5 + 1, 17 - 6 + 1))
    for y, x in np.ndindex(errors.shape):
        part, whole = image[y : y + 5, x : x + 6][counted].astype(float), shape[counted].astype(float)
        errors[y, x] = ((part - whole) ** 2).sum() / np.sqrt((part**2).sum() * (whole**2).sum())
    order = np.argsort(-errors.ravel())
    y, x = np.unravel_index(order, errors.shape)
    expected = list(zip(x.tolist(), y.tolist(), strict=True))
    threshold = float(np.sort(errors.ravel())[40:42].mean())  # between two errors
    assert find_template(image, template) == expected[-1:] == [(6, 4)]
    assert set(find_template(image, template, threshold=threshold)) == set(expected[-41:])
    assert find_template(image, template, threshold=threshold)[-1] == (6, 4)


def test_broken_files_are_told(folder: Path) -> None:
    (folder / "c.png").write_bytes(b"no image")
    session = PaintingSession(folder, folder / "out", method="graph")
    with pytest.raises(DatasetError, match=r"'c\.png' cannot be read"):
        session.open(3)
    assert session.position == 0
