"""The texts of page frames: both languages say the same, and numbers are written as each writes them."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering.reporting.pages.wording import wording

GAP = "\N{NO-BREAK SPACE}"


def _fields(text: str) -> set[str | None]:
    return {field for _, _, field, _ in string.Formatter().parse(text)} - {None}


def test_both_languages_say_the_same() -> None:
    english, russian = wording("en").texts, wording("ru").texts
    assert english.keys() == russian.keys()
    for name in english:
        assert _fields(english[name]) == _fields(russian[name]), name
        assert any("а" <= letter <= "я" for letter in russian[name].lower()), name


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", ["1,234,567", "0.50", f"12.3{GAP}%", "+7"]),
        ("ru", [f"1{GAP}234{GAP}567", "0,50", f"12,3{GAP}%", "+7"]),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(language, written) -> None:
    words = wording(language)
    assert [words.count(1234567), words.decimal(0.5), words.percent(0.1234, decimals=1), words.points(0.07)] == written
    assert words.count(1234) == {"en": "1,234", "ru": "1234"}[language]
    assert words.points(-0.5) == "−50"
    assert {words.count(None), words.decimal(np.nan), words.percent(np.nan), words.span(np.nan, 1.0)} == {"–"}


@given(st.floats(0, 1), st.integers(0, 2))
@settings(max_examples=200, deadline=None)
def test_shares_are_never_rounded_to_all_or_nothing(share, decimals) -> None:
    number = wording("en").percent(share, decimals=decimals).removesuffix(f"{GAP}%")
    written = float(number.lstrip("<>"))
    assert (written == 100) <= (share == 1)
    assert (written == 0) <= (share == 0)
    assert abs(written - 100 * share) <= 1.001 * 10.0**-decimals


def test_unknown_language_is_named() -> None:
    with pytest.raises(ValueError, match=r"`language` must be one of 'en', 'ru'. Got 'de'"):
        wording("de")
