"""Which examples of evaluations documents hold, and where.

scan        each shard: what each of its documents holds
take_stock  all shards: how many examples are found in each for the first time
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from groundup.core.files import atomic_file, write_json
from groundup.curate.decontaminate.index import Index, Overlap, words_within
from groundup.curate.decontaminate.known import Known
from groundup.curate.document import read_corpus
from groundup.curate.duplicates.repeats import Numbers

Span = tuple[int, int]  # characters: the first, and the one behind the last
_SHOWN = 200  # characters of what document and example share


class Held(NamedTuple):
    """An example that a document holds.

    evaluation, example: the set's title, and the example's place there. share: of the words of one
    of its texts. text: where document and example are the same for the longest, its beginning.
    """

    evaluation: str
    example: str
    share: float
    text: str


class Overlaps(NamedTuple):
    """What a document holds. examples: their numbers in the index. spans: of the document's
    characters that n-grams of these examples reach over, in order, apart from each other."""

    document: int
    held: list[Held]
    examples: list[int]
    spans: list[Span]


class Scanner:
    """Finds the examples of an index in texts."""

    def __init__(self, index: Index, overlap: Overlap):
        self._index, self._overlap = index, overlap
        self._known = Known(overlap.width, index.hashes)

    def overlaps(self, text: str, document: int = 0) -> Overlaps | None:
        """What a text holds, None where that is nothing. document: its number."""
        found = self._known.find(text)
        if not found.size:
            return None
        grams, at = np.unique(found[0], return_inverse=True)
        which, texts, places = self._index.occurrences(grams)
        order = np.lexsort((places, texts))
        which, texts, places = which[order], texts[order], places[order]
        distinct, of = np.unique(texts, return_inverse=True)
        shared = words_within(of, places, self._overlap.width, len(distinct))
        shares = shared / self._index.words[distinct]
        enough = (shared >= self._overlap.min_words) & (shares >= self._overlap.share)
        rows = np.flatnonzero(enough).tolist()
        if not rows:
            return None

        def spans(rows: Sequence[int]) -> list[Span]:
            """Of the n-grams that are of some of the `distinct` texts."""
            chosen = np.zeros(len(grams), dtype=bool)
            chosen[which[np.isin(of, rows)]] = True
            return _joined(found[1:, chosen[at]])

        best: dict[int, int] = {}  # of each example the row of the text with the highest share
        for row, example in zip(rows, self._index.examples[distinct[rows]].tolist(), strict=True):
            if example not in best or shares[row] > shares[best[example]]:
                best[example] = row
        held = []
        for example, row in best.items():
            begin, end = max(spans([row]), key=lambda span: span[1] - span[0])
            shown = text[begin : min(end, begin + _SHOWN)]
            held.append(Held(*self._index.name(example), round(float(shares[row]), 3), shown))
        return Overlaps(document, held, [*best], spans(rows))


def scan(shard: Path, index: Path, overlap: Overlap, to: Path) -> None:
    """Write a line of JSON for each of a shard's documents that hold an example."""
    if to.exists():
        return
    scanner = Scanner(Index(index), overlap)
    with atomic_file(to, "w") as file:
        for number, document in enumerate(read_corpus(shard)):
            if overlaps := scanner.overlaps(document.text, number):
                file.write(json.dumps(overlaps) + "\n")


def read_overlaps(path: Path) -> dict[int, Overlaps]:
    """What `scan` wrote, by the documents' numbers."""
    with open(path, encoding="utf-8") as lines:
        rows = [Overlaps(*json.loads(line)) for line in lines]
    return {
        row.document: row._replace(
            held=[Held(*held) for held in row.held], spans=[(b, e) for b, e in row.spans]
        )
        for row in rows
    }


def take_stock(scanned: Sequence[Path], to: Path) -> None:
    """Write, for each shard, how many examples of each set are found there and in none before."""
    if to.exists():
        return
    seen: set[int] = set()
    stock: list[dict[str, int]] = []
    for path in scanned:
        counts: dict[str, int] = {}
        for overlaps in read_overlaps(path).values():
            for example, held in zip(overlaps.examples, overlaps.held, strict=True):
                if example not in seen:
                    seen.add(example)
                    counts[held.evaluation] = counts.get(held.evaluation, 0) + 1
        stock.append(counts)
    write_json(to, stock)


def _joined(places: Numbers) -> list[Span]:
    """places: [2, n], where spans begin, in order, and end."""
    spans: list[Span] = []
    for begin, end in zip(*places.tolist(), strict=True):
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return spans
