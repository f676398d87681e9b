"""Byte-pair encoding (Sennrich et al. 2016) over bytes (Radford et al. 2019).

Nothing is ever unknown: whatever was not merged is still bytes. Text becomes ids in the compiled
core, or, where there is none and for a pattern of the user's own, in the reference of `split` and
`merging`, which gives the same ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.core.native import core, cpu_threads, say_if_missing
from groundup.core.unicode import normal_form
from groundup.tokenizers.merging import MergeTable, Pair, PieceIds
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.split import Pattern, cutter
from groundup.tokenizers.tokenizer import Tokenizer, fingerprint_of
from groundup.tokenizers.unicode import classes
from groundup.tokenizers.vocabulary import Vocabulary, utf8

Normalization = Literal["NFC"]

_BYTES = 256
_MOST_IDS = (1 << 21) - 1  # the compiled core packs two ids and an order into 64 bits


@final
class BPE(Tokenizer):
    """A vocabulary, and the merges that lead from bytes to its tokens.

    vocabulary: holds the 256 bytes as tokens, and what every merge makes. table: its merges; the
    class methods build it from what tokenizers are published as. pattern: as `cutter` takes it.
    normalization: the form of Unicode that text is brought into first, or None.

    Raises `InputError` for a pattern that `cutter` refuses, and more ids than the core can hold.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        table: MergeTable,
        pattern: Pattern,
        *,
        normalization: Normalization | None = None,
    ):
        if len(vocabulary) > _MOST_IDS:
            raise InputError(
                f"the vocabulary has {len(vocabulary)} ids: at most {_MOST_IDS} are supported."
            )
        self.pattern = pattern
        self.table = table
        self.normalization: Normalization | None = normalization
        self._vocabulary = vocabulary
        self._cut = cutter(pattern)
        self._piece_ids = PieceIds(table)
        self._core = None
        say_if_missing()
        if core is not None and pattern in PATTERNS:
            rows = [(*pair, token) for pair, (_, token) in table.merges.items()]
            self._core = core.BytePairs(
                classes(),
                pattern,
                table.byte_ids,
                np.array(rows, dtype=np.uint32).reshape(-1, 3),
                [order for order, _ in table.merges.values()],
                [(content, token) for token, content in vocabulary.ordinary.items()],
                bool(table.whole),
            )

    @classmethod
    def learned(
        cls, merges: Sequence[Pair], pattern: Pattern, special_tokens: Sequence[str] = ()
    ) -> "BPE":
        """Ids 0 … 255 are the bytes, then the merges in their order, then the special tokens.

        Raises `InputError` as the constructor does, for a merge of an id that does not exist yet,
        and where two merges make the same token.
        """
        tokens = [bytes([byte]) for byte in range(_BYTES)]
        table: dict[Pair, tuple[int, int]] = {}
        for order, (left, right) in enumerate(merges):
            if not (0 <= left < len(tokens) and 0 <= right < len(tokens)):
                raise InputError(f"the merge ({left}, {right}) names a token that is not there.")
            table[left, right] = order, len(tokens)
            tokens.append(tokens[left] + tokens[right])
        vocabulary = Vocabulary.in_order(tokens, special_tokens)
        return cls(vocabulary, MergeTable(list(range(_BYTES)), table, {}), pattern)

    @classmethod
    def from_merges(
        cls,
        vocabulary: Vocabulary,
        merges: Sequence[Pair],
        pattern: Pattern,
        *,
        whole_pieces: bool = False,
        normalization: Normalization | None = None,
    ) -> "BPE":
        """As Hugging Face stores it: pairs of ids, the first to merge first; a pair becomes the
        token of their bytes together. whole_pieces: a piece that is a token becomes its id without
        merging (`ignore_merges`).

        Raises `InputError` as the constructor does, and for a byte that is no token, two tokens
        that are the same bytes, a merge of ids that are not there or whose bytes are no token, and
        a pair that is merged twice.
        """
        ids = {content: token for token, content in vocabulary.ordinary.items()}
        if len(ids) != len(vocabulary.ordinary):
            raise InputError("two tokens are the same bytes: every token must have its own.")
        table: dict[Pair, tuple[int, int]] = {}
        for order, (left, right) in enumerate(merges):
            content = vocabulary.token_bytes(left) + vocabulary.token_bytes(right)
            if content not in ids:
                raise InputError(
                    f"the merge ({left}, {right}) makes {content!r}, which is no token."
                )
            if (left, right) in table:
                raise InputError(f"the pair ({left}, {right}) is merged twice.")
            table[left, right] = order, ids[content]
        whole = ids if whole_pieces else {}
        merging = MergeTable(_byte_ids(ids), table, whole)
        return cls(vocabulary, merging, pattern, normalization=normalization)

    @classmethod
    def from_ranks(
        cls, ranks: Mapping[bytes, int], pattern: Pattern, special: Mapping[str, int]
    ) -> "BPE":
        """As tiktoken reads its rank files: neighbours whose bytes together are a token may merge,
        and the token of the lowest rank comes first. ranks: the id of each token, by its bytes.

        Raises `InputError` as the constructor does, and for a byte that is no token, and an id that
        stands for two.
        """
        if len(set(ranks.values())) != len(ranks):
            raise InputError("an id stands for two tokens: every token must have its own.")
        table = {
            (ranks[content[:cut]], ranks[content[cut:]]): (rank, rank)
            for content, rank in sorted(ranks.items(), key=lambda item: item[1])
            for cut in range(1, len(content))
            if content[:cut] in ranks and content[cut:] in ranks
        }
        vocabulary = Vocabulary({rank: content for content, rank in ranks.items()}, special)
        return cls(vocabulary, MergeTable(_byte_ids(ranks), table, ranks), pattern)

    @property
    def merges(self) -> list[Pair]:
        """The pairs that merge, the first to merge first."""
        return list(self.table.merges)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        content = {
            "tokens": {token: text.hex() for token, text in self._vocabulary.ordinary.items()},
            "merges": [(*pair, *merge) for pair, merge in self.table.merges.items()],
            "pattern": _expressions(self.pattern),
            "normalization": self.normalization,
            "whole": bool(self.table.whole),
            "special": dict(self.special_tokens),
        }
        return fingerprint_of(content)

    def encode_ordinary(self, text: str) -> list[int]:
        text = self._normalized([text])[0]
        if self._core is None:
            return [token for piece in self._cut(text) for token in self._piece_ids(piece)]
        try:
            return self._core.encode(text)
        except ValueError as error:
            raise _refused([text], error) from error

    def encode_ordinary_batch(
        self, texts: Sequence[str], threads: int | None = None
    ) -> list[list[int]]:
        if self._core is None:
            return [self.encode_ordinary(text) for text in texts]
        try:
            return self._core.encode_batch(self._normalized(texts), cpu_threads(threads))
        except ValueError as error:
            raise _refused(texts, error) from error

    def encode_to_numpy(
        self, texts: Sequence[str], threads: int | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        if self._core is None:
            return super().encode_to_numpy(texts, threads)
        try:
            return self._core.encode_to_numpy(self._normalized(texts), cpu_threads(threads))
        except ValueError as error:
            raise _refused(texts, error) from error

    def _normalized(self, texts: Sequence[str]) -> list[str]:
        form = self.normalization
        return [normal_form(form, text) for text in texts] if form else list(texts)


def _byte_ids(ids: Mapping[bytes, int]) -> list[int]:
    missing = [byte for byte in range(_BYTES) if bytes([byte]) not in ids]
    if missing:
        raise InputError(
            f"the vocabulary has no token for the byte 0x{missing[0]:02X}: byte-pair encoding "
            "needs all 256."
        )
    return [ids[bytes([byte])] for byte in range(_BYTES)]


def _expressions(pattern: Pattern) -> list[str]:
    return [PATTERNS.get(pattern, pattern)] if isinstance(pattern, str) else list(pattern)


def _refused(texts: Iterable[str], error: ValueError) -> InputError:
    """The sentence for what the core refuses: a lone surrogate, or a piece that is too long."""
    for text in texts:
        utf8(text)
    return InputError(f"{error}.")
