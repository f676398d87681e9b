"""What rules of quality measure: each a number that a text has.

A line is one that is not blank, without the white space at its ends, unless all lines are named; a
paragraph is of lines without a blank one between them; a word is what `words` says. A share is of 0
to 1, and 0 where there is nothing to have a share of. The table is at the end.
"""

import re
import string
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from groundup.curate.rules.rows import REPEATED, TOP
from groundup.curate.rules.sentences import count_sentences, is_ended
from groundup.curate.rules.text_view import TextView, share

SHORT = 30  # characters of a short line, at most

_BULLETS = ("•", "‣", "◦", "▪", "●", "-", "*")
_ELLIPSES = ("...", "…")

# Control characters other than tab, newline, form feed and carriage return; and the mark that a
# decoder leaves where it failed.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")
_DIGITS_AND_PUNCTUATION = (string.digits + string.punctuation).encode("ascii")

_GENERATED = re.compile(
    "auto-?generated|automatically generated|generated automatically|this file is generated",
    re.IGNORECASE,
)
_FIRST_LINES = 5
_XML, _FIRST_CHARACTERS = "<?xml version=", 100


def characters(text: TextView) -> int:
    """All of the text."""
    return len(text.text)


def words(text: TextView) -> int:
    """Words."""
    return text.words.words


def mean_word_length(text: TextView) -> float:
    """Characters of the words, punctuation at their ends included, divided by the words."""
    return share(text.words.characters, text.words.words)


def words_with_letter(text: TextView) -> float:
    """Share of the words that have a letter."""
    return share(text.words.with_letter, text.words.words)


def stop_words(text: TextView) -> int:
    """How many of the, be, to, of, and, that, have, with occur, in any case."""
    return text.words.stop_words


def sentences(text: TextView) -> int:
    """Sentences of the lines; a line ends one."""
    return sum(map(count_sentences, text.lines))


def hashes_per_word(text: TextView) -> float:
    """# divided by the words."""
    return share(text.text.count("#"), text.words.words)


def ellipses_per_word(text: TextView) -> float:
    """... and … divided by the words."""
    return share(sum(map(text.text.count, _ELLIPSES)), text.words.words)


def newlines_per_word(text: TextView) -> float:
    """Newlines divided by the words."""
    return share(text.text.count("\n"), text.words.words)


def lines(text: TextView) -> int:
    """All lines, blank ones included."""
    return len(text.all_lines)


def longest_line(text: TextView) -> int:
    """Characters of the longest of all lines, as it stands."""
    return max(map(len, text.all_lines), default=0)


def mean_line_length(text: TextView) -> float:
    """Characters of all lines, as they stand, divided by their number."""
    return share(sum(map(len, text.all_lines)), len(text.all_lines))


def bullet_lines(text: TextView) -> float:
    """Share of the lines that begin with a bullet, a hyphen or an asterisk."""
    return share(sum(line.startswith(_BULLETS) for line in text.lines), len(text.lines))


def ellipsis_lines(text: TextView) -> float:
    """Share of the lines that end with ... or …."""
    return share(sum(line.endswith(_ELLIPSES) for line in text.lines), len(text.lines))


def ended_lines(text: TextView) -> float:
    """Share of the lines that end with the mark of a sentence's end, in any script, and quotation
    marks or brackets behind it."""
    return share(sum(map(is_ended, text.lines)), len(text.lines))


def short_lines(text: TextView) -> float:
    """Share of the lines that have 30 characters or fewer."""
    return share(sum(len(line) <= SHORT for line in text.lines), len(text.lines))


def duplicate_lines(text: TextView) -> float:
    """Share of the lines that were there before."""
    return text.repeated_lines.parts


def duplicate_line_characters(text: TextView) -> float:
    """Share of the lines' characters that are in lines that were there before."""
    return text.repeated_lines.characters


def duplicate_paragraphs(text: TextView) -> float:
    """Share of the paragraphs that were there before."""
    return text.repeated_paragraphs.parts


def duplicate_paragraph_characters(text: TextView) -> float:
    """Share of the paragraphs' characters that are in paragraphs that were there before."""
    return text.repeated_paragraphs.characters


def top_gram(text: TextView, n: int) -> float:
    """Share of the lines' characters that are in the most frequent row of n words, if it occurs
    more than once."""
    return min(1.0, share(text.rows[n], text.line_characters))


def duplicate_grams(text: TextView, n: int) -> float:
    """Share of the lines' characters that are in rows of n words that were there before, the
    blanks between words left out."""
    return share(text.rows[n], text.line_characters)


def control_characters(text: TextView) -> float:
    """Share of the characters that are control characters, or the mark of a failed decoding."""
    return share(len(_CONTROL.findall(text.text)), len(text.text))


def letters(text: TextView) -> float:
    """Share of the characters that are letters."""
    return share(text.words.letters, len(text.text))


def alphanumerics(text: TextView) -> float:
    """Share of the characters that are letters or digits."""
    return share(text.words.letters + text.words.numbers, len(text.text))


def visible_letters(text: TextView) -> float:
    """Share of what is not blank that is neither a digit nor punctuation.

    Counted in bytes of UTF-8, and all that is not ASCII counts as letters, so that a rule is the
    same for every script.
    """
    visible = b"".join(text.text.encode("utf-8").split())
    found = visible.translate(None, delete=_DIGITS_AND_PUNCTUATION)
    return share(len(found), len(visible))


def encoded(text: TextView) -> float:
    """Share of the characters that are in encoded data: base64, hexadecimal numbers, escapes."""
    return min(1.0, share(text.encoded.all, len(text.text)))


def longest_encoded(text: TextView) -> int:
    """Characters of the longest row of encoded data."""
    return text.encoded.longest


def generated_marks(text: TextView) -> int:
    """How often the first five lines say that the file was generated."""
    return len(_GENERATED.findall("\n".join(text.all_lines[:_FIRST_LINES])))


def xml_headers(text: TextView) -> int:
    """How often XML is declared in the first hundred characters."""
    return text.text.count(_XML, 0, _FIRST_CHARACTERS)


class Measure(NamedTuple):
    """of: the number. phrase: what a document with it does, with {} where the number stands.
    digits: behind the point, at least. percent: whether it is told in per cent."""

    of: Callable[[TextView], float]
    phrase: str
    digits: int = 0
    percent: bool = False


def _share(of: Callable[[TextView], float], phrase: str, digits: int = 0) -> Measure:
    return Measure(of, phrase, digits, percent=True)


def _top(n: int) -> Measure:
    return _share(partial(top_gram, n=n), f"is the same {n} words for {{}} of its text")


def _duplicate(n: int) -> Measure:
    return _share(partial(duplicate_grams, n=n), f"repeats rows of {n} words for {{}} of its text")


MEASURES: dict[str, Measure] = {
    "characters": Measure(characters, "has {} characters"),
    "words": Measure(words, "has {} words"),
    "mean_word_length": Measure(mean_word_length, "has words of {} characters on average", 1),
    "words_with_letter": _share(words_with_letter, "has letters in {} of its words"),
    "stop_words": Measure(stop_words, "has {} stop words"),
    "sentences": Measure(sentences, "has {} sentences"),
    "hashes_per_word": Measure(hashes_per_word, "has {} # a word", 2),
    "ellipses_per_word": Measure(ellipses_per_word, "has {} ellipses a word", 2),
    "newlines_per_word": Measure(newlines_per_word, "has {} newlines a word", 2),
    "lines": Measure(lines, "has {} lines"),
    "longest_line": Measure(longest_line, "has a line of {} characters"),
    "mean_line_length": Measure(mean_line_length, "has lines of {} characters on average", 1),
    "bullet_lines": _share(bullet_lines, "begins {} of its lines with bullets"),
    "ellipsis_lines": _share(ellipsis_lines, "ends {} of its lines with ellipses"),
    "ended_lines": _share(ended_lines, "ends {} of its lines as sentences end"),
    "short_lines": _share(short_lines, f"has {{}} of lines within {SHORT} characters"),
    "duplicate_lines": _share(duplicate_lines, "repeats {} of its lines"),
    "duplicate_line_characters": _share(
        duplicate_line_characters, "repeats lines for {} of its text"
    ),
    "duplicate_paragraphs": _share(duplicate_paragraphs, "repeats {} of its paragraphs"),
    "duplicate_paragraph_characters": _share(
        duplicate_paragraph_characters, "repeats paragraphs for {} of its text"
    ),
    **{f"top_{n}_gram": _top(n) for n in TOP},
    **{f"duplicate_{n}_grams": _duplicate(n) for n in REPEATED},
    "control_characters": _share(control_characters, "has {} of control characters", 1),
    "letters": _share(letters, "has {} of letters"),
    "alphanumerics": _share(alphanumerics, "has {} of letters and digits"),
    "visible_letters": _share(visible_letters, "has {} of letters"),
    "encoded": _share(encoded, "has {} of encoded data"),
    "longest_encoded": Measure(longest_encoded, "has a row of {} characters of encoded data"),
    "generated_marks": Measure(generated_marks, "says {} times that it was generated"),
    "xml_headers": Measure(xml_headers, "has {} declarations of XML"),
}
