"""Byte-pair encoding (Sennrich et al. 2016) over bytes (Radford et al. 2019).

Text is cut into pieces by a pattern. Each piece starts as its UTF-8 bytes, and the pair of
neighbours that was learned earliest is merged, again and again, until no neighbours are a learned
pair. Nothing is ever unknown: whatever was not merged is still bytes.

This is the readable reference: a faster core must give the same ids.
"""

import heapq
import itertools
from collections.abc import Sequence
from typing import final

import regex

from groundup.core.errors import InputError
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.tokenizer import Tokenizer, fingerprint_of
from groundup.tokenizers.vocabulary import Vocabulary, utf8

Pair = tuple[int, int]

_BYTES = 256
_CACHED_PIECES = 1 << 18  # pieces whose ids are remembered; the common ones come early
_LONGEST_CACHED = 64  # characters; a longer piece seldom comes twice


@final
class BPE(Tokenizer):
    """Ids 0 … 255 are the bytes, then the merges in the order they were learned, then the specials.

    merges: pairs of earlier ids. pattern: a name in `PATTERNS`. special_tokens: their texts, which
    take the last ids in this order.

    Raises `InputError` for an unknown pattern, a merge of an id that does not exist yet or that
    gives bytes which an earlier token has, and for special tokens that `special_pattern` refuses.
    """

    def __init__(self, merges: Sequence[Pair], pattern: str, special_tokens: Sequence[str] = ()):
        if pattern not in PATTERNS:
            raise InputError(f"there is no pattern {pattern!r}: choose one of {list(PATTERNS)}.")
        self.merges = tuple(merges)
        self.pattern = pattern
        tokens = [bytes([byte]) for byte in range(_BYTES)]
        for left, right in self.merges:
            if not (0 <= left < len(tokens) and 0 <= right < len(tokens)):
                raise InputError(f"the merge ({left}, {right}) names a token that is not there.")
            tokens.append(tokens[left] + tokens[right])
        self._vocabulary = Vocabulary(tokens, special_tokens)
        self._merged = {pair: _BYTES + rank for rank, pair in enumerate(self.merges)}
        self._split = regex.compile(PATTERNS[pattern])
        self._cache: dict[str, tuple[int, ...]] = {}

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def fingerprint(self) -> str:
        content = {"merges": self.merges, "pattern": PATTERNS[self.pattern]}
        return fingerprint_of({**content, "special": list(self.special_tokens)})

    def encode_ordinary(self, text: str) -> list[int]:
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
        tokens = list(utf8(piece))
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
