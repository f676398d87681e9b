"""Tokens on the terminal: where they end can be seen, and nothing is hidden or obeyed."""

import io
from itertools import pairwise

import pytest
from rich.console import Console

from groundup.report.tokens import frequency_table, has_colors, token_text, tokens_text


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b" the", "·the"),
        (b"\t\r\n", "⇥␍↵"),
        (b"\xe5\x8c", "‹E5›‹8C›"),
        (b"\x97a", "‹97›a"),
        ("北京".encode(), "北京"),
        (b"\x1b[31m", "‹U+001B›[31m"),
        ("\u202e\u200b\ufeff".encode(), "‹U+202E›‹U+200B›‹U+FEFF›"),
        ("\u0301".encode(), "◌\u0301"),
        (b"[red]", "[red]"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(content: bytes, shown: str) -> None:
    assert token_text(content) == shown
    assert tokens_text([content], color=False).plain.replace("\n", "") == f"│{shown}│"


def test_neighbours_have_different_backgrounds_and_lines_are_kept() -> None:
    text = tokens_text([b"a", b" b\n", b"c"] * 4, color=True)
    assert text.plain == "a·b↵\nc" * 4
    backgrounds = [str(span.style).partition(" on ")[2] for span in text.spans]
    a, space, b, end, c, next_a, *_ = backgrounds
    assert space == b == end
    assert len({a, b, c, next_a}) == 4


@pytest.mark.parametrize("system", ["truecolor", "256", "standard"])
def test_neighbours_differ_whatever_the_terminal_can_show(system) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=system, width=80, no_color=False)
    assert has_colors(console)
    console.print(tokens_text([b"a"] * 5, color=True), end="")
    styles = [part.partition("m")[0] for part in file.getvalue().split("\x1b[")[1::2]]
    assert len(styles) == 5
    assert all(left != right for left, right in pairwise(styles))


def test_without_a_terminal_or_where_colors_are_unwanted_there_are_none() -> None:
    assert not has_colors(Console(file=io.StringIO()))
    assert not has_colors(Console(force_terminal=True, color_system="256", no_color=True))


def test_the_table_shows_markup_as_it_is() -> None:
    console = Console(file=io.StringIO(), record=True, width=80)
    row = {"id": 7, "times": 1500, "bytes": "5b 2f 5d", "text": "[/]"}
    console.print(frequency_table([row], 3000))
    line = next(line for line in console.export_text().splitlines() if "1,500" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "7",
        "1,500",
        "50 %",
        "5b 2f 5d",
        "[/]",
    ]
