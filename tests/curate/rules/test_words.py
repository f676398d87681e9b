"""Counts of words against Python's own, and the compiled core against the reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.rules import words as module
from groundup.curate.rules.words import STOP_WORDS, count_words, reference

PARTS = "the The THAT, “of” bethe to. (have) w1th é 12 -- 中文 🙂 ² ǅ Ⅷ".split()
TEXTS = st.one_of(
    st.lists(st.sampled_from([*PARTS, " ", "\n", "\u00a0"])).map("".join),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@given(TEXTS)
def test_the_core_counts_as_the_reference_does(text: str) -> None:
    assert count_words(text) == reference(text)


@given(st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xDFF)))
def test_words_are_what_stands_between_white_space(text: str) -> None:
    """Of scripts that put spaces between words."""
    words = text.split()
    counts = count_words(text)
    assert counts.words == len(words)
    assert counts.characters == sum(map(len, words))
    assert counts.letters == sum(character.isalpha() for character in text)
    assert counts.with_letter == sum(any(map(str.isalpha, word)) for word in words)
    bare = {word.strip("".join(c for c in word if not c.isalnum())).lower() for word in words}
    assert counts.stop_words == len(STOP_WORDS & bare)


def test_stop_words_have_any_case_and_punctuation_around_them() -> None:
    assert count_words("The “of” (and), TO. be- …that! have' with").stop_words == 8
    assert count_words("the The THE there them bet of1 o'f andand").stop_words == 1


def test_characters_of_scripts_without_spaces_are_words() -> None:
    counts = count_words("東京 2020年、すし")
    # 東 京 2020 年 、すし: the comma is part of no character's word
    assert counts.letters == 5
    assert counts.numbers == 4
    assert counts.words == len(["東", "京", "2020", "年", "、", "す", "し"])
    assert counts.with_letter == 5


def test_the_reference_serves_without_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "core", None)
    assert count_words("To be, or not 2 be.") == (6, 14, 11, 1, 5, 2)
