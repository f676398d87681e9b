"""Blocks of pages: what they are, and the compiled core against the reference."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.curate.extract import page as module
from groundup.curate.extract.page import COUNTS, HINT, TAGS, Page, read_page, scan

pytest.importorskip("resiliparse")

PIECES = st.sampled_from(
    [
        *("<p>", "</p>", "<div class='nav x'>", "</div>", "<a href=x>", "</a>", "<b>", "</b>"),
        *("<br>", "<hr>", "<ul><li>", "</li>", "</ul>", "<table><tr><td>", "<td>", "</table>"),
        *("<pre>", "</pre>", "<script>if (a<b) '</p>'</script>", "<style>p{}</style>", "<x-y z>"),
        *("<!-- <p> -->", "<svg><g>x</g></svg>", "<select><option>o</select>", "<h2 hidden>"),
        "<math alttext='x^2'><mi>x</mi></math>",
        "<math><annotation encoding='application/x-tex'>y &lt; 1</annotation></math>",
        *("One, two. ", "A\n\nB", "été\u00a0日本。", "&amp;amp; &lt;p&gt;", " ", "3 > 2", '"'),
        *("<script type='math/tex'>a<b</script>", "<p style='display: none'>", "<", "&"),
        *("<noscript><p>n</noscript>", "<textarea><b>t</textarea>", "<title>a &amp; b</title>"),
        *("\x1c", "<p id='Comments'>", "</h2>"),
    ]
)


WELL_FORMED, ANY = st.text(st.characters(exclude_categories=["Cs"])), st.text("<>/=\"' abp-!\n")


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@pytest.mark.parametrize(
    ("read", "between"),
    [(read_page, WELL_FORMED), (scan, ANY)],
    ids=["as a browser reads it", "as it stands"],
)
@given(data=st.data())
def test_the_core_reads_what_the_reference_reads(
    read: Callable[[str], Page], between: st.SearchStrategy[str], data: st.DataObject
) -> None:
    html = "".join(data.draw(st.lists(st.one_of(PIECES, between), max_size=30)))
    with_core = read(html)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "core", None)
        reference = read(html)
    for name, one, other in zip(Page._fields, with_core, reference, strict=True):
        same = np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
        assert same, name


def test_blocks_end_where_a_browser_begins_a_line() -> None:
    page = read_page(
        "<title>A &amp; B</title><h1>A <i>title</i></h1>\n<div>Some <b>bold</b>\n text"
        "<p>and more<br>of it</div>after<br><br>two breaks<ul><li>one<li>two</ul>"
    )
    expected = ["A title", "Some bold text", "and more\nof it", "after", "two breaks", "one", "two"]
    assert page.texts == expected
    assert page.title == "A & B"
    kinds = [TAGS[page.tag[element]] for element in page.element]
    assert kinds == ["h1", "div", "p", "body", "body", "li", "li"]


def test_what_is_no_text_is_left_out_and_formulas_are_kept() -> None:
    page = read_page(
        "<p>see <script>no</script><style>no</style><svg><text>no</text></svg>"
        "<button>no</button><math alttext='a+b'><mi>no</mi></math> and "
        "<script type='math/tex'>c<d</script></p>"
    )
    assert page.texts == ["see $a+b$ and $c<d$"]


def test_code_keeps_its_lines() -> None:
    page = read_page("<pre>\ndef f():\n    return '&lt;'\n</pre>")
    assert page.texts == ["def f():\n    return '<'"]


def test_a_block_is_counted() -> None:
    page = read_page("<p class=Sidebar-x>Two, <a href=x>linked words</a>. 42!</p>")
    counts = dict(zip(COUNTS, page.counts[0].tolist(), strict=True))
    assert counts == {
        "characters": 19,
        "linked": 11,
        "words": 4,
        "commas": 1,
        "stops": 2,
        "capitals": 1,
        "digits": 2,
        "begins_large": 1,
        "ends_sentence": 1,
    }
    assert page.hints[page.element[0]] == HINT["furniture"]


def test_elements_know_their_blocks() -> None:
    page = read_page("<div><p>a<p>b</div><div>c</div>")
    for element in range(len(page.parent)):
        inside = [
            block
            for block, holder in enumerate(page.element)
            if element in ancestors(page, int(holder))
        ]
        assert inside == list(range(page.first[element], page.last[element]))


def ancestors(page: Page, element: int) -> set[int]:
    found = set()
    while element >= 0:
        found.add(element)
        element = int(page.parent[element])
    return found


@pytest.mark.parametrize("html", ["", "\0", "<", "</p>", "<!doctype html>", "<br>" * 1000])
def test_pages_without_text_have_no_blocks(html: str) -> None:
    assert read_page(html).texts in ([], ["<"])


@pytest.mark.parametrize("opens", ["<div>", "<b>", "<p><table><tr><td>", "<a>"])
def test_a_hundred_thousand_elements_in_each_other_are_read(opens: str) -> None:
    assert read_page(opens * 100_000 + "deep").texts == ["deep"]
