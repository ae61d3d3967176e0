"""The command that shows and downloads networks, and the options that other commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from veriwild_clustering import DatasetError
from veriwild_clustering.apps.cli import main
from veriwild_clustering.apps.networks.options import add_model_options, models_from
from veriwild_clustering.images.models.catalog import MODELS
from veriwild_clustering.images.models.record import Model


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_model_options(parser)
    return parser.parse_args(arguments)


def test_table_lists_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--folder", str(tmp_path)]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "task", "features", "licence", "size", "here"]
    assert [row.split()[0] for row in rows] == list(MODELS)
    assert all(row.endswith(("no", "by hand")) for row in rows)


def test_table_tells_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "FSRCNN_x3.pb").write_bytes(b"weights")
    main(["models", "--folder", str(tmp_path)])
    here = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith("yes")}
    assert here == {"fsrcnn-x3"}


def test_path_is_that_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERIWILD_MODELS", str(tmp_path))
    assert main(["models", "path"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("name", "word"), [("efficientnet-b7", "By hand"), ("yolov10s", "--accept-license"), ("osnet", "osnet-x0-25")]
)
def test_what_cannot_be_had_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, word: str
) -> None:
    assert main(["models", "--folder", str(tmp_path), "get", name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert word in error


@pytest.mark.real
def test_get_prints_the_files(real_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--folder", str(real_models), "get", "vehicle-detection-0202", "yolox-nano"]) == 0
    names = ["vehicle-detection-0202.xml", "vehicle-detection-0202.bin", "yolox_nano.onnx"]
    assert capsys.readouterr().out.split() == [str(real_models / name) for name in names]


@pytest.mark.parametrize("before", [True, False])
def test_folder_stands_before_or_after_the_action(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, before: bool
) -> None:
    folder = ["--folder", str(tmp_path)]
    assert main(["models", *folder, "path"] if before else ["models", "path", *folder]) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"


def test_refused_licence_tells_the_command_that_accepts_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "get", "yolov10s", "--folder", str(tmp_path)])
    assert f"`veriwild models --folder {tmp_path} get yolov10s --accept-license`" in capsys.readouterr().err


def test_names_are_given_as_they_are() -> None:
    assert models_from(parsed()) == []
    assert models_from(parsed("--models", "phash", "osnet-x0-25", "phash")) == ["phash", "osnet-x0-25"]


def test_own_file_is_described_by_the_options(tmp_path: Path) -> None:
    file = tmp_path / "cars.onnx"
    file.write_bytes(b"weights")
    options = ["--input", "256x128", "--mean", "0.5", "0.4", "0.3", "--std", "1", "2", "3", "--color", "BGR"]
    name, model = models_from(parsed("--models", "phash", "--model", str(file), *options, "--node", "pool"))
    assert name == "phash"
    assert isinstance(model, Model)
    assert model.input is not None
    assert (model.input.height, model.input.width, model.input.color) == (256, 128, "BGR")
    assert (model.input.mean, model.input.std, model.output) == ((0.5, 0.4, 0.3), (1.0, 2.0, 3.0), "pool")


@pytest.mark.parametrize("option", ["--input 224", "--mean 0 0 0", "--std 1 1 1", "--color BGR", "--node pool"])
def test_options_without_a_file_are_refused(option: str) -> None:
    with pytest.raises(DatasetError, match=f"{option.split()[0]} describes the network of --model FILE"):
        models_from(parsed(*option.split()))


@pytest.mark.parametrize("size", ["0", "-1", "axb", "224x", "1x2x3", ""])
def test_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(f"--input={size}")
    assert "--input" in capsys.readouterr().err


def test_licence_is_accepted_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIWILD_MODELS", str(tmp_path))
    models_from(parsed("--models", "yolov10s", "phash", "--accept-license"))
    with pytest.raises(SystemExit):
        parsed("--accept-license=no")
    assert main(["models", "path"]) == 0
    assert "yolov10s" in (tmp_path / "accepted_licenses.json").read_text()
