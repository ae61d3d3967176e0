"""The languages by name."""

from __future__ import annotations

from veriwild_clustering.core.validation import check_choice
from veriwild_clustering.interpretation.language.english import English
from veriwild_clustering.interpretation.language.grammar import Language
from veriwild_clustering.interpretation.language.russian import Russian

__all__ = ["language_of"]

_LANGUAGES = {"en": English, "ru": Russian}


def language_of(name: str) -> Language:
    """Return the language called "en" or "ru"."""
    return _LANGUAGES[check_choice("language", name, list(_LANGUAGES))]()
