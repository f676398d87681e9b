"""What is the same for every kind of tokenizer, with tiktoken as the oracle of special tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.tokenizers import BPE, Bytes, StreamDecoder, Tokenizer, train_pieces
from groundup.tokenizers.patterns import PATTERNS

SPECIAL = ["<|a|>", "<|b|>"]
KINDS: dict[str, Tokenizer] = {
    "bytes": Bytes(SPECIAL),
    "characters": train_pieces(["ab <|>é北"], pattern="character", special_tokens=SPECIAL)[0],
    "words": train_pieces(["ab <|>é北", "a|b"], pattern="gpt2", special_tokens=SPECIAL)[0],
    "BPE": BPE.learned([(97, 98), (60, 124)], "gpt2", SPECIAL),
}
TEXTS = st.lists(st.sampled_from([*SPECIAL, "a", "b", "<|", " ", "é", "北"]), max_size=8).map(
    "".join
)
CHOICES = st.one_of(st.just("all"), st.frozensets(st.sampled_from(SPECIAL)))


@pytest.fixture(params=sorted(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return KINDS[request.param]


@settings(max_examples=300)
@given(text=TEXTS, allowed=CHOICES, disallowed=CHOICES)
def test_special_tokens_as_tiktoken_has_them(text: str, allowed, disallowed) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    bpe = KINDS["BPE"]
    oracle = tiktoken.Encoding(
        "same",
        pat_str=PATTERNS["gpt2"],
        mergeable_ranks={bpe.token_bytes(token): token for token in range(258)},
        special_tokens=dict(bpe.special_tokens),
    )
    choice = {"allowed_special": allowed, "disallowed_special": disallowed}
    try:
        expected = oracle.encode(text, **choice)
    except ValueError:
        with pytest.raises(InputError, match="the text holds the special token"):
            bpe.encode(text, **choice)
    else:
        assert bpe.encode(text, **choice) == expected


@given(text=TEXTS)
def test_an_allowed_special_token_is_one_id(text: str) -> None:
    for tokenizer in KINDS.values():
        ids = tokenizer.encode(text, allowed_special="all")
        special = set(tokenizer.special_tokens.values())
        found = sum(token in special for token in ids)
        assert found == sum(text.count(token) for token in SPECIAL)
        if "<unk>" not in tokenizer.decode(ids):
            assert tokenizer.decode(ids) == text


def test_a_special_token_in_the_text_is_refused_by_default(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=r"holds the special token '<\|b\|>'"):
        tokenizer.encode("a<|b|>")
    with pytest.raises(InputError, match="not a special token"):
        tokenizer.encode("a", disallowed_special={"<|c|>"})
    ordinary = tokenizer.encode("a<|b|>", disallowed_special=frozenset())
    assert ordinary == tokenizer.encode_ordinary("a<|b|>")
    assert tokenizer.special_tokens["<|b|>"] not in ordinary


def test_a_batch_and_an_iterable_give_what_each_text_gives(tokenizer: Tokenizer) -> None:
    texts = ["", "ab", "a<|b|>é"]
    expected = [tokenizer.encode(text, allowed_special="all") for text in texts]
    assert tokenizer.encode_batch(texts, allowed_special="all") == expected
    assert list(tokenizer.encode_iterable(iter(texts), allowed_special="all")) == expected


def test_an_iterable_is_read_as_it_is_asked_for(tokenizer: Tokenizer) -> None:
    def texts():
        yield "ab"
        raise AssertionError("read too far")

    assert next(tokenizer.encode_iterable(texts())) == tokenizer.encode("ab")


def test_streaming_gives_what_decoding_gives(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("ab <|a|>é北", allowed_special="all")
    decoder = StreamDecoder(tokenizer)
    assert "".join([*map(decoder.push, ids), decoder.finish()]) == tokenizer.decode(ids)


def test_compression_is_bytes_per_token(tokenizer: Tokenizer) -> None:
    text = "ab é北"
    assert tokenizer.compression_ratio(text) == 8 / len(tokenizer.encode(text))
    with pytest.raises(InputError, match="empty text"):
        tokenizer.compression_ratio("")


def test_ids_outside_of_the_vocabulary_are_refused(tokenizer: Tokenizer) -> None:
    for token in (-1, tokenizer.vocab_size):
        with pytest.raises(InputError, match="not in the vocabulary"):
            tokenizer.decode([token])
