"""Simple rules of quality: each looks at a document and gives the reason to drop it, or None.

The rules are moderate: they are meant for what nobody would want to train on (dumps, tables,
broken extractions), not for taste. The default limits (`Curate`) were set after measuring Python's
standard library (3.11) and 22 MB of English prose (16 books, Shakespeare's plays, articles of an
encyclopedia), and lie well beyond everything in them:

    rule                  worst of the library                of the prose     limit
    long_line             175 characters                      2,536            100,000
    repetitive            0.34 (bisect.py: its two halves     0.07 (plays)     0.5
                          differ in a word)
    few_letters           0.37 (stringprep.py: code points)   0.91             0.3
    control_characters    0                                   0                0.01
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator

from groundup.curate.document import Document, Reject

Filter = Callable[[Document], str | None]

# Control characters other than tab, newline, form feed and carriage return; and the mark that a
# decoder leaves where it failed.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")
_DIGITS_AND_PUNCTUATION = (string.digits + string.punctuation).encode("ascii")


def apply_filter(keep: Filter, documents: Iterable[Document], reject: Reject) -> Iterator[Document]:
    """The documents for which the filter gives no reason; the others are rejected with it."""
    for document in documents:
        reason = keep(document)
        if reason is None:
            yield document
        else:
            reject(document, reason)


def too_short(document: Document, *, min_chars: int) -> str | None:
    """Fewer characters than a line of text: it would teach where documents end, and little else."""
    if len(document.text) < min_chars:
        return f"has {len(document.text)} characters, fewer than {min_chars}"
    return None


def control_characters(document: Document, *, max_share: float) -> str | None:
    """Binary data, or text that was decoded with the wrong encoding."""
    share = len(_CONTROL.findall(document.text)) / max(1, len(document.text))
    if share > max_share:
        return f"has {share:.1%} of control characters, more than {max_share:.1%}"
    return None


def long_line(document: Document, *, max_chars: int) -> str | None:
    """One enormous line: minified code, encoded data, a dump."""
    longest = max(map(len, document.text.split("\n")))
    if longest > max_chars:
        return f"has a line of {longest:,} characters, more than {max_chars:,}"
    return None


def repetitive(document: Document, *, max_share: float) -> str | None:
    """Lines that were there before make up most of the text (as characters, blanks aside).

    After Gopher's rule on duplicate lines (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1),
    whose limit of 0.2 would drop good source code.
    """
    seen: set[str] = set()
    repeated = total = 0
    for line in map(str.strip, document.text.split("\n")):
        total += len(line)
        if line in seen:
            repeated += len(line)
        seen.add(line)
    share = repeated / max(1, total)
    if share > max_share:
        return f"repeats lines for {share:.0%} of its text, more than {max_share:.0%}"
    return None


def few_letters(document: Document, *, min_share: float) -> str | None:
    """A table of numbers or a drawing: hardly a letter among the characters that are not blank.

    Counted in bytes of UTF-8, and all that is not ASCII counts as letters, so that the rule is the
    same for every script.
    """
    visible = b"".join(document.text.encode("utf-8").split())
    letters = visible.translate(None, delete=_DIGITS_AND_PUNCTUATION)
    share = len(letters) / max(1, len(visible))
    if share < min_share:
        return f"has {share:.0%} of letters, fewer than {min_share:.0%}"
    return None
