"""Which bytes of a text each of its tokens stands for."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from groundup.tokenizers.piece import Pieces
from groundup.tokenizers.sentence_pieces import SentencePieces
from groundup.tokenizers.special import SpecialChoice, cut_special
from groundup.tokenizers.split import cutter
from groundup.tokenizers.tokenizer import Tokenizer
from groundup.tokenizers.vocabulary import utf8


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A token where it stands in a text.

    content: the text's own bytes from `start` to `end`, in bytes of its UTF-8; also of an `<unk>`.
    """

    token: int
    content: bytes
    start: int
    end: int


def token_spans(
    tokenizer: Tokenizer,
    text: str,
    *,
    allowed_special: SpecialChoice = frozenset(),
    disallowed_special: SpecialChoice = "all",
) -> list[TokenSpan]:
    """The tokens of `text`, which follow each other and cover all of it; of a tokenizer that
    normalizes text first, of the text that comes of it.

    Special tokens, and the errors raised, as in `Tokenizer.encode`.
    """
    ids, ends = token_ends(
        tokenizer, text, allowed_special=allowed_special, disallowed_special=disallowed_special
    )
    changes = isinstance(tokenizer, Pieces | SentencePieces)
    data = utf8(text) if changes else tokenizer.decode_bytes(ids)
    bounds = pairwise([0, *ends.tolist()])
    return [
        TokenSpan(token, data[start:end], start, end)
        for token, (start, end) in zip(ids.tolist(), bounds, strict=True)
    ]


def token_ends(
    tokenizer: Tokenizer,
    text: str,
    *,
    allowed_special: SpecialChoice = frozenset(),
    disallowed_special: SpecialChoice = "all",
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The ids of `text` [tokens], and the byte of its UTF-8 at which each of them ends [tokens].

    Special tokens, and the errors raised, as in `Tokenizer.encode`.
    """
    special = tokenizer.special_tokens
    ids = [np.empty(0, dtype=np.uint32)]
    sizes = [np.empty(0, dtype=np.int64)]
    for is_special, part in cut_special(text, special.keys(), allowed_special, disallowed_special):
        if is_special:
            ids.append(np.array([special[part]], dtype=np.uint32))
            sizes.append(np.array([len(utf8(part))]))
        else:
            first = len(ids) == 1
            ids.append(
                tokenizer.encode_to_numpy([part])[0]
                if first
                else np.array(tokenizer.encode_behind(part), dtype=np.uint32)
            )
            sizes.append(_sizes(tokenizer, part, ids[-1], first=first))
    return np.concatenate(ids), np.cumsum(np.concatenate(sizes))


def _sizes(
    tokenizer: Tokenizer, text: str, ids: NDArray[np.uint32], *, first: bool
) -> NDArray[np.int64]:
    """Bytes of ordinary text that each token stands for; an `<unk>` does not hold what it was."""
    if isinstance(tokenizer, Pieces):
        return np.array([len(utf8(piece)) for piece in cutter(tokenizer.pattern)(text)], np.int64)
    distinct, places = np.unique(ids, return_inverse=True)
    sizes = [len(tokenizer.token_bytes(token)) for token in distinct.tolist()]
    found = np.array(sizes, dtype=np.int64)[places]
    if isinstance(tokenizer, SentencePieces):
        reached = np.concatenate([[0], tokenizer.lengths(text, first=first).cumsum()])
        return np.diff(reached[np.concatenate([[0], found.cumsum()])])
    return found
