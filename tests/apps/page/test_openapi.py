"""The OpenAPI description: what it says is what the server does, whatever is sent."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from veriwild_clustering.apps.page.server.application import create_app
from veriwild_clustering.apps.page.workspace import Workspace

HEADERS = {"Host": "localhost"}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_answers_are_as_described(workspace: Workspace, mode: GenerationMode) -> None:
    """No error of the server, and every status, type and body as the description says."""
    application = create_app(workspace, interface=False)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", application, headers=HEADERS)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        # What the description allows may still name no column, or be no JSON: 422 is right then.
        @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=HEADERS, excluded_checks=[positive_data_acceptance])

        if mode is GenerationMode.POSITIVE or operation.body or operation.query or operation.path_parameters:
            ask()
    assert asked > 100


def test_every_route_is_described(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            assert {"404", "422"} <= operation["responses"].keys()
