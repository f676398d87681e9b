"""Byte-pair merging of pieces: the readable reference of the compiled core.

Text is cut into pieces. Each piece starts as its bytes, and the learned pair of neighbours that
comes first in the order is merged, again and again, until no neighbours are a learned pair.
"""

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from groundup.tokenizers.vocabulary import utf8

Pair = tuple[int, int]

_CACHED_PIECES = 1 << 18  # pieces whose ids are remembered; the common ones come early
_LONGEST_CACHED = 64  # characters; a longer piece seldom comes twice


@dataclass(frozen=True)
class MergeTable:
    """What merging needs to know.

    byte_ids: the id of each byte. merges: from a pair of ids to its place in the order and the id
    that it becomes. whole: pieces that become an id without merging.
    """

    byte_ids: Sequence[int]
    merges: Mapping[Pair, tuple[int, int]]
    whole: Mapping[bytes, int] = field(default_factory=dict)

    def merge(self, piece: bytes) -> list[int]:
        """The ids of one piece. Of pairs equal in the order the leftmost is merged: O(n log n).

        The tokens are a linked list; a heap holds the candidate merges. A candidate whose
        neighbours have changed since is stale, and is dropped when it comes up.
        """
        if piece in self.whole:
            return [self.whole[piece]]
        tokens: list[int] = [self.byte_ids[byte] for byte in piece]
        merges = self.merges
        following = [*range(1, len(tokens)), -1]
        preceding = list(range(-1, len(tokens) - 1))
        heap = [
            (merges[pair][0], at)
            for at, pair in enumerate(itertools.pairwise(tokens))
            if pair in merges
        ]
        heapq.heapify(heap)
        while heap:
            order, at = heapq.heappop(heap)
            right = following[at]
            if tokens[at] < 0 or right < 0:
                continue
            merge = merges.get((tokens[at], tokens[right]))
            if merge is None or merge[0] != order:
                continue
            tokens[at], tokens[right] = merge[1], -1
            after, before = following[right], preceding[at]
            following[at] = after
            if after >= 0:
                preceding[after] = at
            for left in (at, before):
                if left >= 0 and following[left] >= 0:
                    pair = tokens[left], tokens[following[left]]
                    if pair in merges:
                        heapq.heappush(heap, (merges[pair][0], left))
        return [token for token in tokens if token >= 0]


class PieceIds:
    """The ids of pieces of text, remembered: most text is the same few pieces."""

    def __init__(self, table: MergeTable):
        self._table = table
        self._known: dict[str, list[int]] = {}

    def __call__(self, piece: str) -> list[int]:
        known = self._known.get(piece)
        if known is None:
            known = self._table.merge(utf8(piece))
            if len(piece) <= _LONGEST_CACHED and len(self._known) < _CACHED_PIECES:
                self._known[piece] = known
        return known
