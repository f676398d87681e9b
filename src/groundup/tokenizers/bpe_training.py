"""Learn merges: count the pairs of neighbours, merge the most frequent, and count again.

Text is reduced to its distinct pieces with their counts, so the work depends on how many different
words there are and not on how often they come. After a merge only the pieces that held the pair
are looked at; the heap of pairs is brought up to date when a pair comes up, not before.
"""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import regex

from groundup.core.errors import InputError
from groundup.tokenizers.bpe import BPE, Pair
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.special import special_pattern
from groundup.tokenizers.vocabulary import utf8

_BYTES = 256


def train_bpe(
    texts: Iterable[str],
    *,
    vocab_size: int,
    pattern: str = "cl100k",
    special_tokens: Sequence[str] = (),
    progress: Callable[[], object] | None = None,
) -> BPE:
    """A BPE of `vocab_size` ids: 256 bytes, the merges, and the special tokens.

    Of pairs that are equally frequent, the lexicographically greatest (left bytes, then right
    bytes) is merged. Special tokens in the text are cut out: they never become part of a merge.
    `progress` is called after every merge.

    Raises `InputError` for a vocabulary without room for a merge, an unknown pattern, special
    tokens that are empty or occur twice, text with a lone surrogate, a corpus without text, and a
    corpus that has too few different pairs for the vocabulary (and says how many it has).
    """
    wanted = vocab_size - _BYTES - len(special_tokens)
    if wanted < 1:
        least = _BYTES + len(special_tokens) + 1
        raise InputError(f"a vocabulary of {vocab_size} is too small: {least} is the least.")
    if pattern not in PATTERNS:
        raise InputError(f"there is no pattern {pattern!r}: choose one of {list(PATTERNS)}.")
    counts = count_pieces(texts, pattern, special_tokens)
    if not counts:
        raise InputError("the corpus holds no text to train a tokenizer on.")
    merges = learn_merges(counts, wanted, progress)
    if len(merges) < wanted:
        reachable = _BYTES + len(merges) + len(special_tokens)
        raise InputError(
            f"the corpus has too few different pairs for a vocabulary of {vocab_size}: give more "
            f"text, or a vocabulary of at most {reachable}."
        )
    return BPE(merges, pattern, special_tokens)


def count_pieces(
    texts: Iterable[str], pattern: str, special_tokens: Sequence[str] = ()
) -> Counter[bytes]:
    """How often each piece occurs, as UTF-8 bytes."""
    split = regex.compile(PATTERNS[pattern])
    cut = special_pattern(special_tokens) if special_tokens else None
    counts: Counter[str] = Counter()
    for text in texts:
        for part in cut.split(text)[::2] if cut else (text,):  # every other part is a special token
            counts.update(split.findall(part))
    return Counter({utf8(piece): count for piece, count in counts.items()})


def learn_merges(
    counts: Counter[bytes], wanted: int, progress: Callable[[], object] | None = None
) -> list[Pair]:
    """Up to `wanted` merges of the pieces, the most frequent pair first."""
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

    def entry(pair: Pair) -> tuple[int, str, str, Pair]:
        return -pair_counts[pair], order[pair[0]], order[pair[1]], pair

    heap = [entry(pair) for pair in pair_counts]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < wanted:
        negative, _, _, pair = heapq.heappop(heap)
        if -negative != pair_counts[pair]:  # stale: it lost occurrences to other merges
            if pair_counts[pair] > 0:
                heapq.heappush(heap, entry(pair))
            continue
        new = _BYTES + len(merges)
        merges.append(pair)
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
            if pair_counts[changed] > 0:
                heapq.heappush(heap, entry(changed))
        if progress is not None:
            progress()
    return merges


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
