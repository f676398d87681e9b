import gzip
from dataclasses import replace

import pytest

from groundup.core.errors import DownloadError, InputError
from groundup.curate import file_list
from groundup.curate.download import Patience
from groundup.curate.local import LocalFiles
from groundup.curate.remote import RemoteFiles
from groundup.curate.sources import open_source

QUICK = Patience(attempts=2, wait_seconds=0.001, timeout_seconds=5)


@pytest.fixture
def opened(tmp_path):
    def opened(data):
        return open_source(str(data), cache=tmp_path / "cache", patience=QUICK)

    return opened


def read(source):
    documents = source.documents(lambda *reject: pytest.fail(str(reject)), lambda *_, **__: None)
    return [(document.id, document.text) for document in documents]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_files_of_this_machine_in_the_order_of_the_list(tmp_path, opened, pack):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "b" / "c.md").write_text("C")
    path = tmp_path / ("my.paths" if pack is bytes else "my.paths.gz")
    path.write_bytes(pack(b"b/c.md\n\n a.txt \r\n"))
    source = opened(path)
    assert isinstance(source, LocalFiles)
    assert read(source) == [("b/c.md", "C"), ("a.txt", "A")]
    other = tmp_path / "other.paths"
    other.write_text("a.txt\nb/c.md\n")
    assert opened(other).fingerprint != source.fingerprint


def test_files_of_servers(tmp_path, opened, server):
    server.files |= {"/x/a.txt": b"A", "/x/b%20c.txt": b"B"}
    path = tmp_path / "my.paths"
    path.write_text(f"{server.url}/x/b%20c.txt\n{server.url}/x/a.txt\n")
    source = opened(path)
    assert isinstance(source, RemoteFiles)
    assert server.requests == []  # nothing is asked before it is needed
    host = server.url.removeprefix("http://")
    assert read(source) == [(f"{host}/x/b c.txt", "B"), (f"{host}/x/a.txt", "A")]
    assert [len(part.listing.files) for part in source.parts(10**9)] == [1, 1]
    assert replace(source, listing=source.listing).fingerprint == source.fingerprint


def test_a_list_at_an_url_as_common_crawl_has_it(opened, server, monkeypatch):
    monkeypatch.setattr(file_list, "COMMON_CRAWL", server.url + "/")
    server.files["/crawl-data/CC-MAIN-2026-05/wet.paths.gz"] = gzip.compress(
        b"crawl-data/CC-MAIN-2026-05/segments/1/a.txt\n"
    )
    server.files["/crawl-data/CC-MAIN-2026-05/segments/1/a.txt"] = b"A"
    source = opened(server.url + "/crawl-data/CC-MAIN-2026-05/wet.paths.gz")
    assert [text for _, text in read(source)] == ["A"]
    server.statuses = [404] * 9
    again = opened(server.url + "/crawl-data/CC-MAIN-2026-05/wet.paths.gz")
    assert again.fingerprint == source.fingerprint
    assert read(again) == read(source)


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (b"", "my.paths is empty: write a path or an URL a line"),
        (b"https://example.org/a.txt\n\ngone.txt\n", "line 3: gone.txt is no URL: write URLs, or"),
        (b"a.png\n", "line 1: a.png is of no kind that is read: files that end in .txt"),
        (b"https://[/a.txt\n", r"line 1: https://\[/a.txt is no URL \(Invalid"),
        (b"https://example.org/../../a.txt\n", "line 1: .* is no URL: write URLs"),
        (b"caf\xe9.txt\n", "my.paths is no list of files"),
    ],
)
def test_a_list_that_leads_nowhere_is_named(tmp_path, opened, contents, sentence):
    for name in ("a.png", "a.txt"):
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / "my.paths"
    path.write_bytes(contents)
    with pytest.raises(InputError, match=sentence):
        opened(path)


def test_a_list_that_is_damaged_is_named(tmp_path, opened):
    path = tmp_path / "my.paths.gz"
    path.write_bytes(gzip.compress(b"a.txt\n" * 100)[:-10])
    with pytest.raises(InputError, match=r"my.paths.gz is no list of files \(is damaged or cut"):
        opened(path)


def test_a_list_that_is_not_there_is_named(opened, server):
    with pytest.raises(DownloadError, match="does not exist"):
        opened(server.url + "/my.paths")


def test_urls_that_differ_in_their_question_are_other_files(tmp_path, opened, server):
    for version in "12":
        server.files[f"/a.txt?v={version}"] = version.encode()
    path = tmp_path / "my.paths"
    path.write_text(f"{server.url}/a.txt?v=1\n{server.url}/a.txt?v=2\n")
    assert [text for _, text in read(opened(path))] == ["1", "2"]
    path.write_text(f"{server.url}/get?file=a.txt\n")
    with pytest.raises(InputError, match="is of no kind that is read"):
        opened(path)


def test_no_password_is_in_the_names(tmp_path, opened):
    path = tmp_path / "my.paths"
    path.write_text("https://me:secret@example.org/a.txt\n")
    assert [file.name for file in opened(path).listing.files] == ["example.org/a.txt"]


def test_a_list_of_somebody_elses_names_no_file_of_this_machine(tmp_path, opened, server):
    (tmp_path / "private.txt").write_text("secret")
    server.files["/their.paths"] = f"{tmp_path}/private.txt\n".encode()
    with pytest.raises(InputError, match="is no URL"):
        opened(f"{server.url}/their.paths")
