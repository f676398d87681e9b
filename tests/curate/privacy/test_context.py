"""Words near a number, and what near means."""

import pytest

from groundup.curate.privacy.context import BEFORE, BEHIND, Context, Words, near_some


def places(context: Context, text: str) -> list[str]:
    words = Words(text, 0, len(text))
    found = [text[begin:end] for begin, end in context.places(words)]
    assert context.begins_in(words) or not found
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My SSN: 1, the ssn_2", ["SSN", "ssn"]),
        ("ssns", []),
        ("Social\n  Security, no. 1; social club security", ["Social\n  Security"]),
        ("我的电话号码是", ["电话"]),
        ("Тел.: 1", ["Тел"]),
        ("<SSN> 1", []),  # a placeholder is no word
    ],
)
def test_words_and_phrases_count_as_a_whole(text: str, found: list[str]) -> None:
    assert places(Context(["ssn", "social security", "电话", "тел"]), text) == found


def test_near_is_a_matter_of_characters() -> None:
    word = [(100, 103)]
    for begin, is_near in [(100 + BEFORE, True), (101 + BEFORE, False)]:
        assert bool(near_some(word, [(begin, begin + 9)])) is is_near
    for end, is_near in [(103 - BEHIND, True), (102 - BEHIND, False)]:
        assert bool(near_some(word, [(end - 9, end)])) is is_near


def test_in_a_list_each_is_near_by_its_neighbours() -> None:
    row = [(begin, begin + 9) for begin in range(0, 1000, 20)]
    assert near_some([(500, 501)], row) == row
    assert near_some([], row) == []
    assert near_some([(0, 3)], [(4, 9), (60, 69), (120, 129)]) == [(4, 9)]
