import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.report import formats
from groundup.report.formats import duration, percent, quantity, visible

_FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(formats)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (119.6, "2 min 0 s"),
        (3599.7, "1 h 0 min"),
        (86_400, "24 h 0 min"),
    ],
)
def test_a_duration_never_shows_sixty_of_a_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0.001, 9.99e17))
def test_a_quantity_reads_back_within_its_three_digits(value: float) -> None:
    number, _, prefix = quantity(value).partition(" ")
    assert float(number) * _FACTORS[prefix] == pytest.approx(value, rel=0.006)


def test_a_quantity_moves_to_the_next_prefix_before_it_shows_a_thousand() -> None:
    assert quantity(999.6) == "1.00 k"
    assert quantity(999_600, "B") == "1.00 MB"


def test_a_small_share_keeps_a_digit() -> None:
    assert [percent(x) for x in (0, 0.004, 0.0995, 0.5)] == ["0.0 %", "0.4 %", "10 %", "50 %"]


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=50))
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters(), max_size=50))
def test_any_text_can_be_written_as_utf8_and_keeps_its_length(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    shown.encode("utf-8")


def test_what_hides_or_turns_text_is_made_visible() -> None:
    assert visible("a\x1b[0m\x00\tb\n") == "a␛[0m␀\tb\n"
    assert visible("if admin\u202e\u2066 # check\u2069") == "if admin\ufffd\ufffd # check\ufffd"
    assert visible("\ud800") == "\ufffd"
