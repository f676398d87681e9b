"""What stands before every route: a key, the size of a body, and headers that keep pages to
themselves."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

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
    """key: what a client must show, or None: as a bearer of OpenAI's clients, or as the password
    for which a browser asks. most: bytes of a body. hosts: names by which alone the server may be
    called, so that no name of a stranger's leads a browser here (DNS rebinding); None for any."""

    def __init__(
        self, app: ASGIApp, key: str | None, most: int, hosts: Collection[str] | None = None
    ):
        self.app, self.key, self.most, self.hosts = app, key, most, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _adding(send)
        headers = Headers(scope=scope)
        if self.key is not None and not _shown(headers, self.key):
            message = "the API key is missing or wrong: send it as 'Authorization: Bearer KEY'."
            asking = {"WWW-Authenticate": 'Basic realm="groundup, any name and the API key"'}
            asked = asking if "text/html" in headers.get("accept", "") else {}
            await _refuse(401, message, scope, receive, send, asked)
            return
        if reason := self._strange(headers):
            await _refuse(403, reason, scope, receive, send)
            return
        said = headers.get("content-length", "0")
        too_large = said.isdecimal() and int(said) > self.most
        body = None if too_large else await _read(receive, self.most)
        if body is None:
            message = f"the body is larger than {self.most:,} bytes: send less."
            await _refuse(413, message, scope, receive, send)
            return
        await self.app(scope, _again(body, receive), send)

    def _strange(self, headers: Headers) -> str:
        """Why a request is some other page's, or empty."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            return f"{host!r} is no name of this server: call it by the one it was started with."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return "pages of other servers cannot ask this one."
        return ""


def _name(host: str) -> str:
    """A host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _shown(headers: Headers, key: str) -> bool:
    """Whether a request shows the key; how long that takes tells nothing about it."""
    kind, _, shown = headers.get("authorization", "").partition(" ")
    told = shown.strip().encode()
    if kind.lower() == "basic":
        try:
            told = base64.b64decode(told, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(told, key.encode())


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


async def _refuse(
    status: int,
    message: str,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: dict[str, str] | None = None,
) -> None:
    answer = JSONResponse(error_body(status, message), status, headers)
    await answer(scope, receive, send)
