import gzip
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from tests.curate.test_web import PAGE, answer, warc

from groundup.core.errors import DownloadError, InputError
from groundup.curate.download import Patience
from groundup.curate.remote import Listing, RemoteFile, RemoteFiles, open_url

QUICK = Patience(attempts=2, wait_seconds=0.001, timeout_seconds=5)
LINES = b"".join(json.dumps({"text": f"text {n}"}).encode() + b"\n" for n in range(3))


def open_it(server, cache, path="/data/some%20file.jsonl?key=1"):
    return open_url(server.url + path, cache, patience=QUICK)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def read(notes):
    def advance(amount=1, note=""):
        assert amount == 0
        notes.append(note)

    def read(source):
        documents = source.documents(lambda *reject: pytest.fail(str(reject)), advance)
        return [(document.id, document.text, document.source) for document in documents]

    return read


@pytest.fixture
def published(server):
    server.files["/data/some%20file.jsonl"] = LINES
    return server


def test_the_file_behind_a_url_is_downloaded_when_it_is_read(published, tmp_path, read, notes):
    source = open_it(published, tmp_path)
    assert not list(tmp_path.rglob("*.jsonl"))
    name = "some file.jsonl"
    assert read(source) == [(f"{name}:{n + 1}", f"text {n}", name) for n in range(3)]
    assert notes[-1] == f"downloading {name}: 0 of 0 MB"


def test_what_was_read_once_is_read_again_without_a_network(published, tmp_path, read):
    first = open_it(published, tmp_path)
    documents = read(first)
    published.statuses = [404] * 9
    again = open_it(published, tmp_path)
    assert again.fingerprint == first.fingerprint
    assert read(again) == documents


def test_a_crawl_whose_connection_breaks_is_read_whole(server, tmp_path, read):
    """Cut in the middle of a page, and of a member of the gzip file."""
    pages = [answer(PAGE.replace(b"The ferry", f"The ferry {n}".encode())) for n in range(40)]
    archive = b"".join(gzip.compress(warc([("response", page)])) for page in pages)
    server.files["/crawl.warc.gz"] = archive
    source = open_it(server, tmp_path, "/crawl.warc.gz")
    server.cuts = [1000, 1, len(archive) // 2]
    documents = read(source)
    assert [name for name, _, _ in documents] == [f"crawl.warc.gz#{n + 1}" for n in range(40)]
    assert all(text.startswith(f"The ferry {n}\n") for n, (_, text, _) in enumerate(documents))
    starts = [1000, 1001, 1001 + len(archive) // 2]
    assert server.ranges[2:] == [f"bytes={start}-" for start in starts]


def test_the_fingerprint_follows_the_version(published, tmp_path):
    first = open_it(published, tmp_path / "a").fingerprint
    published.files["/data/some%20file.jsonl"] = LINES.replace(b"text", b"TEXT")
    assert open_it(published, tmp_path / "b").fingerprint != first


def test_a_file_that_does_not_exist_is_named_before_anything_starts(server, tmp_path):
    with pytest.raises(DownloadError, match=r"/data/some%20file.jsonl\?key=1 does not exist"):
        open_it(server, tmp_path)


@pytest.mark.parametrize("path", ["/page.png", "/", "", "/a.png?b=c.txt"])
def test_a_file_of_another_kind_is_named_before_anything_is_asked(server, tmp_path, path):
    with pytest.raises(InputError, match=r"is of no kind that is read: files that end in .txt"):
        open_it(server, tmp_path, path)
    assert server.requests == []


def test_what_is_no_url_is_named(tmp_path):
    with pytest.raises(InputError, match="is no URL"):
        open_url("http://[/a.txt", tmp_path)


def test_parts_are_files_of_the_listing():
    files = tuple(
        RemoteFile(name=name, url=name, bytes=size)
        for name, size in [("a", 10), ("b", 20), ("c", 25), ("d", None), ("e", 5)]
    )
    source = RemoteFiles("s", "MIT", Listing(licence="MIT", files=files), Path("cache"))
    parts = [pickle.loads(pickle.dumps(part)) for part in source.parts(30)]
    assert [[file.name for file in part.listing.files] for part in parts] == [
        ["a", "b"],
        ["c"],
        ["d"],
        ["e"],
    ]
    assert len({part.fingerprint for part in parts}) == 4
    sized = replace(source, listing=Listing(licence="MIT", files=files[:3]))
    (whole,) = sized.parts(1000)
    assert whole.fingerprint == sized.fingerprint
