"""Scripts by block, with Python's own names of characters as the oracle."""

import unicodedata

import pytest

from groundup.tokenizers.scripts import SCRIPTS, scripts_of

NAMED = {
    "Latin": ("LATIN SMALL", "LATIN CAPITAL"),
    "Greek": ("GREEK SMALL", "GREEK CAPITAL"),
    "Cyrillic": ("CYRILLIC SMALL", "CYRILLIC CAPITAL"),
    "Arabic": ("ARABIC LETTER",),
    "CJK": ("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA LETTER", "HANGUL SYLLABLE"),
    "digits": ("DIGIT", "ARABIC-INDIC DIGIT", "DEVANAGARI DIGIT"),
    "other letters": ("HEBREW LETTER", "DEVANAGARI LETTER", "THAI CHARACTER KO"),
}


@pytest.mark.parametrize("script", NAMED)
def test_characters_are_of_the_script_that_they_are_named_after(script: str) -> None:
    plane = map(chr, [*range(0xD800), *range(0xE000, 0x10000)])
    named = [c for c in plane if c.isalnum() and unicodedata.name(c, "").startswith(NAMED[script])]
    assert len(named) >= 10
    found = {SCRIPTS[place] for place in scripts_of("".join(named))}
    assert found == {script}


def test_what_is_no_letter_and_no_number_is_a_sign() -> None:
    assert {SCRIPTS[place] for place in scripts_of(" \n.×،。🙂")} == {"spaces and signs"}
    assert len(scripts_of("")) == 0
