"""Images in the groups of their labels: what each repetition says, what neighbours add, and the partition of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.criteria.naming import Naming
from veriwild_clustering.clustering.criteria.propagation import propagate
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.images.criteria.criterion import Labels
from veriwild_clustering.images.criteria.vocabulary import UNCERTAIN

__all__ = ["Groups"]


@dataclass(frozen=True, eq=False)
class Groups:
    """The group of each image, −1 for none, with its confidence, the groups of each repetition, and the labels."""

    names: tuple[str, ...]
    groups: NDArray[np.int64]
    confidence: NDArray[np.float64]
    repetitions: NDArray[np.int64]
    labels: NDArray[np.object_]

    @classmethod
    def of(cls, labels: Labels, naming: Naming) -> Groups:
        """Return the groups of the images that have a label."""
        place = {label: number for number, label in enumerate(naming.labels)}
        codes = np.array([place.get(label, -1) for label in labels.labels], dtype=np.int64)
        groups = np.append(naming.groups, NOISE)[codes]
        confidence = labels.confidence * np.append(naming.votes, 0.0)[codes]
        without = np.full((len(naming.repetitions), 1), NOISE)
        repetitions = np.hstack([naming.repetitions, without])[:, codes]
        return cls(naming.names, groups, confidence, repetitions, labels.labels)

    def spread(self, space: Descriptor, rows: NDArray[np.int64]) -> tuple[Groups, str]:
        """Return the groups with every image in that of its nearest asked images, and what was done in a sentence.

        An image is uncertain if its neighbours are. Asked images without an answer have no vote.
        """
        n_names = len(self.names)
        classes = np.where(self.labels == UNCERTAIN, n_names, self.groups)[rows]
        voters = rows[classes >= 0]
        counted = f"{len(rows):,} of {len(self.groups):,} images asked about"
        if len(voters) < 2:
            return self, f"{counted}, too few answers to decide on the others"
        found = propagate(space, voters, classes[classes >= 0])
        groups = np.where(found.classes < n_names, found.classes, NOISE)
        usual = [self._usual(group, voters) for group in range(n_names)]
        guessed = np.append(np.array(usual, dtype=np.int64).reshape(n_names, -1).T, self._noise, axis=1)[:, groups]
        others = np.ones(len(groups), dtype=bool)
        others[voters] = False
        spread = replace(
            self, groups=np.where(space.valid | ~others, groups, NOISE),
            repetitions=np.where(others, guessed, self.repetitions),
            confidence=np.where(others, found.confidence / 2, self.confidence),
        )  # fmt: skip
        said = f"{found.n_neighbors} nearest" if found.n_neighbors > 1 else "nearest"
        return spread, f"{counted}, the others as their {said}; left out, {found.agreement:.1%} of the asked stay"

    def outcome(self) -> str:
        """Say how many images have a group, and how far the repetitions agree with it."""
        from sklearn.metrics import adjusted_rand_score

        grouped = float(np.mean(self.groups >= 0)) if len(self.groups) else 0.0
        agreement = [float(adjusted_rand_score(self.groups, one)) for one in self.repetitions]
        between = f", {len(agreement)} namings agree by ARI {min(agreement):.3f} to {max(agreement):.3f}"
        used = len(np.unique(self.groups[self.groups >= 0]))
        return f"{used} groups hold {grouped:.1%} of the images{between if len(agreement) > 1 else ''}"

    def partition(self, name: str, space: Descriptor | None, *, params: Mapping[str, Any], seconds: float) -> Partition:
        """Return the partition, in a space or in that of the answers themselves."""
        if space is None:
            answers = np.zeros((len(self.groups), max(1, len(self.names))), dtype=np.float32)
            named = np.flatnonzero(self.groups >= 0)
            answers[named, self.groups[named]] = self.confidence[named]
            space = Descriptor(name, answers)
        return Partition(
            self.groups.astype(np.int32), space, "criterion", params=params, cluster_names=self.names,
            confidence=self.confidence.astype(np.float32), seconds=seconds,
            state={"repetitions": self.repetitions.astype(np.int32), "labels": self.labels.astype(str)},
        )  # fmt: skip

    @property
    def _noise(self) -> NDArray[np.int64]:
        return np.full((len(self.repetitions), 1), NOISE)

    def _usual(self, group: int, voters: NDArray[np.int64]) -> list[int]:
        """Return what each repetition calls most of the asked images of a group."""
        members = self.repetitions[:, voters[self.groups[voters] == group]]
        return [int(np.bincount(one + 1).argmax()) - 1 if len(one) else NOISE for one in members]
