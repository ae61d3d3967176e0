"""Answers that nobody has to be asked for: columns of the image table, pixels, a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import (
    Criterion,
    Dataset,
    DatasetError,
    ImageStore,
    MeasuredAnswers,
    cluster_by,
    criterion_scores,
)

COLOR = Criterion("colour of the vehicle")


def test_color_by_day_of_the_drawn_sample(drawn_project: Path) -> None:
    dataset = Dataset.open(drawn_project / "transport_dataset.csv")
    truth = pd.read_csv(drawn_project / "raw_data" / "truth.csv", dtype=str, keep_default_na=False)
    color = truth["color"].replace("silver", "grey").where(truth["time_of_day"] == "day")
    scores = criterion_scores(cluster_by(dataset, "colour of the vehicle")[0], color)
    assert scores["accuracy"] >= 0.85
    assert scores["accuracy"] >= scores["accuracy_by_chance"] + 0.5


@pytest.fixture
def painted(tmp_path: Path) -> Dataset:
    """Three images: a red and a green vehicle on a road, and a file that is none."""
    for name, paint in {"a.png": (180, 20, 30), "b.png": (30, 130, 60)}.items():
        image = np.full((120, 160, 3), 128, np.uint8)
        image[20:100, 20:140] = paint
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no image")
    return Dataset(pd.DataFrame({"path": ["a.png", "b.png", "c.png"]}), image_store=ImageStore(tmp_path))


def test_images_are_measured_where_the_table_says_nothing(painted: Dataset) -> None:
    [found] = MeasuredAnswers().label(painted, [COLOR], rows=np.arange(3))
    assert found.labels.tolist() == ["red", "green", ""]
    assert found.reasons.tolist() == ["", "", "not known"]
    assert (found.confidence[:2] > 0.5).all()
    assert found.confidence[2] == 0


def test_rows_that_are_not_asked_for_stay_empty(painted: Dataset) -> None:
    [found] = MeasuredAnswers().label(painted, [COLOR], rows=np.array([1]))
    assert found.labels.tolist() == ["", "green", ""]


def test_labels_of_the_criterion_are_kept(painted: Dataset) -> None:
    [found] = MeasuredAnswers().label(painted, [Criterion("colour", labels=["crimson", "Red"])], rows=np.arange(3))
    assert found.labels.tolist() == ["Red", "uncertain", ""]


def test_column_can_be_named_for_any_criterion() -> None:
    images = pd.DataFrame({"path": list("abc"), "make": ["Lada", "", None]})
    [found] = MeasuredAnswers({"maker": "make"}).label(Dataset(images), [Criterion("maker")], rows=np.arange(3))
    assert found.labels.tolist() == ["lada", "", ""]


def test_values_of_a_named_column_that_differ_stay_apart() -> None:
    values = ["good", "Very  good", "-1", "1", "3 Series", "a silver one of five words", "unknown"]
    images = pd.DataFrame({"path": list("abcdefg"), "grade": values})
    [found] = MeasuredAnswers({"state": "grade"}).label(Dataset(images), [Criterion("state")], rows=np.arange(7))
    assert found.labels.tolist() == [*(" ".join(value.lower().split()) for value in values[:-1]), "uncertain"]


def test_what_nothing_tells_is_an_error_before_any_work(painted: Dataset, tmp_path: Path) -> None:
    for text in ("mood", "type of the vehicle"):
        with pytest.raises(DatasetError, match=f"Nothing that is measured tells '{text}'"):
            MeasuredAnswers(folder=tmp_path).label(painted, [COLOR, Criterion(text)], rows=np.arange(3))
    with pytest.raises(ValueError, match="Unknown column 'make'"):
        MeasuredAnswers({"mood": "make"}).label(painted, [Criterion("mood")], rows=np.arange(3))
    with pytest.raises(DatasetError, match="where its image files lie"):
        MeasuredAnswers().label(Dataset(painted.images), [COLOR], rows=np.arange(3))


@pytest.mark.real
def test_network_names_more_trucks_among_trucks(real_raw_data: Path, real_models: Path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    truth = truth[truth["type"].isin(["car", "truck"])].iloc[::4].reset_index(drop=True)
    dataset = Dataset(truth[["path"]], image_store=ImageStore(real_raw_data / "veriwild"))
    answers = MeasuredAnswers(network=True, folder=real_models)
    [found] = answers.label(dataset, [Criterion("type of vehicle")], rows=np.arange(len(truth)))
    assert set(found.labels) <= {"car", "bus", "truck", "van", "uncertain"}
    as_truck = pd.Series(found.labels == "truck").groupby(truth["type"]).mean()
    assert as_truck["truck"] > as_truck["car"]
    with pytest.raises(DatasetError, match="network=True"):
        MeasuredAnswers(folder=real_models).label(dataset, [Criterion("type of vehicle")], rows=np.arange(2))
