"""Learn merges: count the pairs of neighbours, merge the most frequent, and count again.

Text is reduced to its distinct pieces with their counts (`PieceCounts`), so the work depends on how
many different words there are and not on how often they come. After a merge only the pieces that
held the pair are looked at; the heap of pairs is brought up to date when a pair comes up, not
before. The compiled core does the same; what is here is its reference, and serves without it.
"""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from groundup.core.errors import InputError
from groundup.tokenizers.bpe import BPE
from groundup.tokenizers.merging import Pair
from groundup.tokenizers.piece_counts import PieceCounts

_BYTES = 256
_LONGEST = 1 << 30  # bytes of a token, where the user sets no limit
_MERGES_AT_ONCE = 64  # between two calls of `progress`


def train_bpe(
    texts: Iterable[str] | PieceCounts,
    *,
    vocab_size: int,
    pattern: str = "cl100k",
    special_tokens: Sequence[str] = (),
    min_frequency: int = 1,
    max_token_length: int | None = None,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> BPE:
    """A BPE of `vocab_size` ids: 256 bytes, the merges, and the special tokens.

    texts: read once; or the counts of their pieces, whose pattern and special tokens then hold.
    Of pairs that are equally frequent, the lexicographically greatest (left bytes, then right
    bytes) is merged. Special tokens in the text are cut out: they never become part of a merge.
    min_frequency: a pair that occurs less often is not merged. max_token_length: in bytes.
    threads: that count; None for one a processor. progress: is told how many merges were added.

    Raises `InputError` for a vocabulary without room for a merge, a frequency below one, a wrong
    pattern, special tokens that are empty or occur twice, text with a lone surrogate, a corpus
    without text, and a corpus that has too few pairs for the vocabulary (and says how many it has).
    """
    if min_frequency < 1:
        raise InputError(f"min_frequency is {min_frequency}: 1 is the least.")
    if isinstance(texts, PieceCounts):
        counts = texts
    else:
        counts = PieceCounts(pattern, special_tokens, threads=threads)
    special = counts.special_tokens
    wanted = vocab_size - _BYTES - len(special)
    if wanted < 1:
        least = _BYTES + len(special) + 1
        raise InputError(f"a vocabulary of {vocab_size} is too small: {least} is the least.")
    if not isinstance(texts, PieceCounts):
        counts.add(texts)
    if not len(counts):
        raise InputError("the corpus holds no text to train a tokenizer on.")
    merges: list[Pair] = []
    for some in _merges(counts, min_frequency, max_token_length or _LONGEST):
        if progress is not None:
            progress(min(len(some), wanted - len(merges)))
        merges += some
        if len(merges) >= wanted:
            break
    if len(merges) < wanted:
        reachable = _BYTES + len(merges) + len(special)
        raise InputError(
            f"the corpus has too few different pairs for a vocabulary of {vocab_size}: give more "
            f"text, or a vocabulary of at most {reachable}."
        )
    return BPE.learned(merges[:wanted], counts.pattern, special)


def _merges(counts: PieceCounts, least: int, longest: int) -> Iterator[list[Pair]]:
    """The merges in order, a few at a time, from the compiled core where it counted."""
    trainer = counts.trainer(least, longest)
    if trainer is None:
        for pair in learn_merges(dict(counts.items()), least, longest):
            yield [pair]
    else:
        while some := trainer.learn(_MERGES_AT_ONCE):
            yield some


def learn_merges(
    counts: Mapping[bytes, int], least: int = 1, longest: int = _LONGEST
) -> Iterator[Pair]:
    """The merges of pieces, the most frequent pair first, until no pair is left.

    counts: how often each piece occurs. least: a pair that occurs less often is not merged.
    longest: of a token, in bytes.
    """
    words = [list(piece) for piece in counts]
    word_counts = list(counts.values())
    pair_counts: dict[Pair, int] = defaultdict(int)
    holders: dict[Pair, set[int]] = defaultdict(set)  # words that hold, or once held, a pair
    for index, word in enumerate(words):
        for pair in itertools.pairwise(word):
            pair_counts[pair] += word_counts[index]
            holders[pair].add(index)
    order = [_descending(bytes([byte])) for byte in range(_BYTES)]
    token_bytes = [bytes([byte]) for byte in range(_BYTES)]

    def allowed(pair: Pair) -> bool:
        size = len(token_bytes[pair[0]]) + len(token_bytes[pair[1]])
        return pair_counts[pair] >= least and size <= longest

    def entry(pair: Pair) -> tuple[int, str, str, Pair]:
        return -pair_counts[pair], order[pair[0]], order[pair[1]], pair

    heap = [entry(pair) for pair in pair_counts if allowed(pair)]
    heapq.heapify(heap)
    while heap:
        negative, _, _, pair = heapq.heappop(heap)
        if -negative != pair_counts[pair]:  # stale: it lost occurrences to other merges
            if allowed(pair):
                heapq.heappush(heap, entry(pair))
            continue
        new = len(token_bytes)
        token_bytes.append(token_bytes[pair[0]] + token_bytes[pair[1]])
        order.append(_descending(token_bytes[new]))
        grown: set[Pair] = set()
        for index in holders.pop(pair):
            for changed, sign in _merge_word(words[index], pair, new):
                pair_counts[changed] += sign * word_counts[index]
                if sign > 0:
                    holders[changed].add(index)
                    grown.add(changed)
        del pair_counts[pair]
        for changed in grown:
            if allowed(changed):
                heapq.heappush(heap, entry(changed))
        yield pair


def _merge_word(word: list[int], pair: Pair, new: int) -> list[tuple[Pair, int]]:
    """Replace `pair` by `new` in place; returns the pairs that went (−1) and came (+1)."""
    left, right = pair
    changes: list[tuple[Pair, int]] = []
    at = 0
    while at < len(word) - 1:
        if word[at] != left or word[at + 1] != right:
            at += 1
            continue
        if at > 0:
            changes += [((word[at - 1], left), -1), ((word[at - 1], new), 1)]
        if at + 2 < len(word):
            changes += [((right, word[at + 2]), -1), ((new, word[at + 2]), 1)]
        word[at : at + 2] = [new]
        at += 1
    return changes


def _descending(token: bytes) -> str:
    """A string that sorts the other way round than the bytes: greatest first.

    Every byte b becomes the character 255 − b, and an end mark above all of them makes a longer
    token come before its own beginning.
    """
    return "".join(chr(255 - byte) for byte in token) + chr(256)
