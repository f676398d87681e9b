"""How often each piece of a corpus occurs: all that training needs to know of it.

The work after counting depends on how many different pieces there are, not on how long the corpus
is. Counting reads texts once, in constant memory but for the different pieces.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import atomic_file
from groundup.tokenizers.native import core, cpu_threads
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.special import special_pattern
from groundup.tokenizers.split import cutter
from groundup.tokenizers.unicode import classes
from groundup.tokenizers.vocabulary import utf8

_FORMAT = 1
_AT_ONCE = 1 << 24  # characters that are handed to the threads together


class PieceCounts:
    """Counts of the pieces of texts, as UTF-8 bytes. Special tokens are cut out of the texts.

    pattern: as `cutter` takes it. threads: of the compiled core; None for one a processor.

    `documents` is how many texts were counted: a killed run loads what was saved last and goes on
    with the text after them.

    Raises `InputError` for a wrong pattern, and special tokens that `special_pattern` refuses.
    """

    def __init__(
        self, pattern: str, special_tokens: Sequence[str] = (), *, threads: int | None = None
    ):
        self.pattern = pattern
        self.special_tokens = tuple(special_tokens)
        self.documents = 0
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
            if characters >= _AT_ONCE:
                self._count(waiting)
                self.documents += documents
                waiting, characters, documents = [], 0, 0
        self._count(waiting)
        self.documents += documents

    def _count(self, texts: list[str]) -> None:
        if self._native is None:
            for text in texts:
                self._counter.update(utf8(piece) for piece in self._cut(text))
            return
        try:
            self._native.count(texts, self.pattern, self._threads)
        except ValueError:
            for text in texts:
                utf8(text)  # says what is wrong
            raise

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

    @property
    def empty(self) -> bool:
        """Whether no piece was counted."""
        return not self._counter if self._native is None else self._native.empty()

    def trainer(self, least: int, longest: int) -> Any:
        """The core's trainer on these counts, or None where the core did not count them."""
        return core.Trainer(self._native, least, longest) if core and self._native else None

    def save(self, path: Path) -> None:
        """Write the counts to a file, atomically."""
        pieces, counts = zip(*self.items(), strict=True) if self.documents else ((), ())
        facts = [_FORMAT, self.documents]
        with atomic_file(path) as file:
            np.savez(
                file,
                facts=np.array(facts, dtype=np.int64),
                rules=np.array([self.pattern, *self.special_tokens]),
                content=np.frombuffer(b"".join(pieces), dtype=np.uint8),
                ends=np.cumsum([len(piece) for piece in pieces], dtype=np.int64),
                counts=np.array(counts, dtype=np.int64),
            )

    @classmethod
    def load(cls, path: Path, *, threads: int | None = None) -> "PieceCounts":
        """Read what `save` wrote. Raises `ArtifactError` for any other file."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
                (form, documents), rules = saved["facts"].tolist(), saved["rules"].tolist()
                content, ends = saved["content"].tobytes(), saved["ends"].tolist()
                counts = saved["counts"].tolist()
            if form != _FORMAT:
                raise ArtifactError(f"{path} has format {form}, and this groundup reads {_FORMAT}.")
            loaded = cls(rules[0], rules[1:], threads=threads)
            loaded.documents = documents
            for start, end, count in zip([0, *ends], ends, counts, strict=False):
                loaded._add(content[start:end], count)
        except (ValueError, LookupError, EOFError, BadZipFile, InputError) as error:
            raise ArtifactError(f"{path} does not hold counts of pieces ({error}).") from error
        return loaded

    def _add(self, piece: bytes, count: int) -> None:
        if not piece or count < 1:
            raise ValueError("a piece without bytes or a count")
        if self._native is None:
            self._counter[piece] += count
        else:
            self._native.add(piece, count)
