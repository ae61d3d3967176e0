"""`veriwild folders`: sort, look first, go on after a kill, undo, and one line for what cannot be done."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering.apps.cli import main


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "old").mkdir(parents=True)
    for number, path in enumerate(["a.png", "b.png", "old/a.png", "old/d.png"]):
        Image.new("RGB", (40, 30), (60 * number, 90, 120)).save(folder / path)
    (folder / "notes.txt").write_text("note")
    return folder


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    file = tmp_path / "best.csv"
    file.write_text("path,vehicle_id,cluster\na.png,1,7\nold/a.png,1,7\nb.png,2,-1\n")
    return file


def run(*arguments: str | Path) -> int:
    return main(["folders", *map(str, arguments)])


def test_sorted_looked_at_and_undone(
    images: Path, partition: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = [images, out, "--partition", partition, "--transfer", "move"]
    assert run(*asked, "--dry-run") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[2] == "old/a.png -> cluster_7/a_2.png"
    assert "nothing was touched" in shown.out
    assert "1 images are not in" in shown.err
    assert not out.exists()
    assert run(*asked) == 0
    shown = capsys.readouterr()
    assert f"4 images are sorted into {out} (move): 1 groups, 2 outliers" in shown.out
    assert sorted(path.name for path in (out / "outliers").iterdir()) == ["b.png", "d.png"]
    assert (out / "contact_sheets/cluster_7.jpg").exists()
    assert pd.read_csv(out / "not_sorted.csv").to_numpy().tolist() == [["notes.txt", "no image"]]
    assert run(*asked) == 0  # everything is done already
    assert run(images, out, "--undo") == 0
    assert "4 images moved back" in capsys.readouterr().out
    assert not out.exists()
    assert (images / "old/a.png").exists()


def test_names_of_clusters_come_along(images: Path, tmp_path: Path) -> None:
    named = tmp_path / "named.csv"
    named.write_text("path,cluster,cluster_name\na.png,0,taxis\nb.png,1,\nold/a.png,0,taxis\nold/d.png,-1,\n")
    assert run(images, tmp_path / "out", "--partition", named, "--no-contact-sheets") == 0
    table = pd.read_csv(tmp_path / "out/folders.csv", keep_default_na=False)
    assert table["cluster_name"].tolist() == ["taxis", "", "taxis", "outliers"]


def test_images_that_look_alike_come_together(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.linear_gradient("L").save(images / "ramp.png")
    Image.linear_gradient("L").resize((90, 90)).save(images / "old/ramp.png")
    Image.radial_gradient("L").save(images / "disc.png")
    for path in ("a.png", "b.png", "old/a.png", "old/d.png"):
        (images / path).unlink()
    asked = [images, tmp_path / "out", "--method", "phash", "--threshold", "0.9", "--batch-size", "2"]
    assert run(*asked) == 0
    assert "1 groups at similarity 0.9. The threshold was given." in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out/cluster_0").iterdir()) == ["ramp.png", "ramp_2.png"]
    assert [path.name for path in (tmp_path / "out/outliers").iterdir()] == ["disc.png"]


def test_images_that_came_later_are_mentioned(
    images: Path, partition: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(images, tmp_path / "out", "--partition", partition) == 0
    Image.new("RGB", (9, 9)).save(images / "new.png")
    assert run(images, tmp_path / "out", "--partition", partition) == 0
    assert "1 images have come since" in capsys.readouterr().err


def test_plan_that_names_another_folder_is_not_followed(
    images: Path, partition: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [images, tmp_path / "out", "--partition", partition, "--transfer", "move"]
    assert run(*asked) == 0
    plan = tmp_path / "out/.veriwild_folders/plan.jsonl"
    (tmp_path / "home").mkdir()
    plan.write_text(plan.read_text().replace(f'"location": "{images}"', f'"location": "{tmp_path / "home"}"'))
    for command in (asked, [images, tmp_path / "out", "--undo"]):
        assert run(*command) == 2
        assert f"was not sorted from {images} but from {tmp_path / 'home'}" in capsys.readouterr().err
    assert not any((tmp_path / "home").iterdir())


def test_images_of_a_csv_go_back_to_its_folder(images: Path, tmp_path: Path) -> None:
    listed = images / "listed.csv"
    listed.write_text("path\na.png\nold/a.png\n")
    groups = tmp_path / "groups.csv"
    groups.write_text("path,cluster\na.png,0\nold/a.png,0\n")
    assert run(listed, tmp_path / "out", "--partition", groups, "--transfer", "move") == 0
    assert not (images / "a.png").exists()
    assert run(listed, tmp_path / "out", "--undo") == 0
    assert (images / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "in/out", "--partition", "best.csv"], "lies inside"),
        (["in", ".", "--partition", "best.csv"], "is not empty"),
        (["absent", "out"], "does not exist"),
        (["in", "out", "--partition", "in/notes.txt"], "must have the columns `path` and `cluster`"),
        (["in", "out", "--partition", "absent.csv"], "cannot be read as a CSV"),
        (["in", "out", "--partition", "words.csv"], "must hold whole numbers"),
        (["in", "out", "--partition", "others.csv"], "names no image of this folder"),
        (["in", "out", "--undo"], "no sorting that could be undone"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], message: str, images: Path, partition: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("words.csv").write_text("path,cluster\na.png,buses\n")
    Path("others.csv").write_text("path,cluster\nz.png,1\n")
    assert run(*arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not Path("out").exists()


def test_another_command_or_source_is_refused(
    images: Path, partition: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(images, out, "--partition", partition) == 0
    assert run(images, out, "--partition", partition, "--transfer", "hardlink") == 2
    assert "holds another sorting" in capsys.readouterr().err
    assert run(tmp_path, out, "--undo") == 2
    assert "was not sorted from" in capsys.readouterr().err
    assert (out / "cluster_7/a.png").exists()
