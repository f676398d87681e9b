"""Writes PDF files, from the specification (ISO 32000-1): pages of text in one font, whose letters
are all 0.6 of its size wide."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
LETTER = 0.6  # Courier's width


class Text(NamedTuple):
    """A string, left to right from (x, y), y upwards, in units of 1/72 inch. turn: in quarters,
    against the clock."""

    x: float
    y: float
    text: str
    size: float = 10
    turn: int = 0


def paragraph(x: float, y: float, lines: Sequence[str], leading: float = 12) -> list[Text]:
    """Lines one below the other."""
    return [Text(x, y - leading * number, line) for number, line in enumerate(lines)]


def write_pdf(
    pages: Sequence[Sequence[Text]], *, password: str | None = None, rotate: int = 0
) -> bytes:
    """A file of these pages, 612 by 792; encrypted with RC4 where there is a password."""
    font = (
        "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding << /Type /Encoding "
        "/BaseEncoding /WinAnsiEncoding /Differences [1 /fi /fl /ff] >> >>"
    )
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        font.encode(),
    ]
    key = _key(password) if password is not None else None
    for number, texts in enumerate(pages):
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate {rotate} "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
        )
        content = b"\n".join(map(_shown, texts))
        if key is not None:
            content = _rc4(_of_object(key, 5 + 2 * number), content)
        stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
        objects += [page.encode(), stream]
    trailer = "/Root 1 0 R"
    if password is not None:
        owner, user = _owner_entry(password).hex(), _rc4(_key(password), PADDING).hex()
        objects.append(f"<< /Filter /Standard /V 1 /R 2 /O <{owner}> /U <{user}> /P -4 >>".encode())
        trailer += f" /Encrypt {len(objects)} 0 R /ID [<{IDENTIFIER.hex()}> <{IDENTIFIER.hex()}>]"
    return _file(objects, trailer)


def _file(objects: Sequence[bytes], trailer: str) -> bytes:
    data = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d %s >>\n" % (len(objects) + 1, trailer.encode())
    return data + b"startxref\n%d\n%%%%EOF\n" % start


def _shown(text: Text) -> bytes:
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[text.turn]
    matrix = f"{cosine} {sine} {-sine} {cosine} {text.x:g} {text.y:g}"
    string = text.text.encode("cp1252").hex()
    return f"BT /F {text.size:g} Tf {matrix} Tm <{string}> Tj ET".encode()


# Encryption of 40 bits (7.6.2 and 7.6.3, algorithms 1 to 4), with one password for all.
IDENTIFIER = hashlib.md5(b"groundup").digest()


def _padded(password: str) -> bytes:
    return (password.encode("latin-1") + PADDING)[:32]


def _owner_entry(password: str) -> bytes:
    return _rc4(hashlib.md5(_padded(password)).digest()[:5], _padded(password))


def _key(password: str) -> bytes:
    permissions = (-4).to_bytes(4, "little", signed=True)
    data = _padded(password) + _owner_entry(password) + permissions + IDENTIFIER
    return hashlib.md5(data).digest()[:5]


def _of_object(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
