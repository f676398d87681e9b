"""Figures of tokenizers on texts that are counted by hand, and on real ones."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.tokenizers import BPE, Bytes, PieceCounts, token_spans, train_bpe, train_pieces
from groundup.tokenizers.comparison import bpe_sizes, compare_tokenizers, measure
from groundup.tokenizers.scripts import SCRIPTS, scripts_of

BPE_AB = BPE.learned([(97, 98), (49, 50), (32, 257), (0xE5, 0x8C)], "gpt2", ["<|end|>"])
TEXTS = st.text(alphabet="ab 12\n.éя北", min_size=1, max_size=30).filter(str.strip)


def test_a_text_that_is_counted_by_hand() -> None:
    # ab| 12|3|·| |e5 8c|97 …: of " 12" a third is the space, and two thirds are two digits
    found = measure(BPE_AB, ["ab 123", "北"])
    assert found.vocabulary == 261
    assert found.tokens == 5
    assert found.bytes_per_token == 9 / 5
    assert found.tokens_per_word == 5 / 3
    assert found.unknown_share == 0
    assert found.tokens_per_character == pytest.approx(
        {"Latin": 1 / 2, "CJK": 2, "digits": (2 / 3 + 1) / 3, "spaces and signs": 1 / 3}
    )


def test_bytes_are_as_many_as_utf8_has() -> None:
    found = measure(Bytes(["<|end|>"]), ["aé <|end|>я北7"])
    assert found.tokens_per_character["CJK"] == pytest.approx(3)
    assert found.tokens_per_character["Cyrillic"] == pytest.approx(2)
    assert found.tokens_per_character["digits"] == pytest.approx(1)
    assert found.bytes_per_token == 1


def test_the_unknown_is_a_share_of_the_tokens() -> None:
    words, _ = train_pieces(["the cat"], pattern="gpt2")
    found = measure(words, ["the dog the cat"])
    assert found.unknown_share == 2 / 4  # " the" was not seen with its space
    assert found.bytes_per_token == 15 / 4


@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_the_shares_are_those_of_the_spans(texts: list[str]) -> None:
    shares: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for text in texts:
        scripts = [SCRIPTS[place] for place in scripts_of(text)]
        characters.update(scripts)
        of_byte = [s for s, c in zip(scripts, text, strict=True) for _ in c.encode()]
        for span in token_spans(BPE_AB, text):
            for at in range(span.start, span.end):
                shares[of_byte[at]] += 1 / len(span.content)
    each = {script: shares[script] / count for script, count in characters.items()}
    assert measure(BPE_AB, texts).tokens_per_character == pytest.approx(each)


def test_every_size_is_what_training_it_alone_gives(source_files: list[str]) -> None:
    counts = PieceCounts("cl100k", ["<|end|>"])
    counts.add(source_files)
    some = bpe_sizes(counts, [1024, 300, 10**6])
    assert [bpe.vocab_size for bpe in some] == [300, 1024]
    for bpe in some:
        alone = train_bpe(source_files, vocab_size=bpe.vocab_size, special_tokens=["<|end|>"])
        assert bpe.fingerprint == alone.fingerprint


def test_a_comparison_has_every_kind(source_files: list[str]) -> None:
    done: list[None] = []
    *training, held_out = source_files
    given_too = {"mine": train_bpe(training, vocab_size=400)}
    result = compare_tokenizers(
        training, [held_out], [300, 400, 10**6], given_too, lambda: done.append(None)
    )
    rows = {row["name"]: row for row in result["tokenizers"]}
    assert list(rows) == ["bytes", "characters", "words", "BPE 300", "BPE 400", "mine"]
    assert len(done) == len(rows)
    assert rows["bytes"]["bytes_per_token"] == 1
    assert rows["words"]["unknown_share"] > 0
    same = {"name": "mine", "kind": "given"}
    assert rows["mine"] == {**rows["BPE 400"], **same}
    assert result["left_out"] == [10**6]
    assert result["held_out"]["bytes"] == len(held_out.encode())
    assert sum(result["held_out"]["characters"].values()) == len(held_out)


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no word"):
        measure(Bytes(), [" \n", ""])
    with pytest.raises(InputError, match="lone surrogate"):
        measure(Bytes(), ["\ud800"])
    counts = PieceCounts("cl100k")
    counts.add(["ab"])
    with pytest.raises(InputError, match="at most 257"):
        bpe_sizes(counts, [512, 1024])
