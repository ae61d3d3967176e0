"""Russian sentences are grammatical: forms of words after numbers, decimal commas, translated values."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Descriptor, Partition, describe
from veriwild_clustering.interpretation.language.languages import language_of
from veriwild_clustering.outliers.reasons import _DAMAGES, _MEANINGS


def texts(sizes: list[int], images: dict[str, list], language: str = "ru") -> list[str]:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    points = np.random.default_rng(0).normal(size=(len(labels), 2)) + labels[:, None]
    partition = Partition(labels, Descriptor("toy", points), "by hand")
    return describe(partition, pd.DataFrame(images), language=language)["text"].tolist()


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "1 изображение"), (2, "2 изображения"), (4, "4 изображения"), (5, "5 изображений"),
        (11, "11 изображений"), (12, "12 изображений"), (21, "21 изображение"), (22, "22 изображения"),
        (25, "25 изображений"), (111, "111 изображений"), (101, "101 изображение"), (1003, "1003 изображения"),
        (10_014, "10\N{NO-BREAK SPACE}014 изображений"),
    ],
)  # fmt: skip
def test_words_agree_with_their_number(size, words):
    (text,) = texts([size], {"path": ["a"] * size})
    assert text.startswith(f"Кластер 0 ({words}, 100,0 %): ни один известный признак не выделяется.")


@pytest.mark.parametrize(("n", "words"), [(1, "1 машина"), (3, "3 машины"), (14, "14 машин"), (31, "31 машина")])
def test_vehicles_agree_with_their_number(n, words):
    (text,) = texts([n], {"vehicle_id": list(map(str, range(n)))})
    assert f"100,0 %, {words})" in text


def test_a_whole_description_in_both_languages():
    images = {
        "vehicle_id": [str(i // 2) for i in range(80)],
        "type": ["sedan"] * 40 + ["bus"] * 40,
        "color": (["white"] * 3 + ["red"]) * 10 + (["black"] * 19 + ["red"]) * 2,
    }
    russian, english = (texts([40, 40], images, language)[1] for language in ("ru", "en"))
    spread = re.search(r"Spread (\d\.\d\d) times", english)[1]
    assert russian == (
        "Кластер 1 (40 изображений, 50,0 %, 20 машин): 100 % — автобусы (в 2,0 раза чаще, чем в целом), "
        "95 % — чёрные (в 2,0 раза чаще, чем в целом). "
        f"Разброс — {spread.replace('.', ',')} от среднего; ближайший кластер — 0, отличие от него — тип: "
        "автобусы — 100 % здесь и 0 % там; из машин, снятых не один раз, целиком в нём 100 % (случайно было бы 33 %)."
    )
    assert english == (
        "Cluster 1 (40 images, 50.0 %, 20 vehicles): 100 % bus (2.0 times its share overall), "
        f"95 % black (2.0 times its share overall). Spread {spread} times the average; nearest to cluster 0, "
        "told from it by type: 100 % bus here, 0 % there; "
        "100 % of its vehicles seen more than once lie wholly in it (33 % by chance)."
    )


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("color", "Gold", "золотистые"),
        ("color", "teal", "цвет «teal»"),
        ("measured_color", "white", "белые (по измерению)"),
        ("type", "SUV", "внедорожники"),
        ("type", "tram", "тип «tram»"),
        ("view", "rear", "вид сзади"),
        ("light", "night", "в темноте"),
        ("focus", "blurred", "размытые"),
        ("time_of_day", "dusk", "в сумерках"),
        ("camera", "7", "с камеры 7"),
        ("model", "Audi A4", "модель Audi A4"),
        ("brand", "Audi", "«brand» Audi"),
    ],
)
def test_known_values_are_translated_and_others_stay(column, value, words):
    text = texts([40, 40], {column: [value] * 40 + ["other"] * 40})[0]
    assert f": 100 % — {words} (в 2,0 раза чаще, чем в целом)." in text


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("width", "шириной {}"),
        ("brightness", "с яркостью {}"),
        ("sharpness", "с резкостью {}"),
        ("weight", "«weight» {}"),
    ],
)
def test_bins_have_decimal_commas(column, words):
    values = np.linspace(0.0005, 0.2995, 90).tolist()
    unit = " пикс." if column == "width" else ""
    bins = ["не больше 0,1002", "от 0,1002 до 0,1998", "больше 0,1998"]
    for text, named in zip(texts([30, 30, 30], {column: values}), bins, strict=True):
        assert f"100 % — {words.format(named)}{unit} (в 3,0 раза чаще" in text


def test_shares_are_never_rounded_to_all_or_nothing():
    images = {"type": ["bus"] * 499 + ["car"] * 501}
    first, second = texts([500, 500], images)
    assert ": более 99 % — автобусы (" in first
    assert ": 100 % — легковые автомобили (" in second
    assert "100 % здесь и менее 1 % там" in second
    assert "100 % car here, under 1 % there" in texts([500, 500], images, "en")[1]


def test_partly_known_attributes_say_so():
    images = {"type": (["bus"] * 4 + [None]) * 8 + ["car"] * 40}
    assert ": 100 % of the 32 known bus (" in texts([40, 40], images, "en")[0]
    assert ": 100 % bus here, 0 % there (where known)" in texts([40, 40], images, "en")[0]
    assert ": 100 % из 32 известных — автобусы (" in texts([40, 40], images)[0]
    assert "автобусы — 100 % здесь и 0 % там (где известно)" in texts([40, 40], images)[0]


def test_every_reason_of_an_outlier_is_translated():
    spoken = language_of("ru")
    phrases = [
        *(f"{damage.name}: {end.split(maxsplit=1)[1].replace('_', ' ')} in the {end.split()[0]}est 0.2 %"
          for end, damage in _DAMAGES.items()),
        "unusual width: width in the lowest 1 %",
        *(f"{words} in a, b and c: LOF score in the top 1.5 %" for words in [*_MEANINGS.values(), "unusual"]),
        *(f"image file {status}" for status in ("empty", "missing", "refused", "too large", "truncated", "unreadable")),
        "near-duplicate of 7", "no vehicle found", "no usable vector in c", "no quality measures",
    ]  # fmt: skip
    for said in phrases:
        words = re.findall("[A-Za-z-]{2,}", spoken.reason(said))
        assert set(words) <= {"LOF", "JPEG", "BRISQUE"}, said
    assert spoken.reason("; ".join(phrases)) == "; ".join(map(spoken.reason, phrases))
    assert spoken.reason("blurred: sharpness in the lowest 0.2 %") == (
        "размыто: резкость среди 0,2 % самых низких значений"
    )
    assert spoken.reason("far from its neighbours in a, b and c: KNN score in the top 1.5 %") == (
        "далеко от соседей по a, b и c: оценка KNN среди 1,5 % самых высоких"
    )


@pytest.mark.parametrize("reason", ["", "near-duplicate of a; b.jpg", "<b>: %", "; ;"])
def test_what_is_no_known_reason_stays(reason):
    assert language_of("ru").reason(reason) == reason.replace("near-duplicate of", "почти повторяет")
