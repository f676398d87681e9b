"""What the rest of the house needs of a tokenizer, whatever its kind.

A kind says what its ids stand for and how ordinary text becomes ids; everything else is the same
for all of them, and they inherit it from here.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.tokenizers.special import SpecialChoice, cut_special
from groundup.tokenizers.vocabulary import Vocabulary, utf8


class Tokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def vocabulary(self) -> Vocabulary:
        """What each id stands for."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the ids: equal fingerprints give equal ids."""
        ...

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of `text`, in which a special token's text is text like any other.

        Raises `InputError` for a lone surrogate.
        """
        ...

    def encode_behind(self, text: str) -> list[int]:
        """The same of a text that stands behind another one, or a special token: some kinds put a
        space before the first."""
        return self.encode_ordinary(text)

    def encode(
        self,
        text: str,
        *,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
    ) -> list[int]:
        """The ids of `text`, and of the special tokens in it that are allowed.

        allowed_special: the special tokens whose text becomes their id; the longest match wins.
        disallowed_special: those whose text is refused; "all" means all that are not allowed, so
        that no text can hold one unnoticed. A special token that is neither is ordinary text.

        Raises `InputError` for a disallowed special token in the text, and a lone surrogate.
        """
        special = self.special_tokens
        ids: list[int] = []
        for is_special, part in cut_special(
            text, special.keys(), allowed_special, disallowed_special
        ):
            if is_special:
                ids.append(special[part])
            else:
                ids += self.encode_behind(part) if ids else self.encode_ordinary(part)
        return ids

    def encode_batch(
        self,
        texts: Sequence[str],
        *,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
        threads: int | None = None,
    ) -> list[list[int]]:
        """The ids of each text; special tokens as in `encode`, threads as in
        `encode_ordinary_batch`."""
        special = self.special_tokens
        chosen = (special.keys(), allowed_special, disallowed_special)
        parts = [list(cut_special(text, *chosen)) for text in texts]
        ordinary = [part for text in parts for is_special, part in text if not is_special]
        encoded = iter(self.encode_ordinary_batch(ordinary, threads))
        batch: list[list[int]] = []
        for text in parts:
            ids = [[special[part]] if is_special else next(encoded) for is_special, part in text]
            batch.append(ids[0] if len(ids) == 1 else [token for part in ids for token in part])
        return batch

    def encode_ordinary_batch(
        self,
        texts: Sequence[str],
        threads: int | None = None,  # noqa: ARG002
    ) -> list[list[int]]:
        """`encode_ordinary` of each text. threads: of the compiled core; None for one a processor.

        Raises `InputError` as `encode_ordinary` does.
        """
        return [self.encode_ordinary(text) for text in texts]

    def encode_to_numpy(
        self,
        texts: Sequence[str],
        threads: int | None = None,  # noqa: ARG002
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of ordinary texts one after the other [tokens], and where each text ends [texts].

        The fastest way to many ids: no list is made. threads, errors: as `encode_ordinary_batch`.
        """
        parts = [np.array(self.encode_ordinary(text), dtype=np.uint32) for text in texts]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return np.concatenate([np.empty(0, dtype=np.uint32), *parts]), ends

    def encode_iterable(
        self,
        texts: Iterable[str],
        *,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
    ) -> Iterator[list[int]]:
        """The ids of each text as they are asked for, in constant memory; else as `encode`."""
        for text in texts:
            yield self.encode(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )

    def decode(self, ids: Iterable[int] | NDArray[np.integer]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int] | NDArray[np.integer]) -> bytes:
        """The bytes of `ids`. Raises `InputError` for an id that stands for nothing."""
        return self.vocabulary.decode_bytes(ids)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises `InputError` for an id outside of the vocabulary."""
        return self.vocabulary.token_bytes(token)

    def compression_ratio(self, text: str) -> float:
        """Bytes of the text's UTF-8 for each of its tokens. Raises `InputError` for no text."""
        if not text:
            raise InputError("an empty text has no compression ratio.")
        return len(utf8(text)) / len(self.encode_ordinary(text))

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""
        return len(self.vocabulary)

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids of the special tokens."""
        return self.vocabulary.special


def fingerprint_of(content: Mapping[str, object]) -> str:
    """SHA-256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(json.dumps(content).encode("utf-8")).hexdigest()
