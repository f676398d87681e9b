import json
import socket

import pytest

from groundup.core.errors import DownloadError, InputError
from groundup.curate import local
from groundup.curate.download import Patience
from groundup.curate.local import LocalFiles
from groundup.curate.sources import NAMED, open_source, parts_of

QUICK = Patience(attempts=2, wait_seconds=0.001, timeout_seconds=5)


@pytest.fixture
def opened(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def opened(data):
        return open_source(data, cache=tmp_path / "cache", hub=server.url, patience=QUICK)

    return opened


def publish(server, address, name):
    info = {"sha": "v1", "siblings": [{"rfilename": name, "size": 1, "blobId": "b"}]}
    server.files[f"/api/datasets/{address}"] = json.dumps(info).encode()
    server.files[f"/datasets/{address}/resolve/v1/{name}"] = b"A"


def text(source):
    (document,) = source.documents(lambda *_: None, lambda *_, **__: None)
    return document.text


def test_the_standard_library(opened):
    assert opened("stdlib").name == "stdlib"


def test_a_file_and_a_folder(opened, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for data in ("notes", "notes/", "./notes", "notes/a.txt", str(tmp_path / "notes")):
        assert text(opened(data)) == "mine"


def test_a_url(opened, server):
    server.files["/a.txt"] = b"A"
    assert text(opened(f"{server.url}/a.txt")) == "A"


@pytest.mark.parametrize("data", ["org/set", "hf:org/set", "org/set/sub", "hf:org/set/sub"])
def test_a_data_set_of_the_hub(opened, server, data):
    publish(server, "org/set", "sub/a.txt")
    assert text(opened(data)) == "A"


def test_a_path_that_exists_is_no_data_set(opened, server, tmp_path):
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "set").mkdir()
    (tmp_path / "org" / "set" / "a.txt").write_text("local")
    publish(server, "org/set", "a.txt")
    assert text(opened("org/set")) == "local"
    assert text(opened("hf:org/set")) == "A"


@pytest.mark.parametrize("name", NAMED)
def test_a_named_corpus_has_its_own_name_and_licence(opened, server, name):
    organisation, dataset, *folder = NAMED[name].address.split("/")
    publish(server, f"{organisation}/{dataset}", "/".join([*folder, "train-0.txt"]))
    source = opened(name)
    assert (source.name, source.licence) == (name, NAMED[name].licence)
    assert text(source) == "A"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("gone", "gone does not exist"),
        ("gone/file.txt", "gone/file.txt does not exist"),
        ("", "--data is empty"),
        ("hf:gone", "write hf:ORG/NAME"),
        ("hf:../set", "write hf:ORG/NAME"),
    ],
)
def test_what_leads_nowhere_is_named(opened, server, data, sentence):
    with pytest.raises(InputError, match=sentence):
        opened(data)
    assert server.requests == []


def test_neither_a_path_nor_a_data_set(opened):
    with pytest.raises(DownloadError, match=r"no file or folder my/notes, and .* does not exist"):
        opened("my/notes")


def test_without_a_network_the_sentence_offers_what_needs_none(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DownloadError, match=r"cannot reach 127.0.0.1.*local files or stdlib"):
            open_source("tinystories", cache=tmp_path, hub=hub, patience=QUICK)


@pytest.mark.parametrize(
    ("files", "parts"), [(1, 1), (3, 2), (512, 256), (514, 129), (40_000, 625)]
)
def test_a_small_source_has_parts_for_many_processes(tmp_path, monkeypatch, files, parts):
    monkeypatch.setattr(local, "_size", lambda _: 1 << 20)
    source = LocalFiles("all", "MIT", tmp_path, tuple(map(str, range(files))), "fingerprint")
    assert len(parts_of(source, None)) == parts
    assert len(parts_of(source, 1 << 20)) == files
