"""How often each piece of a corpus occurs: all that training needs to know of it.

The work after counting depends on how many different pieces there are, not on how long the corpus
is. Counting reads texts once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import atomic_file
from groundup.core.native import core, cpu_threads
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.special import special_pattern
from groundup.tokenizers.split import cutter
from groundup.tokenizers.unicode import classes
from groundup.tokenizers.vocabulary import utf8

_FORMAT = 2
AT_ONCE = 1 << 24  # characters that are handed to the threads together
MOST_PIECES = 1 << 22


class PieceCounts:
    """Counts of the pieces of texts, as UTF-8 bytes. Special tokens are cut out of the texts.

    pattern: as `cutter` takes it. threads: of the compiled core; None for one a processor.
    most_pieces: when there are more different ones, the rarest are dropped, down to half as many
    or fewer, so that memory is bounded (some 240 bytes a piece) however long the corpus is: lossy
    counting (Manku and Motwani 2002). `too_low` is the most by which a count may then be too low.

    `documents` is how many texts were counted: a killed run loads what was saved last and goes on
    with the text after them. `corpus` may name them, and is saved as well.

    Raises `InputError` for a wrong pattern, and special tokens that `special_pattern` refuses.
    """

    def __init__(
        self,
        pattern: str,
        special_tokens: Sequence[str] = (),
        *,
        threads: int | None = None,
        most_pieces: int = MOST_PIECES,
    ):
        self.pattern = pattern
        self.special_tokens = tuple(special_tokens)
        self.documents = 0
        self.too_low = 0
        self.corpus = ""
        self._most = most_pieces
        self._cut = cutter(pattern)
        self._special = special_pattern(special_tokens) if special_tokens else None
        self._threads = cpu_threads(threads)
        self._native = core.Counter(classes()) if core and pattern in PATTERNS else None
        self._counter: Counter[bytes] = Counter()

    def add(self, texts: Iterable[str]) -> None:
        """Count the pieces of more texts. Raises `InputError` for a lone surrogate."""
        waiting: list[str] = []
        characters = documents = 0
        for text in texts:
            # every other part is a special token
            waiting += self._special.split(text)[::2] if self._special else [text]
            characters, documents = characters + len(text), documents + 1
            if characters >= AT_ONCE:
                self._count(waiting)
                self.documents += documents
                waiting, characters, documents = [], 0, 0
        self._count(waiting)
        self.documents += documents

    def _count(self, texts: list[str]) -> None:
        if self._native is None:
            for text in texts:
                self._counter.update(utf8(piece) for piece in self._cut(text))
            self.too_low += self._drop_rare()
            return
        try:
            self._native.count(texts, self.pattern, self._threads)
        except ValueError:
            for text in texts:
                utf8(text)  # says what is wrong
            raise
        self.too_low += self._native.drop_rare(self._most)

    def _drop_rare(self) -> int:
        """As the core's."""
        if len(self._counter) <= self._most:
            return 0
        bar = sorted(self._counter.values(), reverse=True)[self._most // 2]
        self._counter = Counter({key: n for key, n in self._counter.items() if n > bar})
        return bar

    def __len__(self) -> int:
        """The number of different pieces."""
        return len(self._counter) if self._native is None else self._native.size()

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Every piece and how often it occurs, in no particular order."""
        if self._native is None:
            yield from self._counter.items()
            return
        content, ends, counts = self._native.pieces()
        start = 0
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True):
            yield content[start:end], count
            start = end

    def trainer(self, least: int, longest: int) -> Any:
        """The core's trainer on these counts, or None where the core did not count them."""
        return core.Trainer(self._native, least, longest) if core and self._native else None

    def save(self, path: Path) -> None:
        """Write the counts to a file, atomically."""
        if self._native is None:
            content = b"".join(self._counter)
            ends = np.cumsum([len(piece) for piece in self._counter], dtype=np.int64)
            counts = np.array(list(self._counter.values()), dtype=np.int64)
        else:
            content, ends, counts = self._native.pieces()
        with atomic_file(path) as file:
            np.savez(
                file,
                facts=np.array([_FORMAT, self.documents, self.too_low, self._most]),
                rules=np.array([self.corpus, self.pattern, *self.special_tokens]),
                content=np.frombuffer(content, dtype=np.uint8),
                ends=ends,
                counts=counts,
            )

    @classmethod
    def load(cls, path: Path, *, threads: int | None = None) -> "PieceCounts":
        """Read what `save` wrote. Raises `ArtifactError` for any other file."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
                form, documents, too_low, most = saved["facts"].tolist()
                corpus, pattern, *special = saved["rules"].tolist()
                content, ends, counts = saved["content"].tobytes(), saved["ends"], saved["counts"]
            if form != _FORMAT:
                raise ArtifactError(f"{path} has format {form}, and this groundup reads {_FORMAT}.")
            loaded = cls(pattern, special, threads=threads, most_pieces=most)
            loaded.documents, loaded.too_low, loaded.corpus = documents, too_low, corpus
            loaded._add(content, ends, counts)
        except (ValueError, TypeError, LookupError, EOFError, BadZipFile, InputError) as error:
            raise ArtifactError(f"{path} does not hold counts of pieces ({error}).") from error
        return loaded

    def _add(self, content: bytes, ends: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        if self._native is not None:
            self._native.add(content, ends, counts)
            return
        bounds = [0, *ends.tolist()]
        for (start, end), count in zip(pairwise(bounds), counts.tolist(), strict=True):
            if not start < end <= len(content) or count < 1:
                raise ValueError("a piece has bytes and a count")
            self._counter[content[start:end]] += count
