"""Tokens on the terminal: where one ends and the next begins, and what cannot be seen made visible.

A space is shown as ·, a tab as ⇥, a line feed as ↵, a carriage return as ␍, a byte that is only a
part of a character as ‹E5›, and any other character without a shape as ‹U+200B›.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import cycle, groupby
from operator import itemgetter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundup.report.formats import percent

# Light backgrounds with dark letters, both given, so that they read the same on dark and on light
# terminals. Warm and cool take turns: neighbours differ without telling red from green, and on a
# terminal with 16 colours, where the warm ones become yellow and the cool ones grey.
_COLORS = ("#ffd59e", "#a9d6f5", "#f6f2a2", "#d9b8f0")
_LETTERS, _MARKS = "#101418", "#5c6470"
_PICTURES = {" ": "·", "\t": "⇥", "\n": "↵", "\r": "␍"}
_BETWEEN = "│"  # tokens, where there are no colours


def tokens_text(tokens: Sequence[bytes], *, color: bool) -> Text:
    """The tokens in order, in colours that take turns; without `color`, with a bar between them."""
    text = Text(overflow="fold")
    for content, background in zip(tokens, cycle(_COLORS)):
        if not color:
            text.append(_BETWEEN)
        for is_mark, run in groupby(_shown(content), key=itemgetter(1)):
            shown = "".join(part for part, _ in run)
            if is_mark:
                shown = shown.replace(_PICTURES["\n"], _PICTURES["\n"] + "\n")
            text.append(
                shown, f"{_MARKS if is_mark else _LETTERS} on {background}" if color else ""
            )
    if tokens and not color:
        text.append(_BETWEEN)
    return text


def token_text(content: bytes) -> str:
    """One token on one line."""
    return "".join(shown for shown, _ in _shown(content))


def has_colors(console: Console) -> bool:
    """Whether the console shows colours: it is a terminal, and nobody has asked for none."""
    return console.color_system is not None and not console.no_color


def frequency_table(rows: Sequence[Mapping[str, Any]], tokens: int) -> Table:
    """rows: id, times, bytes (hexadecimal) and text of a token. tokens: of the whole text."""
    table = Table(title="The most frequent tokens", title_justify="left")
    for column in ("id", "times", "share"):
        table.add_column(column, justify="right")
    table.add_column("bytes", overflow="fold")
    table.add_column("text", overflow="fold")
    for row in rows:
        share = percent(row["times"] / tokens)
        table.add_row(str(row["id"]), f"{row['times']:,}", share, row["bytes"], Text(row["text"]))
    return table


def _shown(content: bytes) -> list[tuple[str, bool]]:
    """What to print for each character of a token, and whether it is a mark that stands for it."""
    shown: list[tuple[str, bool]] = []
    for character in content.decode("utf-8", errors="surrogateescape"):
        point = ord(character)
        if character in _PICTURES:
            shown.append((_PICTURES[character], True))
        elif 0xDC80 <= point <= 0xDCFF:  # Python's stand-in for a byte that is no character
            shown.append((f"‹{point - 0xDC00:02X}›", True))
        elif not character.isprintable():
            shown.append((f"‹U+{point:04X}›", True))
        elif unicodedata.combining(character) and not shown:  # would sit on the token before
            shown.append(("◌" + character, False))
        else:
            shown.append((character, False))
    return shown
