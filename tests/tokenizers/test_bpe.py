"""BPE encoding against tiktoken, built from the same ranks, and against its own laws."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.tokenizers import BPE, PieceCounts, StreamDecoder, train_bpe
from groundup.tokenizers.bpe_training import learn_merges
from groundup.tokenizers.patterns import PATTERNS

TEXTS = [
    "",
    " ",
    "\n\n\t  x \r\n",
    "def f(x):\n    return x  # it's 12345 done\n",
    "naïve café 北京大学 Ελληνικά हिन्दी 🙂👩‍👩‍👧 ÅÄÖ",
    "I'LL we've 'tis   \u00a0 \u2003 end",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 20,
]


@pytest.fixture(scope="module", params=sorted(PATTERNS))
def tokenizer(request: pytest.FixtureRequest, source_files: list[str]) -> BPE:
    return train_bpe(
        [*source_files, *TEXTS], vocab_size=700, pattern=request.param, special_tokens=["<|end|>"]
    )


def as_tiktoken(tokenizer: BPE):
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {tokenizer.token_bytes(i): i for i in range(256 + len(tokenizer.merges))}
    return tiktoken.Encoding(
        "same",
        pat_str=PATTERNS[tokenizer.pattern],
        mergeable_ranks=ranks,
        special_tokens=dict(tokenizer.special_tokens),
    )


def test_ids_equal_tiktoken(tokenizer: BPE, source_files: list[str]) -> None:
    oracle = as_tiktoken(tokenizer)
    for text in [*TEXTS, *source_files]:
        assert tokenizer.encode(text) == oracle.encode(text, disallowed_special=())


_SMALL = train_bpe(["the cat sat on the mat, and the rat ran. " * 3], vocab_size=270)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_decoding_undoes_encoding(text: str) -> None:
    assert _SMALL.decode(_SMALL.encode(text)) == text


@given(st.lists(st.integers(0, 269), max_size=50))
def test_streaming_gives_the_same_text_and_never_half_a_character(ids: list[int]) -> None:
    decoder = StreamDecoder(_SMALL)
    parts = [decoder.push(token) for token in ids] + [decoder.finish()]
    assert "".join(parts) == _SMALL.decode(ids)


def test_a_streamed_character_waits_for_its_last_byte() -> None:
    decoder = StreamDecoder(_SMALL)
    assert [decoder.push(byte) for byte in "é".encode()] == ["", "é"]


def test_special_tokens_are_letters_unless_they_are_allowed() -> None:
    tokenizer = BPE.learned([], "gpt2", ["<|a|>", "<|a|>b"])
    plain = tokenizer.encode("x<|a|>b", disallowed_special=set())
    assert plain == list(b"x<|a|>b")
    assert tokenizer.encode("x<|a|>b", allowed_special="all") == [ord("x"), 257]  # the longest
    assert tokenizer.encode("<|a|>b", allowed_special={"<|a|>"}, disallowed_special=set()) == [
        256,
        ord("b"),
    ]


@pytest.mark.parametrize("unit", ["ab", " ", "\n", "é"])
def test_half_a_megabyte_of_one_piece_is_encoded(unit: str) -> None:
    text = unit * (500_000 // len(unit.encode()))
    ids = _SMALL.encode(text)
    assert _SMALL.decode(ids) == text


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="aab ", min_size=1, max_size=30), min_size=1, max_size=6))
def test_every_token_of_a_trained_vocabulary_is_reached_by_its_merges(texts: list[str]) -> None:
    """So looking a whole piece up first (tiktoken) and merging (Hugging Face) give the same."""
    counts = PieceCounts("gpt2")
    counts.add(texts)
    merges = itertools.islice(learn_merges(dict(counts.items())), 20)
    tokenizer = BPE.learned(list(merges), "gpt2")
    for token in range(tokenizer.vocab_size):
        text = tokenizer.token_bytes(token).decode("utf-8", errors="replace")
        if token >= 256:
            assert tokenizer.encode(text) == [token]


def test_the_fingerprint_names_what_decides_the_ids() -> None:
    assert (
        BPE.learned([(97, 98)], "gpt2").fingerprint == BPE.learned([(97, 98)], "gpt2").fingerprint
    )
    others = [
        BPE.learned([(97, 99)], "gpt2"),
        BPE.learned([(97, 98)], "cl100k"),
        BPE.learned([(97, 98)], "gpt2", ["x"]),
    ]
    fingerprints = {
        BPE.learned([(97, 98)], "gpt2").fingerprint,
        *(other.fingerprint for other in others),
    }
    assert len(fingerprints) == 4


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no pattern"):
        BPE.learned([], "gpt5")
    with pytest.raises(InputError, match="not there"):
        BPE.learned([(256, 97)], "gpt2")
    with pytest.raises(InputError, match="same bytes"):
        BPE.learned([(97, 98), (97, 98)], "gpt2")
    with pytest.raises(InputError, match="must differ"):
        BPE.learned([], "gpt2", ["<|a|>", "<|a|>"])
    with pytest.raises(InputError, match="special token holds a lone surrogate"):
        BPE.learned([], "gpt2", ["\ud800"])
    with pytest.raises(InputError, match="not in the vocabulary"):
        _SMALL.decode([270])
    with pytest.raises(InputError, match="lone surrogate"):
        _SMALL.encode("\ud800")
    with pytest.raises(InputError, match="not a special token"):
        _SMALL.encode("x", allowed_special={"<|b|>"})
