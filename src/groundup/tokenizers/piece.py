"""Whole pieces of text as tokens: characters, or words. What was not seen in training is unknown.

Both kinds have the same trouble with rarity. Characters: Unicode has 150,000, most of which occur
almost never, so their embeddings are hardly trained; and a text that needs one outside of the
vocabulary is lost. Words: the vocabulary grows without bound with the corpus (Heaps' law), and half
of it occurs once (Zipf's law). Byte-pair encoding is the answer to both.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from groundup.core.errors import InputError
from groundup.tokenizers.special import special_pattern
from groundup.tokenizers.split import cutter
from groundup.tokenizers.tokenizer import Tokenizer, fingerprint_of
from groundup.tokenizers.vocabulary import Vocabulary, utf8

UNKNOWN = "<unk>"


@final
class Pieces(Tokenizer):
    """Id 0 is `<unk>`, then the pieces, then the special tokens in their order.

    pieces: the known ones. pattern: how text is cut, as `cutter` takes it: `CHARACTER` (code
    points), or a name in `PATTERNS`, whose pieces are words with their leading space, numbers and
    punctuation.

    Raises `InputError` for a wrong pattern, pieces that are equal or empty, and special tokens
    that are empty or occur twice.
    """

    def __init__(self, pieces: Sequence[str], pattern: str, special_tokens: Sequence[str] = ()):
        self._cut = cutter(pattern)
        if "" in pieces:
            raise InputError("a piece is empty: every token stands for some text.")
        self.pieces = tuple(pieces)
        self.pattern = pattern
        tokens = [UNKNOWN.encode(), *map(utf8, pieces)]
        self._vocabulary = Vocabulary.in_order(tokens, special_tokens)
        self._ids = {piece: 1 + index for index, piece in enumerate(pieces)}

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def fingerprint(self) -> str:
        content = {"kind": "pieces", "pieces": self.pieces, "pattern": self.pattern}
        return fingerprint_of({**content, "special": list(self.special_tokens)})

    def encode_ordinary(self, text: str) -> list[int]:
        utf8(text)  # refuses lone surrogates
        return [self._ids.get(piece, 0) for piece in self._cut(text)]


@dataclass(frozen=True)
class Rarity:
    """How seldom the pieces of a corpus occur.

    pieces: occurrences. distinct: different ones. once: different ones that occur a single time.
    """

    pieces: int
    distinct: int
    once: int


def train_pieces(
    texts: Iterable[str],
    *,
    pattern: str,
    vocab_size: int | None = None,
    min_frequency: int = 1,
    special_tokens: Sequence[str] = (),
) -> tuple[Pieces, Rarity]:
    """The most frequent pieces of the texts as a vocabulary, and how rare its pieces are.

    vocab_size: at most this many ids, `<unk>` and special tokens included; None has no bound.
    min_frequency: a piece that occurs less often is left out. Of pieces that are equally frequent
    the one with the smaller bytes comes first.

    Raises `InputError` for a vocabulary without room for a piece, and for texts without a piece
    that is frequent enough.
    """
    room = None if vocab_size is None else vocab_size - 1 - len(special_tokens)
    if room is not None and room < 1:
        raise InputError(
            f"a vocabulary of {vocab_size} is too small: {len(special_tokens) + 2} is the least."
        )
    cut = cutter(pattern)
    keep = special_pattern(special_tokens) if special_tokens else None
    counts: Counter[str] = Counter()
    for text in texts:
        utf8(text)  # refuses lone surrogates
        for part in keep.split(text)[::2] if keep else (text,):  # between the special tokens
            counts.update(cut(part))
    frequent = [piece for piece, count in counts.items() if count >= min_frequency]
    if not frequent:
        raise InputError(
            "the corpus holds no text to train a tokenizer on, or none that occurs "
            f"{min_frequency} times."
        )
    frequent.sort(key=lambda piece: (-counts[piece], piece.encode()))
    rarity = Rarity(counts.total(), len(counts), sum(count == 1 for count in counts.values()))
    return Pieces(frequent[:room], pattern, special_tokens), rarity
