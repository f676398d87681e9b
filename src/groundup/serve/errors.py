"""Errors in the form of OpenAI's API: a status, and one sentence that says what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from groundup.core.errors import GroundupError
from groundup.serve.worker import StoppedError

_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
_AGAIN = {429: "1", 503: "5"}  # seconds after which a client may come again


class ApiError(Exception):
    """status: of HTTP. param: the request's field that is wrong. code: a word for programs."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


class ErrorDetail(BaseModel):
    """What is wrong, for people and for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An answer that refuses."""

    error: ErrorDetail


def error_body(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The JSON object of an error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    field = None if param is None else _encodable(param)
    return {"error": {"message": _encodable(message), "type": kind, "param": field, "code": code}}


def _encodable(text: str) -> str:
    """What a request says may hold halves of characters, which no answer can."""
    return text.encode("utf-8", "backslashreplace").decode()


def refusal(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells of an error, and when to come again, where that helps."""
    again = {"Retry-After": _AGAIN[status]} if status in _AGAIN else {}
    body = error_body(status, message, param, code)
    return JSONResponse(body, status, {**again, **(headers or {})})


def install_errors(app: FastAPI, headers: Mapping[str, str]) -> None:
    """Let every error of the app be answered in that form. headers: of an answer to an error that
    nobody has foreseen, which comes from outside of all that adds some."""

    @app.exception_handler(ApiError)
    async def of_ours(_: Request, error: ApiError) -> JSONResponse:
        return refusal(error.status, str(error), param=error.param, code=error.code)

    @app.exception_handler(GroundupError)
    async def of_the_engine(_: Request, error: GroundupError) -> JSONResponse:
        return refusal(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def of_a_body(_: Request, error: RequestValidationError) -> JSONResponse:
        param, message = _nearest(error)
        return refusal(400, message, param=param)

    @app.exception_handler(HTTPException)
    async def of_a_route(_: Request, error: HTTPException) -> JSONResponse:
        return refusal(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(StoppedError)
    async def of_a_server_that_stops(_: Request, error: StoppedError) -> JSONResponse:
        return refusal(error.status, str(error))

    @app.exception_handler(Exception)
    async def of_a_defect(_: Request, __: Exception) -> JSONResponse:  # the log has the traceback
        return refusal(500, "the server has made a mistake: its log tells more.", headers=headers)


def _nearest(error: RequestValidationError) -> tuple[str | None, str]:
    """The field that is wrong, and a sentence: of all mistakes the first; of a field with several
    forms that of the form which was read the furthest."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return None, "the body is not valid JSON: " + str(first.get("ctx", {}).get("error", ""))
    alike = [other for other in error.errors() if other["loc"][:2] == first["loc"][:2]]
    found = max(alike, key=lambda one: _depth(one["loc"]))
    param = found.get("ctx", {}).get("param") or next(iter(map(str, found["loc"][1:])), None)
    message = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        message = "there is no such field here: leave it out."
    at = _path(found["loc"][1:], error.body, missing=found["type"] == "missing") or param
    return param, f"{at}: {message}" if at else message


def _depth(loc: Sequence[str | int]) -> tuple[int, list[int]]:
    """How far into a body a mistake is, in parts and then in places of lists."""
    return len(loc), [part for part in loc if isinstance(part, int)]


def _path(loc: Sequence[str | int], body: Any, *, missing: bool) -> str:
    """Where a mistake is, as in `messages[0].role`; pydantic names forms between the fields, which
    the body does not have, and are left out. missing: the last part is what it lacks."""
    path = ""
    for i, part in enumerate(loc):
        if isinstance(part, int):
            path += f"[{part}]"
            body = body[part] if isinstance(body, list) and part < len(body) else None
        elif isinstance(body, dict) and (part in body or (missing and i == len(loc) - 1)):
            path += f".{part}" if path else part
            body = body.get(part)
    return path
