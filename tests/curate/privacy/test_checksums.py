"""Check digits against well-known examples, and what the standards promise of them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.privacy.checksums import luhn, mod_11_2, mod_11_10, mod_97, verhoeff

DIGITS = st.text("0123456789", min_size=3, max_size=30)


def _digits(text: str) -> list[int]:
    return [int(c) for c in text]


KINDS: dict[str, Callable[[str], bool]] = {
    "luhn": lambda text: luhn(_digits(text)),
    "verhoeff": lambda text: verhoeff(_digits(text)),
    "mod_97": mod_97,
    "mod_11_10": lambda text: mod_11_10(_digits(text)),
    "mod_11_2": mod_11_2,
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("luhn", "79927398713"),  # known from encyclopedias
        ("luhn", "4111111111111111"),  # the networks' test cards
        ("luhn", "378282246310005"),
        ("verhoeff", "2363"),
        ("verhoeff", "123451"),
        ("verhoeff", "999941057058"),  # of the UIDAI's test data
        ("mod_97", "3214282912345698765432161182"),  # GB82 WEST 1234 5698 7654 32, rearranged
        ("mod_97", "79444"),  # ISO 7064's own: 794 with the check digits 44
        ("mod_11_10", "07945"),
        ("mod_11_10", "86095742719"),  # a test number, widely quoted
        ("mod_11_2", "07940"),
        ("mod_11_2", "079X"),
        ("mod_11_2", "11010519491231002X"),  # GB 11643-1999, appendix
    ],
)
def test_known_numbers_are_valid(kind: str, text: str) -> None:
    assert KINDS[kind](text)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), body=DIGITS)
def test_a_single_wrong_digit_is_always_found(kind: str, data: st.DataObject, body: str) -> None:
    holds = KINDS[kind]
    ends = [f"{n:02}" for n in range(100)] if kind == "mod_97" else [str(n) for n in range(10)]
    valid = [body + end for end in ends if holds(body + end)]
    if not valid:  # the check character is an X
        return
    place = data.draw(st.integers(0, len(valid[0]) - 1))
    other = data.draw(st.sampled_from([c for c in "0123456789" if c != valid[0][place]]))
    assert not holds(valid[0][:place] + other + valid[0][place + 1 :])


@pytest.mark.parametrize("kind", ["verhoeff", "mod_97", "mod_11_2"])
@given(data=st.data(), body=DIGITS)
def test_neighbours_that_changed_places_are_always_found(
    kind: str, data: st.DataObject, body: str
) -> None:
    holds = KINDS[kind]
    ends = [f"{n:02}" for n in range(100)] if kind == "mod_97" else [str(n) for n in range(10)]
    valid = [body + end for end in ends if holds(body + end)]
    if not valid:
        return
    place = data.draw(st.integers(0, len(valid[0]) - 2))
    a, b = valid[0][place : place + 2]
    assert a == b or not holds(valid[0][:place] + b + a + valid[0][place + 2 :])


@given(DIGITS)
def test_there_is_exactly_one_check_digit(body: str) -> None:
    for kind in ("luhn", "verhoeff", "mod_11_10"):
        assert sum(KINDS[kind](body + str(digit)) for digit in range(10)) == 1
