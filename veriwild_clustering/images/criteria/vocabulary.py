"""One spelling per meaning: labels without case, plural, punctuation and chatter, and which words mean the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from veriwild_clustering.core.classes import UNCERTAIN

__all__ = ["SYNONYMS", "UNCERTAIN", "Vocabulary", "spelling_of", "subject_of"]


SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "color": {
        "black": ("jet black",),
        "white": ("off white", "ivory", "pearl", "cream"),
        "grey": ("gray", "silver", "silvery", "greyish", "grayish", "charcoal", "graphite", "gunmetal"),
        "red": ("crimson", "scarlet", "maroon", "burgundy"),
        "orange": (),
        "yellow": ("gold", "golden"),
        "green": ("olive",),
        "blue": ("navy", "azure", "navy blue", "sky blue"),
        "purple": ("violet", "lilac"),
        "pink": ("magenta", "rose"),
        "brown": ("beige", "tan", "bronze", "chocolate"),
    },
    "type": {
        "sedan": ("saloon",),
        "hatchback": ("hatch",),
        "suv": ("sport utility vehicle", "sports utility vehicle", "off roader", "crossover", "4x4"),
        "mpv": ("minivan", "people carrier", "multi purpose vehicle"),
        "van": ("delivery van", "cargo van", "panel van"),
        "pickup": ("pick up", "pickup truck", "pick up truck"),
        "truck": ("lorry",),
        "light truck": ("box truck", "light lorry"),
        "heavy truck": ("semi truck", "tractor trailer", "articulated lorry", "heavy lorry"),
        "bus": ("coach", "city bus"),
        "minibus": ("mini bus", "minicoach"),
        "taxi": ("taxicab",),
        "motorcycle": ("motorbike", "scooter"),
    },
    "view": {
        "front": ("frontal", "front view", "front side", "head on", "from the front"),
        "rear": ("back", "behind", "rear view", "back view", "from behind", "rear side"),
        "side": ("profile", "lateral", "side view", "left side", "right side", "from the side"),
    },
    "light": {
        "day": ("daytime", "daylight", "sunlight", "sunny"),
        "dusk": ("twilight", "evening", "sunset", "dawn"),
        "night": ("nighttime", "night time", "dark"),
    },
    "focus": {"sharp": ("in focus", "crisp"), "soft": (), "blurred": ("blurry", "out of focus", "unsharp")},
}
"""By subject, the words that are told apart, each with those that mean the same. Labels of one's own go before it."""

_SUBJECTS = {
    "color": ("color", "colour", "paint"),
    "light": ("light", "time of day", "day or night", "daytime", "illumination"),
    "focus": ("focus", "sharpness", "blur"),
    "view": ("view", "angle", "viewpoint", "orientation", "perspective", "side of the vehicle"),
    "type": ("type", "kind of vehicle", "body", "category", "class of vehicle"),
}
_NOT_SAID = frozenset(
    ("uncertain", "unknown", "unclear", "unsure", "undetermined", "undefined", "none", "nothing", "n/a", "na", "null",
     "other", "others", "indeterminate", "unspecified", "unidentifiable")
)  # fmt: skip
_NOT_KNOWN = re.compile(
    r"\b(?:can ?not|can't|cannot be|could not|not) (?:\w+ )?(?:tell|told|see|seen|visible|sure|determined?|clear)"
)
_CHATTER = re.compile(
    r"^(?:sure|certainly|okay|ok|well|so|yes|answer|label|category|class|description|result|i think|i believe"
    r"|i would say"
    r"|it is|it's|this is|that is|there is|it looks|it seems|it appears|(?:the |this |that )?(?:main )?"
    r"(?:vehicle|car|image|picture|photo|photograph|color|colour|type|view|label|answer)(?: of the \w+)?"
    r"(?: in the (?:image|photo|picture))?(?: is| shows| shown is| appears| looks| seems)(?: to be)?"
    r"|to be|probably|likely|most likely|clearly|mostly|mainly|maybe|perhaps|rather|very|a|an|the|of|like)\b\s*"
)
_SHADES = re.compile(r"\b(?:dark|light|bright|pale|deep|metallic|matte|glossy|shiny|medium)\b\s*")
_NEGATIONS = frozenset({"not", "no", "isn't", "never", "neither", "nor", "without"})
_MAX_READ, _MAX_WORDS, _MAX_LETTERS = 500, 4, 60
_SAME_IN_PLURAL = frozenset({"mercedes", "series", "species"})


def subject_of(text: str) -> str | None:
    """Return what a criterion is about, "color", "type", "view", "light" or "focus"; None if it is none of them."""
    words = spelling_of(text)
    places = {
        subject: min((found.start() for word in signs if (found := re.search(rf"\b{word}s?\b", words))), default=None)
        for subject, signs in _SUBJECTS.items()
    }
    named = {subject: place for subject, place in places.items() if place is not None}
    return min(named, key=lambda subject: named[subject]) if named else None


class Vocabulary:
    """The labels of one criterion, and how answers are read as them.

    Parameters
    ----------
    text : str
        The criterion.
    labels : sequence of str, optional
        Labels of one's own: read as they are, before all synonyms.
    """

    def __init__(self, text: str, labels: Sequence[str] = ()) -> None:
        self.closed = bool(labels)
        subject = SYNONYMS.get(subject_of(text) or "", {})
        self.terms = dict(_spellings(subject, labels))
        self.spoken = {label: label for label in labels}
        self._shaded = subject is SYNONYMS["color"]
        self._longest = max((len(term.split()) for term in self.terms), default=0)

    def read(self, answer: str) -> str | None:
        """Return the label that an answer gives, "uncertain" if it says so, None if it does not say it in few words.

        A label that is not known is its own words, without case, plural, punctuation and chatter.
        """
        words = _words(answer)
        phrase = self._bare(" ".join(words))
        for spelling in (phrase, _singular(phrase)):
            if spelling in self.terms:
                return self.terms[spelling]
        if not phrase or phrase in _NOT_SAID:
            return UNCERTAIN if words else None
        named = set(self._mentioned(words))
        if len(named) == 1:
            return named.pop()
        if _NOT_KNOWN.search(" ".join(words)):
            return UNCERTAIN
        if self.closed or named or len(phrase.split()) > _MAX_WORDS or len(phrase) > _MAX_LETTERS:
            return None
        return _singular(phrase)

    def _bare(self, phrase: str) -> str:
        while phrase not in self.terms and (shorter := _CHATTER.sub("", phrase, count=1)) not in {phrase, ""}:
            phrase = shorter
        if self._shaded and phrase not in self.terms:
            phrase = re.sub(r"\b(?:colou?r(?:ed)?|paint(?:ed)?|vehicle|car|tone)s?$", "", phrase).strip() or phrase
            phrase = _SHADES.sub("", phrase).strip() or phrase
        return phrase

    def _mentioned(self, words: list[str]) -> Iterator[str]:
        """Yield the labels that are named, the longest spelling at each place, without those that are negated."""
        place = 0
        while place < len(words):
            for length in range(min(self._longest, len(words) - place), 0, -1):
                spelling = " ".join(words[place : place + length])
                label = self.terms.get(spelling) or self.terms.get(_singular(spelling))
                if label is not None:
                    if not _NEGATIONS.intersection(words[max(0, place - 2) : place]):
                        yield label
                    break
            else:
                length = 1
            place += length


def _spellings(subject: Mapping[str, tuple[str, ...]], labels: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each spelling with its label, the labels of one's own last, so that they win."""
    own = {spelling_of(label): label for label in labels}
    for label, synonyms in subject.items():
        spellings = [label, *synonyms]
        target = next((own[spelling] for spelling in spellings if spelling in own), None if own else label)
        if target is not None:
            yield from ((spelling, target) for spelling in spellings)
    yield from ((_singular(spelling), label) for spelling, label in own.items())
    yield from own.items()


def spelling_of(label: str) -> str:
    """Return a label as answers are compared with it: its words in lower case, "" if it has none."""
    return " ".join(_words(label))


def _words(text: str) -> list[str]:
    """Return the words in lower case, of a text that may be long, oddly encoded or full of control characters."""
    plain = unicodedata.normalize("NFKC", str(text)[:_MAX_READ]).casefold()
    return re.findall(r"n/a|[^\W_]+(?:['’][^\W_]+)*", plain)


@lru_cache(maxsize=4096)
def _singular(phrase: str) -> str:
    """Return a phrase with its last word in the singular, by the plain rules of English."""
    *before, last = phrase.split() or [""]
    if last in _SAME_IN_PLURAL:
        return phrase
    if len(last) > 4 and last.endswith("ies"):
        last = f"{last[:-3]}y"
    elif len(last) > 4 and last.endswith(("buses", "sses", "xes", "ches", "shes")):
        last = last[:-2]
    elif len(last) > 3 and last.endswith("s") and not last.endswith(("ss", "us", "is")):
        last = last[:-1]
    return " ".join([*before, last])
