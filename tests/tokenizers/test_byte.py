"""Bytes as tokens: UTF-8 itself is the oracle."""

from hypothesis import given
from hypothesis import strategies as st

from groundup.tokenizers import Bytes


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_ids_are_the_bytes_of_utf_8(text: str) -> None:
    tokenizer = Bytes(["<|end|>"])
    ids = tokenizer.encode_ordinary(text)
    assert bytes(ids) == text.encode("utf-8")
    assert tokenizer.decode([*ids, 256]) == text + "<|end|>"


def test_every_token_is_one_byte() -> None:
    assert Bytes().vocab_size == 256
    assert Bytes().compression_ratio("naïve 北京") == 1.0
