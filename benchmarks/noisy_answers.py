"""Someone who knows the truth and tells it badly: wrong answers, other words, chatter, names of no class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.images.captioning.prompts import Answer, Prompt

__all__ = ["NoisyTruth"]

_SPELLINGS = {
    "grey": ("silver", "gray", "Silver", "greys"),
    "white": ("off-white", "White"),
    "blue": ("navy", "dark blue"),
    "red": ("maroon", "bright red"),
    "brown": ("beige",),
    "yellow": ("golden",),
    "sedan": ("saloon", "Sedans"),
    "suv": ("SUVs", "crossover"),
    "bus": ("coach", "buses"),
    "minibus": ("mini-bus",),
    "heavy truck": ("articulated lorry", "heavy trucks"),
    "light truck": ("box truck", "Light Truck"),
    "pickup": ("pick-up truck", "pickup truck"),
    "front": ("frontal", "front view"),
    "rear": ("back", "from behind"),
    "side": ("profile", "left side"),
}
_CHATTER = (
    "{}",
    "{}.",
    "It is {}.",
    "The vehicle appears to be {}",
    "Sure! The answer is: **{}**",
    "I would say {}, a typical one.",
    "{} (clearly visible)",
)
_OFF_LIST = ("turquoise", "camper", "limousine", "Ford Transit", "oblique", "champagne", "tractor", "checkered")


class NoisyTruth:
    """Answers the questions of a criterion from a table of the truth.

    Parameters
    ----------
    truth : DataFrame
        One column per criterion, named by its text.
    wrong : float
        Share of the images about which the answer is wrong: a fifth of it a name of no class, the rest another class.
    seed : int
        What is wrong, and how it is said, is a function of the seed and the image.
    """

    name = "noisy truth"

    def __init__(self, truth: pd.DataFrame, *, wrong: float = 0.1, seed: int = 0) -> None:
        self.truth, self.wrong, self.seed = truth, wrong, seed
        self.classes = {str(name): sorted(map(str, column.unique())) for name, column in truth.items()}
        self.n_questions = {"image": 0, "words": 0}

    def ask(
        self,
        prompts: Sequence[Prompt],
        dataset: Dataset | None = None,  # noqa: ARG002 - the row is enough
        *,
        progress: bool | None = None,  # noqa: ARG002
    ) -> list[Answer]:
        """Return one answer per prompt."""
        answers = []
        for prompt in prompts:
            self.n_questions["words" if prompt.row is None else "image"] += 1
            answers.append(Answer(self._words(prompt) if prompt.row is None else self._image(prompt)))
        return answers

    def _image(self, prompt: Prompt) -> dict[str, str]:
        return {name: self._say(criterion, prompt.row or 0) for name, criterion in _criteria(prompt.text)}

    def _say(self, criterion: str, row: int) -> str:
        rng = np.random.default_rng([self.seed, row, *criterion.encode()])
        said = str(self.truth[criterion].iloc[row])
        if rng.random() < self.wrong:
            others = [name for name in self.classes[criterion] if name != said]
            said = str(rng.choice(_OFF_LIST if rng.random() < 0.2 else others))
        if rng.random() < 0.4:
            said = str(rng.choice(_SPELLINGS.get(said, (said.upper(),))))
        return str(rng.choice(_CHATTER)).replace("{}", said)

    def _words(self, prompt: Prompt) -> Mapping[str, Any]:
        """Read a description, name groups of a histogram, or choose a group: told by the schema."""
        rng = np.random.default_rng([self.seed, *prompt.text[-200:].encode()])
        properties = (prompt.schema or {}).get("properties", {})
        if "names" in properties:
            counts = {name: int(n) for name, n in re.findall(r'^"(.*)": (\d+) images$', prompt.text, re.MULTILINE)}
            likely = [name for name, n in counts.items() if n >= 0.015 * sum(counts.values()) and rng.random() > 0.05]
            return {
                "names": [
                    str(rng.choice((name, name.title(), f"{name}{'e' * name.endswith('s')}s"))) for name in likely
                ]
            }
        choices = properties.get("answer", {}).get("enum")
        if choices:
            return {"answer": str(rng.choice(choices))}
        described = re.search(r"^Description: (.*)$", prompt.text, re.MULTILINE)
        words = re.findall(r"[\w-]+", json.loads(described.group(1)) if described else "")
        return {"answer": words[3] if len(words) > 3 else "uncertain"}


def _criteria(text: str) -> Iterator[tuple[str, str]]:
    for name, criterion in re.findall(r"^(answer_\d+): (.*)$", text, re.MULTILINE):
        yield name, criterion.partition(" (do not consider")[0]
