"""Training of the extractor on pages whose main text somebody has marked, and what it is worth."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError
from groundup.curate.extract.decoding import decode_page
from groundup.curate.extract.extractor import Extractor
from groundup.curate.extract.features import features
from groundup.curate.extract.page import Page, read_page
from groundup.curate.extract.trees import TrainTrees, train_trees
from groundup.curate.formats.streams import DamagedError, open_bytes

_PAGES = (".html", ".htm", ".html.gz")
_WORD = re.compile(r"\w+")
_WIDTH = 4  # words of a shingle
_RATHER = 0.5  # of a block's shingles that are in the text, from which on it is part of it
_DOUBT = 0.02  # weight of a few words that stand in the text somewhere, which proves nothing


class MarkedPage(NamedTuple):
    """A page and its main text."""

    html: str
    text: str


def read_marked_pages(folder: Path) -> list[MarkedPage]:
    """Of each `NAME.html` or `NAME.html.gz` below the folder, with the main text in `NAME.txt`
    beside it, in UTF-8; in order of the names.

    Raises `InputError` where there are no two, or a page's text is missing or no text.
    """
    paths = sorted(path for kind in _PAGES for path in folder.rglob(f"*{kind}"))
    pages = []
    for path in paths:
        beside = path.with_name(f"{path.name.removesuffix('.gz').rpartition('.')[0]}.txt")
        try:
            text = beside.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{beside} cannot be read ({error}): it is to hold the main text of {path.name}."
            ) from error
        try:
            with open_bytes(path) as file:
                pages.append(MarkedPage(decode_page(file.read()), text))
        except (OSError, DamagedError) as error:
            raise InputError(f"{path} cannot be read ({error}).") from error
    if len(pages) < 2:
        raise InputError(
            f"{folder} holds {len(pages)} pages: put at least two there, each as NAME.html with "
            "its main text in NAME.txt."
        )
    return pages


class Score(NamedTuple):
    """precision, recall: means over the pages. f1: of the two."""

    f1: float
    precision: float
    recall: float


def train_extractor(pages: Sequence[MarkedPage], config: TrainTrees) -> Extractor:
    """Raises `InputError` where the pages have not both blocks of main text and others."""
    read = [read_page(page.html) for page in pages]
    rows = [features(page) for page in read]
    marks = [mark_blocks(page, marked.text) for page, marked in zip(read, pages, strict=True)]
    kept = [i for i, page in enumerate(read) if page.texts]
    labels = np.concatenate([marks[i][0] for i in kept]) if kept else np.zeros(0, np.float32)
    if not 0 < labels.sum() < len(labels):
        raise InputError(
            "an extractor learns from pages with main text and with what is none, and these have "
            "not both: check that each text belongs to its page."
        )
    weights = np.concatenate([marks[i][1] for i in kept])
    return Extractor(train_trees(np.concatenate([rows[i] for i in kept]), labels, weights, config))


def found_unseen(
    pages: Sequence[MarkedPage], config: TrainTrees, folds: int, seed: int = 0
) -> list[str]:
    """The text found of each page by an extractor that learned from the other ones, but for those
    of the page's fold. Raises `InputError` where a fold leaves nothing to learn from."""
    order = random.Random(seed).sample(range(len(pages)), len(pages))
    found = [""] * len(pages)
    for held in (order[fold::folds] for fold in range(folds)):
        seen = [page for number, page in enumerate(pages) if number not in held]
        extractor = train_extractor(seen, config)
        for number in held:
            found[number] = extractor.text(pages[number].html)
    return found


def mark_blocks(page: Page, text: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whether each block is part of the text (1 or 0), and how much it counts in training."""
    wanted = shingle_counts(text)
    lines = {" ".join(_WORD.findall(line)) for line in text.split("\n")}
    whole = f" {' '.join(_WORD.findall(text))} "
    labels, weights = [], []
    for block in page.texts:
        words = _WORD.findall(block)
        joined, weight = " ".join(words), float(np.log1p(len(words)))
        if len(words) < _WIDTH:
            label = joined in lines
            weight = _DOUBT if not label and f" {joined} " in whole else weight
        else:
            rows = [tuple(words[i : i + _WIDTH]) for i in range(len(words) - _WIDTH + 1)]
            label = sum(row in wanted for row in rows) >= _RATHER * len(rows)
        labels.append(label)
        weights.append(weight)
    return np.array(labels, dtype=np.float32), np.array(weights, dtype=np.float32)


def score(found: Sequence[str], wanted: Sequence[str]) -> Score:
    """The article benchmark's measure (Lopukhin 2019): the rows of four words of each text found
    against those of the text wanted, as often as they occur; precision over the pages where
    anything was found, recall over those where anything was wanted."""
    precisions, recalls = [], []
    for one, other in zip(found, wanted, strict=True):
        ours, theirs = shingle_counts(one), shingle_counts(other)
        hits = (ours & theirs).total()
        if ours:
            precisions.append(hits / ours.total())
        if theirs:
            recalls.append(hits / theirs.total())
    precision, recall = float(np.mean(precisions or [0])), float(np.mean(recalls or [0]))
    return Score(2 * precision * recall / max(1e-12, precision + recall), precision, recall)


def shingle_counts(text: str) -> Counter[tuple[str, ...]]:
    """How often each row of four words occurs; of fewer words, all of them are one."""
    words = _WORD.findall(text)
    rows = range(max(1, len(words) - _WIDTH + 1)) if words else ()
    return Counter(tuple(words[i : i + _WIDTH]) for i in rows)
