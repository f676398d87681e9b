"""Files on the network as a source.

What is to be downloaded is listed once and the list is kept (`listing.json`) beside the files: a
later run reads the same files, needs no network, and has the same fingerprint. To take a newer
version, delete the folder in the cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from groundup.core.config import load_config, save_config, to_dict
from groundup.core.errors import InputError
from groundup.core.files import sha256_json
from groundup.core.progress import Advance
from groundup.curate.document import Document, Reject
from groundup.curate.download import DEFAULT_PATIENCE, Patience, download, fetch_headers
from groundup.curate.input_file import InputFile
from groundup.curate.parts import in_groups
from groundup.curate.readers import is_readable, read_file, readable_kinds
from groundup.curate.reading import DEFAULT_READING, Reading

LISTING = "listing.json"


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """name: relative path. version: what the server calls this version (ETag), if anything."""

    name: str
    url: str
    bytes: int | None = None
    sha256: str | None = None
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a remote source consists of, in the order in which it is read."""

    licence: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class RemoteFiles:
    """Documents of the listed files; each is downloaded into `directory` when it is needed."""

    name: str
    licence: str
    listing: Listing
    directory: Path
    reading: Reading = DEFAULT_READING
    patience: Patience = DEFAULT_PATIENCE

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the listing, which names every file's version."""
        return sha256_json({"listing": to_dict(self.listing), **self.reading.fingerprint})

    def documents(self, reject: Reject, advance: Advance, /) -> Iterator[Document]:
        """See `Source`."""
        for file in self.listing.files:
            path = self.directory / "files" / file.name
            self._download(file, path, advance)
            input_file = InputFile(path, file.name, self.name, self.reading)
            for document in read_file(input_file, reject):
                document.metadata.setdefault("licence", self.licence)
                yield document

    def parts(self, max_bytes: int, /) -> list["RemoteFiles"]:
        """See `Source`. A file of which the server did not tell the size is a part by itself."""
        sizes = ((file, file.bytes or max_bytes) for file in self.listing.files)
        groups = list(in_groups(sizes, max_bytes))
        return [replace(self, listing=replace(self.listing, files=files)) for files in groups]

    def _download(self, file: RemoteFile, path: Path, advance: Advance) -> None:
        total = f" of {file.bytes / 1e6:,.0f}" if file.bytes else ""

        def received(size: int) -> None:
            advance(0, note=f"downloading {file.name}: {size / 1e6:,.0f}{total} MB")

        download(
            file.url,
            path,
            size=file.bytes,
            sha256=file.sha256,
            received=received,
            patience=self.patience,
        )


def open_url(
    url: str,
    cache: Path,
    *,
    reading: Reading = DEFAULT_READING,
    patience: Patience = DEFAULT_PATIENCE,
) -> RemoteFiles:
    """The file at `url`, told by the suffix of its name.

    Raises `InputError` for a kind of file that is not read, `DownloadError` for what the server
    says.
    """
    try:
        name = PurePosixPath(unquote(urlsplit(url).path)).name
    except ValueError as error:
        raise InputError(f"{url} is no URL ({error}).") from error
    if not is_readable(name):
        raise InputError(f"{url} is of no kind that is read: {readable_kinds()} are.")
    directory = cache / "urls" / sha256_json(url)[:16]
    if not (directory / LISTING).exists():
        headers = fetch_headers(url, patience)
        length = headers.get("content-length")
        file = RemoteFile(
            name=name,
            url=url,
            bytes=int(length) if length else None,
            version=headers.get("etag") or headers.get("last-modified"),
        )
        save_config(directory / LISTING, Listing(licence="not stated", files=(file,)))
    listing = load_config(Listing, directory / LISTING)
    return RemoteFiles(name, listing.licence, listing, directory, reading, patience)
