"""What each token id stands for."""

from collections.abc import Iterable, Mapping, Sequence

from groundup.core.errors import InputError
from groundup.tokenizers.special import special_pattern


class Vocabulary:
    """Ids 0, 1, … stand for `tokens`, then for the special tokens in their order.

    Raises `InputError` where two tokens are the same bytes, and for special tokens that
    `special_pattern` refuses.
    """

    def __init__(self, tokens: Sequence[bytes], special_tokens: Sequence[str] = ()):
        if len(set(tokens)) != len(tokens):
            raise InputError("two tokens are the same bytes: every token must have its own.")
        special_pattern(special_tokens)  # refuses what could not be found in text
        self.ordinary = len(tokens)
        self.special: Mapping[str, int] = {
            text: self.ordinary + index for index, text in enumerate(special_tokens)
        }
        self._bytes = [*tokens, *(text.encode("utf-8") for text in special_tokens)]

    def __len__(self) -> int:
        return len(self._bytes)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises `InputError` for an id outside of the vocabulary."""
        if not 0 <= token < len(self._bytes):
            raise InputError(
                f"token {token} is not in the vocabulary, which has {len(self)} tokens."
            )
        return self._bytes[token]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of `ids`, one after the other; raises as `token_bytes` does."""
        return b"".join(map(self.token_bytes, ids))


def utf8(text: str) -> bytes:
    """The UTF-8 bytes of a text. Raises `InputError` for a lone surrogate, which has none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X}), which is no "
            "character: decode its source with errors='replace'."
        ) from error
