"""Tokenizers measured on the same held-out text, so that their figures can be compared.

A token may hold characters of several scripts, and half a character. So each token is shared out
equally among the bytes that it stands for, and a character has the shares of its bytes: the shares
of all characters add up to the tokens.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.tokenizers.bpe import BPE
from groundup.tokenizers.bpe_training import train_bpe
from groundup.tokenizers.byte import Bytes
from groundup.tokenizers.patterns import CHARACTER
from groundup.tokenizers.piece import Pieces, train_pieces
from groundup.tokenizers.piece_counts import PieceCounts
from groundup.tokenizers.scripts import SCRIPTS, code_points, scripts_of
from groundup.tokenizers.spans import token_ends
from groundup.tokenizers.tokenizer import Tokenizer
from groundup.tokenizers.vocabulary import utf8

_PATTERN = "cl100k"  # of the words and of the BPE


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a tokenizer makes of a text; special tokens in it are text like any other.

    vocabulary: number of ids.
    tokens: of the text.
    bytes_per_token: of the text's UTF-8; what is lost as `<unk>` counts as well.
    tokens_per_word: words are what white space separates.
    unknown_share: of the tokens, those that are `<unk>`.
    tokens_per_character: by script (a name in `SCRIPTS`), of those that occur in the text.
    """

    vocabulary: int
    tokens: int
    bytes_per_token: float
    tokens_per_word: float
    unknown_share: float
    tokens_per_character: dict[str, float]


def compare_tokenizers(
    training: Sequence[str],
    held_out: Sequence[str],
    sizes: Sequence[int],
    given: Mapping[str, Tokenizer],
    advance: Callable[[], object],
) -> dict[str, Any]:
    """Bytes, characters, words and BPE of several sizes, trained on one text, measured on another.

    sizes: vocabularies of BPE. given: others to measure, by their names. `advance` is told of every
    tokenizer that is done. The result is a JSON value with

    training, held_out: documents and bytes; of the latter also characters by script.
    tokenizers: of each its name, its kind, and the fields of `Measurement`.
    left_out: the sizes that the training text cannot fill.

    Raises `InputError` as training and `measure` do, and where no size can be filled.
    """
    counts = PieceCounts(_PATTERN)
    counts.add(training)
    bpes = bpe_sizes(counts, sizes)
    contenders: list[tuple[str, str, Tokenizer]] = [
        ("bytes", "bytes", Bytes()),
        ("characters", "characters", train_pieces(training, pattern=CHARACTER)[0]),
        ("words", "words", train_pieces(training, pattern=_PATTERN)[0]),
        *((f"BPE {bpe.vocab_size:,}", "BPE", bpe) for bpe in bpes),
        *((name, "given", tokenizer) for name, tokenizer in given.items()),
    ]
    rows = []
    for name, kind, tokenizer in contenders:
        rows.append({"name": name, "kind": kind, **asdict(measure(tokenizer, held_out))})
        advance()
    characters = np.sum([script_counts(text) for text in held_out], axis=0).tolist()
    by_script = {name: n for name, n in zip(SCRIPTS, characters, strict=True) if n}
    return {
        "training": _size(training),
        "held_out": {**_size(held_out), "characters": by_script},
        "tokenizers": rows,
        "left_out": [size for size in sizes if size not in {bpe.vocab_size for bpe in bpes}],
    }


def measure(tokenizer: Tokenizer, texts: Iterable[str]) -> Measurement:
    """Encode each text and count.

    Raises `InputError` for texts without a word, and for a lone surrogate.
    """
    tokens = unknown = size = words = 0
    shares = np.zeros(len(SCRIPTS))
    characters = np.zeros(len(SCRIPTS), dtype=np.int64)
    for text in texts:
        ids, ends = token_ends(tokenizer, text, disallowed_special=frozenset())
        tokens += len(ids)
        unknown += int(np.count_nonzero(ids == 0)) if isinstance(tokenizer, Pieces) else 0
        size += len(utf8(text))
        words += len(text.split())
        shares += _shares(text, ends)
        characters += script_counts(text)
    if not words:
        raise InputError("the texts hold no word to measure a tokenizer on.")
    each = {
        script: float(share / count)
        for script, share, count in zip(SCRIPTS, shares, characters, strict=True)
        if count
    }
    return Measurement(
        vocabulary=tokenizer.vocab_size,
        tokens=tokens,
        bytes_per_token=size / tokens,
        tokens_per_word=tokens / words,
        unknown_share=unknown / tokens,
        tokens_per_character=each,
    )


def script_counts(text: str) -> NDArray[np.int64]:
    """How many characters of each script the text has [SCRIPTS]."""
    return np.bincount(scripts_of(text), minlength=len(SCRIPTS))


def bpe_sizes(counts: PieceCounts, sizes: Sequence[int]) -> list[BPE]:
    """A BPE of each of the sizes that the corpus can fill, smallest first.

    The merges of a small vocabulary are the first ones of a large vocabulary, so one is trained.

    Raises `InputError` as `train_bpe` does, where not even the smallest size can be filled.
    """
    fitting = sorted(sizes)
    largest = None
    while largest is None:
        try:
            largest = train_bpe(counts, vocab_size=fitting[-1])
        except InputError:
            if len(fitting) == 1:
                raise
            del fitting[-1]
    others = 256 + len(counts.special_tokens)
    return [
        BPE.learned(largest.merges[: size - others], counts.pattern, counts.special_tokens)
        for size in fitting
    ]


def _size(texts: Sequence[str]) -> dict[str, int]:
    return {"documents": len(texts), "bytes": sum(len(utf8(text)) for text in texts)}


def _shares(text: str, ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tokens that stand for characters of each script [SCRIPTS]; their sum is all the tokens."""
    points = code_points(text)
    widths = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)  # of UTF-8, in bytes
    sizes = np.diff(ends, prepend=0)
    of_byte = np.repeat(1 / sizes, sizes)
    script = np.repeat(scripts_of(text), widths)
    return np.bincount(script, of_byte, len(SCRIPTS)).astype(np.float64)  # of no byte: integers
