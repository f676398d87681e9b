import pytest

from groundup.curate.pdf.hyphens import Words, first_word


@pytest.mark.parametrize(
    ("lines", "elsewhere", "expected"),
    [
        (["a light-", "house"], "the lighthouse", "a lighthouse"),
        (["a light-", "house"], "the light-house", "a light-house"),
        (["a light-", "house"], "the light-house, a lighthouse", "a lighthouse"),
        (["a light-", "house"], "two light-houses", "a lighthouse"),
        (["a light-", "house"], "the light of the house", "a light-house"),
        (["a con-", "tent"], "con and tent", "a content"),
        (["a light-", "house"], "", "a lighthouse"),
        (["Light-", "house"], "THE LIGHT-HOUSE", "Light-house"),
        (["Anglo-", "Saxon"], "anglosaxon", "Anglo-Saxon"),
        (["state-of-", "the-", "art"], "it is state-of-the and the-art", "state-of-the-art"),
        (["in 1914-", "1918"], "", "in 1914-1918"),
        (["pages 3–", "5"], "", "pages 3–5"),
        (["he said -", "and went"], "", "he said - and went"),
        (["a light\u00ad", "house"], "the light-house", "a lighthouse"),
        (["soft\u00adly"], "", "softly"),
        (["one", "two", "three"], "", "one two three"),
        (["https://", "example.org/", "page"], "", "https://example.org/page"),
        (["日本", "語です"], "", "日本語です"),
        (["한국어", "문장"], "", "한국어 문장"),
        (["маяк", "све-", "тит"], "", "маяк светит"),
    ],
)
def test_lines_are_joined(lines: list[str], elsewhere: str, expected: str) -> None:
    parts = [lines, [elsewhere]] if elsewhere else [lines]
    assert Words(parts).joined(lines) == expected


def test_divided_words_are_not_counted() -> None:
    """Neither half of one is a word by itself."""
    lines = ["the mari-", "ners and the fisher-", "men"]
    assert Words([lines, lines]).joined(lines) == "the mariners and the fishermen"


@pytest.mark.parametrize(("line", "word"), [("one two", "one"), ("日本語", "日"), ("x", "x")])
def test_what_stays_together(line: str, word: str) -> None:
    assert first_word(line) == word
