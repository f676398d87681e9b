"""Byte-pair encoding over characters, in which a space is a letter like any other, as SentencePiece
has it (Kudo and Richardson 2018): the tokenizers of Llama 2, Mistral and Gemma.

    "two words" → "▁two▁words" → merges of characters → ids

A character that is no token becomes its bytes, each a token, so that nothing is unknown. Here a
token's ▁ is the space that it stands for, and merging is that of bytes (`merging`): first those of
each character that is a token, and then the merges that were published.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, final

import numpy as np
import regex
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.tokenizers.merging import MergeTable, Pair, PieceIds
from groundup.tokenizers.special import SpecialChoice
from groundup.tokenizers.tokenizer import Tokenizer, fingerprint_of
from groundup.tokenizers.vocabulary import Vocabulary, utf8

# Where a text gets a space before it: every stretch between special tokens; such a stretch, or the
# beginning of a text alone, if it does not begin with one.
Prefix = Literal["every", "missing", "first", "never"]
SPACE = "▁"

_WORDS = regex.compile(r" *[^ ]+| +")
_EACH_SPACE = regex.compile(r" [^ ]*|[^ ]+")


@final
class SentencePieces(Tokenizer):
    """names: tokens as they are published, with ▁, by their ids. byte_ids: of each byte's token.
    merges: pairs of ids, the first to merge first. prefix: see `Prefix`. cut: words are merged by
    themselves. whole: texts that are tokens wherever they stand, such as line ends.

    Raises `InputError` for a merge that makes no token, and what `Vocabulary` refuses.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        byte_ids: Sequence[int],
        merges: Sequence[Pair],
        special: Mapping[str, int],
        *,
        prefix: Prefix,
        cut: bool = False,
        whole: Mapping[str, int] | None = None,
    ):
        self.names, self.byte_ids, self.merges = dict(names), list(byte_ids), list(merges)
        self.prefix: Prefix = prefix
        self.cut, self.whole = cut, dict(whole or {})
        longest = sorted(map(regex.escape, self.whole), key=len, reverse=True)
        self._whole = regex.compile(f"({'|'.join(longest)})") if longest else None
        contents = {token: _content(name) for token, name in names.items()}
        contents |= {token: bytes([byte]) for byte, token in enumerate(byte_ids)}
        self._vocabulary = Vocabulary(contents, special)
        self._halves: dict[int, list[int]] = {}  # of characters, which are no tokens: their bytes
        self._piece_ids = PieceIds(self._table())
        joins = any(" " in _content(name).decode().lstrip(" ") for name in names.values())
        self._pieces = _EACH_SPACE if cut else None if joins else _WORDS

    def _table(self) -> MergeTable:
        single_names = sorted(name for name in self.names.values() if len(name) == 1)  # ▁ last
        ids = {name: token for token, name in self.names.items()}
        characters = {_content(name): ids[name] for name in single_names}
        single = [
            characters.get(bytes([byte]), token) if byte < 0x80 else token
            for byte, token in enumerate(self.byte_ids)
        ]
        table: dict[Pair, tuple[int, int]] = {}
        unused = len(self._vocabulary)
        for content, token in characters.items():
            left = single[content[0]]
            for end in range(2, len(content) + 1):
                pair = left, single[content[end - 1]]
                if end == len(content):
                    table[pair] = 0, token
                elif pair not in table:
                    half = unused + len(self._halves)
                    self._halves[half] = [self.byte_ids[byte] for byte in content[:end]]
                    table[pair] = 0, half
                left = table[pair][1]
        for order, (left, right) in enumerate(self.merges, start=1):
            name = self.names.get(left, "") + self.names.get(right, "")
            if name not in ids:
                raise InputError(f"the merge ({left}, {right}) makes {name!r}, which is no token.")
            table[left, right] = order, ids[name]
        return MergeTable(single, table)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        content = {
            "names": sorted(self.names.items()),
            "bytes": self.byte_ids,
            "merges": self.merges,
            "prefix": self.prefix,
            "cut": self.cut,
            "whole": self.whole,
            "special": dict(self.special_tokens),
        }
        return fingerprint_of(content)

    def encode_ordinary(self, text: str) -> list[int]:
        return self._encode(text, first=True)

    def encode_behind(self, text: str) -> list[int]:
        return self._encode(text, first=False)

    def encode_batch(
        self,
        texts: Sequence[str],
        *,
        allowed_special: SpecialChoice = frozenset(),
        disallowed_special: SpecialChoice = "all",
        threads: int | None = None,  # noqa: ARG002
    ) -> list[list[int]]:
        chosen = {"allowed_special": allowed_special, "disallowed_special": disallowed_special}
        return [self.encode(text, **chosen) for text in texts]

    def decode(self, ids: Iterable[int] | NDArray[np.integer]) -> str:
        """The text of `ids`, without the space that was put before it."""
        text = super().decode(ids)
        return text if self.prefix == "never" else text.removeprefix(" ")

    def lengths(self, text: str, *, first: bool) -> NDArray[np.int64]:
        """Of each byte of what is merged, how many bytes of the text it stands for: three where the
        text has a ▁ itself, none where a space was put before it. first: as nothing is before."""
        told: list[NDArray[np.int64]] = [np.zeros(int(self._lacks(text, first=first)), np.int64)]
        for part in utf8(text).split(SPACE.encode()):
            told += [np.ones(len(part), np.int64), np.full(1, len(SPACE.encode()))]
        return np.concatenate(told[:-1])

    def _encode(self, text: str, *, first: bool) -> list[int]:
        if self._whole is None:
            return self._merged(text, first=first)
        ids: list[int] = []
        for part in self._whole.split(text):
            if part in self.whole:
                ids.append(self.whole[part])
            else:
                ids += self._merged(part, first=first and not ids)
        return ids

    def _lacks(self, text: str, *, first: bool) -> bool:
        """Whether a space is put before a text."""
        if not text or self.prefix == "never":
            return False
        if self.prefix == "first" and not first:
            return False
        return self.prefix == "every" or not text.startswith((" ", SPACE))

    def _merged(self, text: str, *, first: bool) -> list[int]:
        if not text:
            return []
        text = " " * self._lacks(text, first=first) + text.replace(SPACE, " ")
        pieces = [text] if self._pieces is None else self._pieces.findall(text)
        ids = [token for piece in pieces for token in self._piece_ids(piece)]
        if self._halves.keys().isdisjoint(ids):
            return ids
        return [byte for token in ids for byte in self._halves.get(token, [token])]


def _content(name: str) -> bytes:
    return name.replace(SPACE, " ").encode()
