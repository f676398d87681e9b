"""The n-grams of evaluations' examples, sorted by their hashes, on disk.

An n-gram is `width` words in a row of one of an example's texts; words are those of `shingles`.
N-grams that more than a few examples of one set have are left out: they are of its template, its
instructions, or a passage that many questions are about, and no sign of any one example. (GPT-3 as
well left out what occurs often, but in the corpus: Brown et al. 2020, appendix C. A test that a
hundred sites have copied would be left out so, too.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.curate.decontaminate.examples import EvaluationSet, read_examples
from groundup.curate.duplicates.repeats import Numbers, write_arrays
from groundup.curate.duplicates.shingles import Hashes, rows

_AT_ONCE = 10_000  # examples


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """When a document holds an example.

    width: words of an n-gram. share: of the words of one of the example's texts over which n-grams
    reach that the document has as well. min_words: they are at least so many; a text of fewer is
    never found. max_examples: n-grams that more examples of a set have do not count.

    Eight words and half of a text are Tülu 3's (Lambert et al. 2024, section 3.2), the floor of ten
    words is Llama 2's n-gram (Touvron et al. 2023, appendix A.6). GPT-3's rule, a single n-gram of
    13 words, is width=13 and share=0.
    """

    width: int = 8
    share: float = 0.5
    min_words: int = 10
    max_examples: int = 10

    def __post_init__(self) -> None:
        if min(self.width, self.min_words, self.max_examples) < 1:
            raise ValueError("width, min_words and max_examples are at least 1")
        if not 0 <= self.share <= 1:
            raise ValueError("share is from 0 to 1")


class SetFacts(NamedTuple):
    """examples: how many a set has. too_short: those of them of which no text can be found."""

    title: str
    examples: int
    too_short: int


class Index:
    """What `write_index` wrote, mapped into memory.

    hashes: [n] of the n-grams, sorted, each once. words: [texts], over how many words of a text
    they reach. examples: [texts], the number of the example that each is of.
    """

    def __init__(self, folder: Path):
        def load(name: str) -> NDArray[Any]:
            return np.load(folder / f"{name}.npy", mmap_mode="r")

        self.hashes: Hashes = load("hashes")
        self.words: Numbers = load("words")
        self.examples: Numbers = load("examples")
        self._starts, self._texts, self._places = load("starts"), load("texts"), load("places")
        self._names, titles, facts = load("names"), load("titles"), load("facts")
        self.sets = [
            SetFacts(title.decode("utf-8"), *row)
            for title, row in zip(titles.tolist(), facts.tolist(), strict=True)
        ]
        self._first = np.cumsum([0, *(one.examples for one in self.sets)])

    def occurrences(self, numbers: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Where n-grams stand: which of `numbers` each occurrence is of (from 0), in which text,
        and with which of its words it begins."""
        begins = self._starts[numbers]
        counts = self._starts[numbers + 1] - begins
        which = np.repeat(np.arange(len(numbers)), counts)
        at = np.arange(len(which)) + (begins - np.cumsum(counts) + counts)[which]
        return which, self._texts[at], self._places[at]

    def name(self, example: int) -> tuple[str, str]:
        """The title of an example's set, and its place there."""
        of = int(np.searchsorted(self._first, example, side="right")) - 1
        return self.sets[of].title, self._names[example].decode("utf-8")


def write_index(sets: Sequence[EvaluationSet], overlap: Overlap, to: Path) -> None:
    """Write the folder `to`; in memory are the n-grams of all sets, some 100 bytes each."""
    if to.exists():
        return
    facts: list[tuple[int, int]] = []
    names: list[str] = []
    found: list[_Texts] = []
    before = 0  # texts
    for evaluation in sets:
        own_names, texts = _read(evaluation, overlap)
        findable = len(np.unique(texts.examples))
        facts.append((len(own_names), len(own_names) - findable))
        found.append(texts.numbered(before, len(names)))
        before += len(texts.examples)
        names += own_names
    hashes, of, places, examples = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((places, of, hashes))
    distinct, starts = np.unique(hashes[order], return_index=True)
    arrays = {
        "hashes": distinct,
        "starts": np.append(starts, len(hashes)).astype(np.int64),
        "texts": of[order],
        "places": places[order],
        "words": words_within(of, places, overlap.width, len(examples)),
        "examples": examples,
        "names": _as_bytes(names),
        "titles": _as_bytes([evaluation.title for evaluation in sets]),
        "facts": np.array(facts, dtype=np.int64),
    }
    write_arrays(to, arrays)


def words_within(texts: Numbers, places: Numbers, width: int, count: int) -> Numbers:
    """Over how many words of each of `count` texts n-grams reach. texts, places: of which text each
    n-gram is, and its first word there; both sorted."""
    reach = np.full(len(texts), width)
    (same,) = np.nonzero(texts[1:] == texts[:-1])
    reach[same] = np.minimum(width, np.diff(places)[same])
    return np.bincount(texts, weights=reach, minlength=count).astype(np.int64)


class _Texts(NamedTuple):
    """Texts by their n-grams, in order: the hash of each [n], of which text it is [n], with which
    word it begins [n]; and of which example each text is [texts]."""

    hashes: Hashes
    of: Numbers
    places: Numbers
    examples: Numbers

    def numbered(self, text: int, example: int) -> "_Texts":
        """The same, where the first text and example have these numbers."""
        return self._replace(of=self.of + text, examples=self.examples + example)

    def only(self, chosen: NDArray[np.bool_]) -> "_Texts":
        """With some of the n-grams."""
        return self._replace(
            hashes=self.hashes[chosen], of=self.of[chosen], places=self.places[chosen]
        )


def _read(evaluation: EvaluationSet, overlap: Overlap) -> tuple[list[str], _Texts]:
    """The places of a set's examples, and those of their texts that can be found."""
    width, names, examples = overlap.width, list[str](), list[int]()
    hashes, counts = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    reading = read_examples(evaluation)
    while some := list(islice(reading, _AT_ONCE)):
        found, ends = rows([text for example in some for text in example.texts], width)
        hashes.append(found)
        counts.append(np.diff(ends, prepend=0))
        examples += [n for n, one in enumerate(some, start=len(names)) for _ in one.texts]
        names += [example.place for example in some]
    each = np.concatenate(counts)
    of = np.repeat(np.arange(len(each)), each)
    places = np.arange(len(of)) - (np.cumsum(each) - each)[of]
    texts = _Texts(np.concatenate(hashes), of, places, np.array(examples, dtype=np.int64))
    texts = texts.only(~_frequent(texts.hashes, texts.examples[of], overlap.max_examples))
    words = words_within(texts.of, texts.places, width, len(examples))
    long = words >= overlap.min_words
    texts = texts.only(long[texts.of])
    renumbered = (np.cumsum(long) - 1)[texts.of]
    return names, texts._replace(of=renumbered, examples=texts.examples[long])


def _frequent(hashes: Hashes, examples: Numbers, most: int) -> NDArray[np.bool_]:
    """Which n-grams more than `most` examples have."""
    order = np.lexsort((examples, hashes))
    hashes, examples = hashes[order], examples[order]
    new_hash = np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]
    new = new_hash | np.append(True, examples[1:] != examples[:-1])[: len(hashes)]
    group = np.cumsum(new_hash) - 1
    frequent = np.empty(len(order), dtype=bool)
    frequent[order] = (np.bincount(group, weights=new) > most)[group]
    return frequent


def _as_bytes(texts: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array([text.encode("utf-8") for text in texts], dtype=np.bytes_)
