"""What the frame of a page says and how it writes numbers, in English and in Russian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from veriwild_clustering.core.validation import check_choice
from veriwild_clustering.interpretation.language.languages import language_of

__all__ = ["Wording", "wording"]

_FIXED = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Wording:
    """The texts of one language by name, and its way to write numbers; anything unknown is a dash."""

    language: str
    texts: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.texts[name]

    def count(self, number: Any) -> str:
        """Write a whole number with its thousands apart."""
        if pd.isna(number):
            return "–"
        apart = self.language == "en" or abs(number) >= 10_000  # Russian leaves four digits together
        return self._localized(f"{number:,.0f}" if apart else f"{number:.0f}")

    def decimal(self, number: Any, *, n: int = 2) -> str:
        """Write a number with `n` decimals."""
        return "–" if pd.isna(number) else self._localized(f"{number:.{n}f}")

    def percent(self, share: Any, *, decimals: int = 0) -> str:
        """Write a share in percent; never "100" or "0" of what is not the whole or nothing."""
        if pd.isna(share):
            return "–"
        step = 10.0**-decimals
        number = f"{100 * share:.{decimals}f}"
        if 0 < share < step / 200:
            number = f"<{step:g}"
        elif 1 - step / 200 <= share < 1:
            number = f">{100 - step:g}"
        return f"{self._localized(number)}{_FIXED}%"

    def points(self, difference: Any) -> str:
        """Write a difference of shares in percentage points, with its sign."""
        return self._localized(f"{100 * difference:+.0f}")

    def span(self, low: Any, high: Any) -> str:
        """Write an interval of shares in percent, without the sign."""
        return "–" if pd.isna(low) else f"{100 * low:.0f}–{100 * high:.0f}"

    def keep(self, text: str) -> str:
        """Keep numbers and their percent signs on one line."""
        return text.replace(" %", f"{_FIXED}%")

    def attribute(self, column: str) -> str:
        """Name an attribute."""
        return language_of(self.language).attribute(column)

    def value(self, column: str, value: Any) -> str:
        """Write a value beneath the name of its attribute."""
        return language_of(self.language).value(column, value)

    def reason(self, reason: str) -> str:
        """Say why an image is an outlier."""
        return language_of(self.language).reason(reason)

    def say(self, name: str, **values: Any) -> str:
        """Return the text `name` with `values` filled in."""
        return self.texts[name].format(**values)

    def _localized(self, number: str) -> str:
        number = number.replace("-", "−")
        return number if self.language == "en" else number.replace(",", _FIXED).replace(".", ",")


def wording(language: str) -> Wording:
    """Return the wording of a language, "en" or "ru"."""
    position = ("en", "ru").index(check_choice("language", language, ("en", "ru")))
    return Wording(language, {name: both[position] for name, both in _TEXTS.items()})


_TEXTS = {
    "all_clusters": ("All clusters", "Все кластеры"),
    "all_images": ("all images", "среди всех"),
    "and_noise": ("and {share} noise", "и {share} шума"),
    "ari": ("adjusted Rand index", "скорректированный индекс Рэнда"),
    "attribute": ("value", "значение"),
    "attributes": ("What it holds", "Что в нём"),
    "attributes_note": (
        "Attributes in which the cluster differs most from all images come first. The bar is the share within the "
        "cluster, the thin line its 95 % interval, in which images of one vehicle count as one observation; the "
        "upright line is the share among all images, lift the ratio of the two.",
        "Сначала признаки, которыми кластер больше всего отличается от всех изображений. Полоса — доля в кластере, "
        "тонкая линия — её 95-процентный интервал, в котором изображения одной машины считаются одним наблюдением; "
        "вертикальная черта — доля среди всех изображений, лифт — отношение этих долей.",
    ),
    "attributes_of": ("Attributes of cluster {cluster}", "Признаки кластера {cluster}"),
    "between": ("Cluster {cluster} (here) and cluster {other} (there)", "Кластер {cluster} (здесь) и {other} (там)"),
    "border": ("At the border", "На границе"),
    "border_note": (
        "The most doubtful images first, each with the other cluster to which it leans and how much farther that "
        "one's centre is than its own.",
        "Сначала самые спорные: к какому кластеру изображение близко и насколько центр того дальше своего.",
    ),
    "cluster": ("Cluster {cluster}", "Кластер {cluster}"),
    "clusters": ("clusters", "кластеров"),
    "clusters_first": ("clusters of the first", "кластеров в первом"),
    "clusters_of": ("Clusters of vehicle images", "Кластеры изображений машин"),
    "clusters_second": ("clusters of the second", "кластеров во втором"),
    "compared": ("Two partitions compared", "Сравнение двух разбиений"),
    "confidence": ("median confidence", "медиана уверенности"),
    "contingency": ("Where the images go", "Куда попадают изображения"),
    "contingency_note": (
        "Share of each cluster of the first partition (rows) that lies in each cluster of the second (columns).",
        "Доля каждого кластера первого разбиения (строки) в каждом кластере второго (столбцы).",
    ),
    "cut_clusters": (
        "The {shown} largest of {total} clusters are told of.",
        "Показано самых больших кластеров: {shown} из {total}.",
    ),
    "difference": ("difference, points", "разница, п.\u00a0п."),
    "differences": (
        "What tells it from cluster {other}, the nearest",
        "Чем он отличается от ближайшего кластера {other}",
    ),
    "differences_none": (
        "No known attribute differs clearly between the two.",
        "Ни один известный признак их явно не различает.",
    ),
    "differences_note": (
        "The bar is the share here, the upright line the share there; the thin line is the 95 % interval of the "
        "difference.",
        "Полоса — доля здесь, вертикальная черта — доля там; тонкая линия — 95-процентный интервал разницы.",
    ),
    "exemplars": ("Most typical", "Самые типичные"),
    "exemplars_note": (
        "The medoid first, then by distance from the centre; images of other vehicles before a second one of the same.",
        "Сначала медоид, далее по расстоянию от центра; сначала изображения разных машин.",
    ),
    "farther": ("cluster {other}: +{share}", "кластер {other}: +{share}"),
    "first": ("First", "Первое"),
    "first_and_second": ("first \\ second", "первое \\ второе"),
    "flagged": ("flagged as outliers", "отмечено выбросов"),
    "flow": ("Flow of {n} images", "Куда попадают изображения ({n})"),
    "flow_alt": (
        "Ribbons from the clusters of the first partition to those of the second",
        "Ленты от кластеров первого разбиения к кластерам второго",
    ),
    "here": ("here", "здесь"),
    "here_within": ("here (95 % interval)", "здесь (95-процентный интервал)"),
    "home": (
        "Made by veriwild_clustering {version}. This page loads nothing from the network.",
        "Сделано veriwild_clustering {version}. Страница ничего не загружает из сети.",
    ),
    "hour": ("{hour}:00: {share} here, {overall} of all images", "{hour}:00: здесь {share}, среди всех {overall}"),
    "hours": ("Hours of the day", "Часы суток"),
    "hours_note": (
        "Columns are shares within the cluster, lines those among all images.",
        "Столбцы — доли в кластере, черта — среди всех изображений.",
    ),
    "images": ("images", "изображений"),
    "kept": ("Clusters that are not split", "Кластеры, которые не делятся"),
    "known_of": ("known of {n}", "известно для {n}"),
    "lift": ("lift", "лифт"),
    "medoid": ("medoid", "медоид"),
    "more": ("{n} more values", "ещё значений: {n}"),
    "nearest": ("nearest cluster", "ближайший кластер"),
    "no_pages": (
        "Clusters smaller than these have no page: {n}.",
        "Кластеров меньше этих, без своей страницы: {n}.",
    ),
    "noise": ("noise", "шум"),
    "noise_heading": ("Noise", "Шум"),
    "noise_note": (
        "Images that belong to no cluster: {n}. Some of them, drawn at random:",
        "Изображений вне кластеров: {n}. Некоторые из них, выбранные случайно:",
    ),
    "of_all": ("{share} of all", "{share} от всех"),
    "origin": ("The data.", "Данные."),
    "others": ("others", "прочие"),
    "outliers": ("Flagged as outliers", "Отмечены как выбросы"),
    "outliers_cut": ("The {shown} most abnormal of {total}.", "Самые необычные: {shown} из {total}."),
    "pages": ("Pages", "Страницы"),
    "part": (
        "Part in cluster {part}: {share}, images: {count}",
        "Часть в кластере {part}: {share}, изображений: {count}",
    ),
    "part_noise": ("Part in the noise: {share}, images: {count}", "Часть в шуме: {share}, изображений: {count}"),
    "purity": ("vehicles wholly in it", "машины целиком в нём"),
    "purity_note": ("95 % interval {span}, by chance {chance}", "95-процентный интервал {span}, случайно {chance}"),
    "second": ("Second", "Второе"),
    "share": ("share", "доля"),
    "skip": ("Skip to the content", "К содержанию"),
    "sources": ("Cameras and hours", "Камеры и часы"),
    "splits": ("Clusters that are split", "Кластеры, которые делятся"),
    "splits_note": (
        "Typical images of each cluster of the first partition, and of its parts in the clusters of the second.",
        "Типичные изображения каждого кластера первого разбиения и его частей в кластерах второго.",
    ),
    "spread": ("spread", "разброс"),
    "spread_note": ("times the average", "от среднего"),
    "there": ("there", "там"),
    "typical_of": ("Typical of cluster {cluster}", "Типичные для кластера {cluster}"),
    "vehicle": ("vehicle {vehicle}", "машина {vehicle}"),
    "vehicles": ("vehicles", "машин"),
    "where": ("Cameras", "Камеры"),
}
