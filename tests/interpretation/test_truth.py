"""On the drawn sample every claim of a text, in both languages, holds in the truth for the figures that it states."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, Partition, compare_partitions, summarize, sweep

RUSSIAN = {
    "white": "белые", "black": "чёрные", "grey": "серые", "silver": "серебристые", "red": "красные",
    "blue": "синие", "brown": "коричневые", "green": "зелёные", "yellow": "жёлтые", "orange": "оранжевые",
    "sedan": "седаны", "suv": "внедорожники", "hatchback": "хэтчбеки", "minibus": "микроавтобусы",
    "bus": "автобусы", "pickup": "пикапы", "light truck": "лёгкие грузовики", "heavy truck": "тяжёлые грузовики",
    "front": "вид спереди", "side": "вид сбоку", "rear": "вид сзади",
    "day": "днём", "dusk": "в сумерках", "night": "ночью",
}  # fmt: skip
PERCENT = {"en": r"((?:over |under )?\d+) %", "ru": r"((?:более |менее )?\d+) %"}


class Truth(NamedTuple):
    """Which images a phrase speaks of, by phrase: written down here anew, from the truth alone."""

    table: pd.DataFrame
    language: str

    def holds(self, phrase: str) -> np.ndarray:
        """Return which images have what a phrase says."""
        if found := re.fullmatch(self._measure, phrase):
            return self._measured(*found.groups())
        for column in ("type", "color", "view", "time_of_day", "camera", "model"):
            for value in self.table[column].unique():
                if phrase == self._worded(column, str(value)):
                    return (self.table[column] == value).to_numpy()
        raise AssertionError(f"{phrase!r} is not in the truth")

    def _worded(self, column: str, value: str) -> str:
        if self.language == "ru":
            return {"camera": f"с камеры {value}", "model": f"модель {value}"}.get(column) or RUSSIAN[value]
        frames = {"view": "{} view", "time_of_day": "{} (time of day)", "camera": "from camera {}", "model": "model {}"}
        return frames.get(column, "{}").format(value)

    @property
    def _measure(self) -> str:
        if self.language == "ru":
            return r"(шириной|высотой|с отношением ширины к высоте) (не больше|от|больше) ([\d,]+)(?: до ([\d,]+))?.*"
        return r"with (width|height|width / height) (at most |above |)([\d.]+)(?: to ([\d.]+))?(?: px)?"

    def _measured(self, name: str, relation: str, low: str, high: str | None) -> np.ndarray:
        width, height = self.table["width"], self.table["height"]
        columns = [width, height, (width / height).round(2)]
        names = ["width", "height", "width / height", "шириной", "высотой", "с отношением ширины к высоте"]
        values = columns[names.index(name) % 3]
        first = float(low.replace(",", "."))
        if high is not None:
            return ((values > first) & (values <= float(high.replace(",", ".")))).to_numpy()
        return (values > first if relation.strip() in {"above", "больше"} else values <= first).to_numpy()


def assert_rounded(stated: str, share: float) -> None:
    """Check a share as it is written."""
    if " " in stated:
        assert stated.endswith("99") if share > 0.5 else stated.endswith("1")
        assert 0 < min(share, 1 - share) < 0.005
    else:
        assert int(stated) == pytest.approx(100 * share, abs=0.5 + 1e-9)
        assert stated not in {"0", "100"} or share in {0.0, 1.0}


@pytest.fixture(scope="module")
def truth(drawn_project) -> pd.DataFrame:
    return pd.read_csv(drawn_project / "raw_data/truth.csv", dtype={"vehicle_id": str})


@pytest.fixture(scope="module")
def images(drawn_project) -> pd.DataFrame:
    """The image table without what is measured of the pixels: nothing but the measurement knows its truth."""
    table = Dataset.open(drawn_project / "transport_dataset.csv").images
    known = ["path", "vehicle_id", "width", "height", "camera", "model", "type", "color", "time_of_day", "view"]
    return table[known]


@pytest.fixture(scope="module")
def partitions(drawn_project) -> list[Partition]:
    dataset = Dataset.open(drawn_project / "transport_dataset.csv")
    spaces = [dataset[name] for name in ("color_model", "type_model", "osnet")]
    return sweep(spaces, {"kmeans": {"n_clusters": [4, 9]}}, random_state=0, progress=False)


@pytest.fixture(params=["en", "ru"])
def language(request) -> str:
    return request.param


def world(truth: pd.DataFrame, images: pd.DataFrame, language: str) -> Truth:
    model = images["model"].to_numpy()
    return Truth(truth.assign(width=images["width"], height=images["height"], model=model), language)


def test_every_claim_of_a_text_holds(truth, images, partitions, language):
    known = world(truth, images, language)
    claim = {
        "en": rf"{PERCENT['en']} (.+?) \(([\d.]+) times its share overall\)",
        "ru": rf"{PERCENT['ru']} — (.+?) \(в ([\d,]+) раза чаще, чем в целом\)",
    }[language]
    n_claims = 0
    for partition in partitions:
        summaries = summarize(partition, images, language=language)
        for cluster, text in enumerate(summaries.table["text"]):
            stated = re.findall(claim, text.partition("): ")[2])
            assert len(stated) == (summaries.claims["cluster"] == cluster).sum()
            for percent, phrase, lift in stated:
                holds = known.holds(phrase)
                share = holds[partition.labels == cluster].mean()
                assert_rounded(percent, share)
                assert float(lift.replace(",", ".")) == pytest.approx(share / holds.mean(), abs=0.05 + 1e-9)
                n_claims += 1
    assert n_claims >= 60


def test_every_difference_of_a_text_holds(truth, images, partitions, language):
    known = world(truth, images, language)
    percent = PERCENT[language]
    pattern = {
        "en": rf"nearest to cluster (\d+), told from it by [a-z /]+: {percent} (.+?) here, {percent} there",
        "ru": rf"ближайший кластер — (\d+), отличие от него — [а-я ]+: (.+?) — {percent} здесь и {percent} там",
    }[language]
    n_stated = 0
    for partition in partitions:
        for cluster, text in enumerate(summarize(partition, images, language=language).table["text"]):
            for nearest, *said in re.findall(pattern, text):
                here, phrase, there = said if language == "en" else (said[1], said[0], said[2])
                holds = known.holds(phrase)
                assert_rounded(here, holds[partition.labels == cluster].mean())
                assert_rounded(there, holds[partition.labels == int(nearest)].mean())
                n_stated += 1
    assert n_stated >= 25


def test_every_vehicle_figure_of_a_text_holds(truth, images, partitions, language):
    pattern = {
        "en": rf"{PERCENT['en']} of its vehicles seen more than once lie wholly in it \({PERCENT['en']} by chance\)\.$",
        "ru": rf"снятых не один раз, целиком в нём {PERCENT['ru']} \(случайно было бы {PERCENT['ru']}\)\.$",
    }[language]
    for partition in partitions:
        of_vehicle = pd.Series(partition.labels).groupby(truth["vehicle_id"])
        repeated = [set(labels) for _, labels in of_vehicle if len(labels) > 1]
        for cluster, text in enumerate(summarize(partition, images, language=language).table["text"]):
            whole, _ = re.search(pattern, text).groups()
            seen = [labels for labels in repeated if cluster in labels]
            assert_rounded(whole, np.mean([len(labels) == 1 for labels in seen]))


def test_every_table_of_claims_holds(truth, images, partitions):
    table = world(truth, images, "en").table.astype({"camera": images["camera"].dtype})
    for partition in partitions:
        summaries = summarize(partition, images, columns=["type", "color", "view", "time_of_day", "camera"])
        assert len(summaries.claims) > partition.n_clusters
        for claim in summaries.claims.itertuples():
            holds = (table[claim.column] == claim.value).to_numpy()
            assert claim.share == pytest.approx(holds[partition.labels == claim.cluster].mean())
            assert claim.overall_share == pytest.approx(holds.mean())
        for row in summaries.differences.itertuples():
            holds = (table[row.column] == row.value).to_numpy()
            assert row.share == pytest.approx(holds[partition.labels == row.cluster].mean())
            assert row.other_share == pytest.approx(holds[partition.labels == row.other].mean())


def test_every_part_of_a_comparison_holds(truth, images, partitions, language):
    known = world(truth, images, language)
    percent = PERCENT[language]
    part = rf"(\d+) \({percent}\)"
    told = {
        "en": rf"cluster (\d+) is {percent} (.+?)(?=, cluster|\.$)",
        "ru": rf"в кластере (\d+) (.+?) — {percent}(?=[,.])",
    }[language]
    n_parts = n_told = 0
    for first, second in [
        (partitions[4], partitions[0]),
        (partitions[0], partitions[2]),
        (partitions[5], partitions[3]),
    ]:
        for cluster, text in enumerate(compare_partitions(first, second, images, language=language).texts["text"]):
            inside = first.labels == cluster
            parts, _, split = text.partition(", split by" if language == "en" else "; эти части различает")
            for label, share in re.findall(part, parts):
                assert_rounded(share, (second.labels[inside] == int(label)).mean())
                n_parts += 1
            for label, *said in re.findall(told, split):
                share, phrase = said if language == "en" else said[::-1]
                assert_rounded(share, known.holds(phrase)[inside & (second.labels == int(label))].mean())
                n_told += 1
    assert n_parts >= 20
    assert n_told >= 15
