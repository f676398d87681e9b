"""Characters and words as tokens: known pieces come back, others are unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.tokenizers import Pieces, train_pieces

PIECES = st.text(alphabet="ab \n.é北", max_size=40)


@given(st.lists(PIECES, min_size=1, max_size=5).filter(any), st.sampled_from(["character", "gpt2"]))
def test_what_was_trained_on_comes_back(texts: list[str], pattern: str) -> None:
    tokenizer, rarity = train_pieces(texts, pattern=pattern)
    assert tokenizer.vocab_size == rarity.distinct + 1
    for text in texts:
        ids = tokenizer.encode(text)
        assert 0 not in ids
        assert tokenizer.decode(ids) == text
    assert sum(len(tokenizer.encode(text)) for text in texts) == rarity.pieces


def test_characters_are_code_points() -> None:
    tokenizer, rarity = train_pieces(["banana", "é"], pattern="character")
    assert tokenizer.pieces == ("a", "n", "b", "é")  # frequent first, then by their bytes
    assert tokenizer.encode("nab北") == [2, 1, 3, 0]
    assert tokenizer.decode([2, 1, 3, 0]) == "nab<unk>"
    assert (rarity.pieces, rarity.distinct, rarity.once) == (7, 4, 2)


def test_words_keep_their_space_and_rare_ones_are_left_out() -> None:
    text = "the cat and the dog and the rat"
    tokenizer, rarity = train_pieces([text], pattern="gpt2", min_frequency=2)
    assert tokenizer.pieces == (" and", " the")
    assert tokenizer.decode(tokenizer.encode("the cat and the")) == "<unk><unk> and the"
    assert rarity.once == 4
    limited, _ = train_pieces([text], pattern="gpt2", vocab_size=3, special_tokens=["<|end|>"])
    assert limited.pieces == (" and",)
    assert limited.special_tokens == {"<|end|>": 2}


def test_special_tokens_never_become_part_of_a_piece() -> None:
    tokenizer, _ = train_pieces(["a<|end|>b"], pattern="character", special_tokens=["<|end|>"])
    assert tokenizer.pieces == ("a", "b")
    assert tokenizer.encode("a<|end|>b", allowed_special="all") == [1, 3, 2]


def test_no_text_is_the_unknown_token() -> None:
    tokenizer, _ = train_pieces(["<unk>"], pattern="gpt2")
    assert 0 not in tokenizer.encode("<unk>")


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no pattern 'letters'"):
        Pieces(["a"], "letters")
    with pytest.raises(InputError, match="same bytes"):
        Pieces(["a", "a"], "gpt2")
    with pytest.raises(InputError, match="a piece is empty"):
        Pieces([""], "gpt2")
    with pytest.raises(InputError, match="too small: 3 is the least"):
        train_pieces(["a"], pattern="gpt2", vocab_size=2, special_tokens=["x"])
    with pytest.raises(InputError, match="no text"):
        train_pieces(["", ""], pattern="character")
    with pytest.raises(InputError, match="occurs 2 times"):
        train_pieces(["a b"], pattern="gpt2", min_frequency=2)
    with pytest.raises(InputError, match="lone surrogate"):
        train_pieces(["\ud800"], pattern="character")
    with pytest.raises(InputError, match="lone surrogate"):
        Pieces(["a"], "character").encode("\ud800")
