"""Who may ask: the token, the login, names of hosts, pages of other sites, what a browser is told."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from veriwild_clustering.apps.page.server.application import create_app
from veriwild_clustering.apps.page.server.errors import ErrorBody
from veriwild_clustering.apps.page.server.security import COOKIE, session_of
from veriwild_clustering.apps.page.workspace import Workspace

TOKEN = "a-token-of-some-length"  # noqa: S105


@pytest.fixture
def locked(workspace: Workspace, client_of: Callable[..., TestClient]) -> TestClient:
    return client_of(workspace, TOKEN)


def code_of(answer: object) -> str:
    return ErrorBody.model_validate(answer.json()).error.code  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer ä€".encode("latin-1", "ignore")},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}={session_of('another')}"},
        {"Cookie": "=;;\x7f=\x7f"},
    ],
)
@pytest.mark.parametrize("path", ["/api/dataset", "/api/openapi.json", "/api/images/1/thumbnail", "/api/nothing"])
def test_without_the_token_nothing_is_shown(locked: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = locked.get(path, headers=headers)
    assert answer.status_code == 401
    assert code_of(answer) == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("query", [f"?token={TOKEN}", f"?access_token={TOKEN}", f"?authorization=Bearer%20{TOKEN}"])
def test_a_token_in_the_address_counts_for_nothing(locked: TestClient, query: str) -> None:
    assert locked.get(f"/api/dataset{query}").status_code == 401


def test_with_the_token_everything_is_shown(locked: TestClient) -> None:
    assert locked.get("/api/dataset", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_health_needs_no_token(locked: TestClient) -> None:
    assert locked.get("/api/health").json()["status"] == "ok"


def test_a_browser_is_sent_to_the_form_and_comes_back_with_a_cookie(locked: TestClient) -> None:
    sent = locked.get("/")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    assert 'type="password"' in locked.get("/login").text
    entered = locked.post("/login", data={"token": TOKEN})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert locked.get("/api/dataset").status_code == 200


def test_a_wrong_token_in_the_form_sets_no_cookie(locked: TestClient) -> None:
    answer = locked.post("/login", data={"token": "<script>"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "<script>" not in answer.text


def test_edits_need_the_token_too(locked: TestClient, workspace: Workspace) -> None:
    edit = {"base_version": 1, "edit": {"kind": "rename", "cluster": 0, "name": "x"}}
    answer = locked.post(f"/api/partitions/{workspace.default_partition}/edits", json=edit)
    assert answer.status_code == 401
    assert workspace.library.current(workspace.default_partition) == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
def test_an_unknown_name_of_this_machine_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/dataset", headers={"Host": host})
    assert answer.status_code == 400
    assert code_of(answer) == "bad_request"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:7860", "[::1]:7860", "[::1]", "192.168.1.7"])
def test_this_machine_and_addresses_are_known(client: TestClient, host: str) -> None:
    assert client.get("/api/dataset", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:7861"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(client: TestClient, headers: dict[str, str], jpeg: bytes) -> None:
    answer = client.post("/api/describe", files={"image": ("a.jpg", jpeg)}, headers=headers)
    assert answer.status_code == 403
    assert code_of(answer) == "forbidden"


def test_own_pages_may_send(client: TestClient, jpeg: bytes) -> None:
    headers = {"Origin": "http://127.0.0.1:7860", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/describe", files={"image": ("a.jpg", jpeg)}, headers=headers).status_code == 200


def test_other_sites_are_told_that_they_may_not_read(client: TestClient) -> None:
    answer = client.options(
        "/api/search", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_browsers_load_nothing_from_elsewhere(client: TestClient) -> None:
    assert "default-src 'none'" in client.get("/api/dataset").headers["content-security-policy"]
    policy = client.get("/login").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_with_a_token_scripts_stay_in_no_cache_of_others(workspace: Workspace) -> None:
    application = create_app(workspace, token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    client = TestClient(application, base_url="http://127.0.0.1:7860", headers=headers)
    script = re.search(r"assets/index-[\w-]+\.js", client.get("/tabs/").text)[0]
    assert client.get(f"/tabs/{script}").headers["cache-control"] == "private, max-age=31536000, immutable"


def test_what_is_shown_stays_in_no_cache_of_others(client: TestClient) -> None:
    assert client.get("/api/dataset").headers["cache-control"] == "no-store"
    assert client.get("/api/images/1/thumbnail").headers["cache-control"].startswith("private")
