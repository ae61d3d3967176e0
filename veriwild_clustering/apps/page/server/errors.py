"""Errors in one shape: {"error": {"code", "message", "field"}}, whatever went wrong and wherever."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from veriwild_clustering.apps.page.problems import BadRequestError, BusyError, NotFoundError, UnavailableError
from veriwild_clustering.core.storage.partitions import VersionConflictError
from veriwild_clustering.core.validation import DatasetError

__all__ = ["RESPONSES", "ErrorBody", "error_response", "install_handlers"]

_log = logging.getLogger(__name__)

_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
          409: "conflict", 413: "too_large", 422: "invalid", 500: "internal", 503: "busy"}  # fmt: skip
_KINDS = ((VersionConflictError, 409, "conflict"), (BusyError, 409, "busy"), (NotFoundError, 404, "not_found"),
          (UnavailableError, 422, "unavailable"), (BadRequestError, 422, "invalid"),
          (DatasetError, 422, "invalid"))  # fmt: skip


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs.", examples=["not_found"])
    message: str = Field(description="For people: what is wrong, and what to do.")
    field: str = Field(description='The part of the request it is about, "" where it is none.', examples=["row"])
    current: int | None = Field(default=None, description="Of a conflict: the version that is the current one.")


class ErrorBody(BaseModel):
    """An error."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": HTTPStatus(status).phrase} for status in (400, 401, 403, 404, 413, 422)
}
"""What every route may answer beside what it is for."""


def error_response(
    status: int, message: str, *, code: str = "", field: str = "", current: int | None = None
) -> JSONResponse:
    """Return an error as a response."""
    detail = ErrorDetail(code=code or _CODES.get(status, "error"), message=message, field=field, current=current)
    return JSONResponse({"error": detail.model_dump(exclude_none=True)}, status_code=status)


def install_handlers(application: FastAPI) -> None:
    """Let the application answer every error in the one shape."""
    for kind, status, code in _KINDS:
        application.add_exception_handler(kind, _handler(status, code))
    application.add_exception_handler(RequestValidationError, _invalid)
    application.add_exception_handler(HTTPException, _http)
    application.add_exception_handler(Exception, _internal)


def _handler(status: int, code: str) -> Any:
    def handle(_: Request, error: Exception) -> JSONResponse:
        field, current = getattr(error, "field", ""), getattr(error, "current", None)
        return error_response(status, str(error), code=code, field=field, current=current)

    return handle


def _invalid(_: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    first = found[0] if found else {"loc": (), "msg": "The request is not valid."}
    where = map(str, first["loc"][1:])  # the first says whether it is of the body, the path or the query
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return error_response(422, f"{first['msg']}{more}", field=".".join(where))


def _http(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    response = error_response(status, str(getattr(error, "detail", "")) or HTTPStatus(status).phrase)
    response.headers.update(getattr(error, "headers", None) or {})
    return response


def _internal(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(500, "Something went wrong here; the server's log says what.")
