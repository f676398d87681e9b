"""A step of curation: documents in, documents out.

Most steps look at one document at a time, and run on each shard by itself. Some must know the whole
corpus first: such a step names tasks that read shards and write files, and then takes, shard by
shard, the documents with what the tasks found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from groundup.curate.document import Document
from groundup.curate.notes import Notes

Apply = Callable[[Iterable[Document], Notes], Iterator[Document]]
"""Takes the documents of a shard, in order, and gives those that pass, changed or as they were; the
others it rejects with `Notes.reject`. It holds one document at a time, or a batch."""


class Step(Protocol):
    """A step that looks at one document at a time.

    title: names it for people: in the funnel, and in the record of what it rejected.
    """

    title: ClassVar[str]

    def apply(self, documents: Iterable[Document], notes: Notes, /) -> Iterator[Document]:
        """See `Apply`. A step is pickled to other processes, so what it needs, such as a model, is
        loaded here."""
        ...


class Task(NamedTuple):
    """A call of a module's own function, in whatever process. It writes files, atomically, and
    returns at once where they are there."""

    function: Callable[..., None]
    arguments: tuple[Any, ...]


@runtime_checkable
class CorpusStep(Protocol):
    """A step that must know the whole corpus before it can judge a document."""

    title: ClassVar[str]

    def passes(self, shards: Sequence[Path], folder: Path, /) -> Iterator[Sequence[Task]]:
        """Tasks that read the shards (JSON lines of documents) and leave files in `folder`; all of
        one pass are over before the next is asked for."""
        ...

    def of_shard(self, shards: Sequence[Path], folder: Path, shard: int, /) -> Apply:
        """For the documents of one of the shards, with what the tasks left in `folder`."""
        ...
