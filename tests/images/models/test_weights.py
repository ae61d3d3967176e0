"""The cache of weights without a network: checksums, files put by hand, licences."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from veriwild_clustering import DatasetError
from veriwild_clustering.images.models.catalog import MODELS, user_model
from veriwild_clustering.images.models.checksums import file_checksum, model_identity
from veriwild_clustering.images.models.record import Model, ModelFile
from veriwild_clustering.images.models.weights import ModelError, accept_license, model_files

BODY = b"weights of a network"
SHA256 = hashlib.sha256(BODY).hexdigest()
URL = "https://example.org/cars.onnx"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "get", None)


def network(url: str | None = URL, *, sha256: str | None = SHA256, licence: str = "MIT") -> Model:
    return Model(
        "cars", "embedding", (ModelFile("cars.onnx", url, sha256),), license=licence, source="https://example.org"
    )


def put(model: Model, folder: Path, body: bytes) -> Model:
    """Put a file of a model into a cache by hand."""
    (folder / model.files[0].name).write_bytes(body)
    return model


def assert_says(error: DatasetError, folder: Path, *words: str) -> None:
    """Check that an error is one line that names the file, where it belongs, and `words`."""
    message = str(error)
    assert "\n" not in message
    for word in ("cars.onnx", str(folder), *words):
        assert word in message


def test_file_without_address_is_put_by_hand(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        model_files(network(None), folder=tmp_path)
    assert_says(caught.value, tmp_path, "https://example.org", "By hand")
    (tmp_path / "cars.onnx").write_bytes(BODY)
    assert model_files(network(None), folder=tmp_path) == [tmp_path / "cars.onnx"]


def test_download_can_be_forbidden(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        model_files(network(), folder=tmp_path, download=False)
    assert_says(caught.value, tmp_path, URL, "nothing may be downloaded")


def test_wrong_file_by_hand_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "cars.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError) as caught:
        model_files(network(), folder=tmp_path)
    assert_says(caught.value, tmp_path, SHA256, hashlib.sha256(b"something else").hexdigest())
    assert (tmp_path / "cars.onnx").read_bytes() == b"something else"


def test_checksum_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cars.onnx").write_bytes(BODY)
    files = model_files(network(None), folder=tmp_path)
    monkeypatch.setattr(hashlib, "file_digest", None)  # a second digest would raise
    assert model_files(network(None), folder=tmp_path) == files


def test_file_that_changes_is_checked_again(tmp_path: Path) -> None:
    file = tmp_path / "cars.onnx"
    file.write_bytes(BODY)
    model_files(network(None), folder=tmp_path)
    file.write_bytes(BODY[:-1] + bytes([BODY[-1] ^ 1]))
    os.utime(file, ns=(1, 1))
    with pytest.raises(ModelError, match=SHA256):
        model_files(network(None), folder=tmp_path)


def test_unknown_checksum_is_that_of_the_first_file(tmp_path: Path) -> None:
    model, file = network(sha256=None), tmp_path / "cars.onnx"
    file.write_bytes(BODY)
    model_files(model, folder=tmp_path)
    assert json.loads((tmp_path / "cars.onnx.json").read_text())["sha256"] == SHA256
    file.write_bytes(b"changed")
    with pytest.raises(ModelError) as caught:
        model_files(model, folder=tmp_path)
    assert_says(caught.value, tmp_path, SHA256, "cars.onnx.json")
    (tmp_path / "cars.onnx.json").unlink()
    assert model_files(model, folder=tmp_path) == [file]


@pytest.mark.parametrize("note", ["", "[]", '{"sha256": 1}'])
def test_broken_note_does_no_harm(tmp_path: Path, note: str) -> None:
    (tmp_path / "cars.onnx").write_bytes(BODY)
    (tmp_path / "cars.onnx.json").write_text(note)
    assert model_files(network(None), folder=tmp_path) == [tmp_path / "cars.onnx"]


def test_cache_that_can_only_be_read_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    (tmp_path / "cars.onnx").write_bytes(BODY)
    monkeypatch.setattr("tempfile.mkstemp", read_only)
    assert model_files(network(None), folder=tmp_path) == [tmp_path / "cars.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["cars.onnx"]


def test_licence_that_binds_is_accepted_once(tmp_path: Path) -> None:
    model = network(licence="AGPL-3.0-only")
    (tmp_path / "cars.onnx").write_bytes(BODY)
    with pytest.raises(ModelError) as caught:
        model_files(model, folder=tmp_path)
    assert_says(caught.value, tmp_path, "AGPL-3.0-only", "--accept-license")
    model_files(model, folder=tmp_path, accept_license=True)
    assert model_files(model, folder=tmp_path) == [tmp_path / "cars.onnx"]


def test_licence_can_be_accepted_beforehand(tmp_path: Path) -> None:
    (tmp_path / "cars.onnx").write_bytes(BODY)
    model = network(licence="AGPL-3.0-only")
    accept_license(model, folder=tmp_path)
    assert model_files(model, folder=tmp_path) == [tmp_path / "cars.onnx"]
    with pytest.raises(ModelError, match="GPL-3"):  # another licence is another decision
        model_files(network(licence="GPL-3.0-only"), folder=tmp_path)


def test_licence_of_yolov10_must_be_accepted(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="AGPL"):
        model_files("yolov10s", folder=tmp_path, download=False)


def test_file_of_ones_own_stays_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(BODY)
    model = user_model(file)
    assert model_files(model, folder=tmp_path / "cache") == [file]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.onnx"]
    file.write_bytes(b"changed")
    with pytest.raises(ModelError, match=r"mine\.onnx.* has changed"):
        model_files(model)
    file.unlink()
    with pytest.raises(ModelError, match=r"no file .*mine\.onnx"):
        model_files(model)


@pytest.mark.real
def test_real_weights_are_those_of_the_catalog(real_models: Path) -> None:
    there = {path.name for path in real_models.iterdir()}
    found = [model for model in MODELS.values() if {file.name for file in model.files} <= there]
    assert len(found) >= 10
    for model in found:
        assert all(file.sha256 for file in model.files)
        assert model_files(model, folder=real_models, download=False)
        assert [file.n_bytes for file in model.files] == [(real_models / f.name).stat().st_size for f in model.files]


def test_identity_is_that_of_the_bytes_on_disk_whatever_the_record_knows(tmp_path: Path) -> None:
    files = model_files(put(network(None, sha256=None), tmp_path, BODY), folder=tmp_path)
    assert model_identity(network(sha256=None), files) == {"model": "cars", "decoder": "", "sha256": [SHA256]}
    (tmp_path / "cars.onnx").write_bytes(b"other weights")
    other = hashlib.sha256(b"other weights").hexdigest()
    assert model_identity(network(sha256=None), files)["sha256"] == [other]


def test_checksum_is_not_believed_for_other_bytes(tmp_path: Path) -> None:
    model_files(put(network(None, sha256=None), tmp_path, BODY), folder=tmp_path)
    (tmp_path / "cars.onnx").write_bytes(BODY[::-1])
    os.utime(tmp_path / "cars.onnx", ns=(1, 1))
    assert file_checksum(tmp_path / "cars.onnx") == hashlib.sha256(BODY[::-1]).hexdigest()


@pytest.mark.parametrize("note", ["", "[]", '{"sha256": 1}'])
def test_broken_note_does_no_harm_where_it_alone_knows_the_checksum(tmp_path: Path, note: str) -> None:
    model = put(network(None, sha256=None), tmp_path, BODY)
    (tmp_path / "cars.onnx.json").write_text(note)
    assert model_files(model, folder=tmp_path) == [tmp_path / "cars.onnx"]
    assert json.loads((tmp_path / "cars.onnx.json").read_text())["sha256"] == SHA256


def test_acceptance_that_cannot_be_noted_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = put(network(licence="AGPL-3.0-only"), tmp_path, BODY)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(ModelError, match=r"licence of 'cars' cannot be noted in .*No space left"):
        accept_license(model, folder=tmp_path)
    assert model_files(model, folder=tmp_path, accept_license=True) == [tmp_path / "cars.onnx"]


def test_acceptances_at_the_same_time_are_all_remembered(tmp_path: Path) -> None:
    models = [replace(network(licence="AGPL-3.0-only"), name=f"cars-{n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda model: accept_license(model, folder=tmp_path), models))
    assert set(json.loads((tmp_path / "accepted_licenses.json").read_text())) == {model.name for model in models}
