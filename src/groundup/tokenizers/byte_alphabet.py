"""GPT-2's alphabet: every byte as a printable character, for vocabularies in JSON.

Printable Latin-1 characters stand for themselves, the 68 other bytes for U+0100 and on.
"""

from groundup.core.errors import ArtifactError


def printable(token: bytes) -> str:
    """The bytes as characters."""
    return token.decode("latin-1").translate(_TO_CHARACTER)


def from_printable(name: str) -> bytes:
    """The bytes that `name` stands for. Raises `ArtifactError` for other characters."""
    try:
        return bytes(_TO_BYTE[character] for character in name)
    except KeyError as error:
        raise ArtifactError(
            f"the token {name!r} is not written in the alphabet of bytes: {error} stands for none."
        ) from error


def _table() -> dict[int, int]:
    """From the bytes that are not printable to their characters."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: 0x100 + i for i, byte in enumerate(hidden)}


_TO_CHARACTER = _table()
_TO_BYTE = {chr(_TO_CHARACTER.get(byte, byte)): byte for byte in range(256)}
