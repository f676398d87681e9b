"""The compiled core against the reference in Python and against tiktoken: always the same ids."""

import itertools
import random
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundup.core import native as native_module
from groundup.core.errors import InputError
from groundup.tokenizers import BPE, PieceCounts, bpe, piece_counts, train_bpe
from groundup.tokenizers.bpe_training import learn_merges
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.split import cutter
from groundup.tokenizers.unicode import classes
from groundup.tokenizers.vocabulary import Vocabulary

core = native_module.core
pytestmark = pytest.mark.skipif(core is None, reason="the compiled core is not installed")

# What the patterns tell apart, in and beyond ASCII, and what stands at a rule's edge.
EDGES = "aZ09 \t\n\r'/.,sſtTlLvVeErRmMdD_éÀǅªא中\u0301\u0903²Ⅷ٣\u00a0\u2003\u3000🙂\x1c\x00\u0085"
texts = st.one_of(
    st.text(alphabet=EDGES, max_size=200),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80),
    st.lists(st.sampled_from(["'ll", " 's", "\n\n", "  ", "don't", "1234567", "();\n/", "é"])).map(
        "".join
    ),
)
pairs = list(itertools.product(range(256), repeat=2))  # any other cut gives other ids


@pytest.fixture(scope="module", params=sorted(PATTERNS))
def pattern(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def every_pair(pattern: str) -> BPE:
    return BPE.learned(pairs, pattern)


@cache
def tiktoken_of(tokenizer: BPE) -> Any:
    """The same tokenizer in the library that published the patterns."""
    tiktoken = pytest.importorskip("tiktoken", minversion="0.14")
    return tiktoken.Encoding(
        "same",
        pat_str=PATTERNS[tokenizer.pattern],
        mergeable_ranks={content: i for i, content in tokenizer.vocabulary.ordinary.items()},
        special_tokens={},
    )


def cuts(pattern: str, text: str) -> list[str]:
    ends = core.piece_ends(classes(), pattern, text).tolist()
    content = text.encode()
    return [content[start:end].decode() for start, end in itertools.pairwise([0, *ends])]


@settings(max_examples=300)
@given(text=texts, before=st.integers(0, 70))
@example(text="'ſ'S're'RE 'll x'LL", before=61)
@example(text="); \n\n/\n/x", before=60)
@example(text=" \n  \n x\n\t\ty", before=57)
def test_a_text_is_cut_as_the_pattern_cuts_it(pattern: str, text: str, before: int) -> None:
    text = "b" * before + text  # so that every rule meets a window's edge
    assert cuts(pattern, text) == list(cutter(pattern)(text))


@pytest.mark.slow  # 7 s a pattern
def test_every_code_point_is_cut_as_the_pattern_cuts_it(pattern: str) -> None:
    points = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]
    text = "".join(f"a{c}b1{c} {c}\n" for c in points)
    assert cuts(pattern, text) == list(cutter(pattern)(text))


# tiktoken 0.14 and unicode_classes.txt both know Unicode 16, so no code point is left out.
def test_every_code_point_is_cut_as_tiktoken_cuts_it(every_pair: BPE) -> None:
    oracle = tiktoken_of(every_pair)
    points = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]
    for start in range(0, len(points), 100_000):
        text = "".join(f"a{c}b1{c} {c}\n" for c in points[start : start + 100_000])
        assert every_pair.encode(text) == oracle.encode_ordinary(text)


@pytest.fixture(scope="module")
def trained(pattern: str, source_files: list[str]) -> BPE:
    return train_bpe([*source_files, "naïve café 北京大学 " * 9], vocab_size=900, pattern=pattern)


@settings(max_examples=200)
@given(text=texts)
def test_ids_equal_the_reference(trained: BPE, text: str) -> None:
    table = trained.table
    expected = [i for piece in cutter(trained.pattern)(text) for i in table.merge(piece.encode())]
    assert trained.encode(text) == expected
    assert trained.decode(expected) == text


@pytest.mark.slow  # 90 s a pattern
@settings(max_examples=100_000)
@given(text=texts)
def test_a_hundred_thousand_strings_have_tiktokens_ids(trained: BPE, text: str) -> None:
    assert trained.encode(text) == tiktoken_of(trained).encode_ordinary(text)


def test_random_bytes_decoded_with_replacement(trained: BPE) -> None:
    content = random.Random(0).randbytes(10_000_000).decode("utf-8", errors="replace")
    assert trained.encode(content) == tiktoken_of(trained).encode_ordinary(content)


@pytest.mark.parametrize("unit", ["a", "ab", " ", "\n", "é", "-", "7", "x-"])
@pytest.mark.parametrize("length", [1, 15, 16, 62, 63, 255, 256, 4_000])
def test_long_pieces_are_merged_as_the_reference_merges_them(
    trained: BPE, unit: str, length: int
) -> None:
    text = (unit * length)[:length] + "!" + unit * length
    table = trained.table
    expected = [i for piece in cutter(trained.pattern)(text) for i in table.merge(piece.encode())]
    assert trained.encode(text) == expected  # and again, from the cache
    assert trained.encode(text) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("last", ["z", "é", "中", "🙂"])  # 1, 1, 2 and 4 bytes a character
def test_threads_and_parts_change_nothing(
    trained: BPE, source_files: list[str], threads: int, last: str
) -> None:
    long = ("\n".join(source_files) * 9)[:700_000] + last
    batch = ["", long, "x", "", last * 5, long[::-1]]
    expected = [trained.encode_ordinary(text) for text in batch]
    assert trained.encode_batch(batch, threads=threads) == expected
    ids, ends = trained.encode_to_numpy(batch, threads)
    assert ids.tolist() == [token for text in expected for token in text]
    assert ends.tolist() == np.cumsum([len(text) for text in expected]).tolist()


def test_an_array_that_is_kept_never_changes(trained: BPE, source_files: list[str]) -> None:
    long = ("\n".join(source_files) * 90)[:4_000_000]  # its ids take more than a megabyte
    texts = [long, long[1_000_000:], long[::-1][:2_000_000], long[500_000:]]
    kept = [trained.encode_to_numpy([text], threads=1 + i % 2)[0] for i, text in enumerate(texts)]
    copies = [ids.copy() for ids in kept]
    del kept[1], copies[1]  # the memory of one is free for the next
    for text in texts:
        trained.encode_to_numpy([text])
    assert all((ids == copy).all() for ids, copy in zip(kept, copies, strict=True))
    assert all(trained.decode(ids) in texts for ids in kept)


def test_more_pieces_than_the_cache_holds() -> None:
    tokenizer = BPE.learned([(97, 98)], "gpt2")
    text = "".join(f" {n}" for n in range(300_000))
    for _ in range(2):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_core_and_the_reference_learn_the_same_merges(
    source_files: list[str], pattern: str
) -> None:
    counts = PieceCounts(pattern, threads=2)
    counts.add(source_files)
    expected = list(itertools.islice(learn_merges(dict(counts.items())), 500))
    assert train_bpe(counts, vocab_size=756).merges == expected


@settings(max_examples=100)
@given(
    st.lists(st.text(alphabet="aab \n", max_size=40), max_size=5),
    st.integers(1, 4),
    st.integers(2, 6),
)
def test_limits_are_kept_as_the_reference_keeps_them(
    lines: list[str], least: int, longest: int
) -> None:
    counts = PieceCounts("gpt2")
    counts.add(lines)
    assert counts.trainer(least, longest).learn(1000) == list(
        learn_merges(dict(counts.items()), least, longest)
    )


def test_the_reference_alone_gives_the_same_tokenizer(
    source_files: list[str], pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bpe, "core", None)
    monkeypatch.setattr(piece_counts, "core", None)
    text = "naïve café — 北京 it's 12345\n" + source_files[0]
    slow = train_bpe(source_files[:3], vocab_size=400, pattern=pattern)
    fast = core.BytePairs(
        classes(),
        pattern,
        slow.table.byte_ids,
        np.array([(*pair, i) for pair, (_, i) in slow.table.merges.items()], dtype=np.uint32),
        [order for order, _ in slow.table.merges.values()],
        [],
        False,
    )
    assert slow.encode(text) == fast.encode(text)
    assert slow.encode_batch([text, "b"]) == [fast.encode(text), fast.encode("b")]
    assert slow.encode_to_numpy([text])[0].tolist() == fast.encode(text)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32, np.int64])
def test_ids_of_any_kind_are_decoded(trained: BPE, dtype: type) -> None:
    ids = trained.encode("naïve café, it's 12345\n" * 40)
    expected = b"".join(map(trained.token_bytes, ids))
    assert trained.decode_bytes(np.array(ids, dtype=dtype)) == expected
    assert trained.decode_bytes(np.array(ids, dtype=dtype)[::1]) == expected
    assert trained.decode_bytes(iter(ids)) == expected


@pytest.mark.parametrize("as_array", [False, True])
def test_tokens_of_every_length_are_decoded(as_array: bool) -> None:
    lengths = [*range(70), 255, 256, 65_533, 65_534, 65_535, 65_536, 70_000]
    tokens = [random.Random(length).randbytes(length) for length in lengths]
    vocabulary = core.Vocabulary([*tokens, None])
    ids = random.Random(0).choices(range(len(tokens)), k=2_000)
    for end in (0, 1, 63, 64, 65, 2_000):
        given = np.array(ids[:end], dtype=np.uint32) if as_array else ids[:end]
        assert vocabulary.decode(given) == b"".join(tokens[i] for i in ids[:end])
    assert vocabulary.decode([0, len(tokens), len(tokens) + 1]) == len(tokens)
    assert core.Vocabulary([None]).decode([]) == b""


def test_a_list_that_changes_while_it_is_decoded_does_no_harm() -> None:
    class Number:
        def __init__(self, change: Callable[[], object]) -> None:
            self.change = change

        def __index__(self) -> int:
            self.change()
            return 1

    vocabulary = core.Vocabulary([b"a", b"b"])
    ids: list = [0, Number(lambda: ids.extend([0] * 10_000)), 0, True]
    assert vocabulary.decode(ids) == b"abab"
    ids = [0, Number(lambda: ids.clear()), 0]
    with pytest.raises(TypeError, match="became shorter"):
        vocabulary.decode(ids)


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([0, 5, 9], "token 5 is a hole"),
        ([0, 9, 5], "token 9 is not in"),
        ([5], "token 5 is a hole"),
        ([9], "token 9 is not in"),
        ([-1], "token -1 is not in"),
        ([1 << 70], "whole numbers"),
        (["a"], "whole numbers"),
        (np.array([0.5]), "whole numbers"),
        (np.array([[0]]), "whole numbers"),
        (np.array([1 << 40]), "is not in"),
    ],
)
def test_what_cannot_be_decoded_is_one_sentence(ids: list, sentence: str) -> None:
    vocabulary = Vocabulary({0: b"a", 7: b"b"}, {"<|x|>": 3})
    assert vocabulary.decode_bytes([7, 0, 3]) == b"ba<|x|>"
    with pytest.raises(InputError, match=sentence):
        vocabulary.decode_bytes(ids)


def test_the_core_refuses_what_would_be_out_of_bounds() -> None:
    rows, ids = np.zeros((0, 3), dtype=np.uint32), list(range(256))
    good = (classes(), "gpt2", ids, rows, [], [], False)
    wrong = {
        0: [b"", b"\x00" * 0x110000, b"\x03" * 0x110000],
        1: ["nothing"],
        2: [[], ids[:-1], [*ids[:-1], 1 << 22]],
        3: [np.zeros((1, 2), dtype=np.uint32), np.zeros((1, 3), dtype=np.uint32)],
        4: [[0]],
    }
    for place, values in wrong.items():
        for value in values:
            with pytest.raises((ValueError, TypeError)):
                core.BytePairs(*good[:place], value, *good[place + 1 :])
    with pytest.raises(ValueError, match="not fall"):
        core.BytePairs(classes(), "gpt2", ids, np.ones((2, 3), dtype=np.uint32), [1, 0], [], False)
    with pytest.raises(ValueError, match="without a pattern"):
        core.BytePairs(classes(), None, ids, rows, [], [], False).encode("a")
    tokenizer = core.BytePairs(*good)
    for text in ["\ud800", "ab\udfff" * 9, "中\ud800" * 9, "🙂\udc00" * 9]:
        with pytest.raises(ValueError, match="surrogate"):
            tokenizer.encode(text)
    with pytest.raises(TypeError):
        tokenizer.encode_batch(["a", b"b"], 1)
