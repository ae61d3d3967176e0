"""The conventions of the public API, checked by walking it: signatures, docstrings, examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc, NumpyDocString

import veriwild_clustering

COMPUTING_PACKAGES = {"descriptors", "clustering", "outliers", "evaluation", "interpretation"}

PUBLIC = {name: getattr(veriwild_clustering, name) for name in sorted(veriwild_clustering.__all__)}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
DOCUMENTED = {name: value for name, value in PUBLIC.items() if name != "DatasetError"}


def public_methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in vars(cls):
        method = getattr(cls, name)
        if not name.startswith("_") and (inspect.isfunction(method) or inspect.ismethod(method)):
            yield f"{cls.__name__}.{name}", method


CALLABLES = DOCUMENTED | {name: method for cls in CLASSES.values() for name, method in public_methods(cls)}


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [item for item in inspect.signature(function).parameters.values() if item.name not in {"self", "cls"}]


def docstring(function: Callable[..., Any]) -> NumpyDocString:
    return ClassDoc(function) if inspect.isclass(function) else FunctionDoc(function)


def test_every_public_name_is_a_function_or_a_class() -> None:
    assert set(PUBLIC) == set(FUNCTIONS) | set(CLASSES)


@pytest.mark.parametrize("name", CALLABLES)
def test_at_most_three_parameters_are_positional(name: str) -> None:
    kinds = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    positional = [item.name for item in parameters(CALLABLES[name]) if item.kind in kinds]
    assert len(positional) <= 3, f"{name} takes {positional} by position"


@pytest.mark.parametrize("name", CALLABLES)
def test_docstring_opens_with_a_summary(name: str) -> None:
    assert docstring(CALLABLES[name])["Summary"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_names_every_parameter_in_order(name: str) -> None:
    function = DOCUMENTED[name]
    described = [item for entry in docstring(function)["Parameters"] for item in entry.name.split(", ")]
    assert described == [str(item).split(":")[0].split("=")[0].strip() for item in parameters(function)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring_says_what_is_returned(name: str) -> None:
    nothing = inspect.signature(FUNCTIONS[name]).return_annotation in {None, "None"}
    assert nothing or docstring(FUNCTIONS[name])["Returns"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring_has_an_example_that_runs(name: str) -> None:
    examples = "\n".join(docstring(DOCUMENTED[name])["Examples"])
    assert ">>> " in examples
    assert "+SKIP" not in examples


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstring_of_a_computation_gives_its_cost(name: str) -> None:
    package = FUNCTIONS[name].__module__.split(".")[1]
    assert package not in COMPUTING_PACKAGES or "O(" in "\n".join(docstring(FUNCTIONS[name])["Notes"])
