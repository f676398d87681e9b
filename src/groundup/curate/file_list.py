"""A list of files as a source: `.paths` or `.paths.gz`, a path or an URL a line.

Common Crawl publishes such lists of what each crawl consists of (`warc.paths.gz`, `wet.paths.gz`).
Their lines begin with `crawl-data/`, and are taken from its server where there is no such file.
"""

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from groundup.core.errors import InputError
from groundup.core.files import sha256_json
from groundup.curate.download import DEFAULT_PATIENCE, Patience, download
from groundup.curate.formats.streams import DamagedError, open_bytes
from groundup.curate.local import LocalFiles, fingerprint_files
from groundup.curate.readers import is_readable, readable_kinds
from groundup.curate.reading import DEFAULT_READING, Reading
from groundup.curate.remote import Listing, RemoteFile, RemoteFiles

_SUFFIXES = (".paths", ".paths.gz")
COMMON_CRAWL = "https://data.commoncrawl.org/"
_OF_COMMON_CRAWL = "crawl-data/"


def is_list(name: str) -> bool:
    """Whether a file of this name is a list of files."""
    return name.lower().endswith(_SUFFIXES)


def open_list(
    path: Path,
    cache: Path,
    *,
    reading: Reading = DEFAULT_READING,
    patience: Patience = DEFAULT_PATIENCE,
    remote: bool = False,
) -> LocalFiles | RemoteFiles:
    """The files of a list, in its order: all local ones, relative to the list, or all remote ones.

    remote: the list is somebody else's, who may not say which files of this machine are read.

    Raises `InputError` where a line leads nowhere, or to a kind of file that is not read.
    """
    lines = _lines(path)
    for number, line in lines:
        if not is_readable(_path_of(line)):
            raise InputError(
                f"{path}, line {number}: {line} is of no kind that is read: {readable_kinds()} are."
            )
    names = [line for _, line in lines]
    if not remote and all((path.parent / name).is_file() for name in names):
        fingerprint = sha256_json([fingerprint_files(path.parent, names, reading), names])
        return LocalFiles(
            path.name,
            "the user's own",
            path.parent,
            tuple(names),
            fingerprint,
            reading=reading,
        )
    files = tuple(_remote(path, number, line) for number, line in lines)
    listing = Listing(licence="not stated", files=files)
    return RemoteFiles(path.name, listing.licence, listing, cache / "lists", reading, patience)


def open_list_at(
    url: str,
    cache: Path,
    *,
    reading: Reading = DEFAULT_READING,
    patience: Patience = DEFAULT_PATIENCE,
) -> LocalFiles | RemoteFiles:
    """The files of a list at an URL, which is downloaded once."""
    path = cache / "urls" / sha256_json(url)[:16] / PurePosixPath(urlsplit(url).path).name
    download(url, path, patience=patience)
    return open_list(path, cache, reading=reading, patience=patience, remote=True)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines with their numbers; blank ones are none."""
    try:
        with open_bytes(path) as file:
            lines = file.read().decode("utf-8").splitlines()
    except (DamagedError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no list of files ({error}).") from error
    found = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise InputError(f"{path} is empty: write a path or an URL a line.")
    return found


def _path_of(line: str) -> str:
    """Of an URL, its path; a name as it stands."""
    if "://" not in line:
        return line
    try:
        return unquote(urlsplit(line).path)
    except ValueError:
        return line


def _remote(path: Path, number: int, line: str) -> RemoteFile:
    url = COMMON_CRAWL + line if line.startswith(_OF_COMMON_CRAWL) else line
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: {line} is no URL ({error}).") from error
    name = PurePosixPath(parts.netloc.rpartition("@")[2], unquote(parts.path).lstrip("/"))
    if parts.query:  # asks for another file of the same path
        name = name.parent / sha256_json(parts.query)[:8] / name.name
    if parts.scheme not in ("http", "https") or not parts.hostname or ".." in name.parts:
        raise InputError(
            f"{path}, line {number}: {line} is no URL: write URLs, or names of files that are all "
            f"in {path.parent} or below it."
        )
    return RemoteFile(name=str(name), url=url)
