"""What stands before every route: a key, the size of a body, and headers that keep pages to
themselves."""

import asyncio
import base64
import binascii
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groundup.serve.errors import refusal

# Pages load what this server has and nothing else, and no page of others can put them into a frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PATIENCE = 30.0  # seconds in which a body must be there


class Guard:
    """key: what a client must show, or None: as a bearer of OpenAI's clients, or as the password
    for which a browser asks. most: bytes of a body. hosts: names by which alone, beside addresses,
    the server may be called, so that no name of a stranger's leads a browser here (DNS rebinding);
    None for any. patience: seconds in which a body must be there, and in which a client must take
    the next piece of an answer."""

    def __init__(
        self,
        app: ASGIApp,
        key: str | None,
        most: int,
        hosts: Collection[str] | None = None,
        patience: float = _PATIENCE,
    ):
        self.app, self.key, self.most, self.hosts, self.patience = app, key, most, hosts, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _adding(_in_time(send, self.patience))
        headers = Headers(scope=scope)
        let_in = (
            self._locked(headers) or self._strange(headers) or await self._body(headers, receive)
        )
        app, receive = (
            (let_in, receive)
            if isinstance(let_in, JSONResponse)
            else (self.app, _again(let_in, receive))
        )
        with suppress(_StalledError):  # what is written for it ends; its connection, when it goes
            await app(scope, receive, send)

    def _locked(self, headers: Headers) -> JSONResponse | None:
        """The refusal of a request that does not show the key."""
        if self.key is None or _shown(headers, self.key):
            return None
        message = "the API key is missing or wrong: send it as 'Authorization: Bearer KEY'."
        asking = {"WWW-Authenticate": 'Basic realm="groundup, any name and the API key"'}
        asked = asking if "text/html" in headers.get("accept", "") else {}
        return refusal(401, message, headers=asked)

    def _strange(self, headers: Headers) -> JSONResponse | None:
        """The refusal of a request that is some other page's."""
        host = headers.get("host", "")
        name = _name(host)
        if not (self.hosts is None or name in self.hosts or _is_address(name)):
            names = ", ".join(sorted(self.hosts))
            message = f"{host!r} is no name of this server: call it by its address, or {names}."
            return refusal(403, message)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return refusal(403, "pages of other servers cannot ask this one.")
        return None

    async def _body(self, headers: Headers, receive: Receive) -> bytes | JSONResponse:
        """The whole body, or the refusal of one that is too large or too slow."""
        said = headers.get("content-length", "0")
        too_large = said.isdecimal() and int(said) > self.most
        try:
            async with asyncio.timeout(self.patience):
                body = None if too_large else await _read(receive, self.most)
        except TimeoutError:
            message = f"the body was not there after {self.patience:g} seconds: send it faster."
            return refusal(408, message, headers={"Connection": "close"})
        if body is None:
            return refusal(413, f"the body is larger than {self.most:,} bytes: send less.")
        return body


def _is_address(host: str) -> bool:
    """Whether it is no name, which somebody could let lead elsewhere."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


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


class _StalledError(Exception):
    """A client takes nothing any more of what it is sent."""


def _in_time(send: Send, patience: float) -> Send:
    """A client that stands still must not hold a place for ever."""

    async def sending(message: Message) -> None:
        try:
            async with asyncio.timeout(patience):
                await send(message)
        except TimeoutError as error:
            raise _StalledError from error

    return sending


def _adding(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return adding
