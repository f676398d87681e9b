"""The spans of tokens: nothing of the text is left out, and nothing is told twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.tokenizers import BPE, Bytes, Tokenizer, TokenSpan, token_spans, train_pieces
from groundup.tokenizers.sentence_pieces import Prefix, SentencePieces

SPECIAL = ["<|a|>", "<|é|>"]
KINDS: dict[str, Tokenizer] = {
    "bytes": Bytes(SPECIAL),
    "characters": train_pieces(["ab <|>é"], pattern="character", special_tokens=SPECIAL)[0],
    "words": train_pieces(["ab <|>é", " a|b"], pattern="gpt2", special_tokens=SPECIAL)[0],
    "sentence pieces": SentencePieces(
        {256 + i: name for i, name in enumerate(["▁", "a", "b", "ab", "é", "▁ab", "▁▁"])},
        range(256),
        [(257, 258), (256, 259), (256, 256)],
        {name: 300 + i for i, name in enumerate(SPECIAL)},
        prefix="never",
    ),
    "BPE": BPE.learned([(97, 98), (0xC3, 0xA9), (0xE5, 0x8C)], "gpt2", SPECIAL),
}
TEXTS = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*SPECIAL, "ab", "<|", " ", "\n", "é", "北"])).map("".join),
)
CHOICES = st.one_of(st.just("all"), st.frozensets(st.sampled_from(SPECIAL)))


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS, allowed=CHOICES)
def test_spans_cover_the_text_in_order_and_have_the_ids_of_encode(
    kind: str, text: str, allowed
) -> None:
    tokenizer = KINDS[kind]
    choice = {"allowed_special": allowed, "disallowed_special": frozenset()}
    spans = token_spans(tokenizer, text, **choice)
    assert [span.token for span in spans] == tokenizer.encode(text, **choice)
    assert b"".join(span.content for span in spans) == text.encode()
    at = 0
    for span in spans:
        assert (span.start, span.end) == (at, at + len(span.content))
        assert span.end > span.start
        at = span.end
        if span.token != 0 or kind in ("bytes", "BPE"):  # 0 is the <unk> of the other kinds
            assert span.content == tokenizer.token_bytes(span.token)


@pytest.mark.parametrize("prefix", ["every", "missing", "first"])
@given(text=TEXTS)
def test_a_space_that_was_put_before_a_text_is_not_of_it(prefix: Prefix, text: str) -> None:
    kind = KINDS["sentence pieces"]
    assert isinstance(kind, SentencePieces)
    tokenizer = SentencePieces(
        kind.names, kind.byte_ids, kind.merges, kind.special_tokens, prefix=prefix
    )
    spans = token_spans(tokenizer, text, allowed_special="all")
    assert [span.token for span in spans] == tokenizer.encode(text, allowed_special="all")
    assert b"".join(span.content for span in spans) == text.encode()


def test_a_character_may_be_more_than_one_token() -> None:
    assert token_spans(KINDS["BPE"], "a北") == [
        TokenSpan(97, b"a", 0, 1),
        TokenSpan(258, b"\xe5\x8c", 1, 3),
        TokenSpan(0x97, b"\x97", 3, 4),
    ]


def test_an_unknown_token_has_the_text_that_it_stands_for() -> None:
    assert token_spans(KINDS["words"], "ab 北北") == [
        TokenSpan(KINDS["words"].encode("ab")[0], b"ab", 0, 2),
        TokenSpan(0, " 北北".encode(), 2, 9),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_encode_refuses_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="holds the special token"):
        token_spans(KINDS[kind], "<|a|>")
    with pytest.raises(InputError, match="lone surrogate"):
        token_spans(KINDS[kind], "\ud800")


def test_spans_are_of_the_text_as_it_is_normalized() -> None:
    plain = BPE.learned([], "gpt2")
    tokenizer = BPE(plain.vocabulary, plain.table, "gpt2", normalization="NFC")
    spans = token_spans(tokenizer, "e\u0301!")
    assert b"".join(span.content for span in spans) == "é!".encode()
    assert [span.token for span in spans] == tokenizer.encode("e\u0301!")
