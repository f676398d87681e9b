"""Blocks as text: what a reader of the page would write down."""

import pytest

from groundup.curate.extract.page import read_page
from groundup.curate.extract.rendering import render

pytest.importorskip("resiliparse")

EXAMPLES = {
    "paragraphs": ("<h1>T</h1><p>one<p>two", "T\n\none\n\ntwo"),
    "list": ("<p>a<ul><li>x<li>y</ul><p>b", "a\n\n- x\n- y\n\nb"),
    "numbers": ("<ol><li>x<li>y</ol>", "1. x\n2. y"),
    "lists in lists": (
        "<ul><li>x<ol><li>one<li>two</ol><li>y</ul>",
        "- x\n  1. one\n  2. two\n- y",
    ),
    "paragraphs of an item": ("<ul><li><p>x<p>more<li>y</ul>", "- x\nmore\n- y"),
    "table": (
        "<table><tr><th>n<th>m<tr><td>1<td><b>2</b> or 3</table>",
        "n | m\n1 | 2 or 3",
    ),
    "code": ("<p>so:<pre>if a:\n  b</pre>", "so:\n\n```\nif a:\n  b\n```"),
    "a table that lays out": (
        f"<table><tr><td><p>{'x ' * 300}<td><p>{'y ' * 300}</table>",
        f"{'x ' * 299}x\n\n{'y ' * 299}y",
    ),
}


@pytest.mark.parametrize(("html", "text"), EXAMPLES.values(), ids=EXAMPLES)
def test_text(html: str, text: str) -> None:
    page = read_page(html)
    assert render(page, [True] * len(page.texts)) == text


def test_what_is_not_chosen_is_left_out() -> None:
    page = read_page("<ul><li>x<li>y<li>z</ul>")
    assert render(page, [True, False, True]) == "- x\n- z"
    assert render(page, [False] * 3) == ""
