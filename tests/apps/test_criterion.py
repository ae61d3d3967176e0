"""`veriwild criterion`: groups by words from the command line, their file, and what cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from veriwild_clustering.apps.cli import main


@pytest.fixture
def dataset(drawn_project: Path) -> str:
    return str(drawn_project / "transport_dataset.csv")


def test_writes_a_row_per_image(dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "groups.csv"
    words = ["colour of the vehicle", "day or night"]
    assert main(["criterion", *words, "--dataset", dataset, "--output", str(output), "--truth", "color"]) == 0
    table = pd.read_csv(output)
    assert table.columns.tolist() == ["path", *words, *(f"{word} confidence" for word in words)]
    assert len(table) == 800
    assert set(table["day or night"]) <= {"day", "night", "uncertain"}
    said = capsys.readouterr().out
    assert "colour of the vehicle: 9 groups hold" in said
    assert "against color: accuracy 0." in said


def test_json_holds_parameters_and_groups(dataset: str, tmp_path: Path) -> None:
    output = tmp_path / "groups.json"
    arguments = ["--column", "body=type", "--asked", "100", "--space", "type_model", "--output", str(output)]
    assert main(["criterion", "body", "--dataset", dataset, *arguments]) == 0
    written = json.loads(output.read_text(encoding="utf-8"))
    assert written["criteria"][0]["params"]["approximation"].startswith("100 of 800 images asked about")
    assert sum(written["criteria"][0]["groups"].values()) <= len(written["images"]) == 800


def test_estimate_sends_nothing(dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["--answerer", "endpoint", "--vision-model", "any", "--base-url", "http://127.0.0.1:9/v1"]
    more = ["--cache", str(tmp_path / "answers"), "--estimate"]
    assert main(["criterion", "roof", "--dataset", dataset, *ask, *more]) == 0
    assert "800 questions" in capsys.readouterr().out
    few = ["--asked", "50", "--space", "type_model", "--prices", "1000", "0"]
    assert main(["criterion", "roof", "--dataset", dataset, *ask, *more, *few]) == 0
    said = capsys.readouterr().out
    assert "50 questions" in said
    assert re.search(r"costs \d+\.\d\d;", said)
    assert main(["criterion", "colour", "--dataset", dataset, "--estimate"]) == 0
    assert "Nothing is sent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mood"], "Nothing that is measured tells 'mood'"),
        (["colour", "light", "--labels", "a,b"], "--labels belong to one criterion"),
        (["colour", "--output", "groups.txt"], "must end in .csv or .json"),
        (["colour", "--truth", "brand"], "Unknown column 'brand'"),
        (["colour", "--column", "type"], "--column must be CRITERION=COLUMN, such as 'body type=type'. Got 'type'."),
        (["colour", "--column", "=type"], "--column must be CRITERION=COLUMN"),
        (["colour", "--asked", "50"], "`n_asked` needs `space`"),
        (["mood", "--answerer", "clip"], "give them"),
        (["mood", "--answerer", "endpoint", "--text-model", "any", "--max-cost", "1"], "`prices` must be given"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    dataset: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["criterion", *arguments, "--dataset", dataset]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
