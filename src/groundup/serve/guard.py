"""What stands before every route: a key, the size of a body, and headers that keep pages to
themselves."""

import hmac
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groundup.serve.errors import error_body

# Pages load what this server has and nothing else, and no page of others can put them into a frame.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """key: what a client must show, or None. most: bytes of a body."""

    def __init__(self, app: ASGIApp, key: str | None, most: int):
        self.app, self.key, self.most = app, key, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _adding(send)
        headers = Headers(scope=scope)
        if self.key is not None and not _shown(headers, self.key):
            message = "the API key is missing or wrong: send it as 'Authorization: Bearer KEY'."
            await _refuse(401, message, scope, receive, send)
            return
        said = headers.get("content-length", "0")
        too_large = said.isdecimal() and int(said) > self.most
        body = None if too_large else await _read(receive, self.most)
        if body is None:
            message = f"the body is larger than {self.most:,} bytes: send less."
            await _refuse(413, message, scope, receive, send)
            return
        await self.app(scope, _again(body, receive), send)


def _shown(headers: Headers, key: str) -> bool:
    """Whether a request shows the key; how long that takes tells nothing about it."""
    kind, _, shown = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), key.encode())


async def _read(receive: Receive, most: int) -> bytes | None:
    """The whole body; None where it is too large, or the client has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, and then what the client does."""
    told = False

    async def once_more() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


def _adding(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return adding


async def _refuse(status: int, message: str, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(error_body(status, message), status)(scope, receive, send)
