"""Why an image is an outlier, in Russian: the phrases of outlier scores, found by their form."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["reason_in_russian"]

_DAMAGES = {
    "JPEG blocks": "блоки JPEG",
    "blurred": "размыто",
    "empty frame": "пустой кадр",
    "glare": "засветка",
    "little contrast": "слабый контраст",
    "noisy": "зашумлено",
    "too bright": "слишком светло",
    "too dark": "слишком темно",
    "unnatural": "неестественный вид",
}
_PLACES = {
    "at the edge of the cloud": "на краю облака",
    "easily isolated": "легко отделяется",
    "extreme in many features": "крайние значения многих признаков",
    "far from its neighbours": "далеко от соседей",
    "in a sparser place than its neighbours": "в более разреженном месте, чем соседи",
    "off the main directions of variation": "в стороне от главных направлений разброса",
    "rare values in many features": "редкие значения многих признаков",
    "unusual": "необычно",
}
_ENDS = {"high": "высоких", "low": "низких"}
_FILES = {
    "empty": "пуст",
    "missing": "отсутствует",
    "refused": "лежит вне папки с данными",
    "too large": "слишком велик",
    "truncated": "обрезан",
    "unreadable": "не читается",
}
_DAMAGE = re.compile(r"(.+?): (.+) in the (high|low)est ([\d.]+) %")
_DISTANCE = re.compile(rf"({'|'.join(_PLACES)}) in (.+): (.+) score in the top ([\d.]+) %")
_SIMPLE = {
    re.compile("near-duplicate of (.+)"): "почти повторяет {}",
    re.compile("no usable vector in (.+)"): "нет пригодного вектора: {}",
    re.compile("no quality measures"): "качество не измерено",
    re.compile("no vehicle found"): "машина не найдена",
}


def reason_in_russian(reason: str, label: Callable[[str], str]) -> str:
    """Translate a reason part by part; `label` names a measure, and a part of unknown form stays as it is."""
    return "; ".join(_part(part, label) for part in reason.split("; "))


def _part(part: str, label: Callable[[str], str]) -> str:
    if found := _DISTANCE.fullmatch(part):
        place, spaces, detector, share = found.groups()
        listed = " и ".join(spaces.rsplit(" and ", 1))
        return f"{_PLACES[place]} по {listed}: оценка {detector} среди {_comma(share)} % самых высоких"
    if found := _DAMAGE.fullmatch(part):
        damage, measure, end, share = found.groups()
        named = f"{label(measure.replace(' ', '_'))} среди {_comma(share)} % самых {_ENDS[end]} значений"
        return f"{_DAMAGES.get(damage, 'необычно')}: {named}"
    if (status := part.removeprefix("image file ")) in _FILES:
        return f"файл изображения {_FILES[status]}"
    for pattern, words in _SIMPLE.items():
        if found := pattern.fullmatch(part):
            return words.format(*found.groups())
    return part


def _comma(number: str) -> str:
    return number.replace(".", ",")
