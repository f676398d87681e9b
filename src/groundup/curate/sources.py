"""What the user may name as data, and the source that it leads to.

To add a corpus, add a line to `NAMED`. To add a kind of source, write a class with the members of
`Source` and a case in `open_source`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from groundup.core.errors import DownloadError, InputError
from groundup.core.manifest import MANIFEST
from groundup.core.progress import Advance
from groundup.core.rundir import CONFIG
from groundup.curate.document import Document, Reject
from groundup.curate.download import DEFAULT_PATIENCE, Patience, cache_directory
from groundup.curate.extract import extractor_of
from groundup.curate.file_list import is_list, open_list, open_list_at
from groundup.curate.hub import HUB, open_hub
from groundup.curate.local import open_local
from groundup.curate.readers import is_readable
from groundup.curate.reading import DEFAULT_READING, Reading
from groundup.curate.remote import RemoteFiles, open_url
from groundup.curate.stdlib import standard_library

_MEGABYTES, _MANY_PARTS = (2, 4, 8, 16, 32, 64), 256
DOCUMENTS = "documents"  # the folder of what a curation has kept
NOTES = "notes"  # the folder of what its steps have noted


class Source(Protocol):
    """Where documents come from.

    name: what the documents say of their source.
    reading: how its files are read.
    licence: of the documents, an SPDX identifier where there is one.
    fingerprint: changes whenever the documents do.
    """

    @property
    def name(self) -> str: ...

    @property
    def reading(self) -> Reading: ...

    @property
    def licence(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def documents(self, reject: Reject, advance: Advance, /) -> Iterator[Document]:
        """The documents, in an order that is always the same; what cannot be read is rejected.

        Nothing is fetched before it is needed. `advance` is told of waiting (its note).
        """
        ...

    def parts(self, max_bytes: int, /) -> Sequence["Source"]:
        """The source in parts, to be read by several processes: consecutive files, of about
        `max_bytes` on the disk together, one at the least. Their documents in order are those of
        the source, rejects included. A part can be pickled."""
        ...


def parts_of(source: Source, shard_bytes: int | None) -> Sequence[Source]:
    """The source in parts of about so many bytes; None: of 2 to 64 MB, the least of which there are
    no more than 256, so that a small source, too, is work for many processes."""
    if shard_bytes is not None:
        return source.parts(shard_bytes)
    parts: Sequence[Source] = ()
    for megabytes in _MEGABYTES:
        parts = source.parts(megabytes << 20)
        if len(parts) <= _MANY_PARTS:
            break
    return parts


@dataclass(frozen=True, kw_only=True)
class NamedCorpus:
    """A published corpus. address: on the hub. about: what it is, and how much."""

    address: str
    licence: str
    about: str


NAMED = {
    "tinystories": NamedCorpus(
        address="roneneldan/TinyStories/data",
        licence="CDLA-Sharing-1.0",
        about="short stories for children, written by a model; about 1 GB to download",
    ),
    "openwebtext": NamedCorpus(
        address="Skylion007/openwebtext",
        licence="CC0-1.0 (packaging; the texts are their authors')",
        about="web pages linked from Reddit; about 24 GB to download",
    ),
    "fineweb-edu": NamedCorpus(
        address="HuggingFaceFW/fineweb-edu/sample/10BT",
        licence="ODC-By-1.0",
        about="educational web pages, a sample of 10 billion tokens; about 28 GB to download",
    ),
}


def open_source(
    data: str,
    *,
    cache: Path | None = None,
    hub: str = HUB,
    reading: Reading = DEFAULT_READING,
    patience: Patience = DEFAULT_PATIENCE,
) -> Source:
    """The source that `data` names.

    data: `stdlib`, a name in `NAMED`, an http(s) URL of a file or of a list of files, a data set of
        a Hugging Face hub (`ORG/NAME` where there is no such path here, or `hf:ORG/NAME`,
        optionally with `/FOLDER`), a file or folder (`./stdlib` for a folder of such a name; of the
        folder of a finished curation, what it has kept), files by a pattern
        (`crawl/**/*.warc.gz`), or a list of files (`warc.paths.gz`).
    cache: where downloads are kept; None: `cache_directory()`.
    reading: how files are read.

    Remote sources are asked what they consist of; documents are fetched later. Raises
    `InputError` where there is nothing to read, `DownloadError` where a server cannot be reached.
    """
    if any("\ud800" <= character <= "\udfff" for character in data):  # as Python has such bytes
        raise InputError(f"{data!a} is a name that is not UTF-8: rename it, or link to it.")
    cache = cache or cache_directory()
    if reading.extractor != DEFAULT_READING.extractor:
        extractor_of(reading.extractor)  # one that is not there is refused before all else
    if data == "stdlib":
        return standard_library()
    if data.startswith(("http://", "https://")):
        open_it = open_list_at if is_list(data.partition("?")[0]) else open_url
        return open_it(data, cache, reading=reading, patience=patience)

    def from_hub(address: str) -> RemoteFiles:
        return open_hub(address, cache, hub=hub, reading=reading, patience=patience)

    if data in NAMED:
        return replace(from_hub(NAMED[data].address), name=data, licence=NAMED[data].licence)
    if data.startswith("hf:"):
        if not _is_address(data.removeprefix("hf:")):
            raise InputError(f"{data} is no data set of a hub: write hf:ORG/NAME.")
        return from_hub(data.removeprefix("hf:"))
    if not data:
        raise InputError("--data is empty: name a file, a folder, or stdlib.")
    path = Path(data).expanduser()
    if _is_address(data) and not path.exists() and not is_readable(data):
        try:
            return from_hub(data)
        except DownloadError as error:
            raise DownloadError(f"there is no file or folder {data}, and {error}") from error
    if (path / MANIFEST).is_file() and (path / DOCUMENTS).is_dir():  # a run of curation
        return replace(open_local(path / DOCUMENTS, reading), name=path.resolve().name)
    if (path / NOTES).is_dir() and (path / CONFIG).is_file():
        raise InputError(
            f"{data} is a curation that is not finished: run its groundup curate command again, or "
            f"name {path / DOCUMENTS} to take what there is."
        )
    if path.is_file() and is_list(path.name):
        return open_list(path, cache, reading=reading, patience=patience)
    return open_local(path, reading)


def _is_address(data: str) -> bool:
    """`org/name`, optionally with a folder, of the characters that the hub allows."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*(/[\w.-]+)*", data, re.ASCII) is not None
