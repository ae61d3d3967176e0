"""A grid of algorithms and parameters, expanded into tasks and checked before anything is fitted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import joblib

from veriwild_clustering import __version__
from veriwild_clustering.clustering.families.agglomerative import AgglomerativeFamily
from veriwild_clustering.clustering.families.dbscan import DbscanFamily
from veriwild_clustering.clustering.families.family import EstimatorFamily, Family
from veriwild_clustering.clustering.families.hdbscan import HdbscanFamily
from veriwild_clustering.clustering.families.kmeans import KMeansFamily, MiniBatchKMeansFamily
from veriwild_clustering.clustering.families.mixture import GaussianMixtureFamily
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.validation import check_int, check_known_names, frozen_params

__all__ = ["FAMILIES", "Task", "plan"]

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        KMeansFamily(),
        MiniBatchKMeansFamily(),
        GaussianMixtureFamily(),
        AgglomerativeFamily(),
        HdbscanFamily(),
        DbscanFamily(),
    )
}

_FEWEST_ROWS = 3  # the fewest in which 2 clusters are fewer than images


@dataclass(frozen=True)
class Task:
    """One partition to make: a descriptor, a family and a setting."""

    descriptor: Descriptor
    family: Family
    params: Mapping[str, Any]

    @property
    def group(self) -> tuple[str, str, str]:
        """What tasks that can share work have in common."""
        common = {key: value for key, value in self.params.items() if key not in self.family.varying}
        return self.descriptor.name, self.family.name, _digest(common)

    @property
    def key(self) -> str:
        """A hash of everything on which the result depends; costs a pass over the vectors, once per descriptor."""
        family = self.family
        prototype = family.estimator() if isinstance(family, EstimatorFamily) else None
        code = [family.library, __version__, family.revision]
        return _digest([self.descriptor.fingerprint, family.name, prototype, self.params, code])


def plan(descriptors: Sequence[Descriptor], grid: Mapping[str, Any], *, random_state: int) -> list[Task]:
    """Return a task for each descriptor and setting, descriptors outermost, or raise before anything is fitted."""
    _check_descriptors(descriptors)
    if not isinstance(grid, Mapping) or not grid:
        raise ValueError(f"`grid` must map at least one algorithm to its parameters. Got {grid!r} instead.")
    settings = [setting for name, entry in grid.items() for setting in _settings(name, entry, random_state)]
    for descriptor in descriptors:
        for family, params in settings:
            try:
                family.check(params, descriptor.n_valid)
            except (TypeError, ValueError) as error:
                where = f"{family.name} on {descriptor.name!r}, {descriptor.n_valid:,} usable images"
                raise type(error)(f"{error} ({where}.)") from error
    return [Task(descriptor, family, params) for descriptor in descriptors for family, params in settings]


def _settings(name: str, entry: Any, random_state: int) -> list[tuple[Family, dict[str, Any]]]:
    """Return a family with each of its settings, the last parameter varying fastest."""
    family, values = _family(name, entry)
    lists = {key: _as_list(key, value, name) for key, value in values.items()}
    if "random_state" in family.defaults():
        lists.setdefault("random_state", [random_state])
        for seed in lists["random_state"]:
            check_int("random_state", seed, low=0, high=2**32)
    return [(family, frozen_params(dict(zip(lists, choice, strict=True)))) for choice in product(*lists.values())]


def _family(name: str, entry: Any) -> tuple[Family, Mapping[str, Any]]:
    """Return the family that a key of the grid names, and the values of its parameters."""
    values = entry
    if isinstance(entry, tuple):
        if len(entry) != 2 or isinstance(entry[0], type) or not hasattr(entry[0], "fit_predict"):
            raise TypeError(
                f"`grid[{name!r}]` must be parameters, or a pair (scikit-learn clusterer, parameters). "
                f"Got {entry!r} instead."
            )
        if name in FAMILIES:
            raise ValueError(f"{name!r} is the name of a built-in algorithm. Give your estimator another name.")
        estimator, values = entry
        family: Family = EstimatorFamily(name, estimator)
    else:
        check_known_names("algorithm", [name], list(FAMILIES))
        family = FAMILIES[name]
    if not isinstance(values, Mapping):
        raise TypeError(f"The parameters of {name} must be a mapping of names to values. Got {values!r} instead.")
    check_known_names(f"parameter of {name}", values, list(family.defaults()))
    return family, values


def _as_list(key: str, value: Any, name: str) -> list[Any]:
    """Return the values of a parameter; what is not a collection is a list of one."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        return [value]
    values = list(value)
    if not values:
        raise ValueError(f"`{key}` of {name} has no values.")
    return values


def _check_descriptors(descriptors: Sequence[Descriptor]) -> None:
    if not descriptors:
        raise ValueError("`descriptors` must hold at least one descriptor.")
    for descriptor in descriptors:
        if not isinstance(descriptor, Descriptor):
            raise TypeError(f"`descriptors` must be a Descriptor or a sequence of them. Got {descriptor!r} instead.")
        if descriptor.n_valid < _FEWEST_ROWS:
            raise ValueError(
                f"Descriptor {descriptor.name!r} has {descriptor.n_valid} usable rows. "
                f"Clustering needs at least {_FEWEST_ROWS}."
            )
        if descriptor.is_constant:
            raise ValueError(
                f"The usable vectors of {descriptor.name!r} are all equal: there are no clusters to find. "
                f"Leave this descriptor out."
            )
    names = [descriptor.name for descriptor in descriptors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"Descriptors of one sweep must have different names. Got {', '.join(map(repr, twice))} twice."
        )


def _digest(value: Any) -> str:
    """Return a hash of plain values, and through joblib of any others."""
    text = json.dumps(value, sort_keys=True, default=joblib.hash)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
