"""The console script: help, exit codes, one line per failure."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from veriwild_clustering import __version__
from veriwild_clustering.apps import run
from veriwild_clustering.apps.cli import main

ROOT = Path(__file__).resolve().parents[2]


def test_console_script_is_the_main_function() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pkgutil.resolve_name(project["scripts"]["veriwild"]) is main


def test_module_does_what_the_script_does() -> None:
    command = [sys.executable, "-m", "veriwild_clustering", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout == f"veriwild {__version__}\n"


@pytest.mark.parametrize("command", [[], ["create-dataset"], ["run"], ["assign"]])
def test_help_explains_each_command(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, "--help"])
    shown = capsys.readouterr().out
    assert "usage: veriwild" in shown
    assert ("example" if command else "exit codes") in shown


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["run", "--unknown"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert "usage: veriwild" in capsys.readouterr().err


def test_bad_input_is_one_line_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--folder", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.err == (
        f"veriwild run: There is no {tmp_path / 'transport_clustering.ipynb'}. "
        "Run in the project's folder, or name it with --folder.\n"
    )
    assert not shown.out


def test_interruption_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", interrupted)
    assert main(["run"]) == 130
    assert capsys.readouterr().err == "veriwild run: interrupted\n"
