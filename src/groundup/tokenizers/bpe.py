"""Byte-pair encoding (Sennrich et al. 2016) over bytes (Radford et al. 2019).

Text is cut into pieces by a pattern. Each piece starts as its UTF-8 bytes, and the pair of
neighbours that was learned earliest is merged, again and again, until no neighbours are a learned
pair. Nothing is ever unknown: whatever was not merged is still bytes.

This is the readable reference: a faster core must give the same ids.
"""

import hashlib
import heapq
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import final

import regex

from groundup.core.errors import InputError
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.tokenizer import AllowedSpecial

Pair = tuple[int, int]

_BYTES = 256
_CACHED_PIECES = 1 << 18  # pieces whose ids are remembered; the common ones come early
_LONGEST_CACHED = 64  # characters; a longer piece seldom comes twice


@final
class BPE:
    """Ids 0 … 255 are the bytes, then the merges in the order they were learned, then the specials.

    merges: pairs of earlier ids. pattern: a name in `PATTERNS`. special_tokens: their texts, which
    take the last ids in this order.

    Raises `InputError` for an unknown pattern, a merge of an id that does not exist yet or that
    gives bytes which an earlier token has, and for special tokens that `special_pattern` refuses.
    """

    def __init__(self, merges: Sequence[Pair], pattern: str, special_tokens: Sequence[str] = ()):
        if pattern not in PATTERNS:
            raise InputError(f"there is no pattern {pattern!r}: choose one of {list(PATTERNS)}.")
        special_pattern(special_tokens)  # refuses what could not be found in text
        self.merges = tuple(merges)
        self.pattern = pattern
        self._token_bytes = [bytes([byte]) for byte in range(_BYTES)]
        for left, right in self.merges:
            if not (0 <= left < len(self._token_bytes) and 0 <= right < len(self._token_bytes)):
                raise InputError(f"the merge ({left}, {right}) names a token that is not there.")
            self._token_bytes.append(self._token_bytes[left] + self._token_bytes[right])
        if len(set(self._token_bytes)) != len(self._token_bytes):
            raise InputError("two merges give the same bytes: every token must have its own.")
        first_special = len(self._token_bytes)
        self._special = {text: first_special + i for i, text in enumerate(special_tokens)}
        self._token_bytes += [text.encode("utf-8") for text in special_tokens]
        self._merged = {pair: _BYTES + rank for rank, pair in enumerate(self.merges)}
        self._split = regex.compile(PATTERNS[pattern])
        self._cache: dict[str, tuple[int, ...]] = {}

    @property
    def vocab_size(self) -> int:
        return len(self._token_bytes)

    @property
    def special_tokens(self) -> Mapping[str, int]:
        return self._special

    @property
    def fingerprint(self) -> str:
        content = {
            "merges": self.merges,
            "pattern": PATTERNS[self.pattern],
            "special": list(self._special),
        }
        return hashlib.sha256(json.dumps(content).encode("utf-8")).hexdigest()

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises `InputError` for an id outside of the vocabulary."""
        if not 0 <= token < len(self._token_bytes):
            raise InputError(
                f"token {token} is not in the vocabulary, which has {self.vocab_size} tokens."
            )
        return self._token_bytes[token]

    def encode(self, text: str, *, allowed_special: AllowedSpecial = frozenset()) -> list[int]:
        allowed = self._special.keys() if allowed_special == "all" else allowed_special
        if not allowed:
            return self._encode_ordinary(text)
        ids: list[int] = []
        if unknown := sorted(allowed - self._special.keys()):
            raise InputError(f"{unknown[0]!r} is not a special token: {list(self._special)} are.")
        for part in special_pattern(allowed).split(text):
            ids += [self._special[part]] if part in allowed else self._encode_ordinary(part)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encode_ordinary(text) for text in texts]

    def encode_iterable(self, texts: Iterable[str]) -> Iterator[list[int]]:
        return map(self._encode_ordinary, texts)

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(map(self.token_bytes, ids))

    def _encode_ordinary(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in self._split.findall(text):
            known = self._cache.get(piece)
            if known is None:
                known = tuple(self._merge(piece))
                if len(piece) <= _LONGEST_CACHED and len(self._cache) < _CACHED_PIECES:
                    self._cache[piece] = known
            ids.extend(known)
        return ids

    def _merge(self, piece: str) -> list[int]:
        """Merge a piece's bytes, earliest pair first, leftmost of equals: O(n log n).

        The tokens are a linked list; a heap holds the candidate merges. A candidate whose
        neighbours have changed since is stale, and is dropped when it comes up.
        """
        tokens = list(piece_bytes(piece))
        merged = self._merged
        following = [*range(1, len(tokens)), -1]
        preceding = list(range(-1, len(tokens) - 1))
        heap = [
            (new, at)
            for at, pair in enumerate(itertools.pairwise(tokens))
            if (new := merged.get(pair)) is not None
        ]
        heapq.heapify(heap)
        while heap:
            new, at = heapq.heappop(heap)
            right = following[at]
            if tokens[at] < 0 or right < 0 or merged.get((tokens[at], tokens[right])) != new:
                continue
            tokens[at], tokens[right] = new, -1
            after = following[at] = following[right]
            if after >= 0:
                preceding[after] = at
                if (candidate := merged.get((new, tokens[after]))) is not None:
                    heapq.heappush(heap, (candidate, at))
            before = preceding[at]
            if before >= 0 and (candidate := merged.get((tokens[before], new))) is not None:
                heapq.heappush(heap, (candidate, before))
        return [token for token in tokens if token >= 0]


def piece_bytes(piece: str) -> bytes:
    """The UTF-8 bytes of a piece. Raises `InputError` for a lone surrogate, which has none."""
    try:
        return piece.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text holds a lone surrogate (U+{ord(piece[error.start]):04X}), which is no "
            "character: decode its source with errors='replace'."
        ) from error


def special_pattern(tokens: Collection[str]) -> regex.Pattern[str]:
    """Splits text at special tokens and keeps them; the longest match wins.

    Raises `InputError` for a token that is empty, occurs twice or holds a lone surrogate.
    """
    if len(set(tokens)) != len(tokens) or "" in tokens:
        raise InputError("special tokens must differ from each other and must not be empty.")
    if any("\ud800" <= character <= "\udfff" for token in tokens for character in token):
        raise InputError("a special token holds a lone surrogate, which is no character.")
    longest_first = sorted(tokens, key=len, reverse=True)
    return regex.compile("(" + "|".join(map(regex.escape, longest_first)) + ")")
