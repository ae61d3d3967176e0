"""The form by which a browser shows that it knows the token, without any script."""

from __future__ import annotations

from asyncio import sleep
from html import escape
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from veriwild_clustering.apps.page.server.security import COOKIE, LOGIN, session_of, token_matches

__all__ = ["router"]

_SECONDS_OF_DOUBT = 0.5  # after a wrong token: guessing takes long, and nobody else waits
_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Log in</title>
<style>body {{ font: 16px system-ui, sans-serif; max-width: 22rem; margin: 18vh auto; padding: 0 1rem; color: #1f2328 }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; margin: .4rem 0 }}
p {{ color: #a40e26; min-height: 1.4em }}</style></head>
<body><h1>Log in</h1><form method="post"><label>Token
<input name="token" type="password" autocomplete="current-password" autofocus required></label>
<button>Log in</button></form><p role="alert">{message}</p></body></html>"""

router = APIRouter(include_in_schema=False)


@router.get(LOGIN)
async def form() -> HTMLResponse:
    """Show the form."""
    return HTMLResponse(_FORM.format(message=""))


@router.post(LOGIN)
async def log_in(request: Request) -> Response:
    """Set the cookie of a page that knows the token."""
    token: str | None = request.app.state.token
    fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
    if token is not None and not token_matches(fields.get("token", [""])[0], token):
        await sleep(_SECONDS_OF_DOUBT)
        return HTMLResponse(_FORM.format(message=escape("This is not the token.")), status_code=401)
    response = RedirectResponse("/", status_code=303)
    if token is not None:
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", secure=secure, path="/")
    return response
