"""How much of a text is rows of words (n-grams) that occur more than once.

Rows of 2 to 4 words are looked at for the one that is most frequent, and rows of 5 to 10 for all
that repeat others (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1). Where the paper leaves it
open, it is counted as in datatrove, whose counts made FineWeb: of rows that are repeated, the first
is not counted, and none that overlaps with one that was; the blanks between words count within the
most frequent row, but not within those that are repeated.

`core` has the same in C++, on hashes of words.
"""

from collections import Counter

from groundup.core.native import core
from groundup.curate.duplicates.shingles import WORD

TOP = range(2, 5)
REPEATED = range(5, 11)


def repeated_rows(text: str) -> dict[int, int]:
    """By the number of words of a row: characters of the most frequent row in all its places (0
    where none occurs twice) for those of `TOP`, and of the rows that are repeated for those of
    `REPEATED`."""
    if core is None:
        return reference(text)
    return dict(zip((*TOP, *REPEATED), core.repeated_rows(text), strict=True))


def reference(text: str) -> dict[int, int]:
    """The same in Python."""
    words = WORD[True].findall(text)
    top = {n: _top(words, n) for n in TOP}
    return top | {n: _repeated(words, n) for n in REPEATED}


def _top(words: list[str], n: int) -> int:
    """Of rows that are equally frequent, the longest."""
    rows = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    often, length = max(((count, len(row)) for row, count in rows.items()), default=(0, 0))
    return often * length if often > 1 else 0


def _repeated(words: list[str], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    characters = i = 0
    while i + n <= len(words):
        row = tuple(words[i : i + n])
        if row in seen:
            characters += sum(map(len, row))
            i += n
        else:
            seen.add(row)
            i += 1
    return characters
