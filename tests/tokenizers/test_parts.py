"""A text in parts has the ids of the whole text."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.tokenizers import BPE, Bytes, Tokenizer, train_bpe, train_pieces
from groundup.tokenizers.parts import text_parts
from groundup.tokenizers.patterns import PATTERNS

CORPUS = ["the cat's sat, on  the mat.\n\n It naïvely ran; 12 345 (rats)!\n"]
TOKENIZERS: dict[str, Tokenizer] = {
    **{name: train_bpe(CORPUS, vocab_size=275, pattern=name) for name in PATTERNS},
    "words": train_pieces(CORPUS, pattern="gpt2")[0],
    "characters": train_pieces(CORPUS, pattern="character")[0],
    "bytes": Bytes(),
    "its own": BPE.learned([(97, 116)], r"\w+\s*|\W"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=60)
@given(text=st.text(alphabet="cat's12 \n\t;é\u00a0", max_size=80), size=st.integers(1, 12))
def test_the_ids_are_those_of_the_whole_text(name: str, text: str, size: int) -> None:
    tokenizer = TOKENIZERS[name]
    parts = list(text_parts(io.StringIO(text, newline=""), tokenizer, size))
    assert "".join(parts) == text
    together = [token for part in parts for token in tokenizer.encode_ordinary(part)]
    assert together == tokenizer.encode_ordinary(text)


def test_a_text_without_a_place_to_cut_stays_whole() -> None:
    text = "x" * 1000
    assert list(text_parts(io.StringIO(text), TOKENIZERS["gpt2"], 10)) == [text]
    own = TOKENIZERS["its own"]
    assert list(text_parts(io.StringIO("a b c d"), own, 2)) == ["a b c d"]
