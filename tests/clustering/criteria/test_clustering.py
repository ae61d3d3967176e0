"""Clustering by criteria in words, by somebody who knows the truth and tells it badly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from benchmarks.noisy_answers import NoisyTruth
from veriwild_clustering import (
    Conversation,
    Criterion,
    Dataset,
    Descriptor,
    attribute_association,
    cluster_by,
    criteria_table,
    hungarian_accuracy,
    leaderboard,
    sweep,
)
from veriwild_clustering.clustering.criteria.propagation import propagate
from veriwild_clustering.core.vectors import blocks
from veriwild_clustering.images.captioning.prompts import Answer, Prompt
from veriwild_clustering.samples.plan import plan_images

COLOR, TYPE, VIEW = "colour of the vehicle", "type of the vehicle", "view of the vehicle"


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    plan = plan_images(1500, np.random.default_rng(0))
    return pd.DataFrame({COLOR: plan["color"].replace("silver", "grey"), TYPE: plan["type"], VIEW: plan["view"]})


@pytest.fixture(scope="module")
def images(truth: pd.DataFrame) -> Dataset:
    return Dataset(pd.DataFrame({"path": [f"{row}.jpg" for row in range(len(truth))]}))


class Someone:
    """Says what a function of the prompt says, None for no answer, and remembers what was asked."""

    name = "someone"

    def __init__(self, says: object) -> None:
        self.says, self.asked = says, []

    def ask(
        self, prompts: Sequence[Prompt], dataset: Dataset | None = None, *, progress: bool | None = None
    ) -> list[Answer]:
        self.asked += prompts
        said = [self.says(prompt) for prompt in prompts]
        return [Answer(one, reason="" if one else "gone") for one in said]


def test_noisy_answers_give_the_truth_and_the_number_of_groups(truth: pd.DataFrame, images: Dataset) -> None:
    found: dict[str, list[float]] = {COLOR: [], TYPE: [], VIEW: []}
    for seed in range(5):
        answerer = NoisyTruth(truth, wrong=0.1, seed=seed)
        for partition in cluster_by(images, [COLOR, TYPE, VIEW], answerer, random_state=seed):
            criterion = partition.params["criterion"]
            found[criterion].append(hungarian_accuracy(partition.labels, truth[criterion]))
            assert partition.n_clusters == truth[criterion].nunique()
            assert set(partition.cluster_names) == set(truth[criterion])
        assert answerer.n_questions["image"] == len(images)  # three criteria in one question each
    for accuracies in found.values():
        assert np.mean(accuracies) >= 0.88
        assert max(accuracies) - min(accuracies) < 0.05


def test_partition_stands_beside_others(truth: pd.DataFrame, images: Dataset) -> None:
    space = Descriptor("osnet", np.random.default_rng(0).normal(size=(len(images), 4)))
    [named] = cluster_by(images, COLOR, NoisyTruth(truth), space=space)
    board = leaderboard([named, *sweep(space, {"kmeans": {"n_clusters": [9]}})], truth=truth[COLOR])
    assert board.table["algorithm"].tolist() == ["criterion", "kmeans"]
    assert board.table["accuracy"].iloc[0] >= 0.88
    assert "outcome" not in board.table["params"].iloc[0]
    table = criteria_table(images, [named])
    assert (table[COLOR] == truth[COLOR]).mean() == pytest.approx(board.table["accuracy"].iloc[0])


def test_few_images_are_asked_about_and_neighbours_decide_on_the_others(truth: pd.DataFrame, images: Dataset) -> None:
    codes = pd.factorize(truth[COLOR])[0]
    rng = np.random.default_rng(0)
    vectors = 4 * rng.normal(size=(codes.max() + 1, 16))[codes] + rng.normal(size=(len(codes), 16))
    vectors[7] = np.nan
    space, answerer = Descriptor("toy", vectors), NoisyTruth(truth)
    [few] = cluster_by(images, COLOR, answerer, space=space, n_asked=150)
    assert answerer.n_questions["image"] == 150
    assert hungarian_accuracy(few.labels, truth[COLOR]) >= 0.87
    assert few.labels[7] == -1
    assert few.params["approximation"].startswith("150 of 1,500 images asked about")
    assert (few.confidence[few.state["labels"] == ""] <= 0.5).all()


def test_votes_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image equal to an asked one, among images far away: only its own neighbours may count."""
    near = np.random.default_rng(0).normal(size=(40, 2))
    vectors = np.concatenate([near, near[:10], 1e5 + 1e4 * np.arange(10)[:, None] * np.ones(2)]).astype(np.float32)
    space, rows = Descriptor("toy", vectors), np.arange(40)
    whole = propagate(space, rows, rows % 3)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1)
    one_by_one = propagate(space, rows, rows % 3)
    np.testing.assert_array_equal(whole.classes, one_by_one.classes)
    np.testing.assert_array_equal(whole.confidence, one_by_one.confidence)
    assert (whole.classes[40:50] == rows[:10] % 3).all()


def test_same_seed_gives_the_same_partition(truth: pd.DataFrame, images: Dataset) -> None:
    one, other = (cluster_by(images, TYPE, NoisyTruth(truth), random_state=3)[0] for _ in range(2))
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.cluster_names == other.cluster_names


def test_given_labels_are_the_groups(truth: pd.DataFrame, images: Dataset) -> None:
    names = ["front", "rear", "side"]
    [partition] = cluster_by(images, Criterion(VIEW, labels=names), NoisyTruth(truth))
    assert sorted(partition.cluster_names) == names
    assert len(partition.state["repetitions"]) == 1


def test_given_number_of_groups_is_kept(truth: pd.DataFrame, images: Dataset) -> None:
    [partition] = cluster_by(images, Criterion(TYPE, n_clusters=4), NoisyTruth(truth))
    assert partition.n_clusters <= 4
    assert partition.params["n_clusters"] == 4


def test_other_labels_and_examples_ask_nothing_new_of_images(truth: pd.DataFrame, images: Dataset) -> None:
    first = Someone(lambda prompt: {"answer_1": "It is red."} if prompt.row is not None else None)
    cluster_by(images, COLOR, first)
    again = Someone(first.says)
    cluster_by(images, Criterion(COLOR, labels=["red", "blue"], examples=[("wine-coloured", "red")]), again)
    of_images = [[prompt for prompt in one.asked if prompt.row is not None] for one in (first, again)]
    assert of_images[0] == of_images[1]
    ignoring = Someone(first.says)
    cluster_by(images, Criterion(COLOR, ignore=["the background"]), ignoring)
    assert "do not consider the background" in ignoring.asked[0].text


def test_criteria_apart_have_a_question_each(images: Dataset) -> None:
    someone = Someone(lambda prompt: {"answer_1": "red"})
    cluster_by(images, [COLOR, TYPE], Conversation(someone, together=False))
    assert sum(prompt.row is not None for prompt in someone.asked) == 2 * len(images)


def test_who_says_nothing_leaves_all_as_noise_with_the_reason(images: Dataset) -> None:
    someone = Someone(lambda prompt: None)
    [partition] = cluster_by(images, COLOR, someone)
    assert partition.n_clusters == 0
    [found] = Conversation(someone).label(images, [Criterion(COLOR)], rows=np.arange(3))
    assert found.reasons[:4].tolist() == ["gone", "gone", "gone", ""]


def test_arguments_that_do_not_fit_are_refused(images: Dataset) -> None:
    with pytest.raises(ValueError, match="`n_asked` needs `space`"):
        cluster_by(images, COLOR, n_asked=20)
    with pytest.raises(ValueError, match="`space` must have 1500 rows"):
        cluster_by(images, COLOR, space=Descriptor("toy", np.eye(3)))
    with pytest.raises(TypeError, match="`criteria` must be"):
        cluster_by(images, [])
    with pytest.raises(TypeError, match="`answerer` must answer questions or label images"):
        cluster_by(images, COLOR, "clip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`n_repeats`"):
        cluster_by(images, COLOR, n_repeats=0)


def test_what_is_ignored_no_longer_shows_in_the_partition(truth: pd.DataFrame, images: Dataset) -> None:
    night = np.random.default_rng(0).random(len(images)) < 0.4

    def says(prompt: Prompt) -> object:
        if prompt.row is None:
            return None
        seen = "black" if night[prompt.row] and "do not consider the light" not in prompt.text else None
        return {"answer_1": seen or truth[COLOR][prompt.row]}

    criteria = Criterion(COLOR), Criterion(COLOR, ignore=["the light"])
    before, after = (cluster_by(images, criterion, Someone(says))[0] for criterion in criteria)
    association = [attribute_association(partition, night)["cramers_v"] for partition in (before, after)]
    assert association[0] > 0.7
    assert association[1] < 0.1
    assert after.params["ignore"] == "the light"
