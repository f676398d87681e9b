"""A real HTTP server on this machine, which can be told to misbehave."""

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Server:
    """files: path → contents. What follows is used up, an entry an answer.

    statuses: answered instead of the file. cuts: bytes of the body after which the connection is
    closed. requests: path and headers of what was asked for.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tags: bool = True  # whether files have an ETag
    heeds_if_range: bool = True

    def tag(self, path: str) -> str:
        return f'"{hashlib.sha256(self.files[path]).hexdigest()[:8]}"'

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("range") for _, headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Server

    def do_GET(self):
        server, path = self.behaviour, self.path
        path = path if path in server.files else path.partition("?")[0]
        server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        if server.statuses:
            self._answer(server.statuses.pop(0), b"")
        elif path not in server.files:
            self._answer(404, b"")
        else:
            self._send(server, path)

    def _send(self, server: Server, path: str) -> None:
        body, tag = server.files[path], server.tag(path)
        headers = {"ETag": tag} if server.tags else {}
        asked = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        if asked and (self.headers.get("If-Range") == tag or not server.heeds_if_range):
            start = int(asked[1])
            if start >= len(body):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self._answer(206, body[start:], headers)
        else:
            self._answer(200, body, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        cut = self.behaviour.cuts.pop(0) if self.behaviour.cuts and body else None
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        del format, args  # nothing on standard error


@pytest.fixture
def server() -> Iterator[Server]:
    behaviour = Server()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        behaviour.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield behaviour
        http.shutdown()
        thread.join()
