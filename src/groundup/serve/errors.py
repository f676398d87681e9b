"""Errors in the form of OpenAI's API: a status, and one sentence that says what to do."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from groundup.core.errors import GroundupError
from groundup.serve.worker import StoppedError

_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


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
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def install_errors(app: FastAPI) -> None:
    """Let every error of the app be answered in that form."""

    @app.exception_handler(ApiError)
    async def of_ours(_: Request, error: ApiError) -> JSONResponse:
        body = error_body(error.status, str(error), error.param, error.code)
        return JSONResponse(body, error.status)

    @app.exception_handler(GroundupError)
    async def of_the_engine(_: Request, error: GroundupError) -> JSONResponse:
        return JSONResponse(error_body(400, str(error)), 400)

    @app.exception_handler(RequestValidationError)
    async def of_a_body(_: Request, error: RequestValidationError) -> JSONResponse:
        param, message = _first(error)
        return JSONResponse(error_body(400, message, param), 400)

    @app.exception_handler(HTTPException)
    async def of_a_route(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(error_body(error.status_code, str(error.detail)), error.status_code)

    @app.exception_handler(StoppedError)
    async def of_a_server_that_stops(_: Request, __: StoppedError) -> JSONResponse:
        return JSONResponse(error_body(503, "the server is stopping: try again later."), 503)


def _first(error: RequestValidationError) -> tuple[str | None, str]:
    """The field that is wrong, and a sentence: of all mistakes the first, of a field with several
    forms the one that comes nearest."""
    found = error.errors()[0]
    if found["type"] == "json_invalid":
        return None, "the body is not valid JSON: " + str(found.get("ctx", {}).get("error", ""))
    param = ".".join(str(part) for part in found["loc"] if part != "body") or None
    message = str(found["msg"]).removeprefix("Value error, ")
    return param, f"{param}: {message}" if param else message
