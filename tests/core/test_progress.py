"""Bars: seen in a terminal and in a notebook, nowhere else unless asked, and one under the other."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import nbformat
import pytest
from joblib import Parallel, delayed
from nbclient import NotebookClient

from veriwild_clustering.core.progress import bars, track

LOOP = """
import time
from veriwild_clustering.core.progress import track
for outer in track(range(2), description="outer"):
    for inner in track(iter(range(3)), description="inner", total=3):
        time.sleep(0.12)
"""


@pytest.fixture(autouse=True)
def _tqdm_is_not_told_to_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


def _shown(capsys: pytest.CaptureFixture[str], **options) -> str:
    assert list(track(range(3), description="work", **options)) == [0, 1, 2]
    return capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_terminal_shows_both_bars_and_the_time_left():
    import termios

    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    run = subprocess.run([sys.executable, "-c", LOOP], stderr=slave, check=False)
    os.close(slave)
    shown = b""
    while chunk := _read(master):
        shown += chunk
    os.close(master)
    text = shown.decode()
    assert run.returncode == 0
    assert "outer:  50%" in text
    assert "inner:  33%" in text
    assert "[00:00<00:00" in text  # the time left
    assert "\x1b[A" in text  # the inner bar has a line of its own, from which the cursor goes up again


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody has the other end open any more
        return b""


def test_a_pipe_shows_nothing():
    run = subprocess.run([sys.executable, "-c", LOOP], capture_output=True, check=True)
    assert run.stderr == run.stdout == b""


@pytest.mark.parametrize(("silenced", "outputs"), [({}, {"display_data"}), ({"TQDM_DISABLE": "1"}, set())])
def test_a_notebook_shows_bars_unless_it_is_executed_to_be_kept(silenced: dict[str, str], outputs: set[str]):
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LOOP)]), extra_arguments=["--log-level=ERROR"]
    )
    with client.setup_kernel(env={**os.environ, **silenced}):
        cell = client.execute_cell(client.nb.cells[0], 0)
    assert {output.output_type for output in cell.outputs} == outputs


def test_asking_decides_where_nobody_watches(capsys: pytest.CaptureFixture[str]):
    assert _shown(capsys) == ""
    assert "work:   0%" in _shown(capsys, show=True)
    with bars(show=True):
        assert "work:   0%" in _shown(capsys)
        assert _shown(capsys, show=False) == ""
        with bars(show=None):
            assert "work:   0%" in _shown(capsys)
        with bars(show=False):
            assert _shown(capsys) == ""
    assert _shown(capsys) == ""


def test_the_time_left_needs_a_total(capsys: pytest.CaptureFixture[str]):
    for _ in track((time.sleep(0.11) for _ in range(3)), description="known", total=3, show=True):
        pass
    assert "<00:00" in capsys.readouterr().err
    for _ in track((time.sleep(0.11) for _ in range(3)), description="unknown", show=True):
        pass
    assert "<" not in capsys.readouterr().err


def test_a_description_follows_the_item(capsys: pytest.CaptureFixture[str]):
    for _ in track(["osnet", "type_model"], description=lambda name: f"PCA of {name}", show=True):
        pass
    shown = capsys.readouterr().err
    assert "PCA of osnet" in shown
    assert "PCA of type_model" in shown


def _watched_in_a_worker() -> bool:
    from veriwild_clustering.core import progress

    sys.stderr.isatty = lambda: True  # type: ignore[method-assign]
    return progress._is_watched()


def test_workers_are_silent_in_the_terminal_of_their_parent():
    assert Parallel(n_jobs=2)(delayed(_watched_in_a_worker)() for _ in range(2)) == [False, False]
