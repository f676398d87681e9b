"""Normal forms against Python's own."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.unicode import normal_form

MARKS = "\u0301\u0323\u0308\u0327\u0344\u0345\u05b0\u3099\U0001d165"
FORMS = ["NFC", "NFD", "NFKC", "NFKD"]


@pytest.mark.parametrize("form", FORMS)
@given(st.text(st.sampled_from("aéA\u1e69가\u0f73\ufb01" + MARKS * 3), max_size=300))
def test_texts_are_as_python_s(form, text: str) -> None:
    assert normal_form(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", FORMS)
@given(st.text(st.sampled_from(MARKS), min_size=64, max_size=200))
def test_long_runs_of_marks_are_as_python_s(form, run: str) -> None:
    text = f"é{run}x{run[:70]}"
    assert normal_form(form, text) == unicodedata.normalize(form, text)


def test_half_a_million_marks_end() -> None:
    """Python alone takes minutes for them."""
    text = "a" + MARKS[:4] * 125_000
    shorter = "a" + MARKS[:4] * 500
    found = normal_form("NFC", text)
    assert len(found) - len(text) == len(normal_form("NFC", shorter)) - len(shorter)
