"""What is true of any page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.pdf.characters import Box, Span
from groundup.curate.pdf.layout import read_regions


@st.composite
def pieces(draw: st.DrawFn) -> list[Span]:
    places = draw(
        st.lists(
            st.tuples(
                st.integers(0, 500), st.integers(0, 700), st.integers(1, 300), st.integers(0, 20)
            ),
            max_size=60,
        )
    )
    return [
        Span(f"<{number}>", Box(left, top, left + width, top + height))
        for number, (left, top, width, height) in enumerate(places)
    ]


@given(pieces())
def test_every_piece_is_read_once(spans: list[Span]) -> None:
    read = "".join(line.text for region in read_regions(spans) for line in region)
    found = read.replace("\t", "").replace(" ", "").replace("><", ">,<").split(",")
    assert sorted(filter(None, found)) == sorted(span.text for span in spans)


@given(pieces(), st.randoms(use_true_random=False))
def test_the_order_of_drawing_does_not_matter(spans: list[Span], random: object) -> None:
    unique = list({(span.box.left, span.box.middle): span for span in spans}.values())
    before = list(read_regions(unique))
    random.shuffle(unique)  # pyright: ignore[reportAttributeAccessIssue]
    assert list(read_regions(unique)) == before


def test_an_empty_page_has_no_regions() -> None:
    assert list(read_regions([])) == []


@pytest.mark.parametrize(("gap", "text"), [(0.5, "ab"), (5, "a b"), (40, "a\tb")])
def test_gaps_of_a_line(gap: float, text: str) -> None:
    spans = [Span("a", Box(0, 0, 6, 10)), Span("b", Box(6 + gap, 0, 12 + gap, 10))]
    assert [[line.text for line in region] for region in read_regions(spans)] == [[text]]
