"""What keeps strangers out: whose pages may ask, the token, how much may be sent, what a browser may load."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from veriwild_clustering.apps.page.server.errors import error_response

__all__ = ["COOKIE", "LOGIN", "MAX_BODY_BYTES", "Guard", "session_of", "token_matches"]

COOKIE, LOGIN = "veriwild_session", "/login"
MAX_BODY_BYTES = 64 * 2**20  # some images with a query
_MAX_JSON_BYTES = 2**20
_OPEN = frozenset({"/api/health", LOGIN})
_GIVEN = frozenset({200, 206, 304})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HASHED = re.compile(r"/tabs/assets/[\w.-]+-[\w-]{8,}\.\w+")  # Gradio's, whose names change with what they hold
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# Gradio writes its settings and styles into the page; everything comes from this host.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {framed_by}"
)


def token_matches(given: str, token: str) -> bool:
    """Compare a token in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def session_of(token: str) -> str:
    """Return what the cookie of a page holds that knew the token: not the token itself."""
    return hmac.new(token.encode(), b"veriwild page session", sha256).hexdigest()


class Guard:
    """Looks at every request before the application does, and at every response after it.

    Parameters
    ----------
    application : ASGI application
        What is guarded.
    token : str, optional
        What a request must know, in the header `Authorization: Bearer …` or, by the cookie of a login, from a page.
    hosts : sequence of str
        Names under which the server may be asked for, beside "localhost" and addresses: a page of another site can
        give this machine a name of its own, and with it read what it should not.
    framed_by : sequence of str
        Origins whose pages may show this one in a frame, beside itself.
    """

    def __init__(
        self, application: ASGIApp, *, token: str | None, hosts: Sequence[str] = (), framed_by: Sequence[str] = ()
    ) -> None:
        self._application, self._token = application, token
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._page_policy = _PAGE_POLICY.format(framed_by=" ".join(["'self'", *framed_by]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is not None:
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._application(scope, receive, send)
            return
        guarded = self._with_headers(scope, send)
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        await self._application(scope, _limited(scope, receive), guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return why a request is refused, None if it is not."""
        headers = Headers(scope=scope)
        if not self._is_known_host(headers.get("host", "")):
            return error_response(400, "This name is not known here: ask for localhost, or start with --allow-host.")
        if self._is_foreign(scope, headers):
            return error_response(403, "Pages of other sites may not ask here.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _limit(headers):
            return error_response(413, f"A request may have at most {_limit(headers) // 2**20} MB.")
        if self._token is None or scope["path"] in _OPEN or self._knows_token(headers):
            return None
        if scope["path"].startswith("/api/") or scope["type"] == "websocket" or scope["method"] not in _SAFE:
            response: Response = error_response(401, "Send the token: `Authorization: Bearer TOKEN`, or log in.")
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        return RedirectResponse(LOGIN, status_code=303)

    def _is_known_host(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.lower().rstrip(".")
        if name in self._hosts:
            return True
        try:
            ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    def _is_foreign(self, scope: Scope, headers: Headers) -> bool:
        """Tell whether a page of another site sent what changes or uploads something, or opens a socket."""
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return False
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
        return origin.partition("://")[2] != headers.get("host", "")

    def _knows_token(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token_matches(given.strip(), self._token):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and token_matches(cookie.value, session_of(self._token))

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        policy = _API_POLICY if scope["path"].startswith("/api/") else self._page_policy

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                # With none at all a browser does not say either where the form of a login comes from.
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers.setdefault("Cache-Control", self._caching(scope["path"], message["status"]))
            await send(message)

        return guarded

    def _caching(self, path: str, status: int) -> str:
        """Return what a browser may keep: scripts and styles, but nothing of the dataset."""
        if status in _GIVEN and _HASHED.fullmatch(path):
            return f"{'public' if self._token is None else 'private'}, max-age=31536000, immutable"
        return "no-cache" if status in _GIVEN and path.startswith("/map/") else "no-store"


def _limit(headers: Headers) -> int:
    return MAX_BODY_BYTES if headers.get("content-type", "").startswith("multipart/") else _MAX_JSON_BYTES


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Count what comes in, since a length that is announced need not be true, nor be announced at all."""
    most, taken = _limit(Headers(scope=scope)), 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413, f"A request may have at most {most // 2**20} MB.")
        return message

    return counted
