"""Telephone numbers as E.123 and the national plans write them."""

import pytest
from tests.curate.privacy.conftest import Find


@pytest.mark.parametrize(
    "number",
    [
        "+12125550123",
        "+1 (212) 555-0123",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+49 30 901820",
        "+33 1 23 45 67 89",
        "+86 138 1234 5678",
        "+358 9 1234 567",
        "+971-4-123-4567",
        "(212) 555-0123",
        "212-555-0123",
        "1-800-555-0199",
        "212.555.0123 ext. 12",
        "212-555-0123x12",
    ],
)
def test_these_need_no_word(find: Find, number: str) -> None:
    assert find(f"It is {number}, or was.") == [("phone", number)]


@pytest.mark.parametrize(
    "number",
    [
        "020 7946 0958",  # London
        "07700 900123",
        "030 23125 000"[:3] + " 23125000",  # Berlin
        "(089) 1234567",
        "01 23 45 67 89",  # France
        "06 12345678",  # the Netherlands
        "612 345 678",  # Spain
        "02 1234 5678",  # Australia, Italy
        "(11) 91234-5678",  # Brazil
        "138 1234 5678",  # China
        "98765 43210",  # India
        "090-1234-5678",  # Japan
        "08-123 456 78",  # Stockholm
        "22 12 34 56",  # Norway
        "8 (495) 123-45-67",  # Moscow
        "0041 44 123 45 67",  # from abroad
        "555-0123",
        "0123456789",
    ],
)
def test_others_need_one(find: Find, number: str) -> None:
    assert find(f"Tel.: {number}\n") == [("phone", number)]
    assert not find(f"The part {number} is out of stock.")


def test_words_of_other_languages(find: Find) -> None:
    for word in ("Telefon", "Tél. :", "móvil", "puhelin", "телефон", "电话：", "전화"):
        assert find(f"{word} 0301234567") == [("phone", "0301234567")]


@pytest.mark.parametrize(
    "text",
    [
        "phone launched 2015-12-22",
        "call me on 12/05/1998",
        "mobile 3.14159265358979",
        "fax 12345",
        "y+12345678",
        "+0123456789",
        "phone v10.0.19041",
        "Traceback (most recent call last): 50331648",
        "call the function with 2147483648",
    ],
)
def test_dates_and_other_numbers_are_left(find: Find, text: str) -> None:
    assert "phone" not in dict(find(text))


def test_in_a_list_one_word_serves_all(find: Find) -> None:
    numbers = [f"555-01{i:02}" for i in range(60)]
    assert find("Phones: " + ", ".join(numbers)) == [("phone", number) for number in numbers]
