"""What MinHash and banding find, beside a comparison of every text with every other."""

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from groundup.bench.result import OURS, row
from groundup.curate.document import Document, encode_document
from groundup.curate.duplicates import near
from groundup.curate.duplicates.minhash import MinHash
from groundup.curate.duplicates.near import Nearness

Rows = list[dict[str, Any]]
Pairs = set[tuple[int, int]]

_HEADING = re.compile(
    r"^(?:(?:CHAPTER|Chapter|ADVENTURE) (?:[IVXLC]+|\d+)\b.*|[IVXLC]+\. [A-Z' -]+)$", re.MULTILINE
)
_WORD = {True: re.compile(r"\S+"), False: re.compile(r"[^\W_]+")}  # with punctuation, without
_CHAPTER = 1500  # characters at least, which a line of a table of contents has not


def changed_copies(texts: Sequence[str]) -> Rows:
    """Each text and a copy with words changed here and there, so that similarities are of all
    sizes."""
    draw = random.Random(0)
    documents = []
    for text in texts:
        words = text.split(" ")
        for _ in range(round(len(words) * 0.05 * draw.random() ** 2)):
            words[draw.randrange(len(words))] = "changed"
        documents += [text, " ".join(words)]
    case = f"near-duplicates among {len(documents)} texts, Jaccard at least 0.8"
    return _rows(case, documents, punctuation=True)


def editions(folder: Path) -> Rows:
    """The chapters of books that stand in two folders below this one under the same name."""
    books: dict[str, list[list[str]]] = {}
    for path in sorted(folder.glob("*/*.txt")):
        books.setdefault(path.name, []).append(chapters_of(path.read_text(encoding="utf-8")))
    twice = [two for two in books.values() if len(two) == 2]
    pairs = [pair for one, other in twice for pair in zip(one, other, strict=False)]
    chapters = [chapter for pair in pairs for chapter in pair]
    case = f"{len(twice)} books in two editions: {len(pairs)} chapters, twice"
    return _rows(case, chapters, punctuation=False) if chapters else []


def chapters_of(book: str) -> list[str]:
    """The parts of a text that begin with a heading."""
    starts = [match.start() for match in _HEADING.finditer(book)]
    parts = [book[begin:end] for begin, end in pairwise([*starts, len(book)])]
    return [part for part in parts if len(part) >= _CHAPTER]


def _rows(case: str, documents: Sequence[str], *, punctuation: bool) -> Rows:
    """Found are the pairs of one cluster, and right those whose sets of rows of words are as
    similar, as a comparison of all sets finds. Behind each document of an even number is its
    second version."""
    config = Nearness(minhash=MinHash(punctuation=punctuation))
    gold = _exact(documents, config.threshold, _WORD[punctuation])
    start = time.perf_counter()
    pairs = _clustered_pairs(documents, config)
    rate = len(documents) / (time.perf_counter() - start)
    versions = {(i, i + 1) for i in range(0, len(documents), 2)}
    return [
        row(case, OURS, "rate", "texts/s", [rate], higher=True),
        row(case, OURS, "similar pairs", "", [len(gold)], higher=True),
        row(case, OURS, "recall", "", [len(pairs & gold) / len(gold)], higher=True),
        row(case, OURS, "precision", "", [len(pairs & gold) / len(pairs)], higher=True),
        row(case, OURS, "versions found", "", [len(pairs & versions)], higher=True),
    ]


def _clustered_pairs(documents: Sequence[str], config: Nearness) -> Pairs:
    with tempfile.TemporaryDirectory() as folder:
        shard, signed = Path(folder) / "shard.jsonl", Path(folder) / "signed"
        lines = (
            encode_document(Document(text=text, id=str(i), source="bench"))
            for i, text in enumerate(documents)
        )
        shard.write_text("".join(lines), encoding="utf-8")
        near.sign(shard, signed, config)
        found = [Path(folder) / f"{band}.npy" for band in range(config.bands)]
        for band, to in enumerate(found):
            near.candidates([signed], band, 0, 1, to)
        verified = Path(folder) / "pairs.npy"
        near.verify([shard], [signed], found, 0, 1, verified, config)
        clusters = near.clusters(near.read_pairs([verified]))
    return {pair for cluster in clusters for pair in combinations(cluster, 2)}


def _exact(documents: Sequence[str], threshold: float, word: re.Pattern[str]) -> Pairs:
    """All pairs whose sets of rows of five words are as similar."""
    sizes, holders = [], dict[tuple[str, ...], list[int]]()
    for number, text in enumerate(documents):
        words = word.findall(text.lower())
        rows = {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}
        sizes.append(len(rows))
        for one in rows:
            holders.setdefault(one, []).append(number)
    shared = Counter(pair for found in holders.values() for pair in combinations(found, 2))
    return {
        (i, j)
        for (i, j), count in shared.items()
        if count >= threshold * (sizes[i] + sizes[j] - count)
    }
