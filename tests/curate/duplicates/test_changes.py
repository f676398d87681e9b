"""Where two texts differ, by words."""

import re

from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.duplicates.changes import Comparison, Piece, changes, compare

NUMBERS = [f"w{n}" for n in range(40)]


def said(place: list[Piece]) -> str:
    marks = {"both": "{}", "one": "[-{}-]", "other": "[+{}+]"}
    return " ".join(marks[piece.of].format(piece.text.strip()) for piece in place)


def test_a_change_stands_among_some_words_of_both() -> None:
    one = " ".join(NUMBERS)
    other = one.replace("w20 ", "x y ").replace("w39", "")
    assert [said(place) for place in changes(one, other)] == [
        "w12 w13 w14 w15 w16 w17 w18 w19 [-w20-] [+x y+] w21 w22 w23 w24 w25 w26 w27 w28",
        "w31 w32 w33 w34 w35 w36 w37 w38 [-w39-]",
    ]


def test_white_space_is_kept_and_makes_no_difference() -> None:
    assert changes("a  b\n\tc", "a b c ") == []
    assert changes("a  b\n", "a  c\n  d") == [
        [Piece("both", "a  "), Piece("one", "b\n"), Piece("other", "c\n  d")]
    ]


def test_marks_are_words_of_their_own() -> None:
    assert [said(place) for place in changes("“It is”, he said", '"It is", he said')] == [
        '[-“-] [+"+] It is [-”-] [+"+] , he said'
    ]


def test_a_long_piece_is_cut() -> None:
    ((_, added),) = changes("a", "a" + " b" * 1000)
    assert len(added.text) < 500
    assert added.text.endswith(" … ")


@given(st.text("ab .\n", max_size=60), st.text("ab .\n", max_size=60))
def test_each_side_of_the_places_is_in_its_text(one: str, other: str) -> None:
    places = changes(one, other)
    assert bool(places) == (re.findall(r"\w+|[^\w\s]", one) != re.findall(r"\w+|[^\w\s]", other))
    for place in places:
        assert any(piece.of != "both" for piece in place)
        assert "".join(piece.text for piece in place if piece.of != "one") in other
        ours = "".join(piece.text for piece in place if piece.of != "other")
        assert "".join(ours.split()) in "".join(one.split())


def test_comparing_gives_the_similarity_of_rows_of_words() -> None:
    one, other = " ".join(NUMBERS[:12]), " ".join([*NUMBERS[:11], "else"])
    assert compare(one, other) == Comparison(
        similarity=7 / 9,  # of 8 rows of five words each, the last differ
        places=[
            [
                Piece("both", "w3 w4 w5 w6 w7 w8 w9 w10 "),
                Piece("one", "w11"),
                Piece("other", "else"),
            ]
        ],
        more=0,
    )
    assert compare(one, other, width=2).similarity == 10 / 12


def test_only_the_first_places_are_given() -> None:
    one = " ".join(f"w{n}" for n in range(800))
    other = " ".join("x" if n % 40 == 20 else f"w{n}" for n in range(800))
    found = compare(one, other)
    assert (len(found.places), found.more) == (8, 12)


def test_texts_that_go_on_do_not_differ_at_their_ends() -> None:
    one, other = " ".join(NUMBERS), " ".join(["x", *NUMBERS])
    cut = other[: len(one)]
    assert len(compare(one, cut).places) == 2
    assert [said(place) for place in compare(one, cut, open_end=True).places] == [
        "[+x+] w0 w1 w2 w3 w4 w5 w6 w7"
    ]
    assert compare("a b", "a c", open_end=True).places == []
