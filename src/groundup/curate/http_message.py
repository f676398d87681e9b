"""The body of an HTTP response as a crawler kept it: in chunks, compressed, not always right."""

import re
import zlib
from email.message import Message
from email.parser import HeaderParser

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})[^\r\n]*\r?\n")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")


def split_response(data: bytes) -> tuple[int, Message, bytes] | None:
    """Status, headers and body; None for what is no response."""
    status = _STATUS.match(data)
    end = _END.search(data)
    if status is None or end is None:
        return None
    head = data[status.end() : end.start()].decode("latin-1")
    return int(status[1]), HeaderParser().parsestr(head), data[end.end() :]


def decode_body(body: bytes, headers: Message, most: int) -> bytes:
    """The body without its transfer and content encodings.

    A body that is not in chunks or not compressed, though its headers say so, is taken as it is:
    many crawlers decode, and keep the headers. Raises `ValueError` where it is in an encoding that
    is not known, damaged, or longer than `most` bytes.
    """
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        body = _joined(body)
    for encoding in reversed(
        headers.get("Content-Encoding", "").lower().replace(" ", "").split(",")
    ):
        if encoding in ("", "identity"):
            continue
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"is in the encoding {encoding!r}, which is not read")
        body = _inflated(body, most)
    if len(body) > most:
        raise ValueError(f"is longer than {most:,} bytes")
    return body


def _joined(body: bytes) -> bytes:
    parts, at = [], 0
    while size := _CHUNK.match(body, at):
        length = int(size[1], 16)
        end = size.end() + length
        if length == 0:
            return b"".join(parts)
        if end > len(body):
            return body
        parts.append(body[size.end() : end])
        at = end + 2 if body.startswith(b"\r\n", end) else end + body.startswith(b"\n", end)
    return b"".join(parts) if parts and at == len(body) else body


def _inflated(body: bytes, most: int) -> bytes:
    if body[:2] != b"\x1f\x8b" and (not body or body[0] & 0x0F != 8):
        return body
    inflate = zlib.decompressobj(47)  # of gzip or zlib, as its first bytes say
    try:
        whole = inflate.decompress(body, most + 1)
    except zlib.error as error:
        raise ValueError(f"is damaged ({error})") from error
    if not inflate.eof and len(whole) <= most:
        raise ValueError("is cut short")
    return whole
