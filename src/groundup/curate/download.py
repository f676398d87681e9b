"""Downloads that survive: resumed after a kill or a broken connection, retried, verified.

A file is downloaded as `NAME.partial` and takes its name when it is whole, so a file that is there
is never downloaded again. Beside it, `NAME.validator.partial` holds what names the version that the
partial file is of (RFC 9110, section 8.8: a strong ETag, else the date of the last change). A
download goes on only if the server still has that version (`If-Range`, section 13.1.5).
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from groundup.core.errors import DownloadError, MissingExtraError
from groundup.core.files import PARTIAL, sha256_file, sync

if TYPE_CHECKING:
    import httpx

_WORTH_RETRYING = {408, 425, 429, 500, 502, 503, 504}

Result = TypeVar("Result")
Received = Callable[[int], None]
"""Is told how many bytes of the file are there."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """attempts: in a row that bring no new byte, before giving up.

    wait_seconds: before the second attempt; doubled before each further one.
    timeout_seconds: for the server to accept, and for every next byte.
    """

    attempts: int = 6
    wait_seconds: float = 1.0
    timeout_seconds: float = 30.0


DEFAULT_PATIENCE = Patience()


class _PassingError(Exception):
    """A failure that may pass; the message completes "HOST …"."""


def cache_directory() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/groundup`, by default `~/.cache/groundup`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "groundup"


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    received: Received | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> None:
    """Make `path` the file at `url`; nothing is done where it is already there.

    size, sha256: what the whole file must have, where known.
    Raises `DownloadError` where the server cannot be reached, refuses or keeps failing, where the
    file is not the one that was announced (the partial file is then removed), and where another
    process is downloading it.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    validator = path.with_name(f"{path.name}.validator{PARTIAL}")
    with _held(partial) as file, http_client(patience) as client:
        if path.exists():  # another process finished it while this one was waiting
            return
        transfer = _Transfer(client, url, file, validator, received or (lambda _: None))
        _with_patience(url, patience, transfer.attempt, file.tell)
        file.flush()
        os.fsync(file.fileno())
        problem = _difference(partial, size, sha256)
        if problem:
            partial.unlink()
            validator.unlink(missing_ok=True)
            raise DownloadError(f"{url} {problem}: it was removed, run again to download it anew.")
        os.replace(partial, path)
        validator.unlink(missing_ok=True)
    sync(path.parent)


def fetch_json(url: str, patience: Patience = DEFAULT_PATIENCE) -> Any:
    """The JSON at `url`. Raises `DownloadError`, as `download` does."""
    with http_client(patience) as client:

        def attempt() -> Any:
            response = client.get(url)
            _check_status(response, url)
            try:
                return response.json()
            except ValueError as error:
                raise DownloadError(f"{url} answered with something that is not JSON.") from error

        return _with_patience(url, patience, attempt, lambda: 0)


def fetch_headers(url: str, patience: Patience = DEFAULT_PATIENCE) -> dict[str, str]:
    """What the server says of the file at `url` before sending it; names in lower case.

    A GET that is closed after the headers: some servers answer no HEAD.
    Raises `DownloadError`, as `download` does.
    """
    with http_client(patience) as client:

        def attempt() -> dict[str, str]:
            with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                _check_status(response, url)
                return {name.lower(): value for name, value in response.headers.items()}

        return _with_patience(url, patience, attempt, lambda: 0)


def http_client(patience: Patience) -> "httpx.Client":
    """A client that follows redirects. Raises `MissingExtraError` where httpx is not there."""
    try:
        import httpx
    except ImportError as error:
        raise MissingExtraError("Downloading", "curate") from error
    return httpx.Client(follow_redirects=True, timeout=patience.timeout_seconds)


@dataclass(frozen=True)
class _Transfer:
    """One file's way from `url` to the end of the open partial file."""

    client: "httpx.Client"
    url: str
    file: IO[bytes]
    validator: Path
    received: Received

    def attempt(self) -> None:
        """Fetch what is missing. Raises `_PassingError`, `DownloadError` or an error of httpx."""
        headers = {"Accept-Encoding": "identity"}
        start = self.file.tell()
        known = self.validator.read_text(encoding="utf-8") if self.validator.exists() else ""
        if start and known:
            headers |= {"Range": f"bytes={start}-", "If-Range": known}
        with self.client.stream("GET", self.url, headers=headers) as response:
            if response.status_code == 416 and self._is_whole(response, start):
                return
            if response.status_code in (206, 416) and not self._continues(response, start, known):
                self._start_over("")
                raise _PassingError("sent another part than was asked for")
            _check_status(response, self.url)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise DownloadError(f"{self.url} comes compressed although that was not asked for.")
            if response.status_code == 200:
                self._start_over(_validator_of(response))
            self.received(self.file.tell())
            for chunk in response.iter_raw():  # as received: a larger chunk is lost when cut
                self.file.write(chunk)
                self.received(self.file.tell())

    def _is_whole(self, response: "httpx.Response", start: int) -> bool:
        """The process was killed after the last byte and before the rename."""
        return response.headers.get("content-range", "") == f"bytes */{start}"

    def _continues(self, response: "httpx.Response", start: int, known: str) -> bool:
        first = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
        same_version = _validator_of(response) in (known, "")
        return bool(first and int(first[1]) == start and same_version)

    def _start_over(self, validator: str) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.validator.write_text(validator, encoding="utf-8")


def _validator_of(response: "httpx.Response") -> str:
    tag = response.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("last-modified", "")


def _with_patience(
    url: str, patience: Patience, attempt: Callable[[], Result], progress: Callable[[], int]
) -> Result:
    """Attempt until it succeeds; failures count only while `progress()` stands still."""
    import httpx

    host = _host(url)
    failures, best, connected = 0, progress(), False
    while True:
        try:
            return attempt()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise DownloadError(f"{url} is no URL that can be downloaded ({error}).") from error
        except (httpx.RequestError, _PassingError) as error:
            unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            connected = connected or not unreachable
            failures = 1 if progress() > best else failures + 1
            best = max(best, progress())
            if not connected:
                raise _cannot_reach(host, str(error) or "no answer") from error
            if failures >= patience.attempts:
                problem = str(error) or type(error).__name__
                raise DownloadError(
                    f"{host} failed {failures} times in a row ({problem}): run again later, it "
                    "goes on where it was."
                ) from error
        time.sleep(patience.wait_seconds * 2 ** (failures - 1))


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError as error:
        raise DownloadError(f"{url} is no URL ({error}).") from error


def _cannot_reach(host: str, reason: str) -> DownloadError:
    return DownloadError(
        f"cannot reach {host}: {reason}; check the connection, or use --data with local files or "
        "stdlib."
    )


def _check_status(response: "httpx.Response", url: str) -> None:
    status = response.status_code
    if status in _WORTH_RETRYING:
        raise _PassingError(f"answered {status}")
    if status in (401, 403):
        raise DownloadError(f"{url} does not exist or is not public (answer {status}).")
    if status in (404, 410):
        raise DownloadError(f"{url} does not exist (answer {status}): check the name.")
    if status not in (200, 206):
        raise DownloadError(f"{url} cannot be downloaded (answer {status}).")


def _difference(path: Path, size: int | None, sha256: str | None) -> str:
    """What is wrong with a file that was downloaded, or nothing."""
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size:,} bytes, not the {size:,} that were announced"
    if sha256 is not None and (actual := sha256_file(path)) != sha256:
        return f"does not match its checksum (SHA-256 {actual[:12]}…, not {sha256[:12]}…)"
    return ""


@contextmanager
def _held(partial: Path) -> Iterator[IO[bytes]]:
    """The partial file, open at its end, for this process alone."""
    with open(partial, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when we die
        except BlockingIOError as error:
            name = partial.name.removesuffix(PARTIAL)
            raise DownloadError(
                f"another process is downloading {name}: wait until it is done, then run again."
            ) from error
        yield file
