"""What the rest of the house needs of a tokenizer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Literal, Protocol

AllowedSpecial = Set[str] | Literal["all"]


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str, *, allowed_special: AllowedSpecial = frozenset()) -> list[int]:
        """The ids of `text`.

        A special token's text becomes its id only where `allowed_special` holds it; otherwise it
        is encoded as the letters that it is, so that no text can imitate a special token.
        """
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without special tokens."""
        ...

    def encode_iterable(self, texts: Iterable[str]) -> Iterator[list[int]]:
        """The ids of each text as they are asked for, in constant memory."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD."""
        ...

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of `ids`. Raises `InputError` for an id outside of the vocabulary."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        ...

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids of the special tokens."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the ids: equal fingerprints give equal ids."""
        ...
