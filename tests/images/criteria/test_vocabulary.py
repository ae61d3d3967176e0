"""Labels in one spelling: case, plural, punctuation, chatter, synonyms, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veriwild_clustering.images.criteria.vocabulary import SYNONYMS, UNCERTAIN, Vocabulary, subject_of


@pytest.mark.parametrize(
    ("criterion", "answer", "label"),
    [
        ("colour", "Silver", "grey"),
        ("colour", "It is dark-blue.", "blue"),
        ("colour", "Sure! The colour is: **Black**", "black"),
        ("colour", "The vehicle appears to be a light gray sedan", "grey"),
        ("colour", "not red but blue", "blue"),
        ("colour", "Turquoise!", "turquoise"),
        ("colour", "I cannot tell", UNCERTAIN),
        ("colour", "n/a", UNCERTAIN),
        ("colour", "red and blue", None),
        ("colour", "", None),
        ("type", "Buses", "bus"),
        ("type", "The vehicle is a heavy truck", "heavy truck"),
        ("type", "lorries", "truck"),
        ("type", "Mini-Bus", "minibus"),
        ("type", "Ford Transits", "ford transit"),
        ("model", "BMW 3 Series", "bmw 3 series"),
        ("cargo", "Horses", "horse"),
        ("cargo", "x" * 61, None),
        ("view", "seen from behind", "rear"),
        ("mood", "A rather long answer that names nothing in particular", None),
    ],
)
def test_answer_is_read_as_its_label(criterion: str, answer: str, label: str | None) -> None:
    assert Vocabulary(criterion).read(answer) == label


def test_labels_of_ones_own_go_before_synonyms() -> None:
    own = Vocabulary("colour", ["silver", "Grey", "red"])
    assert [own.read(text) for text in ("Silver", "gray", "GREY.", "crimson")] == ["silver", "Grey", "Grey", "red"]
    assert own.read("green") is None  # not among them: a model has to choose


@pytest.mark.parametrize(
    "labels", [["good", "very good"], ["bus", "buses"], ["car", "other", "none"], ["a", "a class"]]
)
def test_every_label_of_ones_own_reads_as_itself(labels: list[str]) -> None:
    own = Vocabulary("kind", labels)
    assert [own.read(label.upper()) for label in labels] == labels
    assert [own.read(f"It is {label}.") for label in labels] == labels


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("colour of the vehicle", "color"),
        ("type", "type"),
        ("Viewing angle", "view"),
        ("day or night", "light"),
        ("mood", None),
    ],
)
def test_subject_is_what_a_criterion_is_about(text: str, subject: str | None) -> None:
    assert subject_of(text) == subject


@given(st.text(max_size=80), st.sampled_from([*SYNONYMS, "mood"]))
def test_a_label_reads_as_itself(text: str, criterion: str) -> None:
    vocabulary = Vocabulary(criterion)
    label = vocabulary.read(text)
    if label is not None and label != UNCERTAIN and label in vocabulary.terms:
        assert vocabulary.read(label) == label
        assert vocabulary.read(label.upper()) == label


def test_every_synonym_has_one_meaning() -> None:
    for labels in SYNONYMS.values():
        spellings = [spelling for label, synonyms in labels.items() for spelling in (label, *synonyms)]
        assert len(spellings) == len(set(spellings))
