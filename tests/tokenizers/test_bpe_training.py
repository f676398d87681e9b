"""BPE training against a reference that counts every pair anew before every merge."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.tokenizers import PieceCounts, train_bpe
from groundup.tokenizers.bpe_training import learn_merges


def slow_merges(counts: Counter[bytes], wanted: int) -> list[tuple[int, int]]:
    """The definition: recount, take the most frequent, of equals the greatest pair of bytes."""
    words = {piece: list(piece) for piece in counts}
    token_bytes = [bytes([byte]) for byte in range(256)]
    merges: list[tuple[int, int]] = []
    while len(merges) < wanted:
        pairs: Counter[tuple[int, int]] = Counter()
        for piece, word in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += counts[piece]
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], token_bytes[p[0]], token_bytes[p[1]]))
        for word in words.values():
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == best:
                    word[at : at + 2] = [len(token_bytes)]
                at += 1
        merges.append(best)
        token_bytes.append(token_bytes[best[0]] + token_bytes[best[1]])
    return merges


def count_pieces(
    texts: list[str], pattern: str, special_tokens: Sequence[str] = ()
) -> Counter[bytes]:
    counts = PieceCounts(pattern, special_tokens)
    counts.add(texts)
    return Counter(dict(counts.items()))


def first_merges(counts: Counter[bytes], wanted: int) -> list[tuple[int, int]]:
    return list(itertools.islice(learn_merges(counts), wanted))


def test_merges_of_real_source_equal_the_slow_reference(source_files: list[str]) -> None:
    counts = count_pieces(source_files[:3], "cl100k")
    assert first_merges(counts, 120) == slow_merges(counts, 120)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab \n", max_size=30), min_size=1, max_size=5))
def test_merges_of_few_letters_equal_the_slow_reference(texts: list[str]) -> None:
    counts = count_pieces(texts, "gpt2")
    assert first_merges(counts, 12) == slow_merges(counts, 12)


def test_the_textbook_example() -> None:
    """Sennrich et al. 2016, figure 1's idea: the most frequent pair of neighbours comes first."""
    tokenizer = train_bpe(["aaab aaab aaab"], vocab_size=258, pattern="gpt2")
    first = tokenizer.token_bytes(256)
    assert first == b"aa"


def test_special_tokens_never_become_part_of_a_merge() -> None:
    text = "<|end|>abab" * 50
    tokenizer = train_bpe([text], vocab_size=259, pattern="gpt2", special_tokens=["<|end|>"])
    assert [tokenizer.token_bytes(token) for token in (256, 257)] == [b"ab", b"abab"]


def test_the_longest_special_token_is_cut_out() -> None:
    counts = count_pieces(["a<|x|>yb<|x|>c"], "gpt2", ["<|x|>", "<|x|>y"])
    assert counts == Counter([b"a", b"b", b"c"])


def test_special_tokens_are_checked_before_the_work() -> None:
    with pytest.raises(InputError, match="must differ"):
        count_pieces(["abc"], "gpt2", ["<|x|>", "<|x|>"])


def test_a_lone_surrogate_is_one_sentence() -> None:
    with pytest.raises(InputError, match="lone surrogate"):
        count_pieces(["\ud800"], "gpt2")


def test_a_frequency_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="1 is the least"):
        train_bpe(["abc"], vocab_size=257, min_frequency=0)


def test_too_little_text_says_what_can_be_reached() -> None:
    with pytest.raises(InputError, match="at most 258"):
        train_bpe(["abc"], vocab_size=300, pattern="gpt2")


@pytest.mark.parametrize(
    ("texts", "vocab_size", "sentence"),
    [([], 300, "no text"), (["abc"], 256, "too small"), (["abc"], 10, "too small")],
)
def test_bad_input_is_one_sentence(texts: list[str], vocab_size: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        train_bpe(texts, vocab_size=vocab_size)
