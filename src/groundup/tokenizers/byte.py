"""Bytes as tokens: the 256 values of a byte, and nothing to train.

No text is ever unknown, but sequences are as long as they can be: a byte a token.
"""

from collections.abc import Sequence
from typing import final

from groundup.tokenizers.tokenizer import Tokenizer, fingerprint_of
from groundup.tokenizers.vocabulary import Vocabulary, utf8


@final
class Bytes(Tokenizer):
    """Ids 0 … 255 are the bytes of UTF-8, then the special tokens in their order."""

    def __init__(self, special_tokens: Sequence[str] = ()):
        self._vocabulary = Vocabulary.in_order(
            [bytes([byte]) for byte in range(256)], special_tokens
        )

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def fingerprint(self) -> str:
        return fingerprint_of({"kind": "bytes", "special": list(self.special_tokens)})

    def encode_ordinary(self, text: str) -> list[int]:
        return list(utf8(text))
