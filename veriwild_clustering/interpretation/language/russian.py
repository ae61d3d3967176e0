"""Russian phrases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from veriwild_clustering.interpretation.language.grammar import Claim, Contrast, Language, Part
from veriwild_clustering.interpretation.language.russian_reasons import reason_in_russian

__all__ = ["Russian"]

_COLORS = {
    "beige": "бежевые",
    "black": "чёрные",
    "blue": "синие",
    "brown": "коричневые",
    "gold": "золотистые",
    "gray": "серые",
    "green": "зелёные",
    "grey": "серые",
    "orange": "оранжевые",
    "pink": "розовые",
    "purple": "фиолетовые",
    "red": "красные",
    "silver": "серебристые",
    "white": "белые",
    "yellow": "жёлтые",
}
_VALUES = {
    "color": _COLORS,
    "measured_color": {name: f"{word} (по измерению)" for name, word in _COLORS.items()},
    "focus": {"blurred": "размытые", "sharp": "резкие", "soft": "нерезкие"},
    "light": {"day": "при дневном свете", "night": "в темноте"},
    "time_of_day": {
        "dawn": "на рассвете",
        "day": "днём",
        "dusk": "в сумерках",
        "evening": "вечером",
        "morning": "утром",
        "night": "ночью",
    },
    "type": {
        "bus": "автобусы",
        "car": "легковые автомобили",
        "hatchback": "хэтчбеки",
        "heavy truck": "тяжёлые грузовики",
        "light truck": "лёгкие грузовики",
        "minibus": "микроавтобусы",
        "minivan": "минивэны",
        "motorcycle": "мотоциклы",
        "pickup": "пикапы",
        "sedan": "седаны",
        "suv": "внедорожники",
        "taxi": "такси",
        "truck": "грузовики",
        "van": "фургоны",
    },
    "view": {"front": "вид спереди", "overhead": "вид сверху", "rear": "вид сзади", "side": "вид сбоку"},
}
_WORDINGS = {
    "aspect": "с отношением ширины к высоте {}",
    "blockiness": "с блочностью JPEG {}",
    "brightness": "с яркостью {}",
    "brisque": "с BRISQUE {}",
    "camera": "с камеры {}",
    "color": "цвет «{}»",
    "contrast": "с контрастом {}",
    "dark_share": "с долей тёмных пикселей {}",
    "entropy": "с энтропией (в битах) {}",
    "focus": "фокус «{}»",
    "folder": "из папки {}",
    "glare_share": "с долей засвеченных пикселей {}",
    "height": "высотой {} пикс.",
    "hours": "снятые в {} ч",
    "light": "освещение «{}»",
    "measured_color": "измеренный цвет «{}»",
    "model": "модель {}",
    "noise": "с шумом (в уровнях серого) {}",
    "sharpness": "с резкостью {}",
    "time_of_day": "время суток «{}»",
    "type": "тип «{}»",
    "view": "ракурс «{}»",
    "width": "шириной {} пикс.",
}
_LABELS = {
    "aspect": "отношение сторон",
    "blockiness": "блочность JPEG",
    "brightness": "яркость",
    "brisque": "BRISQUE",
    "camera": "камера",
    "color": "цвет",
    "contrast": "контраст",
    "dark_share": "доля тёмных пикселей",
    "entropy": "энтропия",
    "focus": "фокус",
    "folder": "папка",
    "glare_share": "доля засвеченных пикселей",
    "height": "высота",
    "hours": "час съёмки",
    "light": "освещение",
    "measured_color": "измеренный цвет",
    "model": "модель",
    "noise": "шум",
    "sharpness": "резкость",
    "time_of_day": "время суток",
    "type": "тип",
    "view": "ракурс",
    "width": "ширина",
}
_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_BINS = {
    re.compile(f"at most {_NUMBER}"): "не больше {}",
    re.compile(f"{_NUMBER} to {_NUMBER}"): "от {} до {}",
    re.compile(f"above {_NUMBER}"): "больше {}",
}


class Russian(Language):
    """Claims in Russian."""

    quotes = ("«", "»")
    nothing = "ни один известный признак не выделяется"
    under, over = "менее", "более"

    def attribute(self, column: str) -> str:
        """Цвет."""
        return _LABELS.get(column, f"признак «{column}»")

    def value(self, column: str, value: Any) -> str:
        """Чёрные."""
        return _VALUES.get(column, {}).get(str(value).strip().lower()) or _bin_or_text(value)

    def reason(self, reason: str) -> str:
        """Размыто: резкость среди 0,2 % самых низких значений."""
        return reason_in_russian(reason, self.attribute)

    def head(self, cluster: str, size: int, *, share: float, n_vehicles: int | None) -> str:
        """Кластер 1 (40 изображений, 33,3 %, 20 машин)."""
        facts = [_images(size), f"{_decimal(100 * share, 1)} %"]
        if n_vehicles:
            facts.append(_counted(n_vehicles, ("машина", "машины", "машин")))
        return f"Кластер {cluster} ({', '.join(facts)})"

    def claim(self, claim: Claim) -> str:
        """82 % — чёрные (в 3,8 раза чаще, чем в целом)."""
        known = "" if claim.known is None else f" из {_grouped(claim.known)} известных"
        named = _named(claim.column, claim.value)
        lift = f"в {_decimal(claim.lift, 1)} раза чаще, чем в целом"
        return f"{self.percent(claim.share)}{known} — {named} ({lift})"

    def place(self, spread: float, nearest: str | None, contrast: Contrast | None) -> str:
        """Разброс — 0,95 от среднего; ближайший кластер — 5, отличие от него — цвет: чёрные — 82 % здесь и 0 % там."""
        text = f"Разброс — {_decimal(spread, 2)} от среднего"
        if nearest is not None:
            text += f"; ближайший кластер — {nearest}"
        if contrast is not None:
            here, there = self.percent(contrast.here), self.percent(contrast.there)
            text += f", отличие от него — {self.attribute(contrast.column)}: "
            text += f"{_named(*contrast[:2])} — {here} здесь и {there} там{_where_known(contrast)}"
        return text

    def vehicles(self, purity: float, chance: float) -> str:
        """Из машин, снятых не один раз, целиком в нём 54 % (случайно было бы 1 %)."""
        whole, expected = self.percent(purity), self.percent(chance)
        return f"из машин, снятых не один раз, целиком в нём {whole} (случайно было бы {expected})"

    def partition(self, algorithm: str, descriptor: str) -> str:
        """Разбиения kmeans по osnet."""
        return f"разбиения {algorithm} по {descriptor}"

    def subject(self, cluster: str, partition: str, size: int) -> str:
        """Кластер 3 разбиения kmeans по osnet (100 изображений)."""
        return f"Кластер {cluster} {partition} ({_images(size)})"

    def kept(self, subject: str, part: Part, other: str, *, of_part: float) -> str:
        """Кластер 3 … — это кластер 1 (97 %) …; он составляет 45 % этого кластера."""
        made = f"{self.percent(of_part)} {'этого шума' if part.cluster < 0 else 'этого кластера'}"
        return f"{subject} — это {self._listed([part])} {other}; он составляет {made}."

    def split(self, subject: str, parts: Sequence[Part], other: str, *, asked: bool) -> str:
        """Кластер 3 … — это кластеры 1 (62 %) и 4 (36 %) …; эти части различает цвет: в кластере 1 …"""
        text = f"{subject} — это {self._listed(parts)} {other}"
        told = [(part, part.contrast) for part in parts if part.contrast is not None]
        if not asked:
            return f"{text}."
        if not told:
            return f"{text}; эти части не различает ни один известный признак."
        said = [
            f"{self._place(part)} {_named(*contrast[:2])} — {self.percent(contrast.here)}{_where_known(contrast)}"
            for part, contrast in told
        ]
        return f"{text}; эти части различает {self.attribute(told[0][1].column)}: {', '.join(said)}."

    def scattered(self, subject: str, n_parts: int, other: str, *, most: float) -> str:
        """Кластер 3 … рассеян по 14 кластерам …, в каждом не больше 8 % его изображений."""
        clusters = _counted(n_parts, ("кластеру", "кластерам", "кластерам"))
        return f"{subject} рассеян по {clusters} {other}, в каждом не больше {self.percent(most)} его изображений."

    def _place(self, part: Part) -> str:
        return "в шуме" if part.cluster < 0 else f"в кластере {self.numbered(part.cluster, part.name)}"

    def _listed(self, parts: Sequence[Part]) -> str:
        clusters = [
            f"{self.numbered(part.cluster, part.name)} ({self.percent(part.share)})"
            for part in parts
            if part.cluster >= 0
        ]
        noise = [f"шум ({self.percent(part.share)})" for part in parts if part.cluster < 0]
        if clusters:
            clusters[0] = f"{'кластеры' if len(clusters) > 1 else 'кластер'} {clusters[0]}"
        items = [*clusters, *noise]
        return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} и {items[-1]}"


def _plural(number: int, forms: tuple[str, str, str]) -> str:
    """Return the form that goes with a number: 1 машина, 2 машины, 5 машин, 11 машин, 21 машина."""
    if number % 10 == 1 and number % 100 != 11:
        return forms[0]
    return forms[1] if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14) else forms[2]


def _grouped(number: int) -> str:
    """Group digits by no-break spaces, from five digits on as Russian typography does."""
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}") if number >= 10_000 else str(number)


def _counted(number: int, forms: tuple[str, str, str]) -> str:
    return f"{_grouped(number)} {_plural(number, forms)}"


def _images(number: int) -> str:
    return _counted(number, ("изображение", "изображения", "изображений"))


def _decimal(number: float, digits: int) -> str:
    return f"{number:.{digits}f}".replace(".", ",")


def _named(column: str, value: Any) -> str:
    """Translate a value of a known vocabulary; another one stands beside what it is a value of."""
    if word := _VALUES.get(column, {}).get(str(value).strip().lower()):
        return word
    return _WORDINGS.get(column, f"«{column}» {{}}").replace("{}", _bin_or_text(value))


def _bin_or_text(value: Any) -> str:
    """Translate the name of a bin, whose numbers get a decimal comma; another value stays as it is."""
    text = str(value)
    for pattern, words in _BINS.items():
        if found := pattern.fullmatch(text):
            return words.format(*(number.replace(".", ",") for number in found.groups()))
    return text


def _where_known(contrast: Contrast) -> str:
    return " (где известно)" if contrast.partly else ""
