"""The container as its files describe it: nobody is root, data are read-only, the page is for this machine alone."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_the_image_is_built_of_extras_that_exist_and_files_that_are_let_in() -> None:
    extras = re.search(r"ARG EXTRAS=(\S+)", DOCKERFILE)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras is not None
    assert set(extras[1].split(",")) <= set(known)
    copied = {name for line in re.findall(r"^COPY ([^-].*)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {Path(name).parts[0] for name in copied} == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_nobody_is_root_and_the_health_is_asked_for() -> None:
    last_stage = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER (?!root)", last_stage, re.MULTILINE)
    assert "/api/health" in last_stage


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_services_see_the_data_read_only_and_publish_to_this_machine_alone(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert [volume for volume in service["volumes"] if volume.startswith("./")] == ["./raw_data:/data/raw_data:ro"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize(
    ("arguments", "with_raw_data", "called"),
    [
        ([], True, "app {state}/transport_dataset.csv --host 0.0.0.0 --no-browser"),
        (["app", "--no-umap"], True, "app {state}/transport_dataset.csv --host 0.0.0.0 --no-browser --no-umap"),
        (["run"], True, "run --folder {state} --raw-data {raw_data}"),
        (["run"], False, "run --folder {state}"),
        (["models"], True, "models"),
    ],
)
def test_start_calls_the_command_that_was_asked_for(arguments, with_raw_data, called, tmp_path: Path) -> None:
    """With a stand-in for the installed command that says how it was called."""
    state, raw_data, bin_folder = (tmp_path / name for name in ("state", "raw_data", "bin"))
    for folder in (state, raw_data, bin_folder):
        folder.mkdir()
    if with_raw_data:
        (raw_data / "images_paths.csv").write_text("paths\n")
    (bin_folder / "veriwild").write_text('#!/bin/sh\necho "$@"\n')
    (bin_folder / "veriwild").chmod(0o755)
    places = {"STATE": str(state), "RAW_DATA": str(raw_data), "PROJECT": str(ROOT)}
    environment = {**places, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    script = [str(ROOT / "container" / "start"), *arguments]
    said = subprocess.run(script, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == called.format(state=state, raw_data=raw_data)
    assert (state / "transport_clustering.ipynb").exists() == (arguments == ["run"])


def test_a_notebook_is_renewed_with_the_image_unless_somebody_changed_it(tmp_path: Path) -> None:
    state, project, bin_folder = (tmp_path / name for name in ("state", "project", "bin"))
    for folder in (state, project, bin_folder):
        folder.mkdir()
    (bin_folder / "veriwild").symlink_to("/bin/true")
    places = {"STATE": str(state), "RAW_DATA": str(tmp_path), "PROJECT": str(project)}
    shipped, own = project / "transport_clustering.ipynb", state / "transport_clustering.ipynb"

    def start(text: str) -> str:
        shipped.write_text(text)
        environment = {**places, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
        subprocess.run([ROOT / "container" / "start", "run"], env=environment, check=True)
        return own.read_text()

    assert start("first") == "first"
    assert start("second") == "second"
    own.write_text("mine")
    assert start("third") == "mine"
