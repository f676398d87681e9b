"""What each token id stands for."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from groundup.core.errors import InputError
from groundup.core.native import core
from groundup.tokenizers.special import special_pattern


class Vocabulary:
    """tokens: the bytes of ordinary ids. special: the ids of special tokens, by their texts.

    Ids need not be in any order, and some may stand for nothing.

    Raises `InputError` for an id that is negative or stands for two tokens, and for special tokens
    that `special_pattern` refuses.
    """

    def __init__(self, tokens: Mapping[int, bytes], special: Mapping[str, int]):
        special_pattern(special)  # refuses what could not be found in text
        ids = [*tokens, *special.values()]
        if len(set(ids)) != len(ids):
            raise InputError("an id stands for two tokens: every token must have its own.")
        if ids and min(ids) < 0:
            raise InputError(f"a token has the id {min(ids)}: ids must not be negative.")
        self.special: Mapping[str, int] = dict(special)
        self._bytes: list[bytes | None] = [None] * (max(ids, default=-1) + 1)
        for token, content in tokens.items():
            self._bytes[token] = content
        for text, token in special.items():
            self._bytes[token] = text.encode("utf-8")

    @classmethod
    def in_order(cls, tokens: Sequence[bytes], special_tokens: Sequence[str] = ()) -> "Vocabulary":
        """Ids 0, 1, … stand for `tokens`, then for the special tokens.

        Raises `InputError` as the constructor does, and where two tokens are the same.
        """
        if len(set(tokens)) != len(tokens):
            raise InputError("two tokens are the same bytes: every token must have its own.")
        special_pattern(special_tokens)
        special = {text: len(tokens) + index for index, text in enumerate(special_tokens)}
        return cls(dict(enumerate(tokens)), special)

    def __len__(self) -> int:
        """The highest id and one: what a model's embedding needs."""
        return len(self._bytes)

    def silent(self, size: int) -> list[int]:
        """Ids below `size` that stand for nothing: a model may have more of them than its
        tokenizer."""
        known = len(self._bytes)
        return [i for i in range(size) if i >= known or self._bytes[i] is None]

    @property
    def ordinary(self) -> dict[int, bytes]:
        """The bytes of the ids that are not special, by id in ascending order."""
        special = set(self.special.values())
        return {
            token: content
            for token, content in enumerate(self._bytes)
            if content is not None and token not in special
        }

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises `InputError` for an id that stands for nothing."""
        content = self._bytes[token] if 0 <= token < len(self._bytes) else None
        if content is None:
            raise self._unknown(token)
        return content

    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes of `ids`, one after the other.

        Raises `InputError` for an id that stands for nothing, and for what is no list of ids.
        """
        if self._native is None:
            return b"".join(map(self.token_bytes, np.asarray(ids).tolist()))
        try:
            found = self._native.decode(ids if isinstance(ids, list | np.ndarray) else list(ids))
        except (TypeError, OverflowError) as error:
            raise InputError(
                f"token ids must be whole numbers in one dimension ({error})."
            ) from error
        if isinstance(found, int):
            raise self._unknown(found)
        return found

    @cached_property
    def _native(self) -> Any:
        return core.Vocabulary(self._bytes) if core else None

    def _unknown(self, token: int) -> InputError:
        where = f"the vocabulary, whose ids are 0 to {len(self) - 1}"
        if 0 <= token < len(self):
            return InputError(f"token {token} is a hole in {where}: it stands for nothing.")
        return InputError(f"token {token} is not in {where}.")


def utf8(text: str) -> bytes:
    """The UTF-8 bytes of a text. Raises `InputError` for a lone surrogate, which has none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X}), which is no "
            "character: decode its source with errors='replace'."
        ) from error
